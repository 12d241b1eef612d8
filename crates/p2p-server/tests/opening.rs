//! Between bound and open, and between open and stopped: who is let in when.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{
    BareHello, BarePeer, added,
    bare::{HELLO, tcp},
    builder, connect, dropped, idle_foo, in_time, server, start,
};
use futures_util::future::join_all;
use p2p_server::{Capability, DisconnectReason, PeerEvent, Protocol, Server, protocol_fn};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_bound_server_has_its_address_and_lets_nobody_in() {
    let bound = builder().listen("127.0.0.1:0").protocol(idle_foo()).bind().await.unwrap();
    let server = bound.server().clone();
    let addr = server.listen_addr().unwrap();
    assert_ne!(addr.port(), 0);
    let mut events = server.events();

    // The system takes the connection, the server does not.
    let mut peer = in_time(tcp(addr)).await;
    assert!(events.try_next().is_none());
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut peer, &mut byte);
    assert!(futures_util::poll!(std::pin::pin!(read)).is_pending());

    let opened = bound.open();

    let peer = in_time(BarePeer::connect(&opened, &[("foo", 42)])).await;
    assert_eq!(added(&mut events).await, peer.id());
    opened.stop().await;
}

#[tokio::test]
async fn who_is_added_to_a_bound_server_is_dialed_once_it_is_open() {
    let other = server(idle_foo()).await;
    let bound = builder().protocol(idle_foo()).bind().await.unwrap();
    let server = bound.server().clone();
    let mut events = server.events();
    server.add_peer(other.enode()).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!((other.peer_count(), server.peer_count()), (0, 0));

    let server = bound.open();

    assert_eq!(added(&mut events).await, other.id());
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_bound_server_that_is_not_opened_is_stopped_and_its_port_free() {
    let bound = builder().listen("127.0.0.1:0").bind().await.unwrap();
    let server = bound.server().clone();
    let addr = server.listen_addr().unwrap();
    let mut events = server.events();

    drop(bound);

    assert!(!server.is_running());
    assert_eq!(in_time(events.next()).await, None);
    drop(TcpListener::bind(addr).await.unwrap());
    server.stop().await;
}

#[tokio::test]
async fn a_bound_server_that_was_stopped_does_not_open() {
    let bound = builder().listen("127.0.0.1:0").bind().await.unwrap();
    let addr = bound.server().listen_addr().unwrap();
    bound.server().stop().await;
    drop(TcpListener::bind(addr).await.unwrap());

    let server = bound.open();

    assert!(!server.is_running());
    drop(TcpListener::bind(addr).await.unwrap());
}

#[tokio::test]
async fn a_suspended_server_keeps_its_peers_and_lets_nobody_else_in() {
    let (one, two) = (server(idle_foo()).await, server(idle_foo()).await);
    let addr = two.listen_addr().unwrap();
    connect(&one, &two).await;
    // It is in its handshake.
    let mut late = in_time(tcp(addr)).await;
    let third = server(idle_foo()).await;

    two.suspend();
    two.suspend();

    let mut byte = [0];
    let end = in_time(tokio::io::AsyncReadExt::read(&mut late, &mut byte)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    two.add_peer(third.enode()).unwrap();
    in_time(async {
        // The listener is closed by a task.
        while TcpListener::bind(addr).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(two.is_running());
    assert_eq!((two.peer_count(), third.peer_count()), (1, 0));
    let mut events = two.events();
    two.stop().await;
    assert!(matches!(events.next().await, Some(PeerEvent::Dropped { .. })));
    one.stop().await;
    third.stop().await;
}

#[tokio::test]
async fn a_bound_server_that_was_suspended_opens_to_nobody() {
    let other = server(idle_foo()).await;
    let bound = builder().bind().await.unwrap();
    let addr = bound.server().listen_addr().unwrap();
    bound.server().add_peer(other.enode()).unwrap();
    bound.server().suspend();

    let server = bound.open();

    assert!(server.is_running());
    drop(TcpListener::bind(addr).await.unwrap());
    assert_eq!(other.peer_count(), 0);
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn who_is_in_its_hello_is_told_that_the_server_lets_nobody_in() {
    let server = server(idle_foo()).await;
    let mut events = server.events();
    let mut peer = BarePeer::dial(&server).await;
    in_time(peer.expect(HELLO)).await;

    server.suspend();

    assert_eq!(in_time(peer.expect_disconnect()).await, DisconnectReason::Quitting);
    assert!(server.is_running());
    server.stop().await;
    assert_eq!(in_time(events.next()).await, None);
}

/// Suspended or admitted, and nothing in between: who has asked for the peers knows them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_becomes_a_peer_after_a_suspension() {
    for _ in 0..40 {
        let server = server(idle_foo()).await;
        let guests = join_all((0..4).map(|_| BarePeer::dial(&server))).await;
        let hellos = guests.into_iter().map(|mut peer| {
            tokio::spawn(async move {
                let hello = BareHello::new(&peer.key, &[("foo", 42)]).encode();
                let hello = peer.seal(HELLO, &hello);
                // The server may have hung up.
                let _ = peer.try_send_bytes(&hello).await;
                peer
            })
        });
        let hellos: Vec<_> = hellos.collect();
        while server.peer_count() == 0 {
            tokio::task::yield_now().await;
        }

        server.suspend();

        let mut events = server.events();
        join_all(hellos).await;
        server.stop().await;
        while let Some(event) = in_time(events.next()).await {
            assert!(matches!(event, PeerEvent::Dropped { .. }), "{event:?}");
        }
    }
}

#[tokio::test]
async fn an_abort_waits_for_no_body() {
    let body = |_, _| async { std::future::pending::<Result<(), _>>().await };
    let stubborn = protocol_fn(Capability::new("foo", 42), 4, body);
    let (one, two) = (server(idle_foo()).await, server(stubborn).await);
    let mut events = one.events();
    connect(&one, &two).await;
    added(&mut events).await;
    let stop = tokio::spawn({
        let two = two.clone();
        async move { two.stop().await }
    });
    while two.is_running() {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();

    two.abort().await;

    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    in_time(stop).await.unwrap();
    dropped(&mut events, two.id()).await;
    one.stop().await;
}

/// What a protocol may hold: the server that runs it.
#[derive(Default)]
struct Holder(Mutex<Option<Server>>);

fn holding(holder: &Arc<Holder>) -> Arc<dyn Protocol> {
    let holder = Arc::clone(holder);
    Arc::new(protocol_fn(Capability::new("foo", 42), 4, move |_, mut messages| {
        let holder = Arc::clone(&holder);
        async move {
            messages.recv().await?;
            drop(holder);
            Ok(())
        }
    }))
}

#[tokio::test]
async fn a_stopped_server_lets_go_of_protocols_that_hold_it() {
    let holder = Arc::new(Holder::default());
    let weak = Arc::downgrade(&holder);
    let server = start(builder().protocols([holding(&holder)])).await;
    *holder.0.lock().unwrap() = Some(server.clone());
    drop(holder);
    assert!(weak.upgrade().is_some());

    server.stop().await;

    assert!(weak.upgrade().is_none());
    assert!(server.node_info().protocols.is_empty());
}

#[tokio::test]
async fn a_server_that_is_shut_down_lets_go_when_its_tasks_have_ended() {
    let other = server(idle_foo()).await;
    let holder = Arc::new(Holder::default());
    let weak = Arc::downgrade(&holder);
    let server = start(builder().listen("127.0.0.1:0").protocols([holding(&holder)])).await;
    connect(&server, &other).await;
    *holder.0.lock().unwrap() = Some(server.clone());
    drop(holder);
    let mut events = other.events();

    let (mut own_events, id) = (server.events(), server.id());

    server.shut_down();

    // Some have a handle and wait for the end: it comes although nobody stops the server.
    while in_time(own_events.next()).await.is_some() {}
    drop(server);
    dropped(&mut events, id).await;
    in_time(async {
        while weak.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    other.stop().await;
}
