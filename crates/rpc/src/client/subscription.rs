//! A subscription as its client sees it: a stream with a bounded queue.

use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Client, ClientError, decode};
use crate::link::Link;

/// Values that a server sends until the subscription ends; a [`Stream`].
///
/// Dropping it unsubscribes. Up to 20,000 values wait to be read; one more ends it with
/// [`ClientError::Overflow`].
pub struct Subscription<T> {
    id: String,
    namespace: String,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
    /// Keeps the connection open.
    _client: Client,
    values: PhantomData<fn() -> T>,
}

impl<T> Subscription<T> {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        id: String,
        link: Arc<Link>,
        inbox: Arc<Inbox>,
    ) -> Self {
        let namespace = namespace.to_owned();
        Self { id, namespace, link, inbox, _client: client, values: PhantomData }
    }

    /// The id that the server gave it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Ends the subscription and waits until the server has confirmed it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`](crate::Client::call); "subscription not found" if the server had ended it.
    pub async fn unsubscribe(self) -> Result<(), ClientError> {
        self.link.forget(&self.id);
        self.inbox.end(ClientError::Closed { reason: "unsubscribed".to_owned() });
        let method = format!("{}_unsubscribe", self.namespace);
        self.link.call(&method, &(&self.id,))?.await.map(drop)
    }

    /// The next value as JSON; `None` when there will be no more. Cancel-safe.
    pub async fn next_raw(&mut self) -> Option<Result<Box<RawValue>, ClientError>> {
        std::future::poll_fn(|cx| self.inbox.poll(cx)).await
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
        self.link.forget(&self.id);
        let method = format!("{}_unsubscribe", self.namespace);
        // Nobody waits for the answer; without a connection there is nothing to end.
        let _ = self.link.call(&method, &(&self.id,));
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The queue of a subscription.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
    limit: usize,
}

#[derive(Debug, Default)]
struct InboxState {
    // bound: `limit`, then the subscription ends
    values: VecDeque<Box<RawValue>>,
    end: Option<ClientError>,
    ended: bool,
    waker: Option<Waker>,
}

impl Inbox {
    /// An empty queue for so many values.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), limit })
    }

    /// Queues a value; `false` when the subscription has ended.
    pub(crate) fn push(&self, value: &RawValue) -> bool {
        let mut state = self.lock();
        if state.ended {
            return false;
        }
        if state.values.len() >= self.limit {
            drop(state);
            return self.end(ClientError::Overflow);
        }
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

    fn is_ended(&self) -> bool {
        self.lock().ended
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Result<Box<RawValue>, ClientError>>> {
        let mut state = self.lock();
        if let Some(value) = state.values.pop_front() {
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
pub(crate) const MAX_UNREAD: usize = 20_000;
