//! Frames and messages over a connection: order, limits, memory, and what may be cancelled.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use common::{Connection, assert_bytes};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use rlpx::{
    FrameError, Message, RlpxStream, Role,
    frame::{FIRST_FRAME, MAX_SIZE},
    snappy::{self, Scratch},
    stream::{Reader, Writer},
};
use tokio::{
    io::{AsyncRead, ReadBuf, ReadHalf, WriteHalf, duplex},
    time::{Duration, Instant},
};

#[test]
fn codes_are_read_in_full_width() {
    let connection = Connection::default();
    let (mut egress, mut ingress) = (connection.egress(), connection.ingress());
    let mut wire = BytesMut::new();

    for code in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000, 1 << 32, (1 << 32) + 16, u64::MAX] {
        egress.frame(code, b"payload", &mut wire).unwrap();
        let frame = ingress.next(&mut wire).unwrap().unwrap();

        assert_eq!((frame.code, &frame.body[..]), (code, &b"payload"[..]));
    }
}

#[test]
fn frames_that_are_no_message_are_errors_and_the_next_one_is_read() {
    for body in
        [&[][..], &[0x00], &[0x81, 0x05], &[0xc0], &[0x82, 0x00, 0x01], &[0x88], &[0x89; 10]]
    {
        let connection = Connection::default();
        let (mut reference, mut ingress) = (connection.reference(), connection.ingress());
        let mut wire = BytesMut::new();
        wire.extend_from_slice(&reference.frame(&[0xc2, 0x80, 0x80], body));
        wire.extend_from_slice(&reference.message(16, b"next"));

        let error = ingress.next(&mut wire).unwrap_err();

        match body {
            [] => assert!(matches!(error, FrameError::Empty)),
            _ => assert!(matches!(error, FrameError::Code(_)), "{body:02x?}: {error:?}"),
        }
        assert!(!error.is_authentication());
        assert_eq!(ingress.next(&mut wire).unwrap().unwrap().code, 16, "{body:02x?}");
    }
}

#[test]
fn header_data_is_counted_and_otherwise_ignored() {
    let connection = Connection::default();
    let (mut reference, mut ingress) = (connection.reference(), connection.ingress());

    for (seen, data) in
        [&[0xc2, 0x80, 0x80][..], &[0xc2, 0x05, 0x07], &[0xc3, 0x80, 0x01, 0x20], &[0xff; 13]]
            .iter()
            .enumerate()
    {
        let frame = reference.frame(data, b"\x10abc");

        let frame = ingress.next(&mut frame[..].into()).unwrap().unwrap();

        assert_eq!((frame.code, &frame.body[..]), (16, &b"abc"[..]));
        assert_eq!(ingress.odd_headers(), seen as u64);
    }
}

#[test]
fn a_stranger_may_send_a_hello_and_no_more() {
    for (size, accepted) in [(FIRST_FRAME, true), (FIRST_FRAME + 1, false), (MAX_SIZE, false)] {
        let connection = Connection::default();
        let mut ingress = connection.first_ingress();
        let wire = connection.reference().frame(&[0xc2, 0x80, 0x80], &vec![1; size]);

        // The header alone decides.
        let result = ingress.next(&mut wire[..32].into());

        if accepted {
            assert!(matches!(result, Ok(None)));
            assert_eq!(ingress.announced(), Some(size));
        } else {
            let limit = FIRST_FRAME;
            assert!(
                matches!(result, Err(FrameError::TooLarge { size: s, limit: l }) if (s, l) == (size, limit))
            );
            let after = ingress.next(&mut wire[32..].into());
            assert!(matches!(after, Err(FrameError::Terminated)));
        }
    }
}

