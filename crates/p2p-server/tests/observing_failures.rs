//! What an observer is told of connections that come to nothing: each reason, at both ends.

mod hostile;
mod watching;

use std::{net::SocketAddr, time::Duration};

use enode::{Enode, SecretKey};
use hostile::{DISCONNECT, HELLO, NEIGHBOUR, PING, STRANGER, foo, idle, list, open, pass};
use p2p_server::{
    Capability, DisconnectReason, Server, ServerBuilder, Transport as _, protocol_fn,
    test_utils::Net,
};
use rlpx::{Message, RlpxStream};
use tokio::time::Instant;
use watching::Seen;

const SECOND: Duration = Duration::from_secs(1);

/// Starts what was built, and what is seen there.
async fn watched(builder: ServerBuilder) -> (Server, Seen) {
    let seen = Seen::default();
    (builder.observe(seen.clone()).start().await.expect("starts"), seen)
}

/// What a server sees that dials this node once.
async fn dialing(net: &Net, node: Enode) -> Vec<String> {
    let (server, seen) = watched(net.server("dialer").protocol(foo(idle))).await;
    server.add_peer(node).expect("running");
    pass(SECOND * 20).await;
    server.stop().await;
    seen.take()
}

/// Where a node with this key listens that does nothing but this after the handshake.
async fn liar(net: &Net, key: &SecretKey, code: u64, payload: Vec<u8>) -> Enode {
    let addr = SocketAddr::from((STRANGER, 30303));
    let mut listener = net.transport(STRANGER).listen(addr).await.expect("free");
    let own = key.clone();
    tokio::spawn(async move {
        let link = listener.accept().await.expect("dialed");
        let io = tokio::io::join(link.reader, link.writer);
        let accepted = RlpxStream::accept(io, &own, Instant::now() + SECOND).await;
        let mut stream = accepted.expect("a handshake");
        stream.write(&Message { code, payload: payload.into() }).await.expect("open");
        while let Ok(Some(_)) = stream.read().await {}
    });
    Enode::new(key.public_key(), STRANGER, 30303, 30303)
}

/// What a server sees that dials a node which answers with this message.
async fn answered_with(code: u64, payload: Vec<u8>) -> Vec<String> {
    let net = Net::new(1);
    let node = liar(&net, &SecretKey::random(), code, payload).await;
    dialing(&net, node).await
}

