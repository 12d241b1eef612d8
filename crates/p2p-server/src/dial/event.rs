//! What the dial scheduler tells about its work.
//!
//! ```text
//!   Started ──▶ Failed        next_in: when a static node is tried again
//!          └──▶ Connected ──▶ Ended     next_in: the same
//! ```

use std::{fmt, time::Duration};

use enode::NodeId;

use crate::reason::DisconnectReason;

/// One step in the attempts to connect to a node.
///
/// What `Server::dial_events` yields. For nodes that were added by hand (static) every step is
/// told, for candidates the start and the end of each attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialEvent {
    /// The node that is dialed.
    pub node: NodeId,
    /// Whether it was added by hand and is dialed until it is removed.
    pub is_static: bool,
    /// Number of this attempt, from 1; 0 where none has been made yet.
    pub attempt: u32,
    /// How far the attempt, or the connection, had come.
    pub stage: DialStage,
    /// What happened there.
    pub outcome: DialOutcome,
    /// How long until the node may be dialed again; `None` when nothing is planned.
    pub next_in: Option<Duration>,
}

impl fmt::Display for DialEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, attempt, stage, outcome, .. } = self;
        write!(f, "dial {} to {} at {stage}: {outcome}", attempt, node.short())?;
        match self.next_in {
            Some(wait) => write!(f, ", next in {:.1} s", wait.as_secs_f64()),
            None => Ok(()),
        }
    }
}

/// What happened to an attempt, or to the connection it led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialOutcome {
    /// The node is in the plan, and its turn comes later.
    Scheduled,
    /// The attempt has begun.
    Started,
    /// The node is a peer now.
    Connected,
    /// The attempt came to nothing.
    Failed {
        /// What went wrong, as text.
        error: String,
        /// The reason for which the other side hung up, where it gave one.
        reason: Option<DisconnectReason>,
    },
    /// The connection was up and is over.
    Ended {
        /// Why, where a reason was given by either side.
        reason: Option<DisconnectReason>,
    },
}

impl fmt::Display for DialOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduled => f.write_str("scheduled"),
            Self::Started => f.write_str("started"),
            Self::Connected => f.write_str("connected"),
            Self::Failed { error, .. } => f.write_str(error),
            Self::Ended { reason: Some(reason) } => reason.fmt(f),
            Self::Ended { reason: None } => f.write_str("connection lost"),
        }
    }
}

/// How far an attempt to connect had come.
///
/// `Display` prints one lower-case word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DialStage {
    /// The rules for dialing; no attempt was made.
    Check,
    /// Finding an IP address for the node's host name, or for its id.
    Resolve,
    /// The TCP connection.
    Connect,
    /// The encryption handshake (auth and ack).
    Handshake,
    /// The exchange of hello messages.
    Hello,
    /// Our own rules for who becomes a peer.
    Admission,
    /// The connection as a peer.
    Session,
}

impl fmt::Display for DialStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "check",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Hello => "hello",
            Self::Admission => "admission",
            Self::Session => "session",
        })
    }
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialFailure {
    /// Where it ended.
    pub(crate) stage: DialStage,
    /// What went wrong, as text.
    pub(crate) error: String,
    /// The reason for which either side hung up, where there is one.
    pub(crate) reason: Option<DisconnectReason>,
}

impl DialFailure {
    /// A failure that came from no disconnect message.
    pub(crate) fn new(stage: DialStage, error: &dyn fmt::Display) -> Self {
        Self { stage, error: error.to_string(), reason: None }
    }

    /// A failure because one side hung up with a reason.
    pub(crate) fn disconnected(stage: DialStage, reason: DisconnectReason) -> Self {
        Self { stage, error: reason.to_string(), reason: Some(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_a_sentence() {
        let event = DialEvent {
            node: NodeId::new([0xab; 32]),
            is_static: true,
            attempt: 3,
            stage: DialStage::Connect,
            outcome: DialOutcome::Failed { error: "connection refused".into(), reason: None },
            next_in: Some(Duration::from_millis(70_250)),
        };

        assert_eq!(
            event.to_string(),
            "dial 3 to abababababababab at connect: connection refused, next in 70.2 s"
        );
    }

    #[test]
    fn a_disconnect_is_told_in_the_words_of_its_reason() {
        let failure = DialFailure::disconnected(DialStage::Hello, DisconnectReason::TooManyPeers);

        assert_eq!(failure.error, "too many peers");
        assert_eq!(
            DialOutcome::Ended { reason: Some(DisconnectReason::Quitting) }.to_string(),
            "client quitting"
        );
    }
}
