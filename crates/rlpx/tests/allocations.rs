//! How often messages ask for memory: never when sent, once when received.
//!
//! The counter is the whole process's, so this file has one test.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::Connection;
use futures_util::FutureExt as _;
use rlpx::{
    snappy::Scratch,
    stream::{Reader, Writer},
};
use tokio::io::duplex;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn a_sent_message_allocates_nothing_and_a_received_one_once() {
    let _profiler = dhat::Profiler::builder().testing().build();

    for size in [1, 64, 1024, 32 * 1024, 60 * 1024] {
        let compressible: Vec<u8> = b"go-ethereum ".iter().copied().cycle().take(size).collect();
        // A multiplicative sequence, which no compressor gets smaller.
        let random: Vec<u8> = (0..size)
            .scan(1_u32, |state, _| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some(state.to_be_bytes()[0])
            })
            .collect();
        for payload in [compressible, random] {
            check(&payload);
        }
    }
}

fn check(payload: &[u8]) {
    let connection = Connection::default();
    let (near, far) = duplex(1 << 20);
    let mut writer = Writer::new(near, connection.egress());
    let mut reader = Reader::new(far, connection.ingress());
    let mut scratch = Scratch::new();
    writer.set_snappy(true);
    reader.set_snappy(true);

    let mut exchange = || {
        let before = blocks();
        writer.push(16, payload, &mut scratch).unwrap();
        let pushed = blocks();
        writer.flush().now_or_never().unwrap().unwrap();
        let sent = blocks();
        let message = reader.read().now_or_never().unwrap().unwrap().unwrap();
        let received = blocks();
        assert_eq!(message.payload, payload);
        (pushed - before, sent - before, received - sent)
    };
    // Buffers grow to the traffic first.
    for _ in 0..20 {
        exchange();
    }

    for _ in 0..20 {
        let (pushed, _, received) = exchange();

        assert_eq!(pushed, 0, "to send {} bytes", payload.len());
        assert_eq!(received, 1, "to receive {} bytes", payload.len());
    }
}

fn blocks() -> u64 {
    dhat::HeapStats::get().total_blocks
}
