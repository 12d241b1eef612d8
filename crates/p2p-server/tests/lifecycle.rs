//! Starting and stopping: wrong configurations, what is left after a failure, and the end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::{
    BarePeer, added, bare::tcp, builder, builder_of, connect, dropped, echo, foo, idle, idle_foo,
    in_time, server, start, until_added,
};
use enode::{NodeId, SecretKey};
use futures_util::future::join_all;
use p2p_server::{
    AddPeerError, Capability, DisconnectReason, ExternalIp, PeerEvent, Protocol, ProtocolError,
    ServerBuilder, StartError, Stopped, protocol_fn,
};
use tokio::net::TcpListener;

/// The text of the error that a configuration leads to.
async fn error_of(builder: ServerBuilder) -> String {
    builder.start().await.expect_err("a wrong configuration").to_string()
}

fn named(name: &str, length: u64) -> impl Protocol {
    protocol_fn(Capability::new(name, 1), length, idle)
}

#[tokio::test]
async fn a_wrong_setting_is_an_error_that_names_it() {
    let key = SecretKey::random();
    let own = start(builder_of(key.clone())).await;
    let own_enode = own.enode();
    own.stop().await;

    for (builder, field, rest) in [
        (builder().listen("localhost:0"), "listen: ", "\"localhost:0\""),
        (builder().listen(""), "listen: ", "IP:PORT"),
        (builder().max_pending(0), "max_pending: ", "at least 1"),
        (builder().dial_ratio(0), "dial_ratio: ", "at least 1"),
        (builder().message_budget(1), "message_budget: ", "at least 1048576"),
        (builder().handshake_timeout(Duration::ZERO), "handshake_timeout: ", "longer than zero"),
        (builder().redial_after(Duration::ZERO), "redial_after: ", "longer than zero"),
        (builder().protocol(named("", 1)), "protocols: ", "\"\""),
        (builder().protocol(named("a b", 1)), "protocols: ", "\"a b\""),
        (builder().protocol(named(&"x".repeat(33), 1)), "protocols: ", "32"),
        (builder().protocol(named("a", 1)).protocol(named("a", 2)), "protocols: ", "a/1"),
        (builder().protocol(named("a", u64::MAX)), "protocols: ", "overflow"),
        (builder().name("x".repeat(2_048)), "name and protocols ", "2048"),
        (builder_of(key.clone()).static_node(own_enode), "static_nodes: ", "is self"),
    ] {
        let error = error_of(builder).await;

        assert!(error.starts_with(field) && error.contains(rest), "{field}: {error}");
    }
}

#[tokio::test]
async fn too_many_trusted_nodes_or_capabilities_are_refused() {
    let mut many = builder();
    for number in 0..1_025_u16 {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        many = many.trusted_node(NodeId::new(id));
    }
    assert!(error_of(many).await.starts_with("trusted_nodes: "));

    let mut many = builder();
    for number in 0..129 {
        many = many.protocol(named(&format!("p{number}"), 1));
    }
    assert!(error_of(many).await.starts_with("name and protocols "));
}

/// A protocol whose entry does not fit into a node record.
struct Verbose;

impl Protocol for Verbose {
    fn capability(&self) -> Capability {
        Capability::new("verbose", 1)
    }

    fn length(&self) -> u64 {
        1
    }

    fn run(
        &self,
        peer: p2p_server::Peer,
        messages: p2p_server::MsgChannel,
    ) -> futures_util::future::BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin(idle(peer, messages))
    }

    fn record_entries(&self) -> Vec<(String, bytes::Bytes)> {
        vec![("verbose".into(), alloy_rlp::encode(&[7; 400][..]).into())]
    }
}

