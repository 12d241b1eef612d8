//! JSON-RPC as go-ethereum's clients expect it.
//!
//! Core modules (no I/O): `scan`.

#[doc(hidden)]
pub mod fuzz;
mod scan;
