//! Panics in code that the server runs for others: they cost one peer, never the process, a place or
//! another protocol.

mod hostile;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{future::BoxFuture, stream};
use hostile::{
    DISCONNECT, EMPTY, FOO, HELLO, Hostile, NEIGHBOUR, dropped, foo, idle, next_event, open, pass,
    settles_at, tasks,
};
use p2p_server::{
    Capability, DisconnectReason, Link, Listener, MsgChannel, Peer, PeerEvent, PeerEvents,
    ProtocolError, Server, Transport, protocol_fn, test_utils::Net,
};
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// L-12: a panic in a body ends that peer with 0x10, and nobody else.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_body_ends_that_peer_only() {
    let net = Net::new(1);
    let server = net.server("fragile").protocol(foo(fragile)).start().await.expect("starts");
    let baseline = tasks();
    let mut events = server.events();
    let other = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;

    peer.send(FOO, EMPTY).await.expect("open");

    assert_eq!(peer.reason().await, Some(DisconnectReason::SubprotocolError));
    let id = peer.id();
    drop(peer);
    assert_eq!(dropped(&mut events, id).await, "protocol foo/42 panicked");
    assert_eq!(server.peer_count(), 1);
    drop(other);
    settles_at(&net, baseline).await;
    server.stop().await;
}

/// L-12: the third panic within a minute disables the protocol, and an event says so.
#[tokio::test(start_paused = true)]
async fn three_panics_within_a_minute_disable_the_protocol() {
    let net = Net::new(1);
    let server = net.server("fragile").protocol(foo(fragile)).start().await.expect("starts");
    let mut events = server.events();

    for _ in 0..3 {
        provoke(&net, &server, FOO).await;
        pass(SECOND * 20).await;
    }

    assert_eq!(disabled(&mut events).await, Capability::new("foo", 42));
    // It is the only one, so nobody is of use any more.
    let mut peer = Hostile::dial(&net, NEIGHBOUR, &server).await;
    let hello = hostile::hello(&peer.key, &["foo"]);
    peer.send(HELLO, &hello).await.expect("open");
    peer.next().await.expect("a hello");
    assert_eq!(peer.reason().await, Some(DisconnectReason::UselessPeer));
    server.stop().await;
}

/// L-12: two panics a minute may go on for ever.
#[tokio::test(start_paused = true)]
async fn panics_now_and_then_disable_nothing() {
    let net = Net::new(1);
    let server = net.server("fragile").protocol(foo(fragile)).start().await.expect("starts");

    for _ in 0..20 {
        provoke(&net, &server, FOO).await;
        pass(SECOND * 31).await;
    }

    Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// L-12: a disabled protocol is not offered, so it must have no codes either: both sides count them
/// from what was offered.
#[tokio::test(start_paused = true)]
async fn a_disabled_protocol_leaves_its_codes_to_the_others() {
    let net = Net::new(1);
    let aaa = protocol_fn(Capability::new("aaa", 42), 4, fragile);
    let builder = net.server("fragile").protocol(aaa).protocol(foo(echo));
    let server = builder.start().await.expect("starts");
    let mut events = server.events();
    for _ in 0..3 {
        provoke(&net, &server, 16).await;
    }
    disabled(&mut events).await;

    let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["aaa", "foo"]).await;
    peer.send(16, EMPTY).await.expect("open");

    let answer = timeout(SECOND, peer.next()).await.expect("at once").expect("open");
    assert_eq!(answer.code, 16);
    server.stop().await;
}

/// L-12: a body that panics because its connection has ended counts like any other.
#[tokio::test(start_paused = true)]
async fn a_panic_at_the_end_of_a_connection_counts() {
    let net = Net::new(1);
    let careless = |_: Peer, mut messages: MsgChannel| async move {
        loop {
            messages.recv().await.expect("there is always one more");
        }
    };
    let server = net.server("careless").protocol(foo(careless)).start().await.expect("starts");
    let mut events = server.events();

    for _ in 0..3 {
        let mut peer = Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
        peer.send(DISCONNECT, &[0xc1, 0x08]).await.expect("open");
        assert!(peer.next().await.is_none());
    }

    assert_eq!(disabled(&mut events).await, Capability::new("foo", 42));
    server.stop().await;
}

