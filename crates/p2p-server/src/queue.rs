//! The bounded queue between a connection and a protocol.
//!
//! It is bounded in messages and in bytes, whichever comes first; as long as it is below both
//! bounds one more message is admitted whatever its size, so that no message is too large to pass.
//! When it is full the producer waits: towards the network that stops the reading of the socket,
//! towards a protocol it is what makes `send` wait.
//!
//! ```text
//!   protocol A ── send ──▶ [ queue A ] ─┐
//!   protocol B ── send ──▶ [ queue B ] ─┼─▶ writer        several queues, one shared "ready"
//!   pings, pongs ────────▶ [ base    ] ─┘
//!
//!   reader ──▶ [ queue A ] ── recv ──▶ protocol A         one queue, its own "ready"
//! ```

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// What a queue holds: something with a size in bytes.
pub(crate) trait HasSize {
    /// How many bytes the item counts for.
    fn size(&self) -> usize;
}

/// A bounded queue with waiting producers and one consumer.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    limits: Limits,
    /// Wakes the consumer; several queues may share it.
    ready: Arc<Notify>,
    /// Wakes producers that wait for room, and those who watch for progress.
    room: Notify,
    /// Wakes those who wait in [`Queue::flushed`].
    flushed: Notify,
}

/// The bounds of a queue: full when either is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

struct State<T> {
    // bound: `limits`, then the producer waits
    items: VecDeque<T>,
    bytes: usize,
    closed: bool,
    /// Items ever pushed, taken out, and finished with by the consumer.
    pushed: u64,
    taken: u64,
    done: u64,
}

