//! A hook that counts: what happens on a server's connections, without whom it happens with.
//!
//! The server knows no library of metrics. Whoever wants numbers installs an observer and puts them
//! wherever they belong; with none installed nothing is measured.
//!
//! ```text
//!   accepted ─▶ handshake ─▶ peer added ─▶ messages … ─▶ peer dropped
//!          └───────┴──▶ serve failed                       reason, by us or them
//!
//!   dial started ─▶ handshake ─▶ peer added ─▶ messages … ─▶ peer dropped
//!          └───────────┴──▶ dial failed
//! ```
//!
//! Everything it is told comes from lists that are known beforehand: numbers, reasons, directions,
//! and the protocols of this server. Nothing is text that a peer chose, so all of it may be a label.
//!
//! Spec: the names of ethereum/go-ethereum:p2p/metrics.go.

mod labels;
mod metered;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use self::labels::{Direction, MessageSeen, QueueKind, SetUpFailure, Side};
use crate::{DisconnectReason, Link};

/// Is told what happens on a server's connections; set by
/// [`ServerBuilder::observe`](crate::ServerBuilder::observe).
///
/// Every method does nothing unless it is written. They are called from the tasks that carry the
/// messages, never under the server's lock; [`message`](Self::message) and
/// [`queue_full`](Self::queue_full) may be called under that of one queue. So they must not wait for
/// anything, nor call the server. An observer that panics is logged and is told nothing more.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
/// use enode::SecretKey;
/// use p2p_server::{Direction, Observer, Server};
///
/// /// How many peers there are now.
/// #[derive(Clone, Default)]
/// struct Peers(Arc<AtomicUsize>);
///
/// impl Observer for Peers {
///     fn peer_added(&self, _: Direction) {
///         self.0.fetch_add(1, Relaxed);
///     }
/// }
///
/// let peers = Peers::default();
/// let builder = Server::builder(SecretKey::random()).observe(peers.clone());
/// ```
#[expect(unused_variables, reason = "the names are for those who read the documentation")]
pub trait Observer: Send + Sync + 'static {
    /// So many bytes have come from a connection's other end, handshakes and refused strangers
    /// included: every byte that was read.
    fn received(&self, bytes: usize) {}

    /// So many bytes have been given to the system for a connection's other end.
    fn sent(&self, bytes: usize) {}

    /// A message of a protocol: an outbound one when its queue has taken it, an inbound one when it
    /// has been read and is on its way to its protocol. Pings and the like are not told.
    fn message(&self, message: &MessageSeen<'_>) {}

    /// An attempt to reach a node has begun.
    fn dial_started(&self) {}

    /// An attempt has come to nothing; the node did not become a peer. Each attempt ends in this or
    /// in [`peer_added`](Self::peer_added).
    fn dial_failed(&self, reason: SetUpFailure) {}

    /// The listener has taken a connection, whether it is wanted or not.
    fn accepted(&self) {}

    /// A connection from outside has come to nothing. Each one that was accepted ends in this or in
    /// [`peer_added`](Self::peer_added).
    fn serve_failed(&self, reason: SetUpFailure) {}

    /// Handshake and hellos are done, so long after the connection was there. Whether the node is
    /// admitted is another question.
    fn handshake(&self, direction: Direction, took: Duration) {}

    /// A node has become a peer.
    fn peer_added(&self, direction: Direction) {}

    /// A peer is gone. One for each that was added. `reason` is what was said, if anything was, by
    /// the side that ended it.
    fn peer_dropped(&self, direction: Direction, reason: Option<DisconnectReason>, by: Side) {}

    /// Something found a queue full: it waits, or goes elsewhere.
    fn queue_full(&self, queue: QueueKind) {}
}

/// The installed observers, none at first. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Watcher>>);

/// One observer, and those that were installed before it.
struct Watcher {
    observer: Box<dyn Observer>,
    panicked: AtomicBool,
    others: Watch,
}

impl Watch {
    /// Adds an observer.
    pub(crate) fn add(&mut self, observer: impl Observer) {
        let others = std::mem::take(self);
        let panicked = AtomicBool::new(false);
        *self = Self(Some(Arc::new(Watcher { observer: Box::new(observer), panicked, others })));
    }

    /// Tells every observer; a branch when there is none.
    pub(crate) fn tell(&self, what: impl Fn(&dyn Observer)) {
        if let Some(watcher) = &self.0 {
            watcher.tell(&what);
        }
    }

    /// The link with its bytes counted, if anybody counts.
    pub(crate) fn meter(&self, link: Link) -> Link {
        if self.0.is_none() {
            return link;
        }
        let reader = Box::new(metered::Reader { inner: link.reader, watch: self.clone() });
        let writer = Box::new(metered::Writer { inner: link.writer, watch: self.clone() });
        Link { reader, writer, ..link }
    }
}

impl Watcher {
    fn tell(&self, what: &dyn Fn(&dyn Observer)) {
        if !self.panicked.load(Ordering::Relaxed)
            && catch_unwind(AssertUnwindSafe(|| what(&*self.observer))).is_err()
        {
            self.panicked.store(true, Ordering::Relaxed);
            tracing::error!("an observer panicked and is told nothing more");
        }
        if let Some(other) = &self.others.0 {
            other.tell(what);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}
