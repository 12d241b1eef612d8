//! Typed messages: how they go on the wire, and what becomes of a peer that sends anything else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use alloy_rlp::{Decodable, Encodable, Header, RlpDecodable, RlpEncodable};
use bytes::{BufMut, Bytes};
use common::{BarePeer, dropped, in_time, start, until_added};
use p2p_server::{
    DisconnectReason, Message, MsgChannel, ProtocolError, Server, message_set,
    protocols::{HandshakeError, MessageSet as _, MessageSetError, Next, Spec, TypedChannel},
};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, RlpEncodable, RlpDecodable)]
struct FooPing {
    pong: bool,
    created: u64,
}

/// A text, bytes, and any number of numbers.
#[derive(Debug, Clone, PartialEq)]
struct FooText {
    text: String,
    data: Bytes,
    tail: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, RlpEncodable, RlpDecodable)]
struct FooEmpty {}

message_set! {
    /// The protocol of the vectors.
    #[derive(Debug, Clone, PartialEq)]
    enum Foo {
        Ping(FooPing) = 0,
        Text(FooText) = 1,
        Empty(FooEmpty) = 2,
    }
}

impl Encodable for FooText {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = self.text.length()
            + self.data.length()
            + self.tail.iter().map(Encodable::length).sum::<usize>();
        Header { list: true, payload_length }.encode(out);
        self.text.encode(out);
        self.data.encode(out);
        self.tail.iter().for_each(|number| number.encode(out));
    }
}

impl Decodable for FooText {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut inside = Header::decode_bytes(buf, true)?;
        let text = String::decode(&mut inside)?;
        let data = Bytes::decode(&mut inside)?;
        let mut tail = Vec::new();
        while !inside.is_empty() {
            tail.push(u64::decode(&mut inside)?);
        }
        Ok(Self { text, data, tail })
    }
}

fn spec() -> Spec<Foo> {
    Spec::new("foo", 42).max_message_size(1024)
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/protocols_wrapped.json")).unwrap()
}

fn bytes(value: &Value) -> Bytes {
    const_hex::decode(value.as_str().expect("hex")).expect("hex").into()
}

/// What a body sees that reads one message.
async fn judge(spec: &Spec<Foo>, code: u64, payload: Bytes) -> Result<Foo, ProtocolError> {
    let (raw, typed) = MsgChannel::pair();
    raw.send_raw(code, payload).await.unwrap();
    spec.over(typed).recv().await
}

#[tokio::test]
async fn what_is_sent_is_what_the_reference_sends_with_and_without_a_wrapper() {
    for case in vectors()["sent"].as_array().unwrap() {
        let code = case["code"].as_u64().unwrap();
        let message = judge(&spec(), code, bytes(&case["payload"])).await.unwrap();
        for (wrapped, expected) in [(false, "payload"), (true, "payload_with_context")] {
            let (typed, mut raw) = MsgChannel::pair();
            let typed = spec().wrapped(wrapped).over(typed);

            typed.send(message.clone()).await.unwrap();

            let expected = Message::new(code, bytes(&case[expected]));
            assert_eq!(raw.recv().await.unwrap(), expected, "{case}");
            let spec = spec().wrapped(wrapped);
            assert_eq!(judge(&spec, code, expected.payload).await.unwrap(), message, "{case}");
        }
    }
}

#[tokio::test]
async fn what_is_received_is_judged_as_the_reference_judges_it() {
    for case in vectors()["received"].as_array().unwrap() {
        let spec = spec().wrapped(case["with_context"] == true);
        let payload = match case["declared_size"].as_u64() {
            // The file has the size alone.
            Some(size) => vec![0xc0; usize::try_from(size).unwrap()].into(),
            None => bytes(&case["payload"]),
        };

        let judged = judge(&spec, case["code"].as_u64().unwrap(), payload).await;

        match judged {
            Ok(message) => {
                assert_eq!(case["handler_called"], true, "{case}");
                assert_eq!(case["disconnects"], false, "{case}");
                if case["decoded"] == "&{Pong:true Created:5}" {
                    assert_eq!(message, Foo::Ping(FooPing { pong: true, created: 5 }));
                }
            }
            Err(error) => {
                assert_eq!(case["handler_called"], false, "{case}");
                let tells = error.disconnect_reason() == DisconnectReason::SubprotocolError;
                assert_eq!(case["disconnects"], tells, "{case}");
                let (ours, theirs) = (error.to_string(), case["error"].as_str().unwrap());
                let same = ours == theirs || theirs.starts_with("invalid message (RLP error)");
                assert!(same, "{ours}, {theirs}");
            }
        }
    }
}

