//! Dialing over real sockets: static nodes and candidates, what is told about the attempts, and
//! what does not become a connection.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{
    BarePeer, added, bare, bare::HELLO, builder, builder_of, connect, dial_event, dropped,
    idle_foo, in_time, server, start, until_added,
};
use enode::{Enode, NodeId, SecretKey};
use futures_util::stream;
use p2p_server::{DialEvent, DialOutcome, DialStage, DisconnectReason, Server, ServerBuilder};
use tokio::{net::TcpListener, sync::mpsc};

const FOO: &[(&str, u64)] = &[("foo", 42)];
const SOON: Duration = Duration::from_millis(50);

/// A server that tries again soon.
fn impatient() -> ServerBuilder {
    builder().redial_after(SOON).protocol(idle_foo())
}

fn failed(event: &DialEvent) -> bool {
    matches!(event.outcome, DialOutcome::Failed { .. })
}

/// A node that nobody answers for.
async fn unreachable() -> (SecretKey, Enode) {
    let key = SecretKey::random();
    let (listener, enode) = bare::listener(&key).await;
    drop(listener);
    (key, enode)
}

/// Accepts a dial, greets and returns the peer.
async fn accept(listener: &TcpListener, key: &SecretKey) -> BarePeer {
    let mut peer = BarePeer::accept(listener, key.clone()).await.unwrap();
    peer.exchange_hellos(FOO).await;
    peer
}

#[tokio::test]
async fn a_static_node_is_dialed_again_whenever_it_is_lost() {
    let key = SecretKey::random();
    let (listener, enode) = bare::listener(&key).await;
    let server = start(impatient().static_node(enode)).await;
    let (mut events, mut dials) = (server.events(), server.dial_events());

    for attempt in 1..=3 {
        let mut peer = accept(&listener, &key).await;
        assert_eq!(added(&mut events).await, key.node_id());
        assert!(server.peers()[0].is_static());

        peer.send_disconnect(DisconnectReason::Quitting).await;
        drop(peer);

        assert_eq!(dropped(&mut events, key.node_id()).await, "client quitting");
        let ended =
            dial_event(&mut dials, |e| matches!(e.outcome, DialOutcome::Ended { .. })).await;
        assert_eq!(ended.outcome, DialOutcome::Ended { reason: Some(DisconnectReason::Quitting) });
        assert_eq!((ended.node, ended.is_static, ended.attempt), (key.node_id(), true, attempt));
        assert_eq!(ended.stage, DialStage::Session);
        assert!(ended.next_in.is_some());
    }
    server.stop().await;
}