#[test]
fn missing_and_announced_follow_the_frame() {
    let connection = Connection::default();
    let mut ingress = connection.ingress();
    let wire = connection.reference().message(16, &[0; 99]);
    let mut buffer = BytesMut::new();

    assert_eq!((ingress.missing(&buffer), ingress.announced()), (32, None));
    buffer.extend_from_slice(&wire[..20]);
    assert_eq!((ingress.missing(&buffer), ingress.announced()), (12, None));
    buffer.extend_from_slice(&wire[20..32]);
    assert!(ingress.next(&mut buffer).unwrap().is_none());
    assert_eq!((ingress.missing(&buffer), ingress.announced()), (112 + 16, Some(100)));
    buffer.extend_from_slice(&wire[32..]);
    assert_eq!((ingress.missing(&buffer), ingress.announced()), (0, Some(100)));
    assert!(ingress.next(&mut buffer).unwrap().is_some());
    assert_eq!((ingress.missing(&buffer), ingress.announced()), (32, None));
}

#[test]
fn a_frame_brings_its_wire_bytes_along_when_asked() {
    let connection = Connection::default();
    let (mut reference, mut ingress) = (connection.reference(), connection.ingress());
    let [first, second] = [b"one", b"two"].map(|payload| reference.message(16, payload));

    let frame = ingress.next(&mut first[..].into()).unwrap().unwrap();
    assert_eq!((frame.wire, frame.size), (None, first.len()));

    ingress.keep_wire(true);
    let frame = ingress.next(&mut second[..].into()).unwrap().unwrap();
    assert_bytes(&frame.wire.unwrap(), &second, "wire");
    assert_eq!(&frame.body[..], b"two");
}

#[test]
fn a_message_too_long_for_a_frame_changes_nothing() {
    let connection = Connection::default();
    let mut writer = Writer::new(tokio::io::sink(), connection.egress());
    let mut ingress = connection.ingress();
    let mut scratch = Scratch::new();
    let long = vec![0x5a; MAX_SIZE + 1];

    for (code, len) in [(0x10, MAX_SIZE), (0x80, MAX_SIZE - 1), (0x10, MAX_SIZE + 1)] {
        let error = writer.push(code, &long[..len], &mut scratch).unwrap_err();
        assert!(error.to_string().starts_with("message size overflows uint24"), "{error}");
    }
    writer.set_snappy(true);
    let error = writer.push(0x10, &long, &mut scratch).unwrap_err();
    assert!(error.to_string().starts_with("message length >= 16MB"), "{error}");

    assert!(writer.pending().is_empty());
    writer.push(0x10, b"next", &mut scratch).unwrap();
    assert!(ingress.next(&mut writer.pending().into()).unwrap().is_some());
}

#[tokio::test]
async fn the_largest_messages_pass() {
    for snappy in [false, true] {
        let (near, far) = duplex(1 << 20);
        let connection = Connection::default();
        let mut writer = Writer::new(near, connection.egress());
        let mut reader = Reader::new(far, connection.ingress());
        writer.set_snappy(snappy);
        reader.set_snappy(snappy);
        let payload = vec![0x5a; if snappy { snappy::MAX_MESSAGE } else { MAX_SIZE - 1 }];
        writer.push(16, &payload, &mut Scratch::new()).unwrap();

        let (sent, read) = tokio::join!(writer.flush(), reader.read());

        sent.unwrap();
        assert_bytes(&read.unwrap().unwrap().payload, &payload, "payload");
    }
}

#[tokio::test]
async fn memory_follows_what_arrived_and_not_what_was_announced() {
    let connection = Connection::default();
    let wire = connection.reference().message(16, &vec![0x5a; 2_000_000]);
    let mut reader = Reader::new(Pieces::of(&wire, 1000), connection.ingress());

    let mut arrived = 0;
    while reader.try_frame().unwrap().is_none() {
        arrived += reader.fill().await.unwrap();
        assert!(reader.allocated() <= arrived + 64 * 1024, "{}", reader.allocated());
    }

    assert_eq!(arrived, wire.len());
}

