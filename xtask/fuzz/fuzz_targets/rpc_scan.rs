//! The JSON splitter: in pieces and at once, beside `serde_json`.
//!
//! ```text
//!   cargo install cargo-fuzz
//!   cargo +nightly fuzz run --fuzz-dir xtask/fuzz rpc_scan
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rpc::fuzz::scan(data));
