//! JSON-RPC as go-ethereum's clients expect it.
//!
//! Core modules (no I/O): none.