#[tokio::test]
async fn a_failed_start_leaves_nothing_behind() {
    let addr = free_addr().await;

    let error = builder().listen_on(addr).protocol(Verbose).start().await.unwrap_err();

    assert!(matches!(error, StartError::Record(_)), "{error}");
    let server = start(builder().listen_on(addr)).await;
    assert_eq!(server.listen_addr(), Some(addr));
    server.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address() {
    let first = server(idle_foo()).await;
    let addr = first.listen_addr().unwrap();

    let error = builder().listen_on(addr).start().await.unwrap_err();

    assert!(matches!(&error, StartError::Listen { addr: at, .. } if *at == addr));
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {addr}: ")), "{text}");
    let peer = BarePeer::connect(&first, &[("foo", 42)]).await;
    drop(peer);
    first.stop().await;
    start(builder().listen_on(addr)).await.stop().await;
}

#[tokio::test]
async fn a_server_tells_who_and_where_it_is() {
    let key = SecretKey::random();
    let server = start(builder_of(key.clone()).protocol(idle_foo())).await;
    let addr = server.listen_addr().unwrap();

    assert_eq!(server.id(), key.node_id());
    assert_eq!(server.enode().public_key(), &key.public_key());
    assert_eq!(server.enode().tcp_addr(), Some(addr));
    assert_eq!(server.record().unwrap().tcp_endpoint(), Some(addr));
    assert_eq!(server.node_info().ports.listener, addr.port());
    assert_ne!(addr.port(), 0);
    server.stop().await;

    let behind = ExternalIp::new([203, 0, 113, 7].into());
    let server = start(builder().nat(behind).record_seq(7)).await;
    assert_eq!(server.enode().ip(), Some([203, 0, 113, 7].into()));
    assert_eq!(server.node_info().ip.to_string(), "203.0.113.7");
    assert_eq!(server.record().unwrap().seq(), 7);
    server.set_record_entry("foo", &[0x2a]).unwrap();
    assert_eq!(server.record().unwrap().seq(), 8);
    server.stop().await;
}

#[tokio::test]
async fn a_stopped_server_answers_with_errors_and_empty_lists() {
    let server = server(idle_foo()).await;
    let other = common::server(idle_foo()).await;
    connect(&server, &other).await;
    let (id, clone) = (other.id(), server.clone());
    assert!(server.is_running());

    server.stop().await;

    assert!(!clone.is_running());
    assert_eq!((clone.peer_count(), clone.peers().len(), clone.peers_info().len()), (0, 0, 0));
    assert!(clone.peer(id).is_none());
    assert_eq!(clone.add_peer(other.enode()), Err(AddPeerError::Stopped(Stopped)));
    assert_eq!(clone.add_trusted(id), Err(AddPeerError::Stopped(Stopped)));
    assert_eq!(clone.remove_trusted(id), Err(Stopped));
    assert_eq!(clone.remove_peer(id).err(), Some(Stopped));
    assert_eq!(clone.ban(id.into(), Duration::from_secs(1)), Err(Stopped));
    assert_eq!(clone.unban(id.into()), Err(Stopped));
    assert_eq!(in_time(clone.events().next()).await, None);
    assert_eq!(in_time(clone.dial_events().next()).await, None);
    assert_eq!(clone.id(), server.id());
    assert!(!clone.node_info().enode.is_empty());
    other.stop().await;
}

#[tokio::test]
async fn the_events_of_a_stopping_server_tell_all_and_end() {
    let server = server(idle_foo()).await;
    let (mut events, mut dials) = (server.events(), server.dial_events());
    let peers = [
        BarePeer::connect(&server, &[("foo", 42)]).await,
        BarePeer::connect(&server, &[("foo", 42)]).await,
    ];
    let mut known = [added(&mut events).await, added(&mut events).await];

    server.stop().await;

    let mut gone = Vec::new();
    while let Some(event) = in_time(events.next()).await {
        let PeerEvent::Dropped { peer, error, .. } = event else { panic!("{event:?}") };
        assert_eq!(error, "client quitting");
        gone.push(peer);
    }
    known.sort();
    gone.sort();
    assert_eq!(gone, known);
    assert_eq!(in_time(dials.next()).await, None);
    drop(peers);
}

#[tokio::test]
async fn stopping_twice_or_from_many_places_is_no_trouble() {
    let server = server(idle_foo()).await;
    let mut peer = BarePeer::connect(&server, &[("foo", 42)]).await;
    let mut events = server.events();
    while server.peer_count() == 0 {
        tokio::task::yield_now().await;
    }

    let begun = Instant::now();
    let stops = (0..4).map(|_| {
        let server = server.clone();
        tokio::spawn(async move { server.stop().await })
    });
    let (_, told) = tokio::join!(in_time(join_all(stops)), peer.expect_disconnect());

    assert_eq!(told, DisconnectReason::Quitting);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    server.stop().await;
    assert_eq!(dropped(&mut events, peer.id()).await, "client quitting");
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stops_at_once_whatever_it_is_doing() {
    for _ in 0..50 {
        let server = server(idle_foo()).await;
        let other = common::server(idle_foo()).await;
        server.add_peer(other.enode()).unwrap();

        let begun = Instant::now();
        in_time(server.stop()).await;
        in_time(other.stop()).await;

        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn the_port_is_free_after_the_end() {
    let server = server(idle_foo()).await;
    let addr = server.listen_addr().unwrap();
    let peer = BarePeer::connect(&server, &[("foo", 42)]).await;

    server.stop().await;

    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    drop(peer);
    start(builder().listen_on(addr)).await.stop().await;
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_server() {
    let server = server(idle_foo()).await;
    let (mut events, mut dials) = (server.events(), server.dial_events());
    let mut peer = BarePeer::connect(&server, &[("foo", 42)]).await;
    until_added(&mut events, peer.id()).await;
    let addr = server.listen_addr().unwrap();
    let clone = server.clone();

    drop(server);
    assert!(clone.is_running());
    drop(clone);

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::Quitting);
    assert_eq!(dropped(&mut events, peer.id()).await, "client quitting");
    assert_eq!(in_time(events.next()).await, None);
    assert_eq!(in_time(dials.next()).await, None);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn no_task_is_left_after_the_end() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (one, two) = (server(foo(1, echo)).await, server(foo(1, echo)).await);
    connect(&one, &two).await;
    let peer = BarePeer::connect(&one, &[("foo", 42)]).await;
    let silent = tcp(one.listen_addr().unwrap()).await;
    assert!(tasks() > before);

    one.stop().await;
    two.stop().await;

    assert_eq!(tasks(), before);
    drop((peer, silent));
}

#[tokio::test]
async fn peers_that_stall_do_not_hold_up_the_end() {
    let floods = foo(1, |_, messages: p2p_server::MsgChannel| async move {
        loop {
            messages.send_raw(0, vec![7; 1 << 20].into()).await?;
        }
    });
    let server = server(floods).await;
    let mut events = server.events();
    // One that says nothing, one that stops within its auth, one that stops after the handshake,
    // and one that does not read.
    let silent = tcp(server.listen_addr().unwrap()).await;
    let mut half = tcp(server.listen_addr().unwrap()).await;
    tokio::io::AsyncWriteExt::write_all(&mut half, &[1, 0, 7]).await.unwrap();
    let no_hello = BarePeer::dial(&server).await;
    let no_reader = BarePeer::connect(&server, &[("foo", 42)]).await;
    until_added(&mut events, no_reader.id()).await;

    let begun = Instant::now();
    in_time(server.stop()).await;

    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop((silent, half, no_hello, no_reader));
}

#[tokio::test]
async fn a_body_that_ignores_the_end_is_aborted() {
    let deaf = foo(1, |_, _messages| async { std::future::pending().await });
    let server = server(deaf).await;
    let mut events = server.events();
    let peer = BarePeer::connect(&server, &[("foo", 42)]).await;
    until_added(&mut events, peer.id()).await;

    let begun = Instant::now();
    in_time(server.stop()).await;

    assert!(begun.elapsed() < Duration::from_millis(5_500), "{:?}", begun.elapsed());
    assert_eq!(dropped(&mut events, peer.id()).await, "client quitting");
    assert_eq!(in_time(events.next()).await, None);
}

/// A connection that is reset before anybody has accepted it.
fn reset_at_once(addr: SocketAddr) {
    let stream = std::net::TcpStream::connect(addr).unwrap();
    stream.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(stream).unwrap().set_zero_linger().unwrap();
}

#[tokio::test]
async fn a_connection_reset_before_it_is_accepted_does_not_end_the_listener() {
    let server = server(foo(1, echo)).await;

    for _ in 0..10 {
        // No await in between: the server gets to see them only when they are over.
        reset_at_once(server.listen_addr().unwrap());
        reset_at_once(server.listen_addr().unwrap());
        let mut peer = BarePeer::connect(&server, &[("foo", 42)]).await;

        peer.send(16, b"hello").await;
        assert_eq!(peer.expect(16).await, b"hello"[..]);
    }
    server.stop().await;
}

/// An address that nobody listens on.
async fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
