//! A subscription as its client sees it: a stream with a bounded queue.

use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Answer, Client, ClientError, decode};
use crate::link::{Link, subscription_key};

/// Values that a server sends until the subscription ends; a [`Stream`].
///
/// Dropping it unsubscribes. Up to 20,000 values, or 128 MiB of them, wait to be read; one more ends it
/// with [`ClientError::Overflow`], and the server is told.
pub struct Subscription<T> {
    id: String,
    /// The id as it travels: text, or a number.
    raw_id: Answer,
    /// The method that ends it.
    unsubscribe: String,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
    /// Keeps the connection open.
    client: Client,
    values: PhantomData<fn() -> T>,
}

impl<T> Subscription<T> {
    pub(super) fn new(
        client: Client,
        unsubscribe: String,
        raw_id: Answer,
        link: Arc<Link>,
        inbox: Arc<Inbox>,
    ) -> Self {
        // The link lets nothing else through than what has a key.
        let id = subscription_key(&raw_id).unwrap_or_default().into_owned();
        Self { id, raw_id, unsubscribe, link, inbox, client, values: PhantomData }
    }

    /// The id that the server gave it; a number as its digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id as JSON.
    pub(super) fn raw_id(&self) -> &RawValue {
        &self.raw_id
    }

    /// Ends the subscription and waits until the server has confirmed it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`](crate::Client::call), and [`ClientError::Timeout`] after 10 s;
    /// "subscription not found" if the server had ended it.
    pub async fn unsubscribe(self) -> Result<(), ClientError> {
        if !self.inbox.is_ended() {
            self.inbox.end(ClientError::Closed { reason: "unsubscribed".to_owned() });
            self.link.forget(&self.id);
        }
        // If it has ended already, the server is asked all the same whether it knows of it.
        let ending = async { Ok(self.link.call(&self.unsubscribe, &(&self.raw_id,))?.await?) };
        let limit = self.client.0.timeout.unwrap_or(UNSUBSCRIBE).min(UNSUBSCRIBE);
        let late = |_| ClientError::Timeout { seconds: limit.as_secs_f64() };
        tokio::time::timeout(limit, ending).await.map_err(late)?.map(drop)
    }

    /// The next value as JSON; `None` when there will be no more. Cancel-safe.
    pub async fn next_raw(&mut self) -> Option<Result<Box<RawValue>, ClientError>> {
        self.inbox.next().await
    }
}

impl<T: DeserializeOwned> Subscription<T> {
    /// The next value; `None` when there will be no more. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The reason for the end, once, as the last item; [`ClientError::Decode`] for a value of another
    /// form.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<T, ClientError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll(cx).map(|item| item.map(|value| decode(&value?)))
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        if self.inbox.is_ended() {
            return;
        }
        self.link.unsubscribe(&self.id);
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The queue of a subscription.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
}

#[derive(Debug, Default)]
struct InboxState {
    // bound: MAX_UNREAD values or MAX_UNREAD_BYTES, then the subscription ends
    values: VecDeque<Box<RawValue>>,
    bytes: usize,
    end: Option<ClientError>,
    ended: bool,
    waker: Option<Waker>,
}

impl Inbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Queues a value; `false` when the subscription has ended.
    pub(crate) fn push(&self, value: &RawValue) -> bool {
        let mut state = self.lock();
        if state.ended {
            return false;
        }
        // However large the first is, it came in one message.
        let is_full = !state.values.is_empty() && state.bytes >= MAX_UNREAD_BYTES;
        if is_full || state.values.len() >= MAX_UNREAD {
            drop(state);
            return self.end(ClientError::Overflow);
        }
        state.bytes = state.bytes.saturating_add(value.get().len());
        state.values.push_back(value.to_owned());
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Lets the stream end with this after what is queued. Always `false`, for [`Self::push`].
    pub(crate) fn end(&self, reason: ClientError) -> bool {
        let mut state = self.lock();
        if !state.ended {
            state.ended = true;
            state.end = Some(reason);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        false
    }

    /// The next value, or once the reason for the end. Cancel-safe.
    pub(crate) async fn next(&self) -> Option<Result<Box<RawValue>, ClientError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn is_ended(&self) -> bool {
        self.lock().ended
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Result<Box<RawValue>, ClientError>>> {
        let mut state = self.lock();
        if let Some(value) = state.values.pop_front() {
            state.bytes = state.bytes.saturating_sub(value.get().len());
            return Poll::Ready(Some(Ok(value)));
        }
        if state.ended {
            return Poll::Ready(state.end.take().map(Err));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many values of a subscription may wait to be read.
///
/// Source: ethereum/go-ethereum:rpc/client.go, `maxClientSubscriptionBuffer`.
const MAX_UNREAD: usize = 20_000;

/// How many bytes of a subscription may wait to be read.
const MAX_UNREAD_BYTES: usize = 128 * 1024 * 1024;

/// How long the end of a subscription may take.
///
/// Source: ethereum/go-ethereum:rpc/client.go, `unsubscribeTimeout`.
const UNSUBSCRIBE: Duration = Duration::from_secs(10);
