//! The occasional log line that says that peers are still wanted.

use std::time::{Duration, Instant};

/// Facts for the log line "looking for peers".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LookingForPeers {
    /// Peers, whoever dialed.
    pub(crate) peer_count: usize,
    /// Attempts that ended since the last such line.
    pub(crate) tried: usize,
    /// Static nodes.
    pub(crate) static_nodes: usize,
}

/// When the line was last due, and what was tried since it was written.
#[derive(Debug, Default)]
pub(super) struct LookLog {
    since: Option<Instant>,
    tried: usize,
}

impl LookLog {
    /// An attempt ended.
    pub(super) const fn on_tried(&mut self) {
        self.tried = self.tried.saturating_add(1);
    }

    /// Whether the interval is over, which starts it anew. The first call only starts it: a node
    /// that has just begun needs no such line.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= LOG_INTERVAL;
        if is_due {
            self.since = Some(now);
        }
        is_due
    }

    /// How many attempts ended since the last call.
    pub(super) const fn take_tried(&mut self) -> usize {
        std::mem::replace(&mut self.tried, 0)
    }
}

/// The line is written only while fewer peers than this are ones that we dialed.
///
/// Source: ethereum/go-ethereum:p2p/dial.go, `dialStatsPeerLimit`.
pub(super) const FEW_PEERS: usize = 3;

/// Source: ethereum/go-ethereum:p2p/dial.go, `dialStatsLogInterval`.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
