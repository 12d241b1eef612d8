//! Known answers: the base protocol's messages, capability matching, and whole conversations that
//! were recorded between go-ethereum 1.9.2, swarm 0.5.8 and a plain client.
//!
//! Every case of a file is walked, by its members and never by its place. Bytes, accept or reject,
//! codes and reasons bind; where a case has a member `ours`, that does. The wording of an error
//! binds where it is go-ethereum's own and not that of its decoder.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "vectors/base_protocol.rs"]
mod base_protocol;
#[path = "vectors/capability_matching.rs"]
mod capability_matching;
#[path = "vectors/conversations.rs"]
mod conversations;

use std::path::Path;

use bytes::Bytes;
use p2p_server::{Capability, vector_hooks::HelloFields};
use rlpx::snappy::{self, Scratch};
use serde::{Deserialize, de::DeserializeOwned};

/// Reads a vector file.
fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Bytes of hex digits.
#[track_caller]
fn hex(digits: &str) -> Vec<u8> {
    const_hex::decode(digits).unwrap_or_else(|error| panic!("{digits}: {error}"))
}

/// The compressed form of a payload.
fn compress(payload: &[u8]) -> Vec<u8> {
    snappy::compress(payload, &mut Scratch::new()).unwrap().to_vec()
}

/// The payload of a compressed form.
#[track_caller]
fn decompress(body: &[u8]) -> Bytes {
    snappy::decompress(body, snappy::MAX_MESSAGE).unwrap()
}

/// A name and a version, as the files write a capability.
#[derive(Debug, Clone, Deserialize)]
struct NamedVersion {
    name: String,
    version: u64,
}

impl NamedVersion {
    /// What can be offered and matched; everything else is passed over when it is read.
    fn valid(&self) -> Option<Capability> {
        let is_name = (1..=32).contains(&self.name.len())
            && self.name.bytes().all(|byte| byte.is_ascii_graphic());
        let version = u32::try_from(self.version).ok()?;
        is_name.then(|| Capability::new(self.name.as_str(), version))
    }
}

/// Capabilities in their usual text form.
fn texts(hello: &HelloFields) -> Vec<String> {
    hello.capabilities.iter().map(Capability::to_string).collect()
}
