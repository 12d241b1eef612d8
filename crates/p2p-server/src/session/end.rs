//! Why a session ended, and what follows from it: what the peer is told, what is reported, who is
//! to blame.
//!
//! The table is that of go-ethereum, with the differences our specification lists: a breach is told
//! to the peer instead of closing without a word, silence is told as a read timeout, and a
//! disconnect is never answered with one.

use std::io;

use rlpx::FrameError;

use crate::{
    Capability, DisconnectReason, ProtocolError, Side, budget::PeerBudget, ping_limit::PingFlood,
    reputation::Offence,
};

/// The first thing that went wrong, or right: it alone decides how the session ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer hung up.
    #[error("{0}")]
    Remote(DisconnectReason),
    /// Our side wants it ended: `Peer::disconnect`, `remove_peer`, a ban.
    #[error("{0}")]
    Local(DisconnectReason),
    /// The server stops.
    #[error("client quitting")]
    Stopping,
    /// The peer closed the connection without a word.
    #[error("EOF")]
    Eof,
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is not from the other end of this connection, or not a frame.
    #[error("{0}")]
    Frame(FrameError),
    /// A frame was authentic and broke the rules.
    #[error("{text}")]
    Breach {
        /// What rule, in go-ethereum's words where it has any.
        text: String,
        /// What it costs the peer.
        offence: Offence,
    },
    /// A message was larger than its protocol takes.
    #[error("{error}")]
    TooLong {
        /// How large, and what the limit is.
        error: FrameError,
        /// What the peer is told.
        reason: DisconnectReason,
    },
    /// No frame for 30 s, or one that crawls.
    #[error("read timeout")]
    ReadTimeout,
    /// The peer reads too slowly.
    #[error("write timeout")]
    WriteTimeout,
    /// A protocol has taken nothing for 30 s while its queue was full.
    #[error("protocol {0} takes no messages")]
    Stuck(Capability),
    /// The memory for messages was used up for 30 s.
    #[error("message budget exceeded")]
    Budget {
        /// By this peer, and not by others.
        own: bool,
    },
    /// A protocol's body is done.
    #[error("protocol returned")]
    Returned,
    /// A protocol's body gave up.
    #[error("{0}")]
    Protocol(ProtocolError),
    /// A protocol's body panicked.
    #[error("protocol {0} panicked")]
    Panicked(Capability),
}

impl End {
    /// What the peer is told; `None` when nothing can or need be told.
    pub(crate) fn reason_to_send(&self) -> Option<DisconnectReason> {
        match self {
            Self::Remote(_) | Self::Eof | Self::Io(_) | Self::Frame(_) | Self::WriteTimeout => None,
            Self::Local(reason) | Self::TooLong { reason, .. } => Some(*reason),
            Self::Stopping | Self::Returned => Some(DisconnectReason::Quitting),
            Self::Breach { .. } | Self::Stuck(_) | Self::Budget { .. } => {
                Some(DisconnectReason::ProtocolError)
            }
            Self::ReadTimeout => Some(DisconnectReason::ReadTimeout),
            Self::Protocol(error) => Some(error.disconnect_reason()),
            Self::Panicked(_) => Some(DisconnectReason::SubprotocolError),
        }
    }

    /// The reason that was said by either side, for whoever decides when to dial again.
    pub(crate) fn reason(&self) -> Option<DisconnectReason> {
        match self {
            Self::Remote(reason) => Some(*reason),
            _ => self.reason_to_send(),
        }
    }

    /// Who ended it: the other side where it, or the network, is gone.
    pub(crate) fn by(&self) -> Side {
        match self {
            Self::Remote(_) | Self::Eof | Self::Io(_) => Side::Them,
            _ => Side::Us,
        }
    }

    /// What it costs the peer.
    pub(crate) fn offence(&self) -> Option<Offence> {
        match self {
            Self::Breach { offence, .. } => Some(*offence),
            Self::TooLong { .. } => Some(Offence::BadCompression),
            Self::Budget { own: true } | Self::Stuck(_) => Some(Offence::BudgetExceeded),
            Self::Protocol(
                ProtocolError::InvalidMessage(_)
                | ProtocolError::InvalidCode { .. }
                | ProtocolError::Invalid(_),
            ) => Some(Offence::InvalidMessage),
            Self::Protocol(ProtocolError::Disconnect(_)) => None,
            Self::Protocol(_) | Self::Panicked(_) => Some(Offence::ProtocolFailed),
            _ => None,
        }
    }

    /// There was no memory for a message of this peer for too long.
    pub(crate) fn budget(budget: &PeerBudget) -> Self {
        Self::Budget { own: budget.is_full() }
    }

    /// The same, where a message that is too large ends the session with this reason.
    pub(crate) fn from_frame_of(error: FrameError, reason: DisconnectReason) -> Self {
        match error {
            FrameError::TooLarge { .. } | FrameError::MessageTooLong { .. } => {
                Self::TooLong { error, reason }
            }
            error => Self::from_frame(error),
        }
    }

    /// Sorts what the frame layer refused: an authentic frame that breaks a rule is a breach, the
    /// rest cannot be told to anybody.
    pub(crate) fn from_frame(error: FrameError) -> Self {
        let offence = match &error {
            FrameError::Io(_) | FrameError::UnexpectedEof | FrameError::HeaderMac => None,
            FrameError::BodyMac | FrameError::Terminated => None,
            FrameError::Code(_) | FrameError::Empty => Some(Offence::BadMessageCode),
            FrameError::Snappy
            | FrameError::MessageTooLong { .. }
            | FrameError::TooLarge { .. } => Some(Offence::BadCompression),
            _ => None,
        };
        match (offence, error) {
            (Some(offence), error) => Self::Breach { text: error.to_string(), offence },
            (None, FrameError::Io(error)) => Self::Io(error),
            (None, error) => Self::Frame(error),
        }
    }
}

impl From<PingFlood> for End {
    fn from(flood: PingFlood) -> Self {
        Self::Breach { text: flood.to_string(), offence: Offence::PingFlood }
    }
}