#[tokio::test]
async fn every_step_of_the_attempts_at_a_static_node_is_told() {
    let (_, enode) = unreachable().await;
    let server = start(impatient()).await;
    let mut dials = server.dial_events();
    let id = enode.id();

    server.add_peer(enode.clone()).unwrap();

    for attempt in 1..=2 {
        let started = dial_event(&mut dials, |_| true).await;
        assert_eq!((started.node, started.is_static, started.attempt), (id, true, attempt));
        assert_eq!((started.stage, started.outcome), (DialStage::Connect, DialOutcome::Started));
        let refused = dial_event(&mut dials, |_| true).await;
        assert_eq!((refused.stage, refused.attempt), (DialStage::Connect, attempt));
        let DialOutcome::Failed { error, reason } = refused.outcome else { panic!("{refused:?}") };
        assert!(error.contains("refused"), "{error}");
        assert_eq!(reason, None);
        assert!(refused.next_in.unwrap() <= SOON * 4);
    }

    // Now somebody answers at another address: it is taken over, and dialed when it is time.
    let other = common::server(idle_foo()).await;
    let key = SecretKey::random();
    let (listener, elsewhere) = bare::listener(&key).await;
    server.remove_peer(id).unwrap().await;
    server.add_peer(elsewhere.clone().with_ports(enode.tcp_port(), 0)).unwrap();
    dial_event(&mut dials, |event| event.node == key.node_id() && failed(event)).await;
    server.add_peer(elsewhere).unwrap();
    let _peer = accept(&listener, &key).await;
    dial_event(&mut dials, |event| event.outcome == DialOutcome::Connected).await;
    other.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn the_status_of_a_node_says_what_is_known_of_it() {
    let (key, enode) = unreachable().await;
    let server = start(builder().protocol(idle_foo())).await;
    let mut dials = server.dial_events();
    assert_eq!(server.dial_status(key.node_id()), None);

    server.add_peer(enode).unwrap();
    dial_event(&mut dials, failed).await;

    let status = server.dial_status(key.node_id()).unwrap();
    assert_eq!((status.node, status.is_static), (key.node_id(), true));
    assert!(!status.connected && !status.dialing && !status.trusted);
    assert_eq!(status.attempts, 1);
    let last = status.last.unwrap();
    assert_eq!(last.stage, DialStage::Connect);
    assert!(last.error.unwrap().contains("refused"));
    let wait = status.next.unwrap().saturating_duration_since(last.at);
    assert!(wait > Duration::from_secs(20) && wait < Duration::from_secs(50), "{wait:?}");

    let other = common::server(idle_foo()).await;
    connect(&server, &other).await;
    let status = server.dial_status(other.id()).unwrap();
    assert!(status.connected && status.is_static);
    assert_eq!((status.attempts, status.next), (1, None));
    assert_eq!(status.last.unwrap().error, None);
    assert!(other.dial_status(server.id()).is_none_or(|status| !status.is_static));
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn the_status_of_a_node_says_whether_it_is_trusted() {
    let (key, enode) = unreachable().await;
    let server = start(builder().protocol(idle_foo())).await;

    server.add_trusted(key.node_id()).unwrap();

    let status = server.dial_status(key.node_id()).expect("it was named");
    assert!(status.trusted && !status.is_static && !status.connected && !status.dialing);
    assert_eq!((status.attempts, status.last, status.next), (0, None, None));
    server.add_peer(enode).unwrap();
    let status = server.dial_status(key.node_id()).expect("it was added");
    assert!(status.trusted && status.is_static);
    server.remove_trusted(key.node_id()).unwrap();
    assert!(!server.dial_status(key.node_id()).expect("it was added").trusted);
    server.stop().await;
}

#[tokio::test]
async fn who_holds_another_key_than_expected_is_refused() {
    let target = server(idle_foo()).await;
    let mut at_target = target.events();
    let server = start(impatient()).await;
    let mut dials = server.dial_events();
    let addr = target.listen_addr().unwrap();
    let wrong = Enode::new(SecretKey::random().public_key(), addr.ip(), addr.port(), 0);

    server.add_peer(wrong).unwrap();

    let event = dial_event(&mut dials, failed).await;
    assert_eq!(event.stage, DialStage::Handshake);
    assert_eq!((server.peer_count(), target.peer_count()), (0, 0));
    server.stop().await;
    target.stop().await;
    assert_eq!(in_time(at_target.next()).await, None);
}

#[tokio::test]
async fn an_ack_that_is_none_fails_the_handshake() {
    let key = SecretKey::random();
    let (listener, enode) = bare::listener(&key).await;
    let server = start(impatient().static_node(enode)).await;
    let mut dials = server.dial_events();

    let (mut stream, _) = in_time(listener.accept()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[1, 0x90].repeat(201)).await.unwrap();

    let event = dial_event(&mut dials, failed).await;
    assert_eq!(event.stage, DialStage::Handshake);
    server.stop().await;
}

#[tokio::test]
async fn the_reason_of_a_node_that_is_full_is_reported() {
    let full = start(builder().max_peers(0).protocol(idle_foo())).await;
    let server = start(impatient()).await;
    let mut dials = server.dial_events();

    server.add_peer(full.enode()).unwrap();

    let event = dial_event(&mut dials, failed).await;
    let reason = Some(DisconnectReason::TooManyPeers);
    assert_eq!(event.outcome, DialOutcome::Failed { error: "too many peers".into(), reason });
    assert_eq!(event.stage, DialStage::Hello);
    server.stop().await;
    full.stop().await;
}

#[tokio::test]
async fn a_node_we_refuse_ourselves_is_reported_with_our_reason() {
    let useless = start(builder()).await;
    let server = start(impatient()).await;
    let mut dials = server.dial_events();

    server.add_peer(useless.enode()).unwrap();

    let event = dial_event(&mut dials, failed).await;
    let reason = Some(DisconnectReason::UselessPeer);
    assert_eq!(event.outcome, DialOutcome::Failed { error: "useless peer".into(), reason });
    server.stop().await;
    useless.stop().await;
}

#[tokio::test]
async fn a_removed_node_is_dialed_no_more() {
    let (key, enode) = unreachable().await;
    let server = start(impatient()).await;
    let mut dials = server.dial_events();
    server.add_peer(enode).unwrap();
    dial_event(&mut dials, failed).await;

    server.remove_peer(key.node_id()).unwrap().await;

    // A second node goes through three attempts meanwhile, the first through none.
    let (_, other) = unreachable().await;
    server.add_peer(other.clone()).unwrap();
    for _ in 0..3 {
        let event = dial_event(&mut dials, failed).await;
        assert_eq!(event.node, other.id());
    }
    let status = server.dial_status(key.node_id()).unwrap();
    assert!(!status.is_static);
    assert_eq!(status.next, None);
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_dial_does_not_dial() {
    let target = server(idle_foo()).await;
    let (candidates, source) = mpsc::channel(1);
    let server = start(impatient().no_dial(true).candidates(from(source))).await;
    let mut dials = server.dial_events();

    server.add_peer(target.enode()).unwrap();
    candidates.send(target.enode()).await.unwrap();
    let peer = BarePeer::connect(&server, FOO).await;
    until_added_now(&server, peer.id()).await;
    server.stop().await;

    assert_eq!(in_time(dials.next()).await, None);
    assert_eq!(target.peer_count(), 0);
    target.stop().await;
}

async fn until_added_now(server: &Server, id: NodeId) {
    let there = async {
        while server.peer(id).is_none() {
            tokio::task::yield_now().await;
        }
    };
    in_time(there).await;
}

/// A stream of what is sent into a channel.
fn from(source: mpsc::Receiver<Enode>) -> impl futures_util::Stream<Item = Enode> + Send {
    stream::unfold(source, |mut source| async move {
        let node = source.recv().await?;
        Some((node, source))
    })
}

#[tokio::test]
async fn candidates_are_dialed_while_there_are_free_slots() {
    let (candidates, source) = mpsc::channel(8);
    // Of three peers one is to be dialed.
    let server = start(impatient().max_peers(3).candidates(from(source))).await;
    let (mut events, mut dials) = (server.events(), server.dial_events());
    let (first, second) = (common::server(idle_foo()).await, common::server(idle_foo()).await);

    candidates.send(first.enode()).await.unwrap();
    assert_eq!(added(&mut events).await, first.id());
    assert!(!server.peers()[0].is_static());
    let connected = dial_event(&mut dials, |e| e.outcome == DialOutcome::Connected).await;
    assert_eq!((connected.node, connected.is_static), (first.id(), false));

    candidates.send(second.enode()).await.unwrap();
    let inbound = BarePeer::connect(&server, FOO).await;
    assert_eq!(added(&mut events).await, inbound.id());
    assert_eq!(candidates.capacity(), 7, "nobody asks for it yet");

    first.stop().await;
    assert_eq!(dropped(&mut events, first.id()).await, "client quitting");
    assert_eq!(added(&mut events).await, second.id());
    server.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_source_that_ends_or_repeats_itself_does_no_harm() {
    let target = server(idle_foo()).await;
    let nodes = [target.enode(), target.enode(), target.enode()];
    let server = start(impatient().candidates(stream::iter(nodes))).await;
    let mut events = server.events();

    until_added_now(&server, target.id()).await;

    let peer = BarePeer::connect(&server, FOO).await;
    until_added_now(&server, peer.id()).await;
    assert_eq!(server.peer_count(), 2);
    server.stop().await;
    target.stop().await;
    while in_time(events.next()).await.is_some() {}
}

#[tokio::test]
async fn a_host_name_is_looked_up_when_it_is_dialed() {
    let target = server(idle_foo()).await;
    let addr = target.listen_addr().unwrap();
    let named = Enode::incomplete(*target.enode().public_key())
        .with_host("localhost")
        .unwrap()
        .with_ports(addr.port(), 0);
    let server = start(impatient()).await;
    let (mut events, mut dials) = (server.events(), server.dial_events());

    server.add_peer(named).unwrap();

    let started = dial_event(&mut dials, |_| true).await;
    assert_eq!((started.stage, started.outcome), (DialStage::Resolve, DialOutcome::Started));
    until_added(&mut events, target.id()).await;
    server.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn a_node_without_an_address_is_not_reached() {
    let key = SecretKey::random();
    let server = start(impatient()).await;
    let mut dials = server.dial_events();

    server.add_peer(Enode::incomplete(key.public_key())).unwrap();

    let event = dial_event(&mut dials, failed).await;
    assert_eq!(event.stage, DialStage::Resolve);
    assert_eq!(event.outcome.to_string(), "node has no address");
    server.stop().await;
}

#[tokio::test]
async fn adding_a_connected_node_marks_it_and_keeps_the_connection() {
    let (one, two) = (server(idle_foo()).await, server(idle_foo()).await);
    connect(&one, &two).await;
    let at_two = two.peer(one.id()).unwrap();
    assert!(!at_two.is_static());

    two.add_peer(one.enode()).unwrap();

    assert!(at_two.is_static());
    assert_eq!((one.peer_count(), two.peer_count()), (1, 1));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_server_without_a_listener_can_dial() {
    let target = server(idle_foo()).await;
    let client =
        start(Server::builder(SecretKey::random()).max_peers(1).protocol(idle_foo())).await;
    let mut events = client.events();
    assert_eq!(client.listen_addr(), None);
    assert_eq!(client.node_info().listen_addr, "");

    client.add_peer(target.enode()).unwrap();

    assert_eq!(added(&mut events).await, target.id());
    client.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn a_dial_that_hangs_does_not_hold_up_the_end() {
    // It accepts, and says nothing.
    let key = SecretKey::random();
    let (listener, enode) = bare::listener(&key).await;
    let server = start(builder_of(SecretKey::random()).static_node(enode)).await;
    let (mut stream, _): (_, SocketAddr) = in_time(listener.accept()).await.unwrap();
    let mut auth = [0; 2];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut auth).await.unwrap();

    let begun = std::time::Instant::now();
    in_time(server.stop()).await;

    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_ne!(u64::from(auth[0]), HELLO);
}
