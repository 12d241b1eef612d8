//! Nodes in processes of their own: killed, told to end by signals, or in each other's way.
//!
//! A process is this test program again, with one of its tests as the program; see `child`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod child;
#[path = "../common/mod.rs"]
mod common;
mod kills;
mod locks;
mod signals;
