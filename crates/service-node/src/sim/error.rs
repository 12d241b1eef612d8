//! What can go wrong with a simulation.

use std::time::Duration;

use p2p_server::AddPeerError;

use crate::{BuildError, StartError, StopError};

/// Why a simulation is not what it should be. Names the node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// There is no node at this position.
    #[error("no node {at}, there are {count}")]
    NoNode {
        /// The position.
        at: usize,
        /// How many there are.
        count: usize,
    },
    /// A node cannot be built.
    #[error("{node}: {source}")]
    Build {
        /// The node.
        node: String,
        /// Why.
        source: BuildError,
    },
    /// A node does not start.
    #[error("{node}: {source}")]
    Start {
        /// The node.
        node: String,
        /// Why.
        source: StartError,
    },
    /// A node did not stop well.
    #[error("{node}: {source}")]
    Stop {
        /// The node.
        node: String,
        /// Why.
        source: StopError,
    },
    /// Two nodes cannot be connected.
    #[error("{one}–{two}: {source}")]
    Connect {
        /// Who was to dial.
        one: String,
        /// Whom.
        two: String,
        /// Why it cannot.
        source: AddPeerError,
    },
    /// What was waited for did not come about.
    #[error("after {after:?} still missing: {missing}")]
    NotReached {
        /// What is missing, in the words of who waited.
        missing: String,
        /// For how long it was waited.
        after: Duration,
    },
    /// So many nodes cannot have this shape.
    #[error("{count} nodes cannot be connected so: {cause}")]
    Shape {
        /// How many nodes there are.
        count: usize,
        /// What is wrong.
        cause: &'static str,
    },
    /// A snapshot cannot be restored.
    #[error("snapshot: {cause}")]
    Snapshot {
        /// What is wrong with it.
        cause: String,
    },
}
