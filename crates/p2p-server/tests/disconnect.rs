//! How connections end: what each cause tells the peer, what is reported here, and what still gets
//! through at the end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    BareHello, BarePeer,
    bare::{DISCONNECT, HELLO, PING, PONG},
    builder, connect, dropped, echo, foo, idle, idle_foo, in_time, server, start, until_added,
};
use p2p_server::{
    Capability, ChannelClosed, DisconnectReason, MsgChannel, Peer, PeerEvents, ProtocolError,
    SendError, Server, protocol_fn,
};
use tokio::sync::{Notify, mpsc};

const FOO: &[(&str, u64)] = &[("foo", 42)];

/// A peer of a server, and the server's events from its arrival on.
async fn peer_of(server: &Server) -> (BarePeer, PeerEvents) {
    let mut events = server.events();
    let peer = BarePeer::connect(server, FOO).await;
    until_added(&mut events, peer.id()).await;
    (peer, events)
}

/// What a peer is told, and what is reported, when the body ends like this.
async fn ending_of<F, R>(body: F) -> (DisconnectReason, String)
where
    F: Fn(Peer, MsgChannel) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    let server = server(foo(4, body)).await;
    let (mut peer, mut events) = peer_of(&server).await;
    // For bodies that wait for a message: a list, where they want a number.
    peer.send(16, &[0xc0]).await;

    let told = peer.expect_disconnect().await;
    let reported = dropped(&mut events, peer.id()).await;

    assert_eq!(server.peer_count(), 0);
    server.stop().await;
    (told, reported)
}

#[tokio::test]
async fn a_body_that_is_done_quits() {
    let ending = ending_of(|_, _| async { Ok(()) }).await;

    assert_eq!(ending, (DisconnectReason::Quitting, "protocol returned".into()));
}

#[tokio::test]
async fn a_body_that_names_a_reason_has_it_sent() {
    for reason in [DisconnectReason::UselessPeer, DisconnectReason::Unknown(0x42)] {
        let ending = ending_of(move |_, _| async move { Err(reason.into()) }).await;

        assert_eq!(ending, (reason, reason.to_string()));
    }
}

#[tokio::test]
async fn a_message_that_a_body_cannot_read_is_a_breach() {
    let undecodable = ending_of(|_, mut messages| async move {
        messages.recv().await?.decode::<u64>()?;
        Ok(())
    })
    .await;
    let unknown = ending_of(|_, _| async { Err(ProtocolError::InvalidCode { code: 3 }) }).await;

    assert_eq!(undecodable.0, DisconnectReason::ProtocolError);
    let text = undecodable.1;
    assert!(text.starts_with("invalid message: (code 0) (size 1) "), "{text}");
    assert_eq!(unknown.0, DisconnectReason::ProtocolError);
    assert_eq!(unknown.1, "invalid message code: 3");
}

#[tokio::test]
async fn any_other_error_of_a_body_is_a_subprotocol_error() {
    let own = ending_of(|_, _| async { Err(ProtocolError::other("out of paper")) }).await;
    assert_eq!(own, (DisconnectReason::SubprotocolError, "out of paper".into()));

    let send = ending_of(|_, messages| async move {
        messages.send(4, &1_u64).await?;
        Ok(())
    })
    .await;
    let text = "invalid message code: not handled";
    assert_eq!(send, (DisconnectReason::SubprotocolError, text.into()));

    let expect = ending_of(|_, mut messages| async move {
        messages.expect_msg(1, Some(&1_u64)).await?;
        Ok(())
    })
    .await;
    let text = "message code mismatch: got 0, expected 1";
    assert_eq!(expect, (DisconnectReason::SubprotocolError, text.into()));
}

