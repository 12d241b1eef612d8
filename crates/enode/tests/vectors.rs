//! Known answers made by go-ethereum, walked completely: every case of every section.
//!
//! The files state in their `about` member who made them and what binds: accept or refuse, and
//! every value; the wording of errors does not. A case is told by its members only, so any file of
//! the same form can take their place.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "vectors/enode.rs"]
mod enode_urls;
#[path = "vectors/node_id.rs"]
mod node_ids;
#[path = "vectors/enr.rs"]
mod records;
#[path = "vectors/rlp.rs"]
mod rlp;

use std::path::Path;

use serde::de::DeserializeOwned;

/// Reads a vector file.
fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Bytes of a hex string.
#[track_caller]
fn hex(digits: &str) -> Vec<u8> {
    const_hex::decode(digits).unwrap_or_else(|error| panic!("{digits}: {error}"))
}

/// The secret key of 64 hex digits.
#[track_caller]
fn secret_key(digits: &str) -> enode::SecretKey {
    enode::SecretKey::from_hex(digits).unwrap_or_else(|error| panic!("{digits}: {error}"))
}
