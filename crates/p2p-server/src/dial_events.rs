//! What became of the attempts to dial, told to whoever asked.
//!
//! Each subscriber has a queue of 1,024 events. When it is full the oldest goes, because the newest
//! say more; [`DialEvents::missed`] counts them.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;

use crate::DialEvent;

/// A subscription to the attempts to dial; made by
/// [`Server::dial_events`](crate::Server::dial_events). Dropping it unsubscribes.
pub struct DialEvents(Arc<Mutex<State>>);

impl DialEvents {
    /// The next event; `None` when the server has stopped and all were read. Cancel-safe.
    pub async fn next(&mut self) -> Option<DialEvent> {
        std::future::poll_fn(|cx| poll(&self.0, cx)).await
    }

    /// How many events were left out so far because they were not read in time.
    pub fn missed(&self) -> u64 {
        lock(&self.0).missed
    }
}

impl Stream for DialEvents {
    type Item = DialEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<DialEvent>> {
        poll(&self.0, cx)
    }
}

impl fmt::Debug for DialEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialEvents").field("unread", &lock(&self.0).queue.len()).finish()
    }
}

/// Hands every dial event to every subscriber.
#[derive(Default)]
pub(crate) struct DialEventHub(Mutex<HubState>);

#[derive(Default)]
struct HubState {
    // bound: one entry per living subscription of this process's own code
    subscribers: Vec<Weak<Mutex<State>>>,
    closed: bool,
}

impl DialEventHub {
    pub(crate) fn subscribe(&self) -> DialEvents {
        let state = Arc::new(Mutex::new(State::default()));
        // Under one lock with `close`, or a subscription made meanwhile would never end.
        let mut hub = lock(&self.0);
        if hub.closed {
            lock(&state).ended = true;
        } else {
            hub.subscribers.retain(|weak| weak.strong_count() > 0);
            hub.subscribers.push(Arc::downgrade(&state));
        }
        DialEvents(state)
    }

    /// Queues these for every subscriber. Never waits.
    pub(crate) fn emit_all(&self, events: Vec<DialEvent>) {
        if events.is_empty() {
            return;
        }
        let hub = lock(&self.0);
        for state in hub.subscribers.iter().filter_map(Weak::upgrade) {
            change(&state, |state| events.iter().cloned().for_each(|event| state.push(event)));
        }
    }

    /// No more events: the streams end when they have been read.
    pub(crate) fn close(&self) {
        let mut hub = lock(&self.0);
        hub.closed = true;
        for state in hub.subscribers.drain(..).filter_map(|weak| weak.upgrade()) {
            change(&state, |state| state.ended = true);
        }
    }
}

impl Drop for DialEventHub {
    fn drop(&mut self) {
        // The server was dropped without being stopped.
        self.close();
    }
}

#[derive(Default)]
struct State {
    // bound: MAX_UNREAD, then the oldest goes and is counted
    queue: VecDeque<DialEvent>,
    missed: u64,
    ended: bool,
    waker: Option<Waker>,
}

impl State {
    fn push(&mut self, event: DialEvent) {
        if self.queue.len() >= MAX_UNREAD {
            self.queue.pop_front();
            self.missed = self.missed.saturating_add(1);
        }
        self.queue.push_back(event);
    }
}

/// Changes a subscriber's state, then wakes who waits for it.
fn change(state: &Mutex<State>, change: impl FnOnce(&mut State)) {
    let waker = {
        let mut state = lock(state);
        change(&mut state);
        state.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn poll(state: &Mutex<State>, cx: &Context<'_>) -> Poll<Option<DialEvent>> {
    let mut state = lock(state);
    if let Some(event) = state.queue.pop_front() {
        return Poll::Ready(Some(event));
    }
    if state.ended {
        return Poll::Ready(None);
    }
    state.waker = Some(cx.waker().clone());
    Poll::Pending
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many events may wait for a subscriber.
const MAX_UNREAD: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    /// L-06: whoever subscribes while the server ends sees the end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_subscription_made_while_the_hub_closes_ends() {
        for _ in 0..1_000 {
            let hub = Arc::new(DialEventHub::default());
            let other = Arc::clone(&hub);
            let close = tokio::spawn(async move { other.close() });

            let mut events = hub.subscribe();

            close.await.unwrap();
            assert!(events.next().await.is_none());
        }
    }
}
