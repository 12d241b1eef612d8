//! Two servers over real sockets: connecting, agreeing on protocols, talking.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::Bytes;
use common::{
    BareHello, BarePeer,
    bare::{DISCONNECT, HELLO, PING, PONG},
    builder, connect, echo, foo, idle, idle_foo, in_time, next, server, start, until_added,
};
use enode::SecretKey;
use p2p_server::{
    Capability, DisconnectReason, MsgChannel, Peer, PeerEvent, Protocol, ProtocolError, protocol_fn,
};
use tokio::sync::mpsc;

fn foobar() -> impl Protocol {
    foo(1, |_, mut messages| async move {
        messages.send(0, &"foobar").await?;
        let reply = messages.recv().await?;
        assert_eq!(reply.decode::<String>()?, "foobar");
        Ok(())
    })
}

#[tokio::test]
async fn both_sides_see_add_message_sent_message_received_drop_in_this_order() {
    let one = start(builder().max_peers(1).message_events(true).protocol(foobar())).await;
    let two = start(builder().max_peers(1).message_events(true).protocol(foobar())).await;
    let (mut at_one, mut at_two) = (one.events(), two.events());

    one.add_peer(two.enode()).unwrap();

    for (events, other) in [(&mut at_one, two.id()), (&mut at_two, one.id())] {
        assert!(matches!(next(events).await, PeerEvent::Added { peer, .. } if peer == other));
        assert!(matches!(next(events).await, PeerEvent::MessageSent(m) if m.size == 7));
        assert!(matches!(next(events).await, PeerEvent::MessageReceived(m) if m.size == 7));
        let dropped = next(events).await;
        let PeerEvent::Dropped { error, .. } = &dropped else { panic!("{dropped:?}") };
        assert!(["protocol returned", "client quitting"].contains(&error.as_str()), "{error}");
    }
    one.stop().await;
    two.stop().await;
}

/// Sends its part of 600 messages while the other sends its own, more than any queue holds.
async fn count_both_ways(_: Peer, messages: MsgChannel) -> Result<(), ProtocolError> {
    let (sender, mut receiver) = messages.split();
    let sending = async {
        for number in 0..600_u64 {
            sender.send(number % 4, &number).await?;
        }
        Ok::<(), ProtocolError>(())
    };
    let receiving = async {
        for number in 0..600_u64 {
            let message = receiver.recv().await?;
            assert_eq!((message.code, message.decode::<u64>()?), (number % 4, number));
        }
        Ok(())
    };
    tokio::try_join!(sending, receiving)?;
    sender.flush().await?;
    // The one who is first must not cut the other short.
    while receiver.recv().await.is_ok() {}
    Ok(())
}

#[tokio::test]
async fn both_sides_talk_at_once_and_every_message_arrives_in_order() {
    let (done, mut finished) = mpsc::channel(2);
    let talk = move |peer: Peer, messages: MsgChannel| {
        let done = done.clone();
        async move {
            let sender = messages.sender();
            let result = count_both_ways(peer, messages).await;
            drop(sender);
            done.send(result.is_ok()).await.unwrap();
            result
        }
    };
    let (one, two) = (server(foo(4, talk.clone())).await, server(foo(4, talk)).await);
    connect(&one, &two).await;
    let all_counted = async {
        let peer = one.peer(two.id()).unwrap();
        let foo = Capability::new("foo", 42);
        loop {
            let stats = peer.stats();
            let sum = |(inbound, outbound), code| {
                let counted: (u64, u64) = stats.messages.get(&(foo.clone(), code)).copied()?;
                Some((inbound + counted.0, outbound + counted.1))
            };
            if (0..4).try_fold((0, 0), sum) == Some((600, 600)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };

    in_time(all_counted).await;
    one.stop().await;

    assert!(in_time(finished.recv()).await.unwrap());
    assert!(in_time(finished.recv()).await.unwrap());
    two.stop().await;
}

#[tokio::test]
async fn codes_are_laid_out_alphabetically_and_the_one_behind_the_last_is_a_breach() {
    let protocol =
        |name: &str, version, length| protocol_fn(Capability::new(name, version), length, echo);
    let server = start(
        builder()
            .protocol(protocol("ccc", 7, 2))
            .protocol(protocol("aaa", 1, 1))
            .protocol(protocol("not-shared", 1, 100))
            .protocol(protocol("bbb", 1, 3)),
    )
    .await;
    let mut peer = BarePeer::connect(&server, &[("bbb", 1), ("ccc", 7), ("aaa", 1)]).await;

    for code in [16, 17, 19, 20, 21] {
        peer.send_value(code, code).await;
        assert_eq!(peer.expect(code).await, alloy_rlp::encode(code));
    }
    peer.send(22, &[0xc0]).await;

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::ProtocolError);
    server.stop().await;
}

#[tokio::test]
async fn two_servers_agree_on_offsets_whatever_the_order_of_registration() {
    let (said, mut heard) = mpsc::channel(4);
    let protocol = |name: &'static str, length| {
        let said = said.clone();
        protocol_fn(Capability::new(name, 1), length, move |peer, mut messages: MsgChannel| {
            let said = said.clone();
            async move {
                messages.send(length - 1, &format!("{name} speaking")).await?;
                let message = messages.recv().await?;
                let text = message.decode::<String>()?;
                said.send((name, peer.inbound(), message.code, text)).await.unwrap();
                idle(peer, messages).await
            }
        })
    };
    let one = start(builder().protocol(protocol("b", 3)).protocol(protocol("a", 5))).await;
    let two = start(builder().protocol(protocol("a", 5)).protocol(protocol("b", 3))).await;

    connect(&one, &two).await;

    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(in_time(heard.recv()).await.unwrap());
    }
    all.sort();
    let line = |name, inbound, code| (name, inbound, code, format!("{name} speaking"));
    let want = [line("a", false, 4), line("a", true, 4), line("b", false, 2), line("b", true, 2)];
    assert_eq!(all, want);
    assert_eq!(one.peers()[0].running(), [Capability::new("a", 1), Capability::new("b", 1)]);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn the_highest_shared_version_of_a_protocol_runs_and_no_other() {
    let (started, mut versions) = mpsc::channel(8);
    let protocol = |version, length| {
        let started = started.clone();
        protocol_fn(Capability::new("foo", version), length, move |peer, messages| {
            let started = started.clone();
            async move {
                started.send(version).await.unwrap();
                echo(peer, messages).await
            }
        })
    };
    let server =
        start(builder().protocol(protocol(1, 1)).protocol(protocol(3, 3)).protocol(protocol(2, 2)))
            .await;

    let mut peer = BarePeer::connect(&server, &[("foo", 2), ("foo", 1), ("foo", 9)]).await;

    assert_eq!(in_time(versions.recv()).await, Some(2));
    peer.send_value(17, 7_u64).await;
    assert_eq!(peer.expect(17).await, [7][..]);
    assert_eq!(server.peers()[0].running(), [Capability::new("foo", 2)]);
    assert!(server.peers()[0].is_running("foo", &[1, 2]));
    assert!(!server.peers()[0].is_running("foo", &[1, 3]));
    server.stop().await;
    drop((server, started));
    assert_eq!(in_time(versions.recv()).await, None);
}