/// A server whose body keeps what it reads, and a peer of it that says what it likes.
async fn served(length_of_peer: u64) -> (Server, BarePeer, p2p_server::PeerEvents) {
    let body = |_, mut messages: TypedChannel<Foo>| async move {
        messages.handle(|_| async { Ok(Next::Continue) }).await
    };
    let server = start(common::builder().protocol(spec().protocol(body))).await;
    let mut events = server.events();
    let peer = BarePeer::connect(&server, &[("foo", length_of_peer)]).await;
    until_added(&mut events, peer.id()).await;
    (server, peer, events)
}

/// The first code of the first protocol on the wire.
const FOO: u64 = 16;

#[tokio::test]
async fn a_peer_that_breaks_the_types_is_dropped_with_the_reason_for_it() {
    message_set! {
        /// With a gap: the protocol has three codes, and one of them no meaning.
        #[derive(Debug)]
        enum Gap {
            Number(u64) = 0,
            Text(String) = 2,
        }
    }
    let breach = DisconnectReason::ProtocolError;
    let subprotocol = DisconnectReason::SubprotocolError;
    for (code, payload, expected, text) in [
        (1, vec![0xc0], subprotocol, "invalid message code: 1"),
        (0, vec![0xc0], subprotocol, "invalid message (RLP error): 0 err="),
        (2, vec![0x80, 0x80], subprotocol, "invalid message (RLP error): 2 err="),
        (0, vec![0; 1_025], subprotocol, "1025"),
        (0, vec![0; 100_000], subprotocol, "100000"),
        (0, noise(300_000), subprotocol, ""),
        (3, vec![0xc0], breach, "msg code out of range: 19"),
    ] {
        let body = |_, mut gap: TypedChannel<Gap>| async move {
            gap.handle(|_| async { Ok(Next::Continue) }).await
        };
        let protocol = Spec::<Gap>::new("gap", 1).max_message_size(1024).protocol(body);
        let server = start(common::builder().protocol(protocol)).await;
        let mut events = server.events();
        let mut peer = BarePeer::connect(&server, &[("gap", 1)]).await;
        until_added(&mut events, peer.id()).await;

        peer.send(FOO + code, &payload).await;

        assert_eq!(in_time(peer.expect_disconnect()).await, expected, "{code} {text}");
        let error = dropped(&mut events, peer.id()).await;
        assert!(error.contains(text), "{error}");
        server.stop().await;
    }
}

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    use rand::{RngExt as _, SeedableRng as _};
    let mut bytes = vec![0; size];
    rand::rngs::StdRng::seed_from_u64(7).fill(&mut bytes[..]);
    bytes
}

