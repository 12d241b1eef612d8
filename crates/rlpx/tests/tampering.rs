//! Nothing that was changed on its way is accepted: every bit, and every cut.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::{Bytes, BytesMut};
use common::{Connection, key, randomness};
use enode::SecretKey;
use rlpx::{
    FrameError, HandshakeError,
    handshake::{Initiator, Recipient},
    stream::{self, Reader},
};

#[tokio::test]
async fn every_flipped_bit_of_an_auth_is_refused_without_a_byte() {
    let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));

    for tampered in flipped(&auth) {
        let mut written = Vec::new();
        let result = stream::accept(&*tampered, &mut written, &recipient(), randomness(5)).await;

        assert!(result.is_err());
        assert!(written.is_empty());
    }
}

#[tokio::test]
async fn every_flipped_bit_of_an_ack_is_refused_without_a_byte() {
    let (auth, ack) = packets();
    let to = recipient().public_key();

    for tampered in flipped(&ack) {
        let mut written = Vec::new();
        let result =
            stream::connect(&*tampered, &mut written, &initiator(), &to, randomness(1)).await;

        assert!(result.is_err());
        assert_eq!(written, auth, "nothing beside our auth");
    }
}

#[tokio::test]
async fn every_truncation_of_an_ack_ends_the_handshake() {
    let (_, ack) = packets();
    let to = recipient().public_key();

    for len in 0..ack.len() {
        let reader = &ack[..len];
        let result =
            stream::connect(reader, tokio::io::sink(), &initiator(), &to, randomness(1)).await;

        assert!(matches!(result, Err(HandshakeError::UnexpectedEof)), "{len}: {result:?}");
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_refused() {
    for tampered in flipped(&frame()).take(32 * 8) {
        let mut ingress = Connection::default().ingress();

        let result = ingress.next(&mut tampered[..].into());

        assert!(matches!(result, Err(FrameError::HeaderMac)), "{result:?}");
    }
}

#[test]
fn every_flipped_bit_of_a_body_is_refused() {
    for tampered in flipped(&frame()).skip(32 * 8) {
        let mut ingress = Connection::default().ingress();

        let result = ingress.next(&mut tampered[..].into());

        assert!(matches!(result, Err(FrameError::BodyMac)), "{result:?}");
    }
}

#[test]
fn a_half_is_of_no_use_after_a_wrong_tag() {
    let frame = frame();
    for at in [0, 40] {
        let mut ingress = Connection::default().ingress();
        let mut tampered = frame.clone();
        tampered[at] ^= 1;
        let error = ingress.next(&mut tampered[..].into()).unwrap_err();
        assert!(error.is_authentication(), "{error:?}");

        let result = ingress.next(&mut frame[..].into());

        assert!(matches!(result, Err(FrameError::Terminated)), "{result:?}");
        assert_eq!(ingress.announced(), None);
    }
}

#[test]
fn a_frame_is_read_only_in_its_place() {
    let connection = Connection::default();
    let mut egress = connection.egress();
    let frames: Vec<BytesMut> = (0..3_u8)
        .map(|n| {
            let mut frame = BytesMut::new();
            egress.frame(16, &[n; 40], &mut frame).unwrap();
            frame
        })
        .collect();

    // Repeated, left out, exchanged.
    for order in [[0, 0], [0, 2], [1, 0]] {
        let mut ingress = connection.ingress();
        let results = order.map(|n: usize| ingress.next(&mut frames[n].clone()));
        assert!(results.iter().any(Result::is_err), "{order:?}");
    }
}

#[test]
fn frames_of_another_direction_or_connection_are_refused() {
    let connection = Connection::default();
    let own = connection.secrets(rlpx::Role::Initiator).into_halves();
    let (_, mut ingress) = own;

    let result = ingress.next(&mut frame()[..].into());

    assert!(matches!(result, Err(FrameError::HeaderMac)), "our own frame sent back to us");
}

#[tokio::test]
async fn every_truncation_of_a_frame_is_an_unexpected_end() {
    let frame = frame();
    for len in 0..frame.len() {
        let mut reader = Reader::new(&frame[..len], Connection::default().ingress());

        let result = reader.read().await;

        match len {
            0 => assert!(matches!(result, Ok(None)), "nothing at all is a clean end"),
            _ => assert!(matches!(result, Err(FrameError::UnexpectedEof)), "{len}: {result:?}"),
        }
    }
}

fn initiator() -> SecretKey {
    key(0x31)
}

fn recipient() -> SecretKey {
    key(0x32)
}

fn packets() -> (Bytes, Bytes) {
    let (auth, _) = Initiator::new(&initiator(), &recipient().public_key(), randomness(1));
    let (ack, _) = Recipient::new(&recipient()).on_auth(&auth, randomness(5)).unwrap();
    (auth, ack)
}

fn frame() -> Vec<u8> {
    let mut out = BytesMut::new();
    Connection::default().egress().frame(16, &[0x42; 40], &mut out).unwrap();
    out.to_vec()
}

/// The same bytes over and over, each time with another bit flipped.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut tampered = bytes.to_vec();
        tampered[bit / 8] ^= 1 << (bit % 8);
        tampered
    })
}