async fn told(reason: DisconnectReason) -> Vec<String> {
    answered_with(DISCONNECT, list(&[reason.code()])).await
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_there_is_no_connection() {
    let net = Net::new(1);
    let key = SecretKey::random();
    let nobody = Enode::new(key.public_key(), STRANGER, 30303, 30303);
    let nameless = format!("enode://{}@nowhere.example:30303", key.public_key());

    for node in [nobody, nameless.parse().expect("an URL")] {
        assert_eq!(dialing(&net, node).await, ["dial", "dial failed: connection"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_other_side_says_is_the_reason() {
    for (said, label) in [
        (DisconnectReason::TooManyPeers, "saturated"),
        (DisconnectReason::AlreadyConnected, "known"),
        (DisconnectReason::SelfConnect, "self"),
        (DisconnectReason::UselessPeer, "useless"),
        (DisconnectReason::UnexpectedIdentity, "unexpected_identity"),
        (DisconnectReason::Quitting, "rlpx_proto"),
    ] {
        assert_eq!(told(said).await, ["dial".to_owned(), format!("dial failed: {label}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_message_that_is_no_hello_is_a_failed_protocol_handshake() {
    let expected = ["dial", "dial failed: rlpx_proto"];

    assert_eq!(answered_with(PING, vec![0xc0]).await, expected);
    assert_eq!(answered_with(HELLO, vec![0xc0]).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_hello_of_somebody_else_is_an_unexpected_identity() {
    let hello = hostile::hello(&SecretKey::random(), &["foo"]).to_vec();

    let seen = answered_with(HELLO, hello).await;

    assert_eq!(seen, ["dial", "dial failed: unexpected_identity"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_fails_the_encryption_handshake_at_both_ends() {
    let net = Net::new(1);
    let (server, seen) = watched(net.server("another").protocol(foo(idle))).await;
    let addr = server.listen_addr().expect("listens");
    let wrong = SecretKey::random().public_key();

    let dialed = dialing(&net, Enode::new(wrong, addr.ip(), addr.port(), addr.port())).await;

    assert_eq!(dialed, ["dial", "dial failed: rlpx_enc"]);
    assert_eq!(seen.take(), ["accepted", "serve failed: rlpx_enc"]);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_slots_is_saturated_for_both() {
    let net = Net::new(1);
    let (full, seen) = watched(net.server("full").max_peers(0).protocol(foo(idle))).await;

    assert_eq!(dialing(&net, full.enode()).await, ["dial", "dial failed: saturated"]);
    assert_eq!(seen.take(), ["accepted", "serve failed: saturated"]);
    full.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_common_protocol_is_useless_for_both() {
    let net = Net::new(1);
    let other = protocol_fn(Capability::new("bar", 1), 1, idle);
    let (server, seen) = watched(net.server("other").protocol(other)).await;

    let dialed = dialing(&net, server.enode()).await;

    // The hellos were read, and it is only then that one can know.
    assert_eq!(dialed, ["dial", "dial failed: useless"]);
    assert_eq!(seen.take(), ["accepted", "serve failed: useless"]);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_dials_that_cross_one_is_known() {
    let net = Net::new(1);
    net.set_latency(SECOND / 100);
    let (one, at_one) = watched(net.server("one").protocol(foo(idle))).await;
    let (two, at_two) = watched(net.server("two").protocol(foo(idle))).await;

    one.add_peer(two.enode()).expect("running");
    two.add_peer(one.enode()).expect("running");
    pass(SECOND * 6).await;

    assert_eq!((one.peer_count(), two.peer_count()), (1, 1));
    for seen in [at_one, at_two] {
        // Each has dialed and served; one of the two came to nothing, whichever side ended it.
        assert_eq!((seen.count("dial"), seen.count("accepted")), (1 + seen.count("dial f"), 1));
        let failed = seen.count("dial failed: known") + seen.count("serve failed: known");
        let came = seen.count("added") - seen.count("dropped");
        assert_eq!((failed + seen.count("dropped"), came), (1, 1), "{:?}", seen.take());
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_refused_by_its_address_is_told_as_refused() {
    let net = Net::new(1);
    let private = "10.0.0.0/8".parse().expect("a list");
    let (server, seen) = watched(net.server("picky").net_restrict(private)).await;

    let _refused = open(&net, STRANGER, &server).await;
    pass(SECOND).await;

    assert_eq!(seen.take(), ["accepted", "serve failed: refused"]);
    assert_eq!((seen.received(), seen.sent()), (0, 0));
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_says_nothing_fails_the_encryption_handshake() {
    let net = Net::new(1);
    let (server, seen) = watched(net.server("patient").protocol(foo(idle))).await;

    let _silent = open(&net, NEIGHBOUR, &server).await;
    pass(SECOND * 6).await;

    assert_eq!(seen.take(), ["accepted", "serve failed: rlpx_enc"]);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_gives_up_what_it_has_begun() {
    let net = Net::new(1);
    let (one, at_one) = watched(net.server("one").protocol(foo(idle))).await;
    let (two, at_two) = watched(net.server("two").protocol(foo(idle))).await;
    net.half_open(&one, &two);
    one.add_peer(two.enode()).expect("running");
    let _silent = open(&net, NEIGHBOUR, &two).await;
    pass(SECOND).await;

    one.stop().await;
    two.stop().await;

    assert_eq!(at_one.take(), ["dial", "dial failed: other"]);
    assert_eq!(at_two.take(), ["accepted", "serve failed: other"]);
}
