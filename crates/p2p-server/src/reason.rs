//! Why a connection ends: the reason codes of the base protocol.
//!
//! Unknown codes are kept with their number, so that a newer peer's reason is reported and not
//! lost, and none of them indexes anything (S-13).

use std::fmt;

/// The reason a node gives when it hangs up.
///
/// `Display` prints go-ethereum's exact words.
///
/// Spec: ethereum/devp2p:rlpx.md, "Disconnect (0x01)".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// 0x00: somebody asked for it.
    Requested,
    /// 0x01: the network failed. Never sent, as nothing can be.
    NetworkError,
    /// 0x02: a rule of the protocol was broken.
    ProtocolError,
    /// 0x03: no capability in common.
    UselessPeer,
    /// 0x04: no slot free.
    TooManyPeers,
    /// 0x05: the same node is connected already.
    AlreadyConnected,
    /// 0x06: the base protocol's version is not spoken here.
    IncompatibleVersion,
    /// 0x07: the hello carried no usable node key.
    InvalidIdentity,
    /// 0x08: the node, or the protocol, is done.
    Quitting,
    /// 0x09: the hello's key is not the one the handshake proved.
    UnexpectedIdentity,
    /// 0x0a: both ends are the same node.
    SelfConnect,
    /// 0x0b: nothing came in time.
    ReadTimeout,
    /// 0x10: a subprotocol found something wrong.
    SubprotocolError,
    /// Any other code up to 0xff.
    Unknown(u8),
    /// The peer's reason could not be read. Never sent.
    Invalid,
}

impl DisconnectReason {
    /// The number on the wire. 0xff for [`Invalid`](Self::Invalid).
    pub const fn code(self) -> u8 {
        match self {
            Self::Requested => 0x00,
            Self::NetworkError => 0x01,
            Self::ProtocolError => 0x02,
            Self::UselessPeer => 0x03,
            Self::TooManyPeers => 0x04,
            Self::AlreadyConnected => 0x05,
            Self::IncompatibleVersion => 0x06,
            Self::InvalidIdentity => 0x07,
            Self::Quitting => 0x08,
            Self::UnexpectedIdentity => 0x09,
            Self::SelfConnect => 0x0a,
            Self::ReadTimeout => 0x0b,
            Self::SubprotocolError => 0x10,
            Self::Unknown(code) => code,
            Self::Invalid => 0xff,
        }
    }

    /// A name in small letters from a fixed list, for counting: `too_many_peers`; `unknown` for every
    /// number that has no meaning.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::NetworkError => "network_error",
            Self::ProtocolError => "protocol_error",
            Self::UselessPeer => "useless_peer",
            Self::TooManyPeers => "too_many_peers",
            Self::AlreadyConnected => "already_connected",
            Self::IncompatibleVersion => "incompatible_version",
            Self::InvalidIdentity => "invalid_identity",
            Self::Quitting => "quitting",
            Self::UnexpectedIdentity => "unexpected_identity",
            Self::SelfConnect => "self_connect",
            Self::ReadTimeout => "read_timeout",
            Self::SubprotocolError => "subprotocol_error",
            Self::Unknown(_) => "unknown",
            Self::Invalid => "invalid",
        }
    }

    /// The reason with this number; every number has one.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0x00 => Self::Requested,
            0x01 => Self::NetworkError,
            0x02 => Self::ProtocolError,
            0x03 => Self::UselessPeer,
            0x04 => Self::TooManyPeers,
            0x05 => Self::AlreadyConnected,
            0x06 => Self::IncompatibleVersion,
            0x07 => Self::InvalidIdentity,
            0x08 => Self::Quitting,
            0x09 => Self::UnexpectedIdentity,
            0x0a => Self::SelfConnect,
            0x0b => Self::ReadTimeout,
            0x10 => Self::SubprotocolError,
            0xff => Self::Invalid,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "disconnect requested",
            Self::NetworkError => "network error",
            Self::ProtocolError => "breach of protocol",
            Self::UselessPeer => "useless peer",
            Self::TooManyPeers => "too many peers",
            Self::AlreadyConnected => "already connected",
            Self::IncompatibleVersion => "incompatible p2p protocol version",
            Self::InvalidIdentity => "invalid node identity",
            Self::Quitting => "client quitting",
            Self::UnexpectedIdentity => "unexpected identity",
            Self::SelfConnect => "connected to self",
            Self::ReadTimeout => "read timeout",
            Self::SubprotocolError => "subprotocol error",
            Self::Invalid => "invalid disconnect reason",
            Self::Unknown(code) => return write!(f, "unknown disconnect reason {code}"),
        })
    }
}

impl std::error::Error for DisconnectReason {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in 0..=u8::MAX {
            assert_eq!(DisconnectReason::from_code(code).code(), code);
        }
    }

    #[test]
    fn all_reasons_together_have_few_names() {
        let names = (0..=u8::MAX).map(|code| DisconnectReason::from_code(code).label());
        let names: std::collections::BTreeSet<_> = names.collect();

        assert_eq!(names.len(), 15);
    }

    #[test]
    fn an_unknown_reason_has_words() {
        let reason = DisconnectReason::from_code(0x42);

        assert_eq!(reason.to_string(), "unknown disconnect reason 66");
    }
}
