//! What is known about the attempts to connect to one node.

use std::time::Instant;

use enode::NodeId;

use super::event::DialStage;

/// A snapshot of what the dial scheduler knows about one node.
///
/// What `Server::dial_status` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialStatus {
    /// The node.
    pub node: NodeId,
    /// Whether it was added by hand and is dialed until it is removed.
    pub is_static: bool,
    /// Whether it is admitted beyond the limits.
    pub trusted: bool,
    /// Whether it is a peer now, whoever dialed.
    pub connected: bool,
    /// Whether an attempt is under way.
    pub dialing: bool,
    /// How many attempts were started.
    pub attempts: u32,
    /// How the last attempt that ended did so.
    pub last: Option<LastDial>,
    /// The earliest time of the next attempt; `None` when none is planned, that is for nodes that
    /// are not static, are connected or being dialed, or may not be dialed at all.
    pub next: Option<Instant>,
}

impl DialStatus {
    /// The status of a node that nobody has tried to connect to.
    pub(crate) const fn untried(node: NodeId) -> Self {
        Self {
            node,
            is_static: false,
            trusted: false,
            connected: false,
            dialing: false,
            attempts: 0,
            last: None,
            next: None,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastDial {
    /// When.
    pub at: Instant,
    /// How far it had come.
    pub stage: DialStage,
    /// What went wrong, or why the connection ended; `None` while it is up.
    pub error: Option<String>,
}
