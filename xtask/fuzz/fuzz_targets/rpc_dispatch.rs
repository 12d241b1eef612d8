//! The dispatcher of JSON-RPC: whatever a client writes, in pieces.
//!
//! ```text
//!   cd xtask && cargo +nightly fuzz run rpc_dispatch
//! ```

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rpc::fuzz::dispatch(data));
