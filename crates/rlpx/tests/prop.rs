//! Properties: what holds for every message and every way to cut the bytes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::BytesMut;
use common::{Connection, assert_bytes};
use proptest::{collection::vec, prelude::*};
use rlpx::{
    Message,
    frame::{Ingress, MAX_SIZE},
    snappy::{self, Scratch},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn our_frames_are_those_of_the_plain_codec(messages in messages()) {
        let connection = Connection::default();
        let (mut egress, mut reference) = (connection.egress(), connection.reference());
        let mut out = BytesMut::new();

        for message in &messages {
            let start = out.len();
            let size = egress.frame(message.code, &message.payload, &mut out).unwrap();
            let want = reference.message(message.code, &message.payload);

            assert_bytes(&out[start..], &want, "frame");
            prop_assert_eq!(size, want.len());
        }
    }

    #[test]
    fn any_split_of_the_input_gives_the_same_messages(
        messages in messages(),
        cuts in vec(1..3000_usize, 1..40),
        snappy in any::<bool>(),
    ) {
        let wire = encode(&messages, snappy);
        let mut ingress = Connection::default().ingress();
        let (mut buffer, mut got) = (BytesMut::new(), Vec::new());

        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = behind;
            take_all(&mut ingress, &mut buffer, snappy, &mut got);
            prop_assert!(ingress.missing(&buffer) > 0);
            if rest.is_empty() {
                break;
            }
        }

        prop_assert_eq!(got, messages);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn reading_exactly_what_is_missing_gives_the_same_messages(messages in messages()) {
        let wire = encode(&messages, true);
        let mut ingress = Connection::default().ingress();
        let (mut buffer, mut got) = (BytesMut::new(), Vec::new());

        let mut rest = &wire[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(ingress.missing(&buffer));
            buffer.extend_from_slice(piece);
            rest = behind;
            take_all(&mut ingress, &mut buffer, true, &mut got);
        }

        prop_assert_eq!(got, messages);
    }

    #[test]
    fn a_flipped_bit_ends_the_messages_where_it_is(
        messages in messages(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut wire = encode(&messages, false);
        prop_assume!(!wire.is_empty());
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        let mut ingress = Connection::default().ingress();

        let mut got = Vec::new();
        let failed = loop {
            match ingress.next(&mut wire) {
                Ok(Some(frame)) => got.push(frame.into_message(false, MAX_SIZE).unwrap()),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };

        prop_assert!(failed);
        prop_assert!(got.len() < messages.len());
        prop_assert_eq!(&got[..], &messages[..got.len()]);
    }

    #[test]
    fn garbage_is_never_a_frame(garbage in vec(any::<u8>(), 32..400)) {
        let mut ingress = Connection::default().ingress();

        prop_assert!(ingress.next(&mut garbage[..].into()).is_err());
    }

    #[test]
    fn garbage_never_decompresses_beyond_its_claim(garbage in vec(any::<u8>(), 0..400)) {
        let limit = 100_000;

        if let Ok(payload) = snappy::decompress(&garbage, limit) {
            prop_assert!(payload.len() <= limit);
            prop_assert_eq!(payload.len(), snappy::declared_len(&garbage).unwrap());
        }
    }

    #[test]
    fn compression_is_undone(payload in payload()) {
        let mut scratch = Scratch::new();
        let body = snappy::compress(&payload, &mut scratch).unwrap();

        prop_assert_eq!(snappy::declared_len(body).unwrap(), payload.len());
        prop_assert_eq!(&snappy::decompress(body, payload.len()).unwrap()[..], &payload[..]);
        for end in 0..body.len() {
            prop_assert!(snappy::decompress(&body[..end], payload.len()).is_err());
        }
    }
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let code = prop_oneof![0..300_u64, any::<u64>()];
    vec((code, payload()).prop_map(|(code, payload)| Message::new(code, payload)), 0..8)
}

/// Random bytes, repetitive bytes, and the lengths around a block.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..70),
        vec(any::<u8>(), 0..5000),
        (vec(any::<u8>(), 1..20), 0..5000_usize).prop_map(|(unit, len)| unit
            .into_iter()
            .cycle()
            .take(len)
            .collect()),
    ]
}

fn encode(messages: &[Message], snappy: bool) -> BytesMut {
    let mut egress = Connection::default().egress();
    let (mut out, mut scratch) = (BytesMut::new(), Scratch::new());
    for Message { code, payload } in messages {
        let body = match snappy {
            true => snappy::compress(payload, &mut scratch).unwrap(),
            false => payload,
        };
        egress.frame(*code, body, &mut out).unwrap();
    }
    out
}

fn take_all(ingress: &mut Ingress, buffer: &mut BytesMut, snappy: bool, got: &mut Vec<Message>) {
    while let Some(frame) = ingress.next(buffer).unwrap() {
        got.push(frame.into_message(snappy, snappy::MAX_MESSAGE).unwrap());
    }
}
