//! Who becomes a peer and who is told why not; which of two connections to one node stays.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::time::Duration;

use common::{
    BarePeer, added,
    bare::{DISCONNECT, HELLO, PING, PONG, disconnect},
    builder, builder_of, connect, dial_event, dropped, echo, foo, idle_foo, in_time, next, server,
    start, until_added,
};
use enode::{Enode, SecretKey};
use p2p_server::{
    AddPeerError, BanTarget, DialOutcome, DialStage, DisconnectReason, NetList, PeerEvent, Server,
};

const FOO: &[(&str, u64)] = &[("foo", 42)];
const TOO_MANY: DisconnectReason = DisconnectReason::TooManyPeers;

/// What a stranger hears before it has said hello: uncompressed, and no hello before it.
async fn refusal(server: &Server, key: SecretKey) -> DisconnectReason {
    let mut peer = BarePeer::dial_as(server, key).await;
    peer.expect_disconnect().await
}

/// A peer that was admitted.
async fn peer_of(server: &Server) -> BarePeer {
    let mut events = server.events();
    let peer = BarePeer::connect(server, FOO).await;
    until_added(&mut events, peer.id()).await;
    peer
}

#[tokio::test]
async fn without_slots_only_trusted_nodes_are_admitted() {
    let friend = SecretKey::random();
    let server =
        start(builder().max_peers(0).trusted_node(friend.node_id()).protocol(idle_foo())).await;
    let mut events = server.events();

    assert_eq!(refusal(&server, SecretKey::random()).await, TOO_MANY);
    let peer = BarePeer::connect_as(&server, friend, FOO).await;

    assert_eq!(added(&mut events).await, peer.id());
    assert!(server.peers()[0].trusted());
    server.stop().await;
}