#[tokio::test]
async fn a_body_that_panics_ends_its_peer_and_nobody_else() {
    let server = server(foo(4, |_, mut messages: MsgChannel| async move {
        while let Ok(message) = messages.recv().await {
            assert_ne!(message.code, 3, "told to");
            messages.send_raw(message.code, message.payload).await?;
        }
        Ok(())
    }))
    .await;
    let (mut bystander, _) = peer_of(&server).await;
    let (mut victim, mut events) = peer_of(&server).await;

    victim.send(19, &[0xc0]).await;

    assert_eq!(victim.expect_disconnect().await, DisconnectReason::SubprotocolError);
    assert_eq!(dropped(&mut events, victim.id()).await, "protocol foo/42 panicked");
    bystander.send(16, b"still here").await;
    assert_eq!(bystander.expect(16).await, b"still here"[..]);
    let (mut newcomer, _) = peer_of(&server).await;
    newcomer.send(16, b"welcome").await;
    assert_eq!(newcomer.expect(16).await, b"welcome"[..]);
    server.stop().await;
}

#[tokio::test]
async fn the_first_reason_of_a_local_disconnect_is_sent_and_reported() {
    let server = server(idle_foo()).await;
    let (mut peer, mut events) = peer_of(&server).await;

    let handle = server.peer(peer.id()).unwrap();
    handle.disconnect(DisconnectReason::UselessPeer);
    handle.disconnect(DisconnectReason::TooManyPeers);

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::UselessPeer);
    assert_eq!(dropped(&mut events, peer.id()).await, "useless peer");
    server.stop().await;
}

#[tokio::test]
async fn a_body_may_disconnect_its_own_peer() {
    let ending = ending_of(|peer: Peer, messages| async move {
        peer.disconnect(DisconnectReason::IncompatibleVersion);
        idle(peer, messages).await
    })
    .await;

    let text = "incompatible p2p protocol version";
    assert_eq!(ending, (DisconnectReason::IncompatibleVersion, text.into()));
}

#[tokio::test]
async fn a_removed_peer_is_told_and_gone_when_the_future_resolves() {
    let server = server(idle_foo()).await;
    let (mut peer, mut events) = peer_of(&server).await;

    in_time(server.remove_peer(peer.id()).unwrap()).await;

    assert_eq!(server.peer(peer.id()).map(|peer| peer.id()), None);
    assert_eq!(peer.expect_disconnect().await, DisconnectReason::Requested);
    assert_eq!(dropped(&mut events, peer.id()).await, "disconnect requested");
    // Nobody there: nothing to wait for.
    in_time(server.remove_peer(peer.id()).unwrap()).await;
    server.stop().await;
}

#[tokio::test]
async fn removing_takes_effect_even_if_nobody_waits_for_it() {
    let server = server(idle_foo()).await;
    let (mut peer, _) = peer_of(&server).await;

    drop(server.remove_peer(peer.id()).unwrap());

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::Requested);
    server.stop().await;
}

