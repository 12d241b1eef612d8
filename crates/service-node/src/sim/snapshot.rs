//! A simulation written down: who there is, and who is connected with whom.
//!
//! ```text
//!   {"nodes": [{"name": "n000", "key": "6e1f…", "up": true}, …],
//!    "conns": [{"one": "n000", "other": "n001"}, …]}
//! ```
//!
//! The keys are secret ones, of nodes that nobody outside has to trust.

use std::collections::BTreeMap;

use enode::SecretKey;
use serde::{Deserialize, Serialize};

use super::SimError;

/// A simulation at one moment.
///
/// Source: ethereum/go-ethereum:p2p/simulations/network.go, `Snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The nodes.
    // bound: what the user of the simulation reads
    pub nodes: Vec<SnapshotNode>,
    /// The connections that are kept.
    // bound: what the user of the simulation reads
    pub conns: Vec<SnapshotConnection>,
}

/// A node of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotNode {
    /// Its name.
    pub name: String,
    /// Its secret key, 64 hex digits.
    pub key: String,
    /// Whether it ran.
    pub up: bool,
}

/// A connection of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotConnection {
    /// The name of the node that dials.
    pub one: String,
    /// The name of the node that is dialed.
    pub other: String,
}

impl SnapshotNode {
    pub(super) fn secret_key(&self) -> Result<SecretKey, SimError> {
        SecretKey::from_hex(&self.key)
            .map_err(|error| SimError::Snapshot { cause: format!("{}: {error}", self.name) })
    }
}

impl Snapshot {
    /// The connections, by the positions of their nodes.
    pub(super) fn links(&self) -> Result<Vec<(usize, usize)>, SimError> {
        // bound: the nodes
        let mut places = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if places.insert(node.name.as_str(), at).is_some() {
                let cause = format!("there are two nodes {}", node.name);
                return Err(SimError::Snapshot { cause });
            }
        }
        let place = |name: &str| {
            let unknown = || SimError::Snapshot { cause: format!("there is no node {name}") };
            places.get(name).copied().ok_or_else(unknown)
        };
        self.conns.iter().map(|conn| Ok((place(&conn.one)?, place(&conn.other)?))).collect()
    }
}
