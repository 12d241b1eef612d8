//! What the tests of this crate share: servers with a short configuration, waiting for events, and
//! a peer that says whatever a test wants.

#![allow(dead_code, unused_imports, reason = "every test binary uses its own part")]
#![allow(unreachable_pub, missing_docs, reason = "shared by tests only")]
#![allow(clippy::unwrap_used, missing_debug_implementations, reason = "a test may fail")]

pub mod bare;
#[path = "../../../rlpx/tests/common/reference.rs"]
pub mod reference;

use std::future::Future;

use enode::{NodeId, SecretKey};
use p2p_server::{
    Capability, DialEvent, DialEvents, MsgChannel, Peer, PeerEvent, PeerEvents, Protocol,
    ProtocolError, Server, ServerBuilder, protocol_fn,
};
use tokio::time::timeout;

pub use self::bare::{BareHello, BarePeer, PATIENCE};

/// A server of ten peers that listens on a free port of this machine.
pub fn builder() -> ServerBuilder {
    builder_of(SecretKey::random())
}

/// The same under a given key.
pub fn builder_of(key: SecretKey) -> ServerBuilder {
    Server::builder(key).name("test/v1").listen("127.0.0.1:0").max_peers(10)
}

/// Starts what must start.
pub async fn start(builder: ServerBuilder) -> Server {
    builder.start().await.expect("starts on a free port")
}

/// A listening server with one protocol.
pub async fn server(protocol: impl Protocol) -> Server {
    start(builder().protocol(protocol)).await
}

/// The protocol `foo/42` with `length` codes and this body.
pub fn foo<F, R>(length: u64, body: F) -> impl Protocol
where
    F: Fn(Peer, MsgChannel) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    protocol_fn(Capability::new("foo", 42), length, body)
}

/// A body that reads until the connection ends.
pub async fn idle(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    while messages.recv().await.is_ok() {}
    Ok(())
}

/// A body that sends every message back.
pub async fn echo(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    while let Ok(message) = messages.recv().await {
        messages.send_raw(message.code, message.payload).await?;
    }
    Ok(())
}

/// `foo/42` that only keeps the connection up.
pub fn idle_foo() -> impl Protocol {
    foo(4, idle)
}

/// What a future comes to, in time.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// The next event.
pub async fn next(events: &mut PeerEvents) -> PeerEvent {
    in_time(events.next()).await.expect("the server runs")
}

/// The next event, which must be the arrival of a peer.
pub async fn added(events: &mut PeerEvents) -> NodeId {
    match next(events).await {
        PeerEvent::Added { peer, .. } => peer,
        other => panic!("{other:?}"),
    }
}

/// Passes over events until `id` is gone, and returns why.
pub async fn dropped(events: &mut PeerEvents, id: NodeId) -> String {
    loop {
        if let PeerEvent::Dropped { peer, error, .. } = next(events).await
            && peer == id
        {
            return error;
        }
    }
}

/// Passes over events until `id` is a peer.
pub async fn until_added(events: &mut PeerEvents, id: NodeId) {
    while !matches!(next(events).await, PeerEvent::Added { peer, .. } if peer == id) {}
}

/// The next event of dialing that `wanted` accepts.
pub async fn dial_event(events: &mut DialEvents, wanted: impl Fn(&DialEvent) -> bool) -> DialEvent {
    loop {
        let event = in_time(events.next()).await.expect("the server runs");
        if wanted(&event) {
            return event;
        }
    }
}

/// Connects `one` to `two` and waits until both have each other.
pub async fn connect(one: &Server, two: &Server) {
    let (mut at_one, mut at_two) = (one.events(), two.events());
    one.add_peer(two.enode()).expect("running");
    until_added(&mut at_one, two.id()).await;
    until_added(&mut at_two, one.id()).await;
}