#[tokio::test]
async fn a_strangers_buffer_stays_below_4_kib() {
    let connection = Connection::default();
    let mut reference = connection.reference();
    let wire: Vec<u8> = (0..20_u8).flat_map(|n| reference.message(0, &[n; 2048])).collect();
    for piece in [1, 700, 1 << 20] {
        let mut reader = Reader::new(Pieces::of(&wire, piece), connection.first_ingress());

        for _ in 0..20 {
            while reader.try_frame().unwrap().is_none() {
                reader.fill().await.unwrap();
                assert!(reader.allocated() <= 4096, "{}", reader.allocated());
            }
        }
    }
}

#[tokio::test]
async fn buffers_shrink_again_after_a_large_message() {
    let (near, far) = duplex(1 << 20);
    let connection = Connection::default();
    let mut writer = Writer::new(near, connection.egress());
    let mut reader = Reader::new(far, connection.ingress());
    let mut exchange = async |payload: &[u8]| {
        writer.push(16, payload, &mut Scratch::new()).unwrap();
        writer.flush().await.unwrap();
        let message = reader.read().await.unwrap().unwrap();
        assert_bytes(&message.payload, payload, "payload");
        (writer.allocated(), reader.allocated())
    };

    let (written, read) = exchange(&[0x5a; 300_000]).await;
    assert!(written > 300_000 && read > 300_000);
    let (written, read) = exchange(b"small").await;
    assert!(written > 300_000 && read > 300_000, "not at once: another may follow");
    for _ in 0..40 {
        exchange(b"small").await;
    }
    let (written, read) = exchange(b"small").await;
    assert!(written <= 64 * 1024 && read <= 64 * 1024, "{written} {read}");

    writer.shrink();
    reader.shrink();
    assert_eq!(writer.allocated(), 0);
    assert!(reader.allocated() <= 1024, "{}", reader.allocated());
}

#[tokio::test]
async fn shrinking_loses_nothing() {
    let connection = Connection::default();
    let wire = connection.reference().message(16, &[0x5a; 100_000]);
    let mut reader = Reader::new(Pieces::of(&wire, 7000), connection.ingress());

    let message = loop {
        reader.shrink();
        match reader.try_frame().unwrap() {
            Some(frame) => break frame.into_message(false, MAX_SIZE).unwrap(),
            None => assert!(reader.fill().await.unwrap() > 0),
        }
    };

    assert_bytes(&message.payload, &[0x5a; 100_000], "payload");
}

#[test]
fn a_cancelled_read_or_write_loses_nothing() {
    let (near, far) = duplex(64);
    let connection = Connection::default();
    let mut writer = Writer::new(near, connection.egress());
    let mut reader = Reader::new(far, connection.ingress());
    writer.push(16, &[0x5a; 5000], &mut Scratch::new()).unwrap();

    let message = loop {
        // The pipe holds 64 bytes, so each of these futures is dropped half done.
        let _ = writer.flush().now_or_never();
        if let Some(message) = reader.read().now_or_never() {
            break message.unwrap().unwrap();
        }
    };

    assert_bytes(&message.payload, &[0x5a; 5000], "payload");
    assert!(writer.pending().is_empty());
}

#[tokio::test]
async fn single_writes_report_their_progress() {
    let (near, _far) = duplex(64);
    let mut writer = Writer::new(near, Connection::default().egress());
    assert_eq!(writer.write_some().await.unwrap(), 0, "nothing to write");
    let frame = writer.push(16, &[0; 100], &mut Scratch::new()).unwrap();

    assert_eq!(writer.write_some().await.unwrap(), 64);

    assert_eq!(writer.pending().len(), frame - 64);
    assert!(writer.write_some().now_or_never().is_none(), "the pipe is full");
}

