//! What sending and receiving promise a protocol, over a real connection whose other end reads when
//! a test wants it to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use bytes::Bytes;
use common::{
    BarePeer,
    bare::{PING, PONG},
    builder, foo, in_time, start,
};
use futures_util::FutureExt as _;
use p2p_server::{
    Capability, DisconnectReason, MsgChannel, MsgSender, Peer, PeerEvent, PeerEvents, SendError,
    Server, decode_items, protocol_fn,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::mpsc;

const FOO: &[(&str, u64)] = &[("foo", 42)];

/// A server, a peer of it, the channel of the protocol between the two, and the server's events
/// from then on. The body ends with the connection.
async fn channel() -> (Server, BarePeer, MsgChannel, PeerEvents) {
    let (give, mut take) = mpsc::channel(1);
    let hands_over = foo(4, move |peer: Peer, messages: MsgChannel| {
        let give = give.clone();
        async move {
            let sender = messages.sender();
            give.send(messages).await.unwrap();
            let reason = peer.on_disconnect();
            tokio::pin!(reason);
            while !sender.is_closed() {
                if reason.as_mut().now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    });
    let server = start(builder().message_events(true).protocol(hands_over)).await;
    let mut events = server.events();
    let peer = BarePeer::connect(&server, FOO).await;
    common::until_added(&mut events, peer.id()).await;
    let messages = in_time(take.recv()).await.unwrap();
    (server, peer, messages, events)
}

/// Bytes that do not compress.
fn noise(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(size as u64).fill(&mut bytes[..]);
    bytes.into()
}

/// Sends until no more is taken, although the system has had the time to take it, and returns how
/// many messages went in.
async fn fill(sender: &MsgSender, payload: &Bytes) -> usize {
    let mut sent = 0;
    let mut refusals = 0;
    while refusals < 200 {
        match sender.try_send_raw(0, payload.clone()) {
            Ok(()) => (sent, refusals) = (sent + 1, 0),
            Err(SendError::Full(back)) => {
                assert_eq!(&back, payload, "the payload comes back");
                refusals += 1;
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

#[tokio::test]
async fn a_send_waits_while_the_queue_is_full_and_goes_on_when_the_peer_reads() {
    let (server, mut peer, messages, _) = channel().await;
    let payload = noise(64 << 10);
    let sent = fill(&messages.sender(), &payload).await;

    let mut waiting = Box::pin(messages.send_raw(1, payload.clone()));
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut flush = Box::pin(messages.flush());
    assert!(flush.as_mut().now_or_never().is_none());

    let reading = async {
        for _ in 0..sent {
            assert_eq!(peer.expect(16).await, payload);
        }
        peer.expect(17).await
    };
    let (waited, read, flushed) = in_time(async { tokio::join!(waiting, reading, flush) }).await;

    assert_eq!((waited, flushed), (Ok(()), Ok(())));
    assert_eq!(read, payload);
    assert_eq!(messages.flush().await, Ok(()));
    server.stop().await;
}

#[tokio::test]
async fn a_full_queue_holds_256_messages_or_one_mebibyte_and_one_more() {
    // The writer takes nothing as long as this task does not give way.
    let (server, _peer, messages, _) = channel().await;
    let sender = messages.sender();
    let taken = |size: usize| {
        let payload = Bytes::from(vec![7; size]);
        (0..).take_while(|_| sender.try_send_raw(0, payload.clone()).is_ok()).count()
    };

    assert_eq!(taken(1), 256);
    in_time(messages.flush()).await.unwrap();
    assert_eq!(taken(300 << 10), 4);
    in_time(messages.flush()).await.unwrap();
    assert_eq!(taken(3 << 20), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_cancelled_send_has_sent_nothing() {
    let (server, mut peer, messages, _) = channel().await;
    let payload = noise(64 << 10);
    let sent = fill(&messages.sender(), &payload).await;

    for _ in 0..3 {
        assert!(messages.send_raw(1, payload.clone()).now_or_never().is_none());
    }

    for _ in 0..sent {
        peer.expect(16).await;
    }
    messages.send_raw(2, payload.clone()).await.unwrap();
    assert_eq!(peer.expect(18).await, payload);
    server.stop().await;
}

#[tokio::test]
async fn one_protocol_that_cannot_send_does_not_keep_another_waiting_for_long() {
    let (give, mut take) = mpsc::channel(2);
    let protocol = |name: &'static str| {
        let give = give.clone();
        protocol_fn(Capability::new(name, 1), 1, move |_, mut messages: MsgChannel| {
            let give = give.clone();
            async move {
                give.send((name, messages.sender())).await.unwrap();
                while messages.recv().await.is_ok() {}
                Ok(())
            }
        })
    };
    let server = start(builder().protocol(protocol("aaa")).protocol(protocol("bbb"))).await;
    let mut peer = BarePeer::connect(&server, &[("aaa", 1), ("bbb", 1)]).await;
    let mut senders = [in_time(take.recv()).await.unwrap(), in_time(take.recv()).await.unwrap()];
    senders.sort_by_key(|(name, _)| *name);
    let [(_, busy), (_, calm)] = senders;
    let payload = noise(64 << 10);
    fill(&busy, &payload).await;
    calm.try_send_raw(0, Bytes::from_static(b"hello")).unwrap();
    peer.send(PING, &[0xc0]).await;

    // What is on its way already comes first, then pongs, then the lanes in turn.
    let (mut before_hello, mut before_pong) = (None, None);
    let mut count = 0;
    while before_hello.is_none() || before_pong.is_none() {
        match peer.recv().await.unwrap().code {
            16 => count += 1,
            17 => before_hello = Some(count),
            PONG => before_pong = Some(count),
            other => panic!("{other}"),
        }
    }
    let still_queued = async {
        while peer.recv().await.unwrap().code == 16 {
            count += 1;
        }
    };
    tokio::join!(still_queued, async {
        in_time(busy.flush()).await.unwrap();
        calm.send_raw(0, Bytes::from_static(b"bye")).await.unwrap();
    });

    assert!(before_hello.unwrap() + 8 < count, "{before_hello:?} of {count}");
    server.stop().await;
}

#[tokio::test]
async fn a_code_the_protocol_does_not_have_is_an_error_and_nothing_more() {
    let (server, mut peer, messages, mut events) = channel().await;

    for code in [4, 5, u64::MAX] {
        assert_eq!(messages.send(code, &1_u64).await, Err(SendError::Code { code }));
        let tried = messages.sender().try_send_raw(code, Bytes::new());
        assert_eq!(tried, Err(SendError::Code { code }));
    }
    messages.send(3, &1_u64).await.unwrap();

    assert_eq!(peer.expect(19).await, [1][..]);
    let sent = common::next(&mut events).await;
    assert!(matches!(&sent, PeerEvent::MessageSent(message) if message.code == 3), "{sent:?}");
    let text = SendError::Code { code: 4 }.to_string();
    assert_eq!(text, "invalid message code: not handled");
    server.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_before_it_is_sent_and_one_at_the_limit_arrives() {
    let (server, mut peer, messages, _) = channel().await;
    let most = 0xff_ff_ff;

    let too_long = messages.send_raw(0, Bytes::from(vec![0; most + 1])).await;
    assert_eq!(too_long, Err(SendError::TooLong { size: most + 1 }));
    messages.send_raw(0, Bytes::from(vec![0; most])).await.unwrap();

    assert_eq!(peer.expect(16).await.len(), most);
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_compression_makes_too_long_is_left_out_and_nobody_waits_for_it() {
    let (server, mut peer, messages, _) = channel().await;

    messages.send_raw(0, noise(0xff_ff_ff)).await.unwrap();
    messages.send_raw(1, Bytes::from_static(b"next")).await.unwrap();

    in_time(messages.flush()).await.unwrap();
    assert_eq!(peer.expect(17).await, b"next"[..]);
    server.stop().await;
}

#[tokio::test]
async fn the_event_of_a_message_is_there_when_send_returns_and_when_it_is_taken() {
    let (server, mut peer, mut messages, mut events) = channel().await;

    messages.send(2, &"foobar").await.unwrap();
    let sent = events.try_next();
    peer.send_value(17, "hello").await;
    peer.send(PING, &[0xc0]).await;
    peer.expect(18).await;
    // The pong says that the message before the ping has been delivered; nobody has taken it.
    peer.expect(PONG).await;
    let delivered = events.try_next();
    let message = messages.recv().await.unwrap();
    let taken = events.try_next();

    let Some(PeerEvent::MessageSent(sent)) = sent else { panic!("{sent:?}") };
    assert_eq!((sent.peer, sent.code, sent.size), (peer.id(), 2, 7));
    assert_eq!(sent.protocol, Capability::new("foo", 42));
    assert_eq!(delivered, None);
    let Some(PeerEvent::MessageReceived(received)) = taken else { panic!("{taken:?}") };
    assert_eq!((received.code, received.size), (1, 6));
    assert_eq!((message.code, message.decode::<String>().unwrap()), (1, "hello".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn without_message_events_there_are_none() {
    let server = start(builder().protocol(foo(1, common::echo))).await;
    let mut events = server.events();
    let mut peer = BarePeer::connect(&server, FOO).await;
    peer.send(16, b"hello").await;
    peer.expect(16).await;

    server.stop().await;

    assert_eq!(common::added(&mut events).await, peer.id());
    assert!(matches!(common::next(&mut events).await, PeerEvent::Dropped { .. }));
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test]
async fn pings_are_answered_while_a_protocol_does_not_read() {
    let (server, mut peer, mut messages, _) = channel().await;
    for number in 0..255_u64 {
        peer.send_value(16, number).await;
    }

    peer.send(PING, &[0xc0]).await;

    assert_eq!(peer.expect(PONG).await, [0xc0][..]);
    for number in 0..255_u64 {
        assert_eq!(messages.recv().await.unwrap().decode::<u64>().unwrap(), number);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_full_inbound_queue_stops_the_reading_and_loses_nothing() {
    let (server, mut peer, mut messages, _) = channel().await;
    let mut bytes = Vec::new();
    for number in 0..1_000_u64 {
        bytes.extend(peer.seal(16 + number % 4, &alloy_rlp::encode(number)));
    }
    bytes.extend(peer.seal(PING, &[0xc0]));
    peer.send_bytes(&bytes).await;

    for number in 0..1_000_u64 {
        let message = in_time(messages.recv()).await.unwrap();
        assert_eq!((message.code, message.decode::<u64>().unwrap()), (number % 4, number));
    }
    assert_eq!(peer.expect(PONG).await, [0xc0][..]);
    server.stop().await;
}

#[tokio::test]
async fn after_the_end_sending_is_an_error() {
    let (server, mut peer, messages, mut events) = channel().await;
    peer.send_disconnect(DisconnectReason::Quitting).await;
    common::dropped(&mut events, peer.id()).await;

    assert_eq!(messages.send(0, &1_u64).await, Err(SendError::Closed));
    assert_eq!(messages.sender().try_send_raw(0, Bytes::new()), Err(SendError::Closed));
    assert!(messages.sender().is_closed());
    assert_eq!(SendError::Closed.to_string(), "shutting down");
    server.stop().await;
}

#[tokio::test]
async fn the_end_frees_a_send_and_a_flush_that_wait() {
    let (server, peer, messages, mut events) = channel().await;
    let payload = noise(64 << 10);
    fill(&messages.sender(), &payload).await;
    let id = peer.id();
    let (send, flush) = (messages.send_raw(0, payload), messages.flush());

    let (sent, flushed, _) = in_time(async {
        tokio::join!(send, flush, async {
            tokio::task::yield_now().await;
            drop(peer);
        })
    })
    .await;

    assert_eq!((sent, flushed), (Err(SendError::Closed), Err(SendError::Closed)));
    common::dropped(&mut events, id).await;
    server.stop().await;
}

#[tokio::test]
async fn senders_are_clones_of_one_queue_and_keep_the_order_of_each() {
    let (server, mut peer, messages, _) = channel().await;
    let senders = (0..4_u64).map(|code| {
        let sender = messages.sender();
        tokio::spawn(async move {
            for number in 0..300_u64 {
                sender.send(code, &number).await.unwrap();
            }
        })
    });
    let senders: Vec<_> = senders.collect();

    let mut next = [0_u64; 4];
    for _ in 0..1_200 {
        let message = peer.recv().await.unwrap();
        let expected = &mut next[usize::try_from(message.code - 16).unwrap()];
        assert_eq!(message.decode::<u64>().unwrap(), *expected);
        *expected += 1;
    }

    assert_eq!(next, [300; 4]);
    for sender in senders {
        sender.await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_items_is_a_list_on_the_wire() {
    let (server, mut peer, mut messages, _) = channel().await;

    messages.send_items(0, &[&"foo", &7_u64]).await.unwrap();
    assert_eq!(peer.expect(16).await, [0xc5, 0x83, b'f', b'o', b'o', 7][..]);
    peer.send(16, &[0xc3, 1, 2, 3]).await;

    let message = messages.recv().await.unwrap();
    assert_eq!(decode_items::<u64>(&message).unwrap(), [1, 2, 3]);
    server.stop().await;
}

#[tokio::test]
async fn what_a_peer_has_sent_and_received_is_counted() {
    let (server, mut peer, mut messages, _) = channel().await;
    let handle = server.peer(peer.id()).unwrap();
    peer.send(17, b"one").await;
    peer.send(17, b"two").await;
    messages.recv().await.unwrap();
    messages.recv().await.unwrap();
    messages.send_raw(2, Bytes::from_static(b"three")).await.unwrap();
    peer.expect(18).await;

    let stats = handle.stats();

    let foo = |code| (Capability::new("foo", 42), code);
    assert_eq!(stats.messages.get(&foo(1)), Some(&(2, 0)));
    assert_eq!(stats.messages.get(&foo(2)), Some(&(0, 1)));
    assert_eq!((stats.ingress_bytes, stats.egress_bytes), (128, 64));
    assert_eq!(stats.queued, 0);
    server.stop().await;
}
