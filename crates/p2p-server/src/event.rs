//! Peer events: what happened on the connections, told to whoever asked.
//!
//! Every subscriber has a queue of its own and never blocks a peer. What is kept when a subscriber
//! does not read is decided here:
//!
//! ```text
//!   add, drop           never lost; 65,536 of them unread end the stream with `Overrun`
//!   message events      4,096 unread, then replaced by one `Lagged(n)` that counts
//! ```
//!
//! For each peer `add` comes first and `drop` last, one of each. `add` is emitted when the peer is in
//! `peers()` already and before any protocol runs; `drop` when all its protocols have ended and it
//! has left `peers()`.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use enode::NodeId;
use futures_util::Stream;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::Capability;

/// Something that happened on the server's connections.
///
/// Serializes to the JSON of go-ethereum's `admin_peerEvents`: members `type`, `peer`, `error`,
/// `protocol`, `msg_code`, `msg_size`, `local`, `remote` in this order, absent when empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerEvent {
    /// A peer was added. It is in `peers()`; its protocols have not started yet.
    Added {
        /// Who.
        peer: NodeId,
        /// Our end of the connection.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// A peer is gone: its protocols have ended and it is no longer in `peers()`.
    Dropped {
        /// Who.
        peer: NodeId,
        /// Why, in go-ethereum's words where it has any: `protocol returned`, `client quitting`, …
        error: String,
        /// Our end of the connection.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// A connection's queue took a message for a peer. Only with `message_events(true)`.
    MessageSent(MessageEvent),
    /// A protocol took a message out of its queue. Only with `message_events(true)`.
    MessageReceived(MessageEvent),
    /// So many message events were left out because this subscriber did not read.
    Lagged(u64),
    /// A protocol panicked three times within a minute and is offered no more (L-12).
    ProtocolDisabled {
        /// Which.
        protocol: Capability,
    },
    /// Too many `Added` and `Dropped` were left unread; the stream ends after this.
    Overrun,
}

/// A message that crossed the border between a protocol and its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// The peer at the other end.
    pub peer: NodeId,
    /// The protocol.
    pub protocol: Capability,
    /// The message code, relative to the protocol.
    pub code: u64,
    /// Size of the uncompressed payload, in bytes, without the code.
    pub size: usize,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl PeerEvent {
    /// The peer this event is about, if it is about one.
    pub fn peer(&self) -> Option<NodeId> {
        match self {
            Self::Added { peer, .. } | Self::Dropped { peer, .. } => Some(*peer),
            Self::MessageSent(message) | Self::MessageReceived(message) => Some(message.peer),
            Self::Lagged(_) | Self::ProtocolDisabled { .. } | Self::Overrun => None,
        }
    }

    fn is_message(&self) -> bool {
        matches!(self, Self::MessageSent(_) | Self::MessageReceived(_))
    }
}

impl Serialize for PeerEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Added { peer, local, remote } => {
                map.serialize_entry("type", "add")?;
                map.serialize_entry("peer", &peer.to_string())?;
                map.serialize_entry("local", local)?;
                map.serialize_entry("remote", remote)?;
            }
            Self::Dropped { peer, error, local, remote } => {
                map.serialize_entry("type", "drop")?;
                map.serialize_entry("peer", &peer.to_string())?;
                if !error.is_empty() {
                    map.serialize_entry("error", error)?;
                }
                map.serialize_entry("local", local)?;
                map.serialize_entry("remote", remote)?;
            }
            Self::MessageSent(message) => message.serialize_into("msgsend", &mut map)?,
            Self::MessageReceived(message) => message.serialize_into("msgrecv", &mut map)?,
            Self::Lagged(missed) => {
                map.serialize_entry("type", "lagged")?;
                map.serialize_entry("missed", missed)?;
            }
            Self::ProtocolDisabled { protocol } => {
                map.serialize_entry("type", "protocoldisabled")?;
                map.serialize_entry("protocol", protocol)?;
            }
            Self::Overrun => map.serialize_entry("type", "overrun")?,
        }
        map.end()
    }
}

impl MessageEvent {
    fn serialize_into<M: serde::ser::SerializeMap>(
        &self,
        kind: &str,
        map: &mut M,
    ) -> Result<(), M::Error> {
        map.serialize_entry("type", kind)?;
        map.serialize_entry("peer", &self.peer.to_string())?;
        map.serialize_entry("protocol", self.protocol.name())?;
        map.serialize_entry("msg_code", &self.code)?;
        map.serialize_entry("msg_size", &self.size)?;
        map.serialize_entry("local", &self.local)?;
        map.serialize_entry("remote", &self.remote)
    }
}

