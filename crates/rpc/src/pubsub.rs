//! Subscriptions: a stream of values that a client asked for by name.
//!
//! ```text
//!   handler returns a stream ───────▶ polled while the connection has room; else the source waits
//!   handler returns Pushed ◀── 1,024 ── Notifier::send, never waits; one more ends the subscription
//! ```
//!
//! Spec: ethereum/go-ethereum:rpc/subscription.go.

use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as TaskContext, Poll, Waker},
};

use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use serde::Serialize;

use crate::{RpcError, link::Link};

/// The values of a subscription as they go out; an error is the last of them.
pub(crate) type Notifications = BoxStream<'static, Result<Vec<u8>, RpcError>>;

/// What the handler of a subscription may return: any stream of values that serialize, or the
/// receiving half of [`Context::notifier`](crate::Context::notifier).
pub trait IntoNotifications: Send + 'static {
    #[doc(hidden)]
    fn into_notifications(self) -> BoxStream<'static, Result<Vec<u8>, RpcError>>;
}

impl<S> IntoNotifications for S
where
    S: Stream + Send + 'static,
    S::Item: Serialize,
{
    fn into_notifications(self) -> Notifications {
        self.map(|item| serde_json::to_vec(&item).map_err(|error| RpcError::not_encodable(&error)))
            .boxed()
    }
}

/// The sending half of a subscription whose source cannot wait.
pub struct Notifier<T> {
    queue: Arc<Queue>,
    values: PhantomData<fn(T)>,
}

/// The half that the handler of a subscription returns.
pub struct Pushed(Arc<Queue>);

/// The subscription has ended: the client left, unsubscribed, or did not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("subscription closed")]
pub struct SubscriptionClosed;

pub(crate) fn pair<T: Serialize>(link: Arc<Link>) -> (Notifier<T>, Pushed) {
    let queue = Arc::new(Queue { state: Mutex::default(), link });
    (Notifier { queue: Arc::clone(&queue), values: PhantomData }, Pushed(queue))
}

impl<T: Serialize> Notifier<T> {
    /// Queues a value for the client. Never waits.
    ///
    /// # Errors
    ///
    /// [`SubscriptionClosed`] when nobody will read it, or when the value has no JSON form, which
    /// ends the subscription.
    pub fn send(&self, value: &T) -> Result<(), SubscriptionClosed> {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.queue.push(bytes),
            Err(error) => {
                self.queue.end(Some(RpcError::not_encodable(&error)));
                Err(SubscriptionClosed)
            }
        }
    }

    /// Whether the subscription has ended.
    pub fn is_closed(&self) -> bool {
        self.queue.lock().ended
    }
}

impl<T> Drop for Notifier<T> {
    fn drop(&mut self) {
        self.queue.end(None);
    }
}

impl<T> fmt::Debug for Notifier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("queued", &self.queue.lock().values.len()).finish()
    }
}

impl IntoNotifications for Pushed {
    fn into_notifications(self) -> Notifications {
        self.boxed_stream()
    }
}

impl Pushed {
    fn boxed_stream(self) -> Notifications {
        PushedStream(self).boxed()
    }
}

impl Drop for Pushed {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.values.clear();
        let bytes = std::mem::take(&mut state.bytes);
        drop(state);
        self.0.link.take_pushed(bytes);
    }
}

impl fmt::Debug for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushed").field("queued", &self.0.lock().values.len()).finish()
    }
}

/// `Pushed` is no stream itself, so that it cannot be mistaken for one of values.
struct PushedStream(Pushed);

impl Stream for PushedStream {
    type Item = Result<Vec<u8>, RpcError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let queue = &self.0.0;
        let mut state = queue.lock();
        if let Some(value) = state.values.pop_front() {
            state.bytes = state.bytes.saturating_sub(value.len());
            drop(state);
            queue.link.take_pushed(value.len());
            return Poll::Ready(Some(Ok(value)));
        }
        if state.ended {
            return Poll::Ready(state.error.take().map(Err));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

struct Queue {
    state: Mutex<QueueState>,
    link: Arc<Link>,
}

#[derive(Default)]
struct QueueState {
    // bound: MAX_QUEUED, then the subscription ends
    values: VecDeque<Vec<u8>>,
    bytes: usize,
    ended: bool,
    error: Option<RpcError>,
    waker: Option<Waker>,
}

impl Queue {
    fn push(&self, value: Vec<u8>) -> Result<(), SubscriptionClosed> {
        let mut state = self.lock();
        if state.ended {
            return Err(SubscriptionClosed);
        }
        if state.values.len() >= MAX_QUEUED {
            drop(state);
            self.end(Some(RpcError::subscription_overflow()));
            return Err(SubscriptionClosed);
        }
        let size = value.len();
        state.bytes = state.bytes.saturating_add(size);
        state.values.push_back(value);
        let waker = state.waker.take();
        drop(state);
        self.link.add_pushed(size);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    fn end(&self, error: Option<RpcError>) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        state.ended = true;
        state.error = error;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many values may wait for a client whose source cannot wait (decision 9 of the specification).
pub(crate) const MAX_QUEUED: usize = 1_024;
