//! Strangers whose first message is wrong: what they are told, and what is reported.
//!
//! Rows 2 and 3 of the checklist for RLPx and the base protocol, from both sides: a stranger that
//! connects to us, and a node that we dialed.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{
    BareHello, BarePeer,
    bare::{DISCONNECT, HELLO, PING, disconnect, list, listener},
    builder, dial_event, idle_foo, in_time, server, start,
};
use enode::SecretKey;
use p2p_server::{DialOutcome, DialStage, DisconnectReason, Server};
use tokio::io::AsyncWriteExt as _;

/// What a stranger hears in answer to its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// A disconnect, compressed or not, then the end.
    Told(DisconnectReason),
    /// The end and nothing else.
    Nothing,
}

/// Connects, says this and returns the answer. The server's own hello always comes first.
async fn answer_to(server: &Server, compressed: bool, code: u64, payload: Vec<u8>) -> Answer {
    answer_to_peer(BarePeer::dial(server).await, compressed, code, payload).await
}

/// The answer to a hello that is right but for one change.
async fn answer_to_hello(server: &Server, change: impl FnOnce(&mut BareHello)) -> Answer {
    let peer = BarePeer::dial(server).await;
    let mut hello = BareHello::new(&peer.key, &[("foo", 42)]);
    change(&mut hello);
    answer_to_peer(peer, hello.version >= 5, HELLO, hello.encode()).await
}

async fn answer_to_peer(
    mut peer: BarePeer,
    compressed: bool,
    code: u64,
    payload: Vec<u8>,
) -> Answer {
    peer.send(code, &payload).await;
    peer.expect(HELLO).await;
    let Ok(Some(frame)) = peer.recv_frame().await else { return Answer::Nothing };
    assert_eq!(frame.body.len(), if compressed { 4 } else { 2 }, "{:02x?}", &frame.body[..]);
    let message = frame.into_message(compressed, 100).unwrap();
    let reason = DisconnectReason::from_code(message.payload[1]);
    assert_eq!((message.code, &message.payload[..]), (DISCONNECT, &*disconnect(reason)));
    peer.expect_end().await;
    Answer::Told(reason)
}