#[tokio::test]
async fn a_removed_peer_may_come_back() {
    let server = server(idle_foo()).await;
    let (peer, _) = peer_of(&server).await;
    in_time(server.remove_peer(peer.id()).unwrap()).await;

    let mut events = server.events();
    let again = BarePeer::connect_as(&server, peer.key.clone(), FOO).await;

    until_added(&mut events, again.id()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_banned_peer_is_told_and_not_let_in_again() {
    let server = server(idle_foo()).await;
    let (mut peer, mut events) = peer_of(&server).await;

    server.ban(peer.id().into(), Duration::from_secs(600)).unwrap();

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::Requested);
    assert_eq!(dropped(&mut events, peer.id()).await, "disconnect requested");
    let mut again = BarePeer::dial_as(&server, peer.key.clone()).await;
    assert_eq!(again.expect_disconnect().await, DisconnectReason::Requested);
    assert_eq!(server.bans().len(), 1);
    assert_eq!(server.unban(peer.id().into()), Ok(true));
    let _ = BarePeer::connect_as(&server, peer.key.clone(), FOO).await;
    until_added(&mut events, peer.id()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_says_that_it_quits() {
    let server = server(idle_foo()).await;
    let (mut peer, mut events) = peer_of(&server).await;

    server.stop().await;

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::Quitting);
    assert_eq!(dropped(&mut events, peer.id()).await, "client quitting");
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test]
async fn a_frame_that_breaks_a_rule_is_answered_with_a_breach() {
    type Act = fn(&mut BarePeer) -> futures_util::future::BoxFuture<'_, ()>;
    let cases: [(&str, Act, &str); 7] = [
        ("a code of nobody", |p| Box::pin(p.send(20, &[0xc0])), "msg code out of range: 20"),
        ("a huge code", |p| Box::pin(p.send(u64::MAX, &[])), "msg code out of range: 184467"),
        ("no code", |p| Box::pin(p.send_frame(&[0xc2, 0x80, 0x80], &[])), ""),
        ("a padded code", |p| Box::pin(p.send_frame(&[], &[0x81, 0x10, 0])), ""),
        ("a list as code", |p| Box::pin(p.send_frame(&[], &[0xc1, 0x10, 0])), ""),
        ("corrupt compression", |p| Box::pin(p.send_body(16, &[0x05, 0xff, 0xff])), ""),
        ("nothing to decompress", |p| Box::pin(p.send_body(16, &[])), ""),
    ];
    for (name, act, text) in cases {
        let server = server(idle_foo()).await;
        let (mut peer, mut events) = peer_of(&server).await;

        act(&mut peer).await;

        assert_eq!(peer.expect_disconnect().await, DisconnectReason::ProtocolError, "{name}");
        let error = dropped(&mut events, peer.id()).await;
        assert!(error.starts_with(text), "{name}: {error}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_message_that_claims_16_mib_or_more_is_a_breach() {
    for claimed in [&[0x80, 0x80, 0x80, 0x08][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        let server = server(idle_foo()).await;
        let (mut peer, _) = peer_of(&server).await;

        peer.send_body(16, &[claimed, &[0; 8]].concat()).await;

        assert_eq!(peer.expect_disconnect().await, DisconnectReason::ProtocolError);
        server.stop().await;
    }
}

#[tokio::test]
async fn bytes_that_are_not_from_this_connection_end_it_without_a_word() {
    for (spoilt, text) in [(0, "bad header MAC"), (20, "bad header MAC"), (40, "bad frame MAC")] {
        let server = server(idle_foo()).await;
        let (mut peer, mut events) = peer_of(&server).await;

        let mut frame = peer.seal(16, b"hello");
        frame[spoilt] ^= 0x80;
        peer.send_bytes(&frame).await;

        peer.expect_end_or_reset().await;
        assert_eq!(dropped(&mut events, peer.id()).await, text);
        server.stop().await;
    }
}

#[tokio::test]
async fn base_codes_without_a_meaning_and_a_second_hello_are_passed_over() {
    let server = server(foo(1, echo)).await;
    let (mut peer, _) = peer_of(&server).await;

    let hello = BareHello::new(&peer.key, &[("foo", 42), ("bar", 1)]).encode();
    peer.send(HELLO, &hello).await;
    for code in 4..16 {
        peer.send(code, b"whatever").await;
    }
    peer.send(PONG, &[0xc0]).await;
    peer.send(PING, &[0xc0]).await;
    assert_eq!(peer.expect(PONG).await, [0xc0][..]);
    peer.send(16, b"still here").await;

    assert_eq!(peer.expect(16).await, b"still here"[..]);
    assert_eq!(server.peers()[0].capabilities(), [Capability::new("foo", 42)]);
    server.stop().await;
}

#[tokio::test]
async fn the_reason_of_the_peer_is_reported_and_not_answered() {
    for (payload, text) in [
        (vec![0xc1, 0x80], "disconnect requested"),
        (vec![0xc1, 0x04], "too many peers"),
        (vec![0x04], "too many peers"),
        (vec![0x00], "disconnect requested"),
        (vec![0xc1, 0x08], "client quitting"),
        (vec![0xc1, 0x10], "subprotocol error"),
        (vec![0xc2, 0x81, 0xc8], "unknown disconnect reason 200"),
        (vec![0xc0], "invalid disconnect reason"),
        (vec![0xc3, 0x82, 0x01, 0x00], "invalid disconnect reason"),
    ] {
        for compressed in [true, false] {
            let server = server(idle_foo()).await;
            let (mut peer, mut events) = peer_of(&server).await;

            // ethereumjs never compresses it.
            peer.snappy = compressed;
            peer.send(DISCONNECT, &payload).await;

            peer.expect_end().await;
            assert_eq!(dropped(&mut events, peer.id()).await, text, "{payload:02x?}");
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_just_ends_is_reported_as_ended() {
    let server = server(idle_foo()).await;
    let (peer, mut events) = peer_of(&server).await;
    let id = peer.id();

    drop(peer);

    assert_eq!(dropped(&mut events, id).await, "EOF");
    server.stop().await;
}

#[tokio::test]
async fn between_two_servers_each_reports_what_the_other_said() {
    let (one, two) = (server(idle_foo()).await, server(idle_foo()).await);
    let (mut at_one, mut at_two) = (one.events(), two.events());
    connect(&one, &two).await;

    one.peer(two.id()).unwrap().disconnect(DisconnectReason::UselessPeer);

    assert_eq!(dropped(&mut at_one, two.id()).await, "useless peer");
    assert_eq!(dropped(&mut at_two, one.id()).await, "useless peer");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives_before_the_reason() {
    // More than fits into one write, and less than the queue holds.
    let say_much = |messages: MsgChannel| async move {
        for number in 0..200_u64 {
            messages.send(number % 4, &vec![number; 500]).await?;
        }
        Ok::<_, ProtocolError>(messages)
    };
    let returns = foo(4, move |_, messages| async move { say_much(messages).await.map(drop) });
    let fails = foo(4, move |_, messages| async move {
        say_much(messages).await?;
        Err(ProtocolError::other("enough"))
    });
    let is_cut_off = foo(4, move |peer: Peer, messages| async move {
        let messages = say_much(messages).await?;
        peer.disconnect(DisconnectReason::Requested);
        idle(peer, messages).await
    });
    for (server, reason) in [
        (server(returns).await, DisconnectReason::Quitting),
        (server(fails).await, DisconnectReason::SubprotocolError),
        (server(is_cut_off).await, DisconnectReason::Requested),
    ] {
        let mut peer = BarePeer::connect(&server, FOO).await;

        for number in 0..200_u64 {
            let payload = peer.expect(16 + number % 4).await;
            assert_eq!(payload, alloy_rlp::encode(vec![number; 500]));
        }

        assert_eq!(peer.expect_disconnect().await, reason);
        server.stop().await;
    }
}

/// A body that reads only once its connection has ended, and tells what it found.
fn reads_late(
    found: mpsc::Sender<(Vec<u64>, Result<(), SendError>)>,
) -> impl Fn(Peer, MsgChannel) -> futures_util::future::BoxFuture<'static, Result<(), ProtocolError>>
+ Clone {
    move |_, mut messages| {
        let found = found.clone();
        Box::pin(async move {
            let sender = messages.sender();
            while !sender.is_closed() {
                tokio::task::yield_now().await;
            }
            let mut numbers = Vec::new();
            while let Ok(message) = messages.recv().await {
                numbers.push(message.decode::<u64>()?);
            }
            assert_eq!(messages.recv().await, Err(ChannelClosed));
            let late = sender.send(0, &1_u64).await;
            found.send((numbers, late)).await.unwrap();
            Err(ProtocolError::other("comes too late to be the reason"))
        })
    }
}

#[tokio::test]
async fn a_body_still_reads_what_came_before_the_disconnect_and_then_the_end() {
    let (found, mut results) = mpsc::channel(1);
    let server = server(foo(4, reads_late(found))).await;
    let (mut peer, mut events) = peer_of(&server).await;

    let mut bytes = Vec::new();
    for number in 0..100_u64 {
        bytes.extend(peer.seal(16 + number % 4, &alloy_rlp::encode(number)));
    }
    bytes.extend(peer.seal(DISCONNECT, &[0xc1, 0x0b]));
    bytes.extend(peer.seal(16, &alloy_rlp::encode(100_u64)));
    peer.send_bytes(&bytes).await;

    let (numbers, late) = in_time(results.recv()).await.unwrap();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert_eq!(late, Err(SendError::Closed));
    assert_eq!(dropped(&mut events, peer.id()).await, "read timeout");
    server.stop().await;
}

#[tokio::test]
async fn a_body_still_reads_what_came_before_the_connection_ended() {
    let (found, mut results) = mpsc::channel(1);
    let server = server(foo(4, reads_late(found))).await;
    let (mut peer, mut events) = peer_of(&server).await;
    let id = peer.id();

    for number in 0..100_u64 {
        peer.send_value(16, number).await;
    }
    drop(peer);

    let (numbers, _) = in_time(results.recv()).await.unwrap();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert_eq!(dropped(&mut events, id).await, "EOF");
    server.stop().await;
}

#[tokio::test]
async fn the_peers_last_words_count_more_than_the_broken_pipe_behind_them() {
    let talks = || {
        foo(4, |_, messages: MsgChannel| async move {
            loop {
                messages.send_raw(0, vec![7; 100_000].into()).await?;
            }
        })
    };
    for round in 0..30 {
        let server = server(talks()).await;
        let (mut peer, mut events) = peer_of(&server).await;
        peer.expect(16).await;

        // Unread messages wait at our end, so closing it resets the connection.
        peer.send_disconnect(DisconnectReason::TooManyPeers).await;
        let id = peer.id();
        drop(peer);

        assert_eq!(dropped(&mut events, id).await, "too many peers", "round {round}");
        server.stop().await;
    }
}

#[tokio::test]
async fn when_one_protocol_ends_the_others_on_the_connection_end_too() {
    let (ended, mut ends) = mpsc::channel(1);
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let first = protocol_fn(Capability::new("aaa", 1), 1, move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Err(DisconnectReason::UselessPeer.into())
        }
    });
    let second = protocol_fn(Capability::new("bbb", 1), 1, move |_, mut messages: MsgChannel| {
        let ended = ended.clone();
        async move {
            let end = messages.recv().await;
            ended.send(end).await.unwrap();
            Ok(())
        }
    });
    let server = start(builder().protocol(first).protocol(second)).await;
    let mut events = server.events();
    let mut peer = BarePeer::connect(&server, &[("aaa", 1), ("bbb", 1)]).await;
    until_added(&mut events, peer.id()).await;

    go.notify_one();

    assert_eq!(peer.expect_disconnect().await, DisconnectReason::UselessPeer);
    assert_eq!(in_time(ends.recv()).await, Some(Err(ChannelClosed)));
    assert_eq!(dropped(&mut events, peer.id()).await, "useless peer");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_both_sides_hang_up_at_once_both_end_with_a_reason() {
    let (one, two) = (start(builder().protocol(idle_foo())).await, server(idle_foo()).await);
    let (mut at_one, mut at_two) = (one.events(), two.events());
    for round in 0..100 {
        let mut peer = BarePeer::connect(&one, FOO).await;
        until_added(&mut at_one, peer.id()).await;
        let handle = one.peer(peer.id()).unwrap();

        let local = tokio::spawn(async move { handle.disconnect(DisconnectReason::Requested) });
        peer.send_disconnect(DisconnectReason::Quitting).await;
        local.await.unwrap();

        let error = dropped(&mut at_one, peer.id()).await;
        assert!(["disconnect requested", "client quitting"].contains(&&*error), "{round}: {error}");
    }
    one.stop().await;
    two.stop().await;
    assert_eq!(in_time(at_one.next()).await, None);
    assert_eq!(in_time(at_two.next()).await, None);
}
