//! Payload compression: its limits, and the memory it borrows.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use rlpx::{
    FrameError,
    snappy::{self, MAX_MESSAGE, Scratch, ScratchPool},
};

#[test]
fn a_claim_is_compared_with_the_limit_before_anything_is_allocated() {
    for claimed in [MAX_MESSAGE + 1, 1 << 25, u32::MAX as usize, (1 << 35) - 1] {
        let error = snappy::decompress(&varint(claimed), MAX_MESSAGE).unwrap_err();

        assert!(matches!(error, FrameError::MessageTooLong { size } if size == claimed));
        assert!(error.to_string().starts_with("message length >= 16MB"));
    }

    let error = snappy::decompress(&varint(1001), 1000).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { size: 1001, limit: 1000 }));
}

/// S-10, T-12: a claim within the limit that so few bytes cannot keep is refused without an allocation
/// of what it claims; the longest that they can keep is not.
#[test]
fn a_claim_that_the_body_cannot_keep_is_refused() {
    for (claimed, rest) in [(MAX_MESSAGE, 6), (1 << 20, 1_000), (200, 4)] {
        let body = [varint(claimed), vec![0; rest]].concat();

        let error = snappy::payload_len(&body, MAX_MESSAGE).unwrap_err();

        assert!(matches!(error, FrameError::Snappy), "{claimed} of {rest}: {error}");
    }

    let mut scratch = Scratch::new();
    for size in [1, 100, 10_000, MAX_MESSAGE] {
        let body = snappy::compress(&vec![0; size], &mut scratch).unwrap().to_vec();
        assert_eq!(snappy::payload_len(&body, MAX_MESSAGE).unwrap(), size);
        // Nothing but copies of 64 bytes, which no compressor beats.
        let copies = [0xfe, 0x01, 0x00].repeat(size / 64);
        let best = [varint(1 + size / 64 * 64), vec![0x00, b'a'], copies].concat();
        assert_eq!(snappy::decompress(&best, MAX_MESSAGE).unwrap().len(), 1 + size / 64 * 64);
    }
}

#[test]
fn malformed_blocks_are_corrupt() {
    let literal = [0x03, 0x08, b'a', b'b', b'c'];
    assert_eq!(&snappy::decompress(&literal, 3).unwrap()[..], b"abc");

    for (what, body) in [
        ("empty", &[][..]),
        ("a length that does not end", &[0x80; 5]),
        ("a length of six bytes", &[0x83, 0x80, 0x80, 0x80, 0x80, 0x00, 0x08, b'a', b'b', b'c']),
        ("a length and nothing else", &[0x03]),
        ("fewer bytes than claimed", &[0x04, 0x08, b'a', b'b', b'c']),
        ("more bytes than claimed", &[0x02, 0x08, b'a', b'b', b'c']),
        ("bytes behind the end", &[0x03, 0x08, b'a', b'b', b'c', 0x00]),
        ("bytes behind an empty block", &[0x00, 0x00]),
        ("a copy from before the start", &[0x04, 0x01, 0x09]),
        ("a copy from nowhere", &[0x05, 0x00, b'a', 0x01, 0x00]),
        ("not snappy at all", &[0xff; 40]),
    ] {
        let error = snappy::decompress(body, MAX_MESSAGE).unwrap_err();

        let expected = matches!(error, FrameError::Snappy | FrameError::MessageTooLong { .. });
        assert!(expected, "{what}: {error:?}");
    }
}

#[test]
fn lengths_need_not_be_minimal() {
    let padded = [0x83, 0x80, 0x80, 0x80, 0x00, 0x08, b'a', b'b', b'c'];

    assert_eq!(snappy::declared_len(&padded).unwrap(), 3);
    assert_eq!(&snappy::decompress(&padded, 3).unwrap()[..], b"abc");
}

#[test]
fn an_empty_payload_is_one_zero_byte() {
    let mut scratch = Scratch::new();

    assert_eq!(snappy::compress(b"", &mut scratch).unwrap(), [0x00]);
    assert!(snappy::decompress(&[0x00], 0).unwrap().is_empty());
}

#[test]
fn payloads_over_the_limit_are_not_compressed() {
    let mut scratch = Scratch::new();
    let payload = vec![0; MAX_MESSAGE + 1];

    let error = snappy::compress(&payload, &mut scratch).unwrap_err();

    assert!(matches!(error, FrameError::MessageTooLong { size } if size == MAX_MESSAGE + 1));
    assert_eq!(scratch.capacity(), 0, "nothing was allocated for it");
    assert!(snappy::compress(&payload[1..], &mut scratch).is_ok());
}

#[test]
fn a_scratch_comes_back_small_and_is_lent_again() {
    let pool = ScratchPool::new(1);
    let other = pool.clone();
    {
        let mut scratch = pool.lend();
        snappy::compress(&[0; 1_000_000], &mut scratch).unwrap();
        assert!(scratch.capacity() > 1_000_000);
    }

    let scratch = other.lend();

    let capacity = scratch.capacity();
    assert!((1..=64 * 1024).contains(&capacity), "{capacity}");
}

#[test]
fn a_pool_keeps_no_more_than_its_limit() {
    let pool = ScratchPool::new(1);
    let mut lent = [pool.lend(), pool.lend()];
    for scratch in &mut lent {
        snappy::compress(&[0; 1000], scratch).unwrap();
    }
    drop(lent);

    let capacities = [pool.lend(), pool.lend()].map(|scratch| scratch.capacity() > 0);

    // The first is the one that was kept; the pool was empty when the second was asked for.
    assert_eq!(capacities, [true, false]);
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}
