//! The foo service of C4: pings a peer when it is told to, and counts the pongs.
//!
//! ```text
//!   foo_ping ──▶ FooService ──▶ the peer's queue of orders ──▶ body ═══ fooping/666 ═══▶ peer
//!                    ▲  who is here, how many pongs              │
//!                    └───────────────────────────────────────────┘
//! ```
//!
//! One object for all peers, and one body for each. A body enters itself before it does anything
//! else, and leaves when it ends, whatever ends it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use alloy_rlp::{RlpDecodable, RlpEncodable};
use enode::NodeId;
use p2p_server::protocols::{Spec, TypedChannel};
use p2p_server::{Peer, Protocol, ProtocolError, Server, message_set};
use rpc::{Module, RpcError};
use service_node::{BoxError, Service};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

// ANCHOR: messages
/// Ping or pong. On the wire `c2 80 c0` or `c2 01 c0`, as in A5.
#[derive(Debug, PartialEq, RlpEncodable, RlpDecodable)]
pub struct FooPingMsg {
    /// Whether it is the answer.
    pub pong: bool,
    /// When it was made, in the original; on the wire an empty list.
    pub created: Time,
}

/// Go's `time.Time`, whose fields are private and so do not travel.
#[derive(Debug, PartialEq, RlpEncodable, RlpDecodable)]
pub struct Time {}

message_set! {
    /// Everything `fooping/666` can say.
    #[derive(Debug, PartialEq)]
    pub enum FooPing {
        /// Both directions of the game.
        Ping(FooPingMsg) = 0,
    }
}
// ANCHOR_END: messages

// ANCHOR: service
/// Pings peers, and counts their pongs.
#[derive(Debug, Default)]
pub struct FooService {
    /// Known once the service has started.
    server: OnceLock<Server>,
    peers: Mutex<Peers>,
    /// Told when a peer has come.
    arrived: Notify,
    pongs: AtomicU64,
}

/// Who can be given an order, and who could.
#[derive(Debug, Default)]
struct Peers {
    // bound: one for each peer of the server
    here: BTreeMap<NodeId, mpsc::Sender<Order>>,
    // bound: MAX_GONE, then the oldest is forgotten
    gone: VecDeque<NodeId>,
}

/// What a call wants of the body of one peer.
#[derive(Debug)]
enum Order {
    Ping,
    Quit,
}
// ANCHOR_END: service

// ANCHOR: impl
impl Service for FooService {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let service = Arc::clone(self);
        let spec = Spec::<FooPing>::new("fooping", 666).max_message_size(1024);
        vec![Arc::new(spec.protocol(move |peer, messages| {
            let service = Arc::clone(&service);
            async move { service.play(&peer, messages).await }
        }))]
    }

    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![
            Module::new("foo")
                .method_of(self, "ping", Self::ping)
                .method_of(self, "quit", Self::quit)
                .method_of(self, "pongCount", Self::pong_count)
                .method_of(self, "increment", Self::increment),
        ]
    }

    async fn start(self: &Arc<Self>, server: Server) -> Result<(), BoxError> {
        self.server.set(server).map_err(|_| "started twice".into())
    }
}
// ANCHOR_END: impl

impl FooService {
    // ANCHOR: body
    /// The body: once for each peer, until somebody quits.
    async fn play(
        &self,
        peer: &Peer,
        mut messages: TypedChannel<FooPing>,
    ) -> Result<(), ProtocolError> {
        // Before anything else: who finds this entry can give orders.
        let (_entry, mut orders) = self.enter(peer.id());
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Ping) => messages.send(message(false)).await?,
                    Some(Order::Quit) | None => return Ok(()),
                },
                // Also how the body learns that the peer has gone.
                received = messages.recv() => match received? {
                    FooPing::Ping(FooPingMsg { pong: false, .. }) => {
                        messages.send(message(true)).await?;
                    }
                    FooPing::Ping(FooPingMsg { pong: true, .. }) => {
                        self.pongs.fetch_add(1, Ordering::Relaxed);
                    }
                },
            }
        }
    }
    // ANCHOR_END: body

    // ANCHOR: entry
    /// Enters a peer, until the entry is dropped.
    fn enter(&self, id: NodeId) -> (Entry<'_>, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(MAX_ORDERS); // bound: then a call waits
        self.peers().here.insert(id, orders);
        self.arrived.notify_waiters();
        (Entry { service: self, id }, taken)
    }
    // ANCHOR_END: entry

    // ANCHOR: api
    /// `foo_ping`: has a ping sent to a peer.
    async fn ping(self: Arc<Self>, id: NodeId) -> rpc::Result<()> {
        let orders = self.orders_of(id).await.ok_or_else(unknown_peer)?;
        orders.send(Order::Ping).await.map_err(|_| unknown_peer())
    }

    /// `foo_quit`: hangs up on a peer. One that has just left is no error: it is gone, as was wanted.
    async fn quit(self: Arc<Self>, id: NodeId) -> rpc::Result<()> {
        let (here, was_here) = {
            let peers = self.peers();
            (peers.here.get(&id).cloned(), peers.gone.contains(&id))
        };
        match here {
            // It may leave while the order waits; then it is gone, too.
            Some(orders) => drop(orders.send(Order::Quit).await),
            None if was_here => {}
            None => return Err(unknown_peer()),
        }
        Ok(())
    }

    async fn pong_count(self: Arc<Self>) -> rpc::Result<u64> {
        Ok(self.pongs.load(Ordering::Relaxed))
    }

    async fn increment(self: Arc<Self>) -> rpc::Result<()> {
        self.pongs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    // ANCHOR_END: api

    // ANCHOR: ready
    /// Where a peer takes orders. If the server has it as a peer and its body has not begun, this
    /// waits for that, for two seconds at most.
    async fn orders_of(&self, id: NodeId) -> Option<mpsc::Sender<Order>> {
        let wait = async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                // From here on no arrival is missed, and only then is looked who is here.
                arrived.as_mut().enable();
                if let Some(orders) = self.peers().here.get(&id) {
                    return Some(orders.clone());
                }
                self.server.get()?.peer(id)?;
                arrived.await;
            }
        };
        timeout(READY, wait).await.ok().flatten()
    }
    // ANCHOR_END: ready

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A peer that can be given orders; gone when this is dropped.
struct Entry<'a> {
    service: &'a FooService,
    id: NodeId,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut peers = self.service.peers();
        peers.here.remove(&self.id);
        if peers.gone.len() == MAX_GONE {
            peers.gone.pop_front();
        }
        peers.gone.push_back(self.id);
    }
}

fn message(pong: bool) -> FooPingMsg {
    FooPingMsg { pong, created: Time {} }
}

fn unknown_peer() -> RpcError {
    RpcError::other("unknown peer")
}

/// How many orders wait for a body.
const MAX_ORDERS: usize = 16;
/// How many peers that have left are remembered.
const MAX_GONE: usize = 64;
/// How long a body may take to begin.
const READY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_has_the_bytes_of_the_original() {
        assert_eq!(alloy_rlp::encode(message(false)), [0xc2, 0x80, 0xc0]);
        assert_eq!(alloy_rlp::encode(message(true)), [0xc2, 0x01, 0xc0]);
    }
}