#[tokio::test]
async fn malicious_hellos_are_refused_and_others_are_served_as_before() {
    let server = server(idle_foo()).await;
    let told = Answer::Told;
    let name_of = |size| move |hello: &mut BareHello| hello.capabilities[0].0 = vec![b'a'; size];
    let id_of = |size| move |hello: &mut BareHello| hello.id = vec![7; size];

    // Over 2,048 bytes nothing is read and nothing is said.
    assert_eq!(answer_to_hello(&server, name_of(2_048)).await, Answer::Nothing);
    assert_eq!(answer_to_hello(&server, id_of(2_048)).await, Answer::Nothing);
    let both = |hello: &mut BareHello| {
        name_of(2_048)(hello);
        id_of(2_048)(hello);
    };
    assert_eq!(answer_to_hello(&server, both).await, Answer::Nothing);
    let invalid = told(DisconnectReason::InvalidIdentity);
    for size in [0, 63, 65, 128, 1_024] {
        assert_eq!(answer_to_hello(&server, id_of(size)).await, invalid, "{size}");
    }

    assert_eq!(server.peer_count(), 0);
    let peer = BarePeer::connect(&server, &[("foo", 42)]).await;
    drop(peer);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_first_message_is_answered_with_the_reason() {
    let server = server(idle_foo()).await;
    let breach = Answer::Told(DisconnectReason::ProtocolError);

    for (code, payload, compressed) in [
        (PING, vec![0xc0], false),
        (3, vec![0xc0], false),
        (16, vec![0xc0], false),
        (HELLO, vec![], false),
        (HELLO, vec![0xc0], false),
        (HELLO, vec![0x83, 1, 2, 3], false),
        (HELLO, list(&[4, 0x80, 0x80, 0x80, 0x80]), false),
        // It has said enough to know what it reads.
        (HELLO, list(&[5, 0x80, 0x80, 0x80, 0x80]), true),
        (HELLO, list(&[5, 0x80]), true),
    ] {
        let answer = answer_to(&server, compressed, code, payload.clone()).await;

        assert_eq!(answer, breach, "{code}: {payload:02x?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_first_message_over_2048_bytes_is_not_answered() {
    let server = server(idle_foo()).await;

    for size in [2_049, 2_056, 2_057, 3_000, 100_000, 16_000_000] {
        // The server closes while we write, so the end may come as a reset.
        let mut peer = BarePeer::dial(&server).await;
        let frame = peer.seal(HELLO, &vec![0; size]);
        let _ = peer.try_send_bytes(&frame).await;
        if let Ok(Some(frame)) = peer.recv_frame().await {
            assert_eq!(frame.code, HELLO);
            peer.expect_end_or_reset().await;
        }
    }

    let fits = answer_to(&server, false, HELLO, vec![0xc0; 2_048]).await;
    assert_eq!(fits, Answer::Told(DisconnectReason::ProtocolError));
    server.stop().await;
}

#[tokio::test]
async fn a_refused_hello_is_answered_in_the_form_that_its_version_reads() {
    let server = server(idle_foo()).await;

    for version in [0, 3, 4, 5, 6, 1_000] {
        let zero = |hello: &mut BareHello| {
            hello.version = version;
            hello.id = vec![0; 64];
        };
        let other = |hello: &mut BareHello| {
            hello.version = version;
            hello.id = SecretKey::random().public_key().to_bytes().to_vec();
        };
        let useless = |hello: &mut BareHello| {
            hello.version = version;
            hello.capabilities.clear();
        };

        let told = [
            answer_to_hello(&server, zero).await,
            answer_to_hello(&server, other).await,
            answer_to_hello(&server, useless).await,
        ];

        assert_eq!(
            told,
            [
                Answer::Told(DisconnectReason::InvalidIdentity),
                Answer::Told(DisconnectReason::UnexpectedIdentity),
                Answer::Told(DisconnectReason::UselessPeer),
            ],
            "version {version}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_capabilities_and_a_giant_name_are_breaches_and_odd_ones_are_passed_over() {
    let server = server(idle_foo()).await;
    let breach = Answer::Told(DisconnectReason::ProtocolError);

    let many = |hello: &mut BareHello| hello.capabilities = vec![(b"foo".to_vec(), 42); 129];
    assert_eq!(answer_to_hello(&server, many).await, breach);
    let giant = |hello: &mut BareHello| hello.capabilities.push((vec![b'x'; 257], 1));
    assert_eq!(answer_to_hello(&server, giant).await, breach);

    let mut peer = BarePeer::dial(&server).await;
    let mut hello = BareHello::new(&peer.key, &[("foo", 42), ("foo", 42), ("", 1), ("a b", 1)]);
    hello.capabilities.push((vec![b'x'; 256], 1));
    hello.capabilities.push((vec![0xff, 0xfe], 1));
    hello.capabilities.push((b"foo".to_vec(), u64::MAX));
    let mut events = server.events();
    peer.send(HELLO, &hello.encode()).await;
    assert_eq!(common::added(&mut events).await, peer.id());
    let kept: Vec<String> =
        server.peers()[0].capabilities().iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["foo/42", "foo/42"]);
    server.stop().await;
}

#[tokio::test]
async fn a_disconnect_instead_of_a_hello_is_not_answered() {
    let server = server(idle_foo()).await;

    for payload in [vec![0xc1, 4], vec![4], vec![0], vec![0xc0], vec![]] {
        assert_eq!(answer_to(&server, false, DISCONNECT, payload).await, Answer::Nothing);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_first_frame_with_a_wrong_tag_is_not_answered() {
    let server = server(idle_foo()).await;

    for spoilt in [0, 16, 31, 32, 60] {
        let mut peer = BarePeer::dial(&server).await;
        let mut frame = peer.seal(HELLO, &BareHello::new(&peer.key, &[("foo", 42)]).encode());
        frame[spoilt] ^= 1;
        peer.send_bytes(&frame).await;
        peer.expect(HELLO).await;

        peer.expect_end_or_reset().await;
    }
    assert_eq!(server.peer_count(), 0);
    server.stop().await;
}

/// What a server reports when the node that it dialed does this after the handshake.
async fn report_of<F: Future<Output = BarePeer>>(
    act: impl FnOnce(BarePeer) -> F,
) -> (DialStage, String, Option<DisconnectReason>) {
    let key = SecretKey::random();
    let (listener, enode) = listener(&key).await;
    let server = start(builder().protocol(idle_foo())).await;
    let mut dials = server.dial_events();
    server.add_peer(enode).unwrap();
    let peer = BarePeer::accept(&listener, key).await.unwrap();

    let peer = act(peer).await;

    let ended = |event: &p2p_server::DialEvent| matches!(event.outcome, DialOutcome::Failed { .. });
    let event = dial_event(&mut dials, ended).await;
    let DialOutcome::Failed { error, reason } = event.outcome else { unreachable!() };
    assert!(event.next_in.is_some(), "a static node is tried again");
    drop(peer);
    server.stop().await;
    (event.stage, error, reason)
}

#[tokio::test]
async fn what_a_dialed_node_does_wrong_is_reported_with_its_kind() {
    let say = |code, payload: Vec<u8>| {
        move |mut peer: BarePeer| async move {
            peer.send(code, &payload).await;
            peer
        }
    };
    let breach = Some(DisconnectReason::ProtocolError);

    let not_hello = report_of(say(PING, vec![0xc0])).await;
    assert_eq!(not_hello, (DialStage::Hello, "expected handshake, got 2".into(), breach));
    let not_hello = report_of(say(16, vec![0xc0])).await;
    assert_eq!(not_hello, (DialStage::Hello, "expected handshake, got 10".into(), breach));

    let undecodable = report_of(say(HELLO, vec![0xc0])).await;
    assert_eq!((undecodable.0, undecodable.2), (DialStage::Hello, breach));
    let text = undecodable.1;
    assert!(text.starts_with("invalid message: (code 0) (size 1) rlp: "), "{text}");

    let too_big = report_of(say(HELLO, vec![0; 2_049])).await;
    assert_eq!(too_big, (DialStage::Hello, "message too big".into(), None));

    let too_many = Some(DisconnectReason::TooManyPeers);
    for payload in [vec![0xc1, 4], vec![4]] {
        let hung_up = report_of(say(DISCONNECT, payload)).await;
        assert_eq!(hung_up, (DialStage::Hello, "too many peers".into(), too_many));
    }
    let unknown = report_of(say(DISCONNECT, vec![0xc1, 0x42])).await;
    assert_eq!(unknown.1, "unknown disconnect reason 66");
    assert_eq!(unknown.2, Some(DisconnectReason::Unknown(66)));
}

#[tokio::test]
async fn a_dialed_node_with_another_identity_is_told_and_reported() {
    for (id, reason, text) in [
        (vec![0; 64], DisconnectReason::InvalidIdentity, "invalid node identity"),
        (
            SecretKey::random().public_key().to_bytes().to_vec(),
            DisconnectReason::UnexpectedIdentity,
            "unexpected identity",
        ),
    ] {
        let report = report_of(|mut peer: BarePeer| async move {
            let hello = BareHello { id, ..BareHello::new(&peer.key, &[("foo", 42)]) };
            peer.send(HELLO, &hello.encode()).await;
            peer.expect(HELLO).await;
            peer.snappy = true;
            assert_eq!(peer.expect_disconnect().await, reason);
            peer
        })
        .await;

        assert_eq!(report, (DialStage::Hello, text.into(), Some(reason)));
    }
}

#[tokio::test]
async fn a_dialed_node_that_goes_away_is_reported_as_such() {
    let silent = report_of(|mut peer: BarePeer| async move {
        peer.expect(HELLO).await;
        peer.stream.shutdown().await.unwrap();
        peer
    })
    .await;
    assert_eq!(silent, (DialStage::Hello, "EOF".into(), None));

    let garbage = report_of(|mut peer: BarePeer| async move {
        peer.send_bytes(&[0x55; 64]).await;
        peer
    })
    .await;
    assert_eq!((garbage.0, garbage.2), (DialStage::Hello, None));
    assert!(garbage.1.contains("header"), "{}", garbage.1);
}

#[tokio::test]
async fn nothing_is_sent_to_a_stranger_before_its_auth() {
    let server = server(idle_foo()).await;

    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 400], &[0xff; 3_000]] {
        let mut stream = common::bare::tcp(server.listen_addr().unwrap()).await;
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let mut heard = Vec::new();

        let _ = in_time(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard)).await;

        assert!(heard.is_empty(), "{heard:02x?}");
    }
    server.stop().await;
}
