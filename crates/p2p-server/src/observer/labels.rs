//! The lists from which an observer is told things, each with names that may be labels.

use crate::{Capability, DialStage, connection::Failure, reason::DisconnectReason};

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the other side: a message we read, a peer that connected to us.
    Inbound,
    /// From us: a message we send, a peer that we dialed.
    Outbound,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// `inbound` or `outbound`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    pub(crate) const fn of_peer(inbound: bool) -> Self {
        if inbound { Self::Inbound } else { Self::Outbound }
    }
}

/// Which of the two ends of a connection did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// This node.
    Us,
    /// The other one, or the network between the two.
    Them,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Us, Self::Them];

    /// `us` or `them`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Them => "them",
        }
    }
}

/// A message of a protocol, as an observer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageSeen<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// One of the protocols of this server.
    pub protocol: &'a Capability,
    /// The code, relative to the protocol; `None` for all of 256 and more. A peer chooses among the
    /// codes that a protocol has, and some have more than anybody wants to tell apart.
    pub code: Option<u8>,
    /// Size of the uncompressed payload, in bytes, without the code.
    pub size: usize,
}

impl<'a> MessageSeen<'a> {
    pub(crate) fn new(
        direction: Direction,
        protocol: &'a Capability,
        code: u64,
        size: usize,
    ) -> Self {
        Self { direction, protocol, code: u8::try_from(code).ok(), size }
    }
}

/// Why a connection did not become a peer's.
///
/// Spec: ethereum/go-ethereum:p2p/metrics.go, `markDialError`, with its names; but for
/// [`Refused`](Self::Refused), as connections that are turned away at the door are not counted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SetUpFailure {
    /// The node could not be reached: its name has no address, or there is no TCP connection. Only of
    /// dials.
    Connection,
    /// One side has no slot free.
    Saturated,
    /// The two are connected already.
    Known,
    /// The node is our own.
    OwnNode,
    /// The two share no protocol.
    Useless,
    /// The node is another one than was dialed, or than it says.
    UnexpectedIdentity,
    /// The encryption handshake failed.
    RlpxEnc,
    /// The exchange of hellos failed.
    RlpxProto,
    /// It was closed unread: a network that is not allowed, a ban, too many attempts, no room. Only of
    /// connections from outside.
    Refused,
    /// Anything else, such as a server that stops.
    Other,
}

impl SetUpFailure {
    /// All of them, in the order in which they are told about here.
    pub const ALL: [Self; 10] = [
        Self::Connection,
        Self::Saturated,
        Self::Known,
        Self::OwnNode,
        Self::Useless,
        Self::UnexpectedIdentity,
        Self::RlpxEnc,
        Self::RlpxProto,
        Self::Refused,
        Self::Other,
    ];

    /// go-ethereum's name for it: `connection`, `saturated`, `known`, `self`, `useless`,
    /// `unexpected_identity`, `rlpx_enc`, `rlpx_proto`, `other`; and `refused`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Saturated => "saturated",
            Self::Known => "known",
            Self::OwnNode => "self",
            Self::Useless => "useless",
            Self::UnexpectedIdentity => "unexpected_identity",
            Self::RlpxEnc => "rlpx_enc",
            Self::RlpxProto => "rlpx_proto",
            Self::Refused => "refused",
            Self::Other => "other",
        }
    }

    /// What was said counts before how far the connection had come.
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure.reason {
            Some(DisconnectReason::TooManyPeers) => return Self::Saturated,
            Some(DisconnectReason::AlreadyConnected) => return Self::Known,
            Some(DisconnectReason::SelfConnect) => return Self::OwnNode,
            Some(DisconnectReason::UselessPeer) => return Self::Useless,
            Some(DisconnectReason::UnexpectedIdentity) => return Self::UnexpectedIdentity,
            _ => {}
        }
        match failure.stage {
            _ if failure.given_up => Self::Other,
            DialStage::Resolve | DialStage::Connect => Self::Connection,
            DialStage::Handshake => Self::RlpxEnc,
            DialStage::Hello => Self::RlpxProto,
            DialStage::Check | DialStage::Admission | DialStage::Session => Self::Other,
        }
    }
}

/// A queue, or a pool of places, that can be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QueueKind {
    /// Messages of a protocol to a peer: the protocol waits, or is told.
    ProtocolOut,
    /// Messages of a peer to a protocol: nothing more is read from that peer.
    ProtocolIn,
    /// Pings and pongs to a peer.
    Base,
    /// Connections from outside in their handshake: one of them makes room, or the new one goes.
    Pending,
    /// Message events of a subscriber that does not read: some are left out.
    MessageEvents,
}

impl QueueKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ProtocolOut, Self::ProtocolIn, Self::Base, Self::Pending, Self::MessageEvents];

    /// Its name in small letters: `protocol_out`, `protocol_in`, `base`, `pending`,
    /// `message_events`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ProtocolOut => "protocol_out",
            Self::ProtocolIn => "protocol_in",
            Self::Base => "base",
            Self::Pending => "pending",
            Self::MessageEvents => "message_events",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_counts_before_how_far_the_connection_had_come() {
        for (reason, expected) in [
            (DisconnectReason::TooManyPeers, SetUpFailure::Saturated),
            (DisconnectReason::AlreadyConnected, SetUpFailure::Known),
            (DisconnectReason::SelfConnect, SetUpFailure::OwnNode),
            (DisconnectReason::UselessPeer, SetUpFailure::Useless),
            (DisconnectReason::UnexpectedIdentity, SetUpFailure::UnexpectedIdentity),
            (DisconnectReason::ProtocolError, SetUpFailure::RlpxProto),
        ] {
            let failure = Failure::said(DialStage::Hello, reason);

            assert_eq!(SetUpFailure::of(&failure), expected);
        }
    }

    #[test]
    fn without_words_the_stage_decides() {
        for (stage, expected) in [
            (DialStage::Check, SetUpFailure::Other),
            (DialStage::Resolve, SetUpFailure::Connection),
            (DialStage::Connect, SetUpFailure::Connection),
            (DialStage::Handshake, SetUpFailure::RlpxEnc),
            (DialStage::Hello, SetUpFailure::RlpxProto),
            (DialStage::Admission, SetUpFailure::Other),
        ] {
            assert_eq!(SetUpFailure::of(&Failure::new(stage, "EOF")), expected);
            assert_eq!(SetUpFailure::of(&Failure::given_up(stage, "")), SetUpFailure::Other);
        }
    }

    #[test]
    fn labels_are_told_apart() {
        fn distinct<const N: usize>(labels: [&str; N]) -> bool {
            let set: std::collections::BTreeSet<_> = labels.into_iter().collect();
            set.len() == N
        }
        assert!(distinct(Direction::ALL.map(Direction::label)));
        assert!(distinct(Side::ALL.map(Side::label)));
        assert!(distinct(SetUpFailure::ALL.map(SetUpFailure::label)));
        assert!(distinct(QueueKind::ALL.map(QueueKind::label)));
    }
}