#[tokio::test]
async fn the_end_between_two_frames_is_clean() {
    let (near, far) = duplex(4096);
    let connection = Connection::default();
    let mut writer = Writer::new(near, connection.egress());
    let mut reader = Reader::new(far, connection.ingress());
    writer.push(16, b"last", &mut Scratch::new()).unwrap();
    writer.shutdown().await.unwrap();

    assert!(reader.read().await.unwrap().is_some());
    assert!(reader.is_between_frames());
    assert!(reader.read().await.unwrap().is_none());
    assert!(reader.read().await.unwrap().is_none(), "and stays the end");
}

#[tokio::test]
async fn the_end_behind_a_header_is_not_clean() {
    let connection = Connection::default();
    let wire = connection.reference().message(16, b"cut");
    let mut reader = Reader::new(&wire[..32], connection.ingress());

    assert!(matches!(reader.read().await, Err(FrameError::UnexpectedEof)));
}

#[tokio::test]
async fn compression_starts_with_the_next_message() {
    let (near, far) = duplex(4096);
    let connection = Connection::default();
    let mut writer = Writer::new(near, connection.egress());
    let mut reader = Reader::new(far, connection.ingress());
    let mut scratch = Scratch::new();
    let payload = [0x5a; 1000];

    let plain = writer.push(0, &payload, &mut scratch).unwrap();
    writer.set_snappy(true);
    let compressed = writer.push(16, &payload, &mut scratch).unwrap();
    writer.flush().await.unwrap();

    assert!(compressed < plain / 4);
    assert_eq!(reader.read().await.unwrap().unwrap().payload[..], payload);
    reader.set_snappy(true);
    assert_eq!(reader.read().await.unwrap().unwrap().payload[..], payload);
}

#[tokio::test]
async fn a_ping_is_compressed_as_every_client_does_it() {
    let connection = Connection::default();
    let mut writer = Writer::new(tokio::io::sink(), connection.egress());
    writer.set_snappy(true);
    writer.push(0x02, &[0xc0], &mut Scratch::new()).unwrap();

    let frame = connection.ingress().next(&mut writer.pending().into()).unwrap().unwrap();

    assert_eq!((frame.code, &frame.body[..]), (0x02, &[0x01, 0x00, 0xc0][..]));
}

#[tokio::test]
async fn one_compressed_payload_serves_many_connections() {
    let mut scratch = Scratch::new();
    let payload = [0x5a; 1000];
    let compressed = snappy::compress(&payload, &mut scratch).unwrap();

    // The code differs by connection and is no part of what is compressed.
    for code in [16, 33] {
        let (near, far) = duplex(4096);
        let connection = Connection::default();
        let mut writer = Writer::new(near, connection.egress());
        let mut reader = Reader::new(far, connection.ingress());
        reader.set_snappy(true);
        writer.push_compressed(code, compressed).unwrap();
        writer.flush().await.unwrap();

        let message = reader.read().await.unwrap();
        assert_eq!(message, Some(Message::new(code, payload.to_vec())));
    }
}

#[tokio::test]
async fn a_stream_is_a_stream_and_a_sink() {
    let (mut one, mut two) = connected().await;
    let messages: Vec<Message> =
        (0..50_u64).map(|n| Message::new(16 + n, vec![0x5a; 4000])).collect();

    let sent = messages.clone();
    let sender = tokio::spawn(async move {
        for message in sent {
            one.feed(message).await.unwrap();
        }
        one.close().await.unwrap();
        one
    });
    let mut got = Vec::new();
    while let Some(message) = two.next().await {
        got.push(message.unwrap());
    }

    assert_eq!(got, messages);
    assert!(sender.await.unwrap().read().now_or_never().is_none(), "the other way is open");
}