/// A subscription to the server's events; made by [`Server::events`](crate::Server::events).
///
/// A [`Stream`] that ends when the server has stopped and everything was read, or after
/// [`PeerEvent::Overrun`]. Dropping it unsubscribes.
pub struct PeerEvents(Arc<Subscriber>);

impl PeerEvents {
    /// The next event; `None` when there will be no more. Cancel-safe.
    pub async fn next(&mut self) -> Option<PeerEvent> {
        std::future::poll_fn(|cx| self.0.poll(cx)).await
    }

    /// The next event if one is waiting.
    pub fn try_next(&mut self) -> Option<PeerEvent> {
        self.0.lock().take()
    }
}

impl Stream for PeerEvents {
    type Item = PeerEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PeerEvent>> {
        self.0.poll(cx)
    }
}

impl fmt::Debug for PeerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerEvents").field("unread", &self.0.lock().queue.len()).finish()
    }
}

/// Hands every event to every subscriber.
#[derive(Debug, Default)]
pub(crate) struct EventHub {
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    // bound: one entry per living subscription of this process's own code
    subscribers: Vec<Weak<Subscriber>>,
    closed: bool,
}

impl EventHub {
    /// A new subscription; it sees what is emitted from now on.
    pub(crate) fn subscribe(&self) -> PeerEvents {
        let subscriber = Arc::new(Subscriber::default());
        let mut state = self.lock();
        if state.closed {
            subscriber.lock().ended = true;
        } else {
            state.subscribers.retain(|weak| weak.strong_count() > 0);
            state.subscribers.push(Arc::downgrade(&subscriber));
        }
        PeerEvents(subscriber)
    }

    /// Queues `event` for every subscriber, and says whether each had room for it. Never waits.
    pub(crate) fn emit(&self, event: &PeerEvent) -> bool {
        let state = self.lock();
        let mut taken = true;
        for subscriber in state.subscribers.iter().filter_map(Weak::upgrade) {
            taken &= subscriber.push(event.clone());
        }
        taken
    }