#[tokio::test]
async fn who_shares_no_capability_is_a_useless_peer() {
    let server = server(idle_foo()).await;
    let mut events = server.events();

    for capabilities in [&[][..], &[("foo", 41)], &[("foo", 43), ("fooo", 42), ("FOO", 42)]] {
        let mut peer = BarePeer::connect(&server, capabilities).await;

        assert_eq!(peer.expect_disconnect().await, DisconnectReason::UselessPeer);
    }

    assert_eq!(server.peer_count(), 0);
    server.stop().await;
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test]
async fn a_server_without_protocols_accepts_everyone() {
    let server = start(builder()).await;
    let mut events = server.events();
    let mut connected = Vec::new();

    for capabilities in [&[][..], &[("foo", 42), ("bar", 1)]] {
        let mut peer = BarePeer::connect(&server, capabilities).await;

        until_added(&mut events, peer.id()).await;
        let info = server.peer(peer.id()).unwrap();
        assert_eq!(info.capabilities().len(), capabilities.len());
        assert_eq!(info.running(), []);
        peer.send(PING, &[0xc0]).await;
        assert_eq!(peer.expect(PONG).await, [0xc0][..]);
        connected.push(peer);
    }

    assert_eq!(server.peer_count(), 2);
    server.stop().await;
}

#[tokio::test]
async fn our_hello_is_version_5_with_sorted_capabilities_and_port_0() {
    let key = SecretKey::random();
    let protocol = |name: &str, version| protocol_fn(Capability::new(name, version), 1, idle);
    let server = start(
        common::builder_of(key.clone())
            .protocol(protocol("foo", 42))
            .protocol(protocol("bar", 10))
            .protocol(protocol("bar", 9)),
    )
    .await;
    let mut peer = BarePeer::dial(&server).await;

    let hello = peer.exchange_hellos(&[("bar", 9)]).await;

    let mut want = BareHello::new(&key, &[("bar", 9), ("bar", 10), ("foo", 42)]);
    want.client = b"test/v1".to_vec();
    assert_eq!(hello.payload, want.encode());
    server.stop().await;
}

#[tokio::test]
async fn a_peer_of_version_4_is_talked_to_without_compression() {
    let server = server(foo(1, echo)).await;
    let mut peer = BarePeer::dial(&server).await;
    let hello = BareHello { version: 4, ..BareHello::new(&peer.key, &[("foo", 42)]) };
    peer.send(HELLO, &hello.encode()).await;
    peer.expect(HELLO).await;

    peer.send(16, b"in clear, in clear, in clear").await;
    peer.send(PING, &[0xc0]).await;

    let mut answers = [peer.recv().await.unwrap(), peer.recv().await.unwrap()];
    answers.sort_by_key(|message| message.code);
    assert_eq!((answers[0].code, &answers[0].payload[..]), (PONG, &[0xc0][..]));
    assert_eq!(answers[1].payload, b"in clear, in clear, in clear"[..]);
    server.stop().await;
    assert_eq!(peer.expect(DISCONNECT).await, Bytes::from_static(&[0xc1, 8]));
}

#[tokio::test]
async fn a_hello_of_the_future_is_understood() {
    let server = server(foo(1, echo)).await;
    let mut peer = BarePeer::dial(&server).await;
    let mut hello = BareHello::new(&peer.key, &[("foo", 42), ("foo", 43), ("future", 1 << 40)]);
    hello.version = 1_000;
    hello.extra = alloy_rlp::encode("and more");
    peer.send(HELLO, &hello.encode()).await;
    peer.expect(HELLO).await;
    peer.snappy = true;

    peer.send(16, b"hello").await;

    assert_eq!(peer.expect(16).await, b"hello"[..]);
    server.stop().await;
}