#[tokio::test]
async fn a_message_at_the_limit_arrives() {
    let (server, mut peer, _events) = served(42).await;
    let overhead = FooText { text: String::new(), data: vec![0; 1000].into(), tail: vec![] };
    let room = 1024 - (overhead.length() - 1000);
    let text = FooText { text: String::new(), data: vec![0; room].into(), tail: vec![] };
    assert_eq!(text.length(), 1024);

    peer.send_value(FOO + 1, text).await;
    // Still there, and answering.
    peer.send(2, &[0xc0]).await;

    in_time(peer.expect(3)).await;
    assert_eq!(server.peer_count(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_message_of_our_own_over_the_limit_is_an_error_and_no_breach() {
    let (one, mut two) = TypedChannel::pair(&spec());
    let long = FooText { text: "x".repeat(1024), data: Bytes::new(), tail: vec![] };

    let error = one.send(long).await.unwrap_err();

    let too_long = MessageSetError::TooLong { size: 1_031, limit: 1_024 };
    assert!(matches!(&error, ProtocolError::Invalid(cause) if *cause == too_long), "{error}");
    one.send(FooEmpty {}).await.unwrap();
    assert_eq!(two.recv().await.unwrap(), Foo::Empty(FooEmpty {}));
}

#[tokio::test]
async fn a_handler_sees_the_messages_in_order_until_it_wants_no_more() {
    let (one, mut two) = TypedChannel::pair(&spec());
    for created in 0..10 {
        one.send(FooPing { pong: false, created }).await.unwrap();
    }
    let mut seen = Vec::new();

    two.handle(|message| {
        let Foo::Ping(ping) = message else { panic!("only pings") };
        seen.push(ping.created);
        async move {
            // A slow handler is not overtaken.
            tokio::task::yield_now().await;
            Ok(if ping.created == 5 { Next::Stop } else { Next::Continue })
        }
    })
    .await
    .unwrap();

    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    let drop_it = |_| async { Ok(Next::Drop(DisconnectReason::UselessPeer)) };
    let error = two.handle(drop_it).await.unwrap_err();
    assert_eq!(error.disconnect_reason(), DisconnectReason::UselessPeer);
    drop(one);
    let mut left = 0;
    two.handle(|_| {
        left += 1;
        async { Ok(Next::Continue) }
    })
    .await
    .expect("the end of a conversation is no error");
    assert_eq!(left, 3);
}

#[tokio::test]
async fn the_side_that_dialed_speaks_first_in_a_handshake() {
    let (mut dialer, mut listener) = TypedChannel::pair(&spec());
    let greeting = |created| FooPing { pong: false, created };
    let accept = |_: &Foo| Ok::<_, String>(());

    let (theirs, ours) = tokio::join!(
        dialer.handshake(false, greeting(1), accept),
        listener.handshake(true, greeting(2), accept),
    );

    assert_eq!(theirs.unwrap(), Foo::Ping(greeting(2)));
    assert_eq!(ours.unwrap(), Foo::Ping(greeting(1)));
}

#[tokio::test]
async fn a_handshake_that_is_refused_says_why_and_sends_nothing() {
    let (dialer, mut listener) = TypedChannel::pair(&spec());
    let greeting = FooPing { pong: false, created: 1 };
    dialer.send(greeting.clone()).await.unwrap();

    let refuse = |_: &Foo| Err("too old");
    let error = listener.handshake(true, greeting.clone(), refuse).await.unwrap_err();
    assert_eq!(error.to_string(), "handshake: too old");
    assert_eq!(ProtocolError::from(error).disconnect_reason(), DisconnectReason::SubprotocolError);

    dialer.send(FooEmpty {}).await.unwrap();
    let accept = |_: &Foo| Ok::<_, String>(());
    let error = listener.handshake(true, greeting, accept).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Unexpected { got: 2, want: 0 }), "{error}");
}

/// The same body over a pipe and over a connection.
async fn adder(mut messages: TypedChannel<Foo>) -> Result<(), ProtocolError> {
    let sender = &messages.sender();
    messages
        .handle(|message| async move {
            if let Foo::Ping(FooPing { pong: false, created }) = message {
                sender.send(FooPing { pong: true, created: created + 1 }).await?;
            }
            Ok(Next::Continue)
        })
        .await
}

#[tokio::test]
async fn a_body_does_not_know_what_carries_it() {
    let (mut one, two) = TypedChannel::pair(&spec());
    let body = tokio::spawn(adder(two));
    one.send(FooPing { pong: false, created: 1 }).await.unwrap();
    assert_eq!(one.recv().await.unwrap(), Foo::Ping(FooPing { pong: true, created: 2 }));
    drop(one);
    in_time(body).await.unwrap().unwrap();

    let server = start(common::builder().protocol(spec().protocol(|_, foo| adder(foo)))).await;
    let mut peer = BarePeer::connect(&server, &[("foo", 42)]).await;
    peer.send_value(FOO, FooPing { pong: false, created: 1 }).await;
    let payload = in_time(peer.expect(FOO)).await;
    assert_eq!(Foo::decode(0, &payload).unwrap(), Foo::Ping(FooPing { pong: true, created: 2 }));
    server.stop().await;
}