/// M-04: a hook that panics during the handshake costs that connection, and not its place in the
/// pool.
#[tokio::test(start_paused = true)]
async fn a_panicking_tap_costs_no_place() {
    let net = Net::new(1);
    let calls = AtomicUsize::new(0);
    let tap = move |_| assert!(calls.fetch_add(1, Ordering::Relaxed) >= 60, "not yet");
    let server = net.server("tapped").tap(tap).protocol(foo(idle)).start().await.expect("starts");
    let baseline = tasks();

    for _ in 0..60 {
        let link = open(&net, NEIGHBOUR, &server).await;
        let key = enode::SecretKey::random();
        if let Ok(mut peer) = Hostile::over(link, &server, key).await {
            assert!(peer.next().await.is_none());
        }
    }

    settles_at(&net, baseline).await;
    Hostile::connect(&net, NEIGHBOUR, &server, &["foo"]).await;
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

/// A source of candidates that panics ends; dialing and everything else goes on.
#[tokio::test(start_paused = true)]
async fn a_panicking_source_of_candidates_does_not_end_dialing() {
    let net = Net::new(1);
    let broken = stream::poll_fn(|_| panic!("no more nodes"));
    let builder = net.server("one").candidates(broken).protocol(foo(idle));
    let one = builder.start().await.expect("starts");
    let two = hostile::server(&net).await;

    net.connect(&one, &two).await.expect("still dials");

    let baseline = tasks();
    for _ in 0..10 {
        drop(Hostile::connect(&net, NEIGHBOUR, &one, &["foo"]).await);
    }
    settles_at(&net, baseline).await;
    one.stop().await;
}

/// A transport that panics costs the attempt: the node is dialed again.
#[tokio::test(start_paused = true)]
async fn a_panicking_transport_costs_one_attempt() {
    let net = Net::new(1);
    let transport = Fragile {
        network: Box::new(net.transport([10, 0, 0, 1].into())),
        dials: Arc::new(AtomicUsize::new(0)),
    };
    let builder = net.server("one").transport(transport).protocol(foo(idle));
    let one = builder.start().await.expect("starts");
    let two = hostile::server(&net).await;
    one.add_peer(two.enode()).expect("running");
    pass(SECOND).await;
    assert_eq!(one.peer_count(), 0);

    let connected = || one.peer_count() == 1;

    net.drive_until(SECOND * 90, "dialed again", connected).await.expect("dialed again");
    one.stop().await;
}

/// Has the server's protocol panic once.
async fn provoke(net: &Net, server: &Server, code: u64) {
    let mut peer = Hostile::connect(net, NEIGHBOUR, server, &["aaa", "foo"]).await;
    peer.send(code, EMPTY).await.expect("open");
    assert_eq!(peer.reason().await, Some(DisconnectReason::SubprotocolError));
}

/// Passes over events until a protocol is disabled.
async fn disabled(events: &mut PeerEvents) -> Capability {
    loop {
        if let PeerEvent::ProtocolDisabled { protocol } = next_event(events).await {
            return protocol;
        }
    }
}

/// Panics at the first message.
async fn fragile(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    let message = messages.recv().await?;
    panic!("a message of {} bytes", message.payload.len());
}

async fn echo(_: Peer, mut messages: MsgChannel) -> Result<(), ProtocolError> {
    loop {
        let message = messages.recv().await?;
        messages.send_raw(message.code, message.payload).await?;
    }
}

/// Panics at the first dial.
struct Fragile {
    network: Box<dyn Transport>,
    dials: Arc<AtomicUsize>,
}

impl Transport for Fragile {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        self.network.listen(addr)
    }

    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Link>> {
        let first = self.dials.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move {
            assert!(!first, "the network is down");
            self.network.dial(addr).await
        })
    }

    fn resolve(&self, name: String, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        self.network.resolve(name, port)
    }
}