#[tokio::test]
async fn both_directions_run_in_tasks_of_their_own() {
    let (one, two) = connected().await;
    let [one, two] = [one, two].map(RlpxStream::split);

    let mut tasks = tokio::task::JoinSet::new();
    for (mut reader, mut writer) in [one, two] {
        tasks.spawn(async move {
            let mut scratch = Scratch::new();
            for n in 0..100 {
                writer.push(16 + n, &[0x5a; 3000], &mut scratch).unwrap();
                writer.flush().await.unwrap();
            }
            writer.shutdown().await.unwrap();
        });
        tasks.spawn(async move {
            for n in 0..100 {
                assert_eq!(reader.read().await.unwrap().unwrap().code, 16 + n);
            }
            assert!(reader.read().await.unwrap().is_none());
        });
    }

    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_message_written_is_a_message_read() {
    let (mut one, mut two) = connected().await;

    one.write(&Message::new(16, "ping")).await.unwrap();
    assert_eq!(two.read().await.unwrap(), Some(Message::new(16, "ping")));
    two.write(&Message::new(17, "pong")).await.unwrap();
    assert_eq!(one.read().await.unwrap(), Some(Message::new(17, "pong")));
}

#[test]
fn small_plain_payloads_do_not_pin_the_read_buffer() {
    let connection = Connection::default();
    let (mut reference, mut ingress) = (connection.reference(), connection.ingress());
    let mut buffer = BytesMut::from(&reference.message(16, b"small")[..]);
    buffer.reserve(1000);
    let room = buffer.capacity();

    let frame = ingress.next(&mut buffer).unwrap().unwrap();
    let message = frame.into_message(false, MAX_SIZE).unwrap();

    assert!(buffer.try_reclaim(room), "nobody else holds the buffer");
    assert_eq!(&message.payload[..], b"small");
}

#[test]
fn payloads_over_the_callers_limit_are_refused() {
    for snappy in [false, true] {
        for (len, accepted) in [(1000, true), (1001, false)] {
            let connection = Connection::default();
            let mut writer = Writer::new(tokio::io::sink(), connection.egress());
            writer.set_snappy(snappy);
            writer.push(16, &vec![0; len], &mut Scratch::new()).unwrap();
            let frame = connection.ingress().next(&mut writer.pending().into()).unwrap().unwrap();

            let result = frame.into_message(snappy, 1000);

            match accepted {
                true => assert_eq!(result.unwrap().payload.len(), len),
                false => {
                    assert!(matches!(result, Err(FrameError::TooLarge { size: 1001, limit: 1000 })))
                }
            }
        }
    }
}

#[test]
fn the_two_sides_of_a_connection_use_different_tags() {
    let connection = Connection::default();
    let digests = [Role::Initiator, Role::Recipient].map(|role| {
        let secrets = connection.secrets(role);
        (secrets.egress_digest(), secrets.ingress_digest(b""))
    });

    assert_ne!(digests[0].0, digests[0].1);
    assert_eq!(digests[0], (digests[1].1, digests[1].0));
}

type Pipe = tokio::io::DuplexStream;
type Connected = RlpxStream<ReadHalf<Pipe>, WriteHalf<Pipe>>;

/// Two ends of a connection after their hellos.
async fn connected() -> (Connected, Connected) {
    let (near, far) = duplex(4096);
    let (ours, theirs) = (common::key(1), common::key(2));
    let remote = theirs.public_key();
    let deadline = Instant::now() + Duration::from_secs(5);
    let (one, two) = tokio::join!(
        RlpxStream::connect(near, &ours, &remote, deadline),
        RlpxStream::accept(far, &theirs, deadline),
    );
    let mut ends = (one.unwrap(), two.unwrap());
    assert_eq!((ends.0.remote(), ends.1.remote()), (remote, ours.public_key()));
    for end in [&mut ends.0, &mut ends.1] {
        end.set_max_frame(MAX_SIZE);
        end.set_snappy(true);
    }
    ends
}

/// A connection that delivers its bytes piece by piece.
struct Pieces(VecDeque<Vec<u8>>);

impl Pieces {
    fn of(bytes: &[u8], size: usize) -> Self {
        Self(bytes.chunks(size).map(<[u8]>::to_vec).collect())
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            buffer.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}
