//! Why a handshake or a frame failed.
//!
//! The variants are for our own logs and scores. On the wire all handshake failures look alike:
//! the connection closes without another byte, so that nobody can probe which check refused them.

use std::io;

use enode::{KeyError, SignatureError};

use crate::snappy;

/// Why an encrypted packet could not be opened or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EciesError {
    /// The packet has no room for key, initialisation vector, tag and one byte of content.
    #[error("packet of {got} bytes is shorter than {least}")]
    TooShort {
        /// Length of the packet, in bytes.
        got: usize,
        /// Length of the shortest packet there can be, in bytes.
        least: usize,
    },
    /// The sender's one-time key is no point of the curve.
    #[error("invalid public key")]
    PublicKey(#[source] KeyError),
    /// The tag does not match: corrupted, or sealed to another key.
    #[error("invalid message")]
    Mac,
    /// There is nothing to encrypt.
    #[error("empty plaintext")]
    Empty,
}

/// Why a handshake did not lead to a connection.
///
/// Whatever the variant, the right answer is to close the connection without sending a byte.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The size prefix is over the limit.
    #[error("message too big: {size} bytes, limit {limit}")]
    TooBig {
        /// Announced size, in bytes, without the prefix.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The size prefix is below what any packet needs.
    #[error("message too small: {size} bytes, at least {least}")]
    TooSmall {
        /// Announced size, in bytes, without the prefix.
        size: usize,
        /// The least size, in bytes.
        least: usize,
    },
    /// The packet is not as long as its prefix says.
    #[error("packet of {got} bytes, its prefix says {want}")]
    Length {
        /// Length of the packet, in bytes, prefix included.
        got: usize,
        /// Length that its prefix announces, in bytes, prefix included.
        want: usize,
    },
    /// The packet could not be decrypted.
    #[error("undecryptable packet")]
    Ecies(#[from] EciesError),
    /// The decrypted body is not what an auth or an ack holds.
    #[error("malformed body")]
    Rlp(#[from] alloy_rlp::Error),
    /// A public key in the body is no point of the curve.
    #[error("invalid public key in the body")]
    PublicKey(#[from] KeyError),
    /// The signature in the auth does not lead to a key.
    #[error("invalid signature")]
    Signature(#[from] SignatureError),
    /// The remote side closed the connection before the handshake was over.
    #[error("connection closed during the handshake")]
    UnexpectedEof,
    /// The handshake took longer than it may.
    #[error("handshake timed out")]
    Timeout,
    /// The connection failed under us.
    #[error("connection lost")]
    Io(#[source] io::Error),
}

impl HandshakeError {
    /// Whether the remote side sent bytes that no correct node sends.
    ///
    /// False for silence and for broken connections, which may be nobody's fault.
    pub fn is_bad_packet(&self) -> bool {
        match self {
            Self::TooBig { .. }
            | Self::TooSmall { .. }
            | Self::Length { .. }
            | Self::Ecies(_)
            | Self::Rlp(_)
            | Self::PublicKey(_)
            | Self::Signature(_) => true,
            Self::UnexpectedEof | Self::Timeout | Self::Io(_) => false,
        }
    }
}

impl From<io::Error> for HandshakeError {
    /// Keeps apart the one end of a connection that has a name of its own.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::UnexpectedEof,
            _ => Self::Io(error),
        }
    }
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header's tag does not match: corrupted, or not our peer's keys.
    #[error("bad header MAC")]
    HeaderMac,
    /// The body's tag does not match.
    #[error("bad frame MAC")]
    BodyMac,
    /// The remote side announced more than we accept: a frame, or what is compressed in it.
    #[error("{size} bytes are over the limit of {limit}")]
    TooLarge {
        /// Announced size, in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The frame holds nothing, not even a message code.
    #[error("empty frame")]
    Empty,
    /// The frame does not begin with a canonical integer of at most 64 bits.
    #[error("invalid message code")]
    Code(#[source] alloy_rlp::Error),
    /// The payload is not what a compressor makes.
    #[error("snappy: corrupt input")]
    Snappy,
    /// A payload is longer than any message may be, before compression.
    #[error("message length >= 16MB: {size} bytes, limit {limit}", limit = snappy::MAX_MESSAGE)]
    MessageTooLong {
        /// Length of the payload, in bytes, decompressed.
        size: usize,
    },
    /// What we were asked to send does not fit into a frame.
    #[error("message size overflows uint24: {size} bytes of code and payload")]
    SizeOverflow {
        /// Code and (compressed) payload, in bytes.
        size: usize,
    },
    /// This half failed before, or its key stream is used up, and is of no more use.
    #[error("connection is past an earlier failure")]
    Terminated,
    /// The connection ended inside a frame.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// The connection failed under us.
    #[error("connection lost")]
    Io(#[from] io::Error),
}

impl FrameError {
    /// Whether the bytes were not made with the keys of this connection.
    ///
    /// Then nobody is known to be at the other end, and the connection closes without a word.
    pub fn is_authentication(&self) -> bool {
        matches!(self, Self::HeaderMac | Self::BodyMac)
    }
}
