//! The foo service: pings its peers when it is told to, answers their pings, counts their pongs.
//!
//! ```text
//!   foo_ping(peer) ──▶ presence ──▶ ┌──────────────┐ ── ping ──▶
//!                      who is here  │ body, one a  │ ◀── pong ──   the peer
//!   foo_quit(peer) ──▶ and who was  │ peer         │
//!                                   └──────┬───────┘
//!   foo_pongCount  ◀────────────────── pongs counted
//! ```
//!
//! C4 shows it; chapters after that use it.

mod presence;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_rlp::{RlpDecodable, RlpEncodable};
use enode::NodeId;
use p2p_server::protocols::{Spec, TypedChannel};
use p2p_server::{Protocol, ProtocolError, message_set};
use rpc::Module;
use service_node::{BoxError, Service};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::presence::{Order, Presence, Seat, UNKNOWN_PEER, Whereabouts};

// ANCHOR: message
/// A ping, or the pong that answers it: A5's message. `c280c0` and `c201c0` on the wire.
#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct FooPingMsg {
    /// Whether it is the pong.
    pub pong: bool,
    /// When it was made, of which nothing travels.
    pub created: Time,
}

/// Takes the place of Go's `time.Time`: an empty list.
#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Time {}

message_set! {
    /// Everything that the protocol can say, with the code beside it.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Foo {
        /// A ping or a pong.
        Ping(FooPingMsg) = 0,
    }
}

/// What the protocol is called: `fooping/666`.
pub fn spec() -> Spec<Foo> {
    Spec::new("fooping", 666).max_message_size(1024)
}
// ANCHOR_END: message

// ANCHOR: service
/// The service of one node.
#[derive(Debug, Default)]
pub struct FooService {
    pongs: AtomicU64,
    presence: Presence,
    shutdown: CancellationToken,
}

impl Service for FooService {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let service = Arc::clone(self);
        vec![Arc::new(spec().protocol(move |peer, messages| {
            let service = Arc::clone(&service);
            async move { service.talk(peer.id(), messages).await }
        }))]
    }

    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![
            Module::new("foo")
                .method_of(self, "ping", ping)
                .method_of(self, "quit", quit)
                .method_of(self, "pongCount", pong_count)
                .method_of(self, "increment", increment),
        ]
    }

    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        self.shutdown.cancel();
        self.presence.empty().await;
        Ok(())
    }
}
// ANCHOR_END: service

// ANCHOR: methods
/// `foo_ping`: sends a ping, and returns when it is on its way. Waits up to 2 s for a peer whose body
/// has not started yet.
async fn ping(service: Arc<FooService>, peer: NodeId) -> Result<(), &'static str> {
    let (sent, on_its_way) = oneshot::channel();
    service.presence.wait_for(peer).await?.give(Order::Ping(sent)).await?;
    on_its_way.await.map_err(|_| UNKNOWN_PEER)
}

/// `foo_quit`: hangs up. With a peer that has just left there is nothing to do.
async fn quit(service: Arc<FooService>, peer: NodeId) -> Result<(), &'static str> {
    match service.presence.now(peer) {
        // If it leaves before it takes the order, that is as good.
        Whereabouts::Here(handle) => drop(handle.give(Order::Quit).await),
        Whereabouts::Left => {}
        Whereabouts::Unknown => return Err(UNKNOWN_PEER),
    }
    Ok(())
}

/// `foo_pongCount`: how many pongs have come.
async fn pong_count(service: Arc<FooService>) -> rpc::Result<u64> {
    Ok(service.pongs.load(Ordering::Relaxed))
}

/// `foo_increment`: counts one that never came.
async fn increment(service: Arc<FooService>) -> rpc::Result<()> {
    service.pongs.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
// ANCHOR_END: methods

// ANCHOR: body
impl FooService {
    /// The body of the protocol: talks to one peer until somebody has had enough.
    ///
    /// # Errors
    ///
    /// What the peer sent is none of the protocol's messages.
    pub async fn talk(
        &self,
        peer: NodeId,
        messages: TypedChannel<Foo>,
    ) -> Result<(), ProtocolError> {
        // Before anything is waited for: from now on the peer can be pinged, and when `seat` is
        // dropped, however this ends, it cannot be any more.
        let seat = self.presence.enter(peer);
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            result = self.converse(seat, messages) => result,
        }
    }

    async fn converse(
        &self,
        mut seat: Seat<'_>,
        mut messages: TypedChannel<Foo>,
    ) -> Result<(), ProtocolError> {
        loop {
            tokio::select! {
                biased;
                order = seat.next_order() => match order {
                    Order::Ping(sent) => {
                        messages.send(FooPingMsg { pong: false, created: Time {} }).await?;
                        let _ = sent.send(()); // whoever called may have gone
                    }
                    Order::Quit => return Ok(()),
                },
                message = messages.recv() => match message {
                    Ok(Foo::Ping(FooPingMsg { pong: true, .. })) => {
                        self.pongs.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(Foo::Ping(_)) => {
                        messages.send(FooPingMsg { pong: true, created: Time {} }).await?;
                    }
                    Err(ProtocolError::Closed(_)) => return Ok(()), // the peer hung up
                    Err(error) => return Err(error),
                },
            }
        }
    }
}
// ANCHOR_END: body

#[cfg(test)]
mod tests;
