//! The dispatcher of JSON-RPC: whatever a client writes, in pieces.
//!
//! ```text
//!   cargo +nightly fuzz run --fuzz-dir xtask/fuzz rpc_dispatch
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rpc::fuzz::dispatch(data));