#[tokio::test]
async fn two_servers_of_one_slot_connect_and_have_no_room_for_a_third() {
    let one = start(builder().max_peers(1).protocol(idle_foo())).await;
    let two = start(builder().max_peers(1).protocol(idle_foo())).await;

    connect(&one, &two).await;

    assert_eq!(refusal(&one, SecretKey::random()).await, TOO_MANY);
    assert_eq!(refusal(&two, SecretKey::random()).await, TOO_MANY);
    assert_eq!((one.peer_count(), two.peer_count()), (1, 1));
    assert!(one.peers()[0].is_static() && !one.peers()[0].inbound());
    assert!(!two.peers()[0].is_static() && two.peers()[0].inbound());
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn those_who_dial_us_have_their_share_of_the_slots() {
    for (max_peers, ratio, no_dial, inbound) in
        [(1, 3, false, 1), (2, 3, false, 1), (3, 3, false, 2), (6, 2, false, 3), (4, 3, true, 4)]
    {
        let server = start(
            builder().max_peers(max_peers).dial_ratio(ratio).no_dial(no_dial).protocol(idle_foo()),
        )
        .await;

        let mut peers = Vec::new();
        for _ in 0..inbound {
            peers.push(peer_of(&server).await);
        }

        assert_eq!(refusal(&server, SecretKey::random()).await, TOO_MANY, "{max_peers}");
        assert_eq!(server.peer_count(), inbound);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_slot_that_is_left_can_be_taken_again() {
    let server = start(builder().max_peers(1).protocol(idle_foo())).await;
    let mut events = server.events();

    for _ in 0..3 {
        let mut peer = BarePeer::connect(&server, FOO).await;
        until_added(&mut events, peer.id()).await;
        assert_eq!(refusal(&server, SecretKey::random()).await, TOO_MANY);
        peer.send_disconnect(DisconnectReason::Quitting).await;
        dropped(&mut events, peer.id()).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn static_peers_count_and_one_that_finds_no_room_says_so() {
    let (one, two) = (server(idle_foo()).await, server(idle_foo()).await);
    let small = start(builder().max_peers(1).protocol(idle_foo())).await;
    connect(&small, &one).await;
    let mut dials = small.dial_events();

    small.add_peer(two.enode()).unwrap();

    // Its only slot is taken, so it is not dialed at all: the peer that was there first stays.
    assert_eq!(refusal(&small, SecretKey::random()).await, TOO_MANY);
    assert_eq!(small.peer_count(), 1);
    assert_eq!(small.peers()[0].id(), one.id());
    small.remove_peer(one.id()).unwrap().await;
    dial_event(&mut dials, |event| event.node == two.id() && event.stage == DialStage::Session)
        .await;
    assert_eq!(small.peers()[0].id(), two.id());
    for server in [small, one, two] {
        server.stop().await;
    }
}

#[tokio::test]
async fn trusted_nodes_are_admitted_beyond_the_limits() {
    let friend = SecretKey::random();
    let server = start(builder().max_peers(1).protocol(idle_foo())).await;
    let _first = peer_of(&server).await;
    assert_eq!(refusal(&server, friend.clone()).await, TOO_MANY);

    server.add_trusted(friend.node_id()).unwrap();
    let mut events = server.events();
    let trusted = BarePeer::connect_as(&server, friend.clone(), FOO).await;
    until_added(&mut events, trusted.id()).await;

    assert_eq!(server.peer_count(), 2);
    assert!(server.peer(friend.node_id()).unwrap().trusted());
    server.stop().await;
}

#[tokio::test]
async fn trust_shows_on_a_connected_peer_and_taking_it_back_disconnects_nobody() {
    let server = server(foo(1, echo)).await;
    let mut peer = peer_of(&server).await;
    let handle = server.peer(peer.id()).unwrap();
    assert!(!handle.trusted());

    server.add_trusted(peer.id()).unwrap();
    assert!(handle.trusted() && server.peers_info()[0].network.trusted);
    server.remove_trusted(peer.id()).unwrap();
    assert!(!handle.trusted() && !server.peers_info()[0].network.trusted);

    peer.send(16, b"still here").await;
    assert_eq!(peer.expect(16).await, b"still here"[..]);
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_bears_our_own_id_is_told_so() {
    let key = SecretKey::random();
    let server = start(builder_of(key.clone()).protocol(idle_foo())).await;

    assert_eq!(refusal(&server, key.clone()).await, DisconnectReason::SelfConnect);
    assert_eq!(server.add_peer(server.enode()), Err(AddPeerError::Own));

    // Where there is no room, that is said first.
    server.stop().await;
    let full = start(builder_of(key.clone()).max_peers(0)).await;
    assert_eq!(refusal(&full, key).await, TOO_MANY);
    full.stop().await;
}

/// A key whose id is smaller, or larger, than that of `than`.
fn key_beside(than: &Server, smaller: bool) -> SecretKey {
    std::iter::repeat_with(SecretKey::random)
        .find(|key| (key.node_id() < than.id()) == smaller)
        .unwrap()
}

#[tokio::test]
async fn the_smaller_id_refuses_a_second_connection_and_keeps_the_first() {
    let server = start(builder().max_peers(1).protocol(foo(1, echo))).await;
    let key = key_beside(&server, false);
    let mut events = server.events();
    let mut first = BarePeer::connect_as(&server, key.clone(), FOO).await;
    until_added(&mut events, first.id()).await;

    let mut second = BarePeer::dial_as(&server, key).await;
    second.exchange_hellos(FOO).await;

    assert_eq!(second.expect_disconnect().await, DisconnectReason::AlreadyConnected);
    first.send(16, b"still here").await;
    assert_eq!(first.expect(16).await, b"still here"[..]);
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

#[tokio::test]
async fn the_larger_id_waits_and_takes_the_connection_that_is_left() {
    let server = start(builder().max_peers(1).protocol(foo(1, echo))).await;
    let key = key_beside(&server, true);
    let mut events = server.events();
    let mut first = BarePeer::connect_as(&server, key.clone(), FOO).await;
    until_added(&mut events, first.id()).await;
    let mut second = BarePeer::connect_as(&server, key.clone(), FOO).await;
    // What a protocol says on it meanwhile is not lost.
    second.send(16, b"early").await;

    let mut third = BarePeer::connect_as(&server, key, FOO).await;
    assert_eq!(third.expect_disconnect().await, DisconnectReason::AlreadyConnected);
    first.send(16, b"still the first").await;
    assert_eq!(first.expect(16).await, b"still the first"[..]);
    first.send_disconnect(DisconnectReason::AlreadyConnected).await;

    assert_eq!(second.expect(16).await, b"early"[..]);
    assert!(matches!(next(&mut events).await, PeerEvent::Dropped { .. }));
    assert_eq!(added(&mut events).await, second.id());
    assert_eq!(server.peer_count(), 1);
    second.send(PING, &[0xc0]).await;
    assert_eq!(second.expect(PONG).await, [0xc0][..]);
    server.stop().await;
}

#[tokio::test]
async fn the_larger_id_keeps_the_first_connection_when_the_second_ends() {
    let server = server(foo(1, echo)).await;
    let key = key_beside(&server, true);
    let mut events = server.events();
    let mut first = BarePeer::connect_as(&server, key.clone(), FOO).await;
    until_added(&mut events, first.id()).await;

    for payload in [disconnect(DisconnectReason::AlreadyConnected), vec![0x05]] {
        let mut second = BarePeer::connect_as(&server, key.clone(), FOO).await;
        second.send(DISCONNECT, &payload).await;
        second.expect_end().await;
    }

    first.send(16, b"still here").await;
    assert_eq!(first.expect(16).await, b"still here"[..]);
    server.stop().await;
    assert!(matches!(next(&mut events).await, PeerEvent::Dropped { .. }));
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test]
async fn an_undecided_connection_ends_with_the_server() {
    let server = server(idle_foo()).await;
    let key = key_beside(&server, true);
    let mut events = server.events();
    let first = BarePeer::connect_as(&server, key.clone(), FOO).await;
    until_added(&mut events, first.id()).await;
    let mut second = BarePeer::connect_as(&server, key, FOO).await;

    in_time(server.stop()).await;

    second.expect_end_or_reset().await;
    assert_eq!(dropped(&mut events, first.id()).await, "client quitting");
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_dial_each_other_end_with_one_connection() {
    for round in 0..200 {
        let (one, two) = (server(foo(1, echo)).await, server(foo(1, echo)).await);

        one.add_peer(two.enode()).unwrap();
        two.add_peer(one.enode()).unwrap();

        in_time(async {
            while !agree(&one, &two) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // What they agree on is where it ends: a crossing connection has its handshake behind it
        // or is told 0x05, and neither changes this any more.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        in_time(async {
            while !agree(&one, &two) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!((one.peer_count(), two.peer_count()), (1, 1), "round {round}");
        tokio::join!(one.stop(), two.stop());
    }
}

/// Whether each has the other as its peer, over the same connection.
fn agree(one: &Server, two: &Server) -> bool {
    let (at_one, at_two) = (one.peer(two.id()), two.peer(one.id()));
    match (at_one, at_two) {
        (Some(at_one), Some(at_two)) => {
            (at_one.local_addr(), at_one.remote_addr())
                == (at_two.remote_addr(), at_two.local_addr())
        }
        _ => false,
    }
}

#[tokio::test]
async fn only_the_allowed_networks_are_accepted_or_dialed() {
    let elsewhere: NetList = "10.0.0.0/8".parse().unwrap();
    let server = start(builder().net_restrict(elsewhere).protocol(idle_foo())).await;
    let mut dials = server.dial_events();

    let mut stranger = common::bare::tcp(server.listen_addr().unwrap()).await;
    let mut heard = Vec::new();
    let _ = in_time(tokio::io::AsyncReadExt::read_to_end(&mut stranger, &mut heard)).await;
    assert!(heard.is_empty(), "closed without a byte");

    let other = common::server(idle_foo()).await;
    server.add_peer(other.enode()).unwrap();
    let refused = dial_event(&mut dials, |_| true).await;
    assert_eq!(refused.stage, DialStage::Check);
    assert_eq!(refused.outcome.to_string(), "not contained in netrestrict list");
    server.stop().await;
    other.stop().await;

    let here: NetList = "127.0.0.0/8".parse().unwrap();
    let server = start(builder().net_restrict(here).protocol(idle_foo())).await;
    let peer = peer_of(&server).await;
    drop(peer);
    server.stop().await;
}

#[tokio::test]
async fn a_banned_address_is_closed_without_a_byte_and_not_dialed() {
    let server = server(idle_foo()).await;
    let mut dials = server.dial_events();
    let home: BanTarget = "127.0.0.1".parse().unwrap();
    server.ban(home, Duration::from_secs(60)).unwrap();

    let mut stranger = common::bare::tcp(server.listen_addr().unwrap()).await;
    let mut heard = Vec::new();
    let _ = in_time(tokio::io::AsyncReadExt::read_to_end(&mut stranger, &mut heard)).await;
    assert!(heard.is_empty());

    let key = SecretKey::random();
    let node = Enode::new(key.public_key(), [127, 0, 0, 1].into(), 9, 0);
    server.add_peer(node).unwrap();
    let failed = dial_event(&mut dials, |e| matches!(e.outcome, DialOutcome::Failed { .. })).await;
    assert_eq!((failed.stage, failed.outcome.to_string()), (DialStage::Check, "banned".into()));

    let (target, left) = server.bans()[0];
    assert_eq!(target, home);
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30));
    assert_eq!(server.unban(home), Ok(true));
    assert_eq!(server.unban(home), Ok(false));
    drop(peer_of(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn a_second_attempt_within_thirty_seconds_is_closed_without_a_byte() {
    let server = start(builder().throttle_lan(true).protocol(idle_foo())).await;
    let first = peer_of(&server).await;

    let mut second = common::bare::tcp(server.listen_addr().unwrap()).await;
    let mut heard = Vec::new();
    let _ = in_time(tokio::io::AsyncReadExt::read_to_end(&mut second, &mut heard)).await;

    assert!(heard.is_empty());
    assert_eq!(server.peer_count(), 1);
    drop(first);
    server.stop().await;
}

#[tokio::test]
async fn the_oldest_silent_connection_makes_room_in_a_full_pool() {
    let server = start(builder().max_pending(2).protocol(idle_foo())).await;
    // Of two places one is kept for nodes we know.
    let mut silent = common::bare::tcp(server.listen_addr().unwrap()).await;

    let newcomer = peer_of(&server).await;

    let mut heard = Vec::new();
    let _ = in_time(tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut heard)).await;
    assert!(heard.is_empty());
    drop(newcomer);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_admit_does_not_say_hello() {
    let server = start(builder().max_peers(0).protocol(idle_foo())).await;
    let mut peer = BarePeer::dial(&server).await;

    let first = peer.recv().await.unwrap();

    assert_ne!(first.code, HELLO);
    assert_eq!((first.code, &first.payload[..]), (DISCONNECT, &*disconnect(TOO_MANY)));
    server.stop().await;
}
