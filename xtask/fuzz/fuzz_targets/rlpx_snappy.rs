//! A compressed payload: it never becomes longer than it claims, nor than the limit.
//!
//! ```text
//!   cargo +nightly fuzz run --fuzz-dir xtask/fuzz rlpx_snappy
//! ```

#![no_main]

use rlpx::snappy;

/// What a protocol may have chosen, in bytes.
const LIMIT: usize = 64 * 1024;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(payload) = snappy::decompress(data, LIMIT) {
        assert!(payload.len() <= LIMIT);
        assert_eq!(snappy::payload_len(data, LIMIT).ok(), Some(payload.len()));
    }
});
