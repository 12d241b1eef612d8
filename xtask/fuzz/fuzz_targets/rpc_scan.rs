//! The JSON splitter: in pieces and at once, beside `serde_json`.
//!
//! ```text
//!   cargo install cargo-fuzz
//!   cd xtask && cargo +nightly fuzz run rpc_scan
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rpc::fuzz::scan(data));
