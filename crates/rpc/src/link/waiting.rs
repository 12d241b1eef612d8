//! The wait for one answer, and its end by other means.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::{Link, Outcome, subscription_key};
use crate::ClientError;

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Not one byte of it was written, so it may be made again on another connection.
    Unsent(ClientError),
    /// It may have run.
    Failed(ClientError),
}

impl From<NoAnswer> for ClientError {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::Unsent(error) | NoAnswer::Failed(error) => error,
        }
    }
}

impl From<ClientError> for NoAnswer {
    fn from(error: ClientError) -> Self {
        Self::Failed(error)
    }
}

/// A call that has been sent. Dropping it gives the call up: its answer is ignored, and a subscription
/// that begins with it ends at once.
pub(crate) struct Waiting {
    pub(super) link: Arc<Link>,
    pub(super) id: u64,
    /// Whether it asks for a subscription.
    pub(super) subscribes: bool,
    pub(super) receiver: oneshot::Receiver<Outcome>,
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.receiver.poll_unpin(cx).map(|outcome| {
            let gone = || ClientError::Closed { reason: "client closed".to_owned() };
            outcome.unwrap_or_else(|_| Err(gone().into()))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.receiver.is_terminated() || self.link.give_up(self.id) || !self.subscribes {
            return;
        }
        // The answer is there and nobody has seen it.
        if let Ok(Ok(id)) = self.receiver.try_recv()
            && let Some(key) = subscription_key(&id)
        {
            self.link.unsubscribe(&key);
        }
    }
}