    /// No more events: the streams end when they have been read.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for subscriber in state.subscribers.drain(..).filter_map(|weak| weak.upgrade()) {
            subscriber.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EventHub {
    fn drop(&mut self) {
        // A server whose last handle was dropped is gone without `stop`: the streams end too.
        self.close();
    }
}

/// One subscriber's queue.
#[derive(Debug, Default)]
struct Subscriber {
    state: Mutex<SubscriberState>,
}

#[derive(Debug, Default)]
struct SubscriberState {
    // bound: MAX_MESSAGES message events and MAX_CRITICAL others, policies in `push`
    // and at most one `Lagged` for each of these
    queue: VecDeque<PeerEvent>,
    messages: usize,
    critical: usize,
    ended: bool,
    waker: Option<Waker>,
}

impl Subscriber {
    fn push(&self, event: PeerEvent) -> bool {
        let (taken, waker) = {
            let mut state = self.lock();
            (state.push(event), state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        taken
    }

    fn end(&self) {
        let waker = {
            let mut state = self.lock();
            state.ended = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<PeerEvent>> {
        let mut state = self.lock();
        if let Some(event) = state.take() {
            return Poll::Ready(Some(event));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, SubscriberState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SubscriberState {
    /// `false` when it is left out because too much is unread.
    fn push(&mut self, event: PeerEvent) -> bool {
        if self.ended {
            return true;
        }
        if event.is_message() {
            if self.messages < MAX_MESSAGES {
                self.messages += 1;
                self.queue.push_back(event);
                return true;
            }
            if let Some(PeerEvent::Lagged(missed)) = self.queue.back_mut() {
                *missed = missed.saturating_add(1);
            } else {
                self.queue.push_back(PeerEvent::Lagged(1));
            }
            return false;
        }
        if self.critical >= MAX_CRITICAL {
            self.queue.push_back(PeerEvent::Overrun);
            self.ended = true;
            return false;
        }
        self.critical += 1;
        self.queue.push_back(event);
        true
    }

    fn take(&mut self) -> Option<PeerEvent> {
        let event = self.queue.pop_front()?;
        match event {
            PeerEvent::MessageSent(_) | PeerEvent::MessageReceived(_) => {
                self.messages = self.messages.saturating_sub(1);
            }
            PeerEvent::Lagged(_) => {}
            _ => self.critical = self.critical.saturating_sub(1),
        }
        Some(event)
    }
}

/// How many message events may wait for a subscriber before they are counted instead (M-08).
const MAX_MESSAGES: usize = 4_096;

/// How many other events may wait before the subscription is ended (M-08).
const MAX_CRITICAL: usize = 65_536;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn addr(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn added(n: u8) -> PeerEvent {
        PeerEvent::Added { peer: NodeId::new([n; 32]), local: addr(1), remote: addr(2) }
    }

    fn message(code: u64) -> PeerEvent {
        PeerEvent::MessageReceived(MessageEvent {
            peer: NodeId::new([1; 32]),
            protocol: Capability::new("foo", 42),
            code,
            size: 7,
            local: addr(1),
            remote: addr(2),
        })
    }

    #[test]
    fn message_events_beyond_the_limit_become_one_count() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();

        for code in 0..MAX_MESSAGES as u64 + 10 {
            hub.emit(&message(code));
        }
        hub.emit(&added(9));

        for code in 0..MAX_MESSAGES as u64 {
            assert_eq!(events.try_next(), Some(message(code)));
        }
        assert_eq!(events.try_next(), Some(PeerEvent::Lagged(10)));
        assert_eq!(events.try_next(), Some(added(9)));
        assert_eq!(events.try_next(), None);
    }

    #[tokio::test]
    async fn adds_and_drops_are_never_lost_and_an_overrun_ends_the_stream() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();

        for _ in 0..=MAX_CRITICAL {
            hub.emit(&added(1));
        }
        hub.emit(&added(2));

        for _ in 0..MAX_CRITICAL {
            assert_eq!(events.next().await, Some(added(1)));
        }
        assert_eq!(events.next().await, Some(PeerEvent::Overrun));
        assert_eq!(events.next().await, None);
    }

    /// M-08: what was left out takes none of the room of what is never lost.
    #[test]
    fn lag_marks_do_not_bring_the_overrun_nearer() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        for code in 0..MAX_MESSAGES as u64 {
            hub.emit(&message(code));
        }

        for _ in 0..MAX_CRITICAL {
            hub.emit(&added(1));
            hub.emit(&message(0));
        }

        let mut kept = 0;
        while let Some(event) = events.try_next() {
            assert_ne!(event, PeerEvent::Overrun, "after {kept}");
            kept += usize::from(event == added(1));
        }
        assert_eq!(kept, MAX_CRITICAL);
    }

    #[tokio::test]
    async fn one_slow_subscriber_costs_the_others_nothing() {
        let hub = EventHub::default();
        let _slow = hub.subscribe();
        let mut quick = hub.subscribe();

        for code in 0..3 * MAX_MESSAGES as u64 {
            hub.emit(&message(code));
            assert_eq!(quick.next().await, Some(message(code)));
        }
    }

    #[tokio::test]
    async fn the_stream_ends_when_the_hub_closes_and_not_before_it_is_read() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        hub.emit(&added(1));

        hub.close();

        assert_eq!(events.next().await, Some(added(1)));
        assert_eq!(events.next().await, None);
        assert_eq!(hub.subscribe().next().await, None);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let hub = EventHub::default();
        let mut events = hub.subscribe();
        let mut next = Box::pin(events.next());
        assert!(next.as_mut().now_or_never().is_none());

        hub.emit(&added(3));

        assert_eq!(next.await, Some(added(3)));
    }

    #[test]
    fn json_has_the_members_and_order_of_go_ethereum() {
        let id = "01".repeat(32);

        assert_eq!(
            serde_json::to_string(&message(0)).expect("plain data"),
            format!(
                r#"{{"type":"msgrecv","peer":"{id}","protocol":"foo","msg_code":0,"msg_size":7,"local":"127.0.0.1:1","remote":"127.0.0.1:2"}}"#
            )
        );
        let dropped = PeerEvent::Dropped {
            peer: NodeId::new([1; 32]),
            error: "protocol returned".into(),
            local: addr(1),
            remote: addr(2),
        };
        assert_eq!(
            serde_json::to_string(&dropped).expect("plain data"),
            format!(
                r#"{{"type":"drop","peer":"{id}","error":"protocol returned","local":"127.0.0.1:1","remote":"127.0.0.1:2"}}"#
            )
        );
        assert_eq!(
            serde_json::to_string(&PeerEvent::Lagged(3)).expect("plain data"),
            r#"{"type":"lagged","missed":3}"#
        );
        assert_eq!(
            serde_json::to_string(&PeerEvent::Overrun).expect("plain data"),
            r#"{"type":"overrun"}"#
        );
    }
}
