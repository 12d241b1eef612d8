//! Who is here, who was, and how to reach whoever is.
//!
//! ```text
//!   add event      body starts                 body ends        drop event
//!   ────┼──────────────┼───────────────────────────┼────────────────┼────▶
//!       │ not known    │ here: has a handle        │ left: known, without one
//!       │ yet: wait    │
//! ```
//!
//! All of it is one value that can be watched, so that waiting for a peer is waiting for a change.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use enode::NodeId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// What a method says of a peer that it cannot reach.
pub(super) const UNKNOWN_PEER: &str = "unknown peer";

// ANCHOR: presence
/// The peers whose bodies run, and those of whom this was true not long ago.
#[derive(Debug, Default)]
pub(super) struct Presence(watch::Sender<Known>);

#[derive(Debug, Default)]
struct Known {
    // bound: one for each peer of the server
    here: BTreeMap<NodeId, Handle>,
    // bound: MAX_LEFT, the last to leave
    left: VecDeque<NodeId>,
}

/// The way to a peer's body.
#[derive(Debug, Clone)]
pub(super) struct Handle(mpsc::Sender<Order>);

/// What a body may be told to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Send a ping, and say when it was sent.
    Ping(oneshot::Sender<()>),
    /// Hang up.
    Quit,
}

/// A body's own end. While it exists, its peer is here.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    presence: &'a Presence,
    peer: NodeId,
    orders: mpsc::Receiver<Order>,
}
// ANCHOR_END: presence

/// What is known of a peer.
#[derive(Debug)]
pub(super) enum Whereabouts {
    Here(Handle),
    Left,
    Unknown,
}

impl Presence {
    /// Makes a peer known, until the seat is dropped.
    pub(super) fn enter(&self, peer: NodeId) -> Seat<'_> {
        // bound: MAX_ORDERS; whoever has another one waits
        let (handle, orders) = mpsc::channel(MAX_ORDERS);
        self.0.send_modify(|known| {
            known.left.retain(|left| *left != peer);
            known.here.insert(peer, Handle(handle));
        });
        Seat { presence: self, peer, orders }
    }

    // ANCHOR: wait
    /// The way to a peer, which may still have to come.
    ///
    /// # Errors
    ///
    /// When it has not after 2 s.
    pub(super) async fn wait_for(&self, peer: NodeId) -> Result<Handle, &'static str> {
        let mut changes = self.0.subscribe();
        let arrival = changes.wait_for(|known| known.here.contains_key(&peer));
        let known = timeout(PATIENCE, arrival).await.map_err(|_| UNKNOWN_PEER)?;
        let handle = known.ok().and_then(|known| known.here.get(&peer).cloned());
        handle.ok_or(UNKNOWN_PEER)
    }
    // ANCHOR_END: wait

    /// Where a peer is.
    pub(super) fn now(&self, peer: NodeId) -> Whereabouts {
        let known = self.0.borrow();
        match known.here.get(&peer) {
            Some(handle) => Whereabouts::Here(handle.clone()),
            None if known.left.contains(&peer) => Whereabouts::Left,
            None => Whereabouts::Unknown,
        }
    }

    /// Waits until nobody is here.
    pub(super) async fn empty(&self) {
        let mut changes = self.0.subscribe();
        // The sender lives as long as `self`.
        let _ = changes.wait_for(|known| known.here.is_empty()).await;
    }
}

impl Handle {
    /// Gives an order.
    ///
    /// # Errors
    ///
    /// When the body has ended.
    pub(super) async fn give(&self, order: Order) -> Result<(), &'static str> {
        self.0.send(order).await.map_err(|_| UNKNOWN_PEER)
    }
}

impl Seat<'_> {
    /// The next order.
    pub(super) async fn next_order(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            // The sender was replaced by that of a newer body.
            None => Order::Quit,
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.orders.close();
        self.presence.0.send_modify(|known| {
            // A newer body of the same peer has a handle that still works, and keeps it.
            if known.here.get(&self.peer).is_some_and(|handle| !handle.0.is_closed()) {
                return;
            }
            known.here.remove(&self.peer);
            known.left.push_back(self.peer);
            if known.left.len() > MAX_LEFT {
                known.left.pop_front();
            }
        });
    }
}

/// From the `add` of a peer to its body it takes microseconds, unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// Orders that wait for one body.
const MAX_ORDERS: usize = 16;
/// Peers that are remembered.
const MAX_LEFT: usize = 64;