impl<T: HasSize> Queue<T> {
    /// A queue of its own.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with_ready(limits, Arc::new(Notify::new()))
    }

    /// A queue whose consumer waits on `ready`, possibly together with other queues.
    pub(crate) fn with_ready(limits: Limits, ready: Arc<Notify>) -> Self {
        // bound: `limits`, checked before every push
        let items = VecDeque::new();
        let state = State { items, bytes: 0, closed: false, pushed: 0, taken: 0, done: 0 };
        Self {
            state: Mutex::new(state),
            limits,
            ready,
            room: Notify::new(),
            flushed: Notify::new(),
        }
    }

    /// Puts `item` in, waiting while the queue is full. `on_taken` runs at the moment the queue takes
    /// it and before the consumer can see it.
    ///
    /// Cancel-safe: a cancelled push has put nothing in.
    pub(crate) async fn push(&self, item: T, on_taken: impl FnOnce()) -> Result<(), Closed> {
        let mut item = Some(item);
        let mut on_taken = Some(on_taken);
        loop {
            // Before the check, so that no wake-up between check and wait is lost.
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if state.closed {
                    return Err(Closed);
                }
                if !self.is_full(&state)
                    && let (Some(item), Some(on_taken)) = (item.take(), on_taken.take())
                {
                    on_taken();
                    self.insert(&mut state, item);
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// Puts `item` in if there is room now.
    ///
    /// # Errors
    ///
    /// The item back when the queue is full or closed.
    pub(crate) fn try_push(&self, item: T, on_taken: impl FnOnce()) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if self.is_full(&state) {
            return Err(Refused::Full(item));
        }
        on_taken();
        self.insert(&mut state, item);
        Ok(())
    }

    /// Takes the next item, waiting for one; `None` when the queue is closed and empty.
    ///
    /// Cancel-safe. Only for a queue that does not share its `ready`.
    pub(crate) async fn pop(&self) -> Option<T> {
        loop {
            let ready = self.ready.notified();
            match self.try_pop() {
                Popped::Item(item) => return Some(item),
                Popped::Ended => return None,
                Popped::Empty => ready.await,
            }
        }
    }

    /// Takes the next item if there is one.
    pub(crate) fn try_pop(&self) -> Popped<T> {
        let mut state = self.lock();
        match state.items.pop_front() {
            Some(item) => {
                state.bytes = state.bytes.saturating_sub(item.size());
                state.taken = state.taken.saturating_add(1);
                drop(state);
                self.room.notify_one();
                Popped::Item(item)
            }
            None if state.closed => Popped::Ended,
            None => Popped::Empty,
        }
    }

    /// The consumer has finished with `count` more items: they are with the system.
    pub(crate) fn mark_done(&self, count: u64) {
        if count > 0 {
            let mut state = self.lock();
            state.done = state.done.saturating_add(count);
            drop(state);
            self.flushed.notify_waiters();
        }
    }

    /// Waits until the consumer has finished with all that was pushed before the call.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the queue closes before that.
    pub(crate) async fn flushed(&self) -> Result<(), Closed> {
        let target = self.lock().pushed;
        loop {
            let flushed = self.flushed.notified();
            {
                let state = self.lock();
                if state.done >= target {
                    return Ok(());
                }
                if state.closed {
                    return Err(Closed);
                }
            }
            flushed.await;
        }
    }

    /// Waits until there is room, the queue is closed, or the consumer has taken something since
    /// it had taken `seen` items; returns what it has taken by now. Cancel-safe.
    pub(crate) async fn progress(&self, seen: u64) -> u64 {
        loop {
            let room = self.room.notified();
            {
                let state = self.lock();
                if state.closed || state.taken != seen || !self.is_full(&state) {
                    // Pass the wake-up on: this caller takes no room with it.
                    self.room.notify_one();
                    return state.taken;
                }
            }
            room.await;
        }
    }

    /// How many items the consumer has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// Lets nothing more in; what is inside can still be taken out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_waiters();
        self.flushed.notify_waiters();
        self.ready.notify_one();
    }

    /// Lets nothing more in and drops what is inside.
    pub(crate) fn close_and_clear(&self) {
        let dropped = {
            let mut state = self.lock();
            state.bytes = 0;
            std::mem::take(&mut state.items)
        };
        drop(dropped);
        self.close();
    }

    /// How many messages wait inside.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether nothing more goes in.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn insert(&self, state: &mut State<T>, item: T) {
        state.bytes = state.bytes.saturating_add(item.size());
        state.items.push_back(item);
        state.pushed = state.pushed.saturating_add(1);
        if !self.is_full(state) {
            // One message out may have made room for several in.
            self.room.notify_one();
        }
        self.ready.notify_one();
    }

    fn is_full(&self, state: &State<T>) -> bool {
        state.items.len() >= self.limits.messages || state.bytes >= self.limits.bytes
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under this lock, so poisoning carries no information.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The outcome of [`Queue::try_pop`].
#[derive(Debug)]
pub(crate) enum Popped<T> {
    /// The next item.
    Item(T),
    /// Nothing now; there may be more.
    Empty,
    /// Nothing now, and nothing will come.
    Ended,
}

/// The queue is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Why [`Queue::try_push`] did not take an item.
#[derive(Debug)]
pub(crate) enum Refused<T> {
    /// No room now.
    Full(T),
    /// Never again.
    Closed,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    impl HasSize for usize {
        fn size(&self) -> usize {
            *self
        }
    }

    fn queue() -> Queue<usize> {
        Queue::new(Limits { messages: 3, bytes: 100 })
    }

    #[tokio::test]
    async fn one_more_is_admitted_below_the_byte_limit_whatever_its_size() {
        let queue = queue();

        assert!(queue.try_push(99, || ()).is_ok());
        assert!(queue.try_push(10_000, || ()).is_ok());

        assert!(matches!(queue.try_push(1, || ()), Err(Refused::Full(1))));
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_producer_wait_until_something_is_taken() {
        let queue = queue();
        for n in 1..=3 {
            queue.push(n, || ()).await.expect("open");
        }
        let mut fourth = Box::pin(queue.push(4, || ()));
        assert!(fourth.as_mut().now_or_never().is_none());

        assert_eq!(queue.pop().await, Some(1));

        assert_eq!(fourth.await, Ok(()));
        assert_eq!(queue.len(), 3);
    }

    #[tokio::test]
    async fn a_closed_queue_still_gives_out_what_it_holds() {
        let queue = queue();
        queue.push(7, || ()).await.expect("open");

        queue.close();

        assert_eq!(queue.push(8, || ()).await, Err(Closed));
        assert_eq!(queue.pop().await, Some(7));
        assert_eq!(queue.pop().await, None);
    }

    #[tokio::test]
    async fn closing_wakes_every_waiting_producer() {
        let queue = queue();
        for n in 1..=3 {
            queue.push(n, || ()).await.expect("open");
        }
        let mut first = Box::pin(queue.push(4, || ()));
        let mut second = Box::pin(queue.push(5, || ()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());

        queue.close();

        assert_eq!(first.await, Err(Closed));
        assert_eq!(second.await, Err(Closed));
    }

    #[tokio::test]
    async fn a_cancelled_push_passes_its_place_on() {
        let queue = queue();
        for n in 1..=3 {
            queue.push(n, || ()).await.expect("open");
        }
        let mut cancelled = Box::pin(queue.push(4, || ()));
        let mut waiting = Box::pin(queue.push(5, || ()));
        assert!(cancelled.as_mut().now_or_never().is_none());
        assert!(waiting.as_mut().now_or_never().is_none());

        queue.pop().await;
        drop(cancelled);

        assert_eq!(waiting.await, Ok(()));
    }

    #[tokio::test]
    async fn flushed_waits_for_what_was_pushed_before_the_call() {
        let queue = queue();
        queue.push(1, || ()).await.expect("open");
        let mut flushed = Box::pin(queue.flushed());
        assert!(flushed.as_mut().now_or_never().is_none());
        queue.pop().await;
        assert!(flushed.as_mut().now_or_never().is_none());

        queue.mark_done(1);

        assert_eq!(flushed.await, Ok(()));
    }

    /// L-06, T-11: on many threads, with producers that give up and come back, nothing is lost, nothing
    /// comes twice, and nobody waits for ever.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn producers_that_give_up_and_come_back_lose_nothing() {
        let queue = Arc::new(queue());
        let producers: Vec<_> = (0..8)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    for n in 0..2_000 {
                        let item = producer * 2_000 + n;
                        // Sometimes polled once and dropped before it is pushed for good.
                        if n % 3 != 0 || queue.push(item, || ()).now_or_never().is_none() {
                            queue.push(item, || ()).await.expect("open");
                        }
                    }
                })
            })
            .collect();

        let mut seen = vec![false; 16_000];
        for _ in 0..seen.len() {
            let popped = tokio::time::timeout(Duration::from_secs(20), queue.pop()).await;
            let item = popped.expect("nobody hangs").expect("open");
            assert!(!std::mem::replace(&mut seen[item], true), "{item} twice");
        }

        assert!(seen.iter().all(|seen| *seen));
        for producer in producers {
            producer.await.expect("ends");
        }
        assert_eq!(queue.len(), 0);
    }

    /// L-06, T-11: a close wakes whoever waits, on whichever thread and in whichever moment.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_close_at_any_moment_ends_every_wait() {
        for _ in 0..500 {
            let queue = Arc::new(queue());
            let handle = || Arc::clone(&queue);
            let waits = [
                tokio::spawn({
                    let queue = handle();
                    async move { while queue.push(50, || ()).await.is_ok() {} }
                }),
                tokio::spawn({
                    let queue = handle();
                    async move { while queue.pop().await.is_some() {} }
                }),
                tokio::spawn({
                    let queue = handle();
                    async move { while queue.flushed().await.is_ok() && !queue.is_closed() {} }
                }),
                tokio::spawn({
                    let queue = handle();
                    async move {
                        let mut seen = 0;
                        while !queue.is_closed() {
                            seen = queue.progress(seen).await;
                            tokio::task::yield_now().await;
                        }
                    }
                }),
            ];
            tokio::task::yield_now().await;

            queue.close();

            for wait in waits {
                tokio::time::timeout(Duration::from_secs(20), wait).await.expect("ends").unwrap();
            }
        }
    }
}
