//! A message: what travels in one frame.

use std::fmt;

use alloy_rlp::Decodable;
use bytes::Bytes;

/// A message code and the payload that belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's type, as it stands on the wire: 0 to 15 for the base protocol, from 16 for
    /// what the two sides agreed on.
    pub code: u64,
    /// What the message says, usually an RLP list; never compressed.
    pub payload: Bytes,
}

impl Message {
    /// Puts a message together.
    pub fn new(code: u64, payload: impl Into<Bytes>) -> Self {
        Self { code, payload: payload.into() }
    }

    /// Decodes the payload as one RLP value. Bytes after it are ignored, as every peer does.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the payload does not begin with such a value.
    pub fn decode<T: Decodable>(&self) -> Result<T, DecodeError> {
        T::decode(&mut &self.payload[..]).map_err(|source| DecodeError {
            code: self.code,
            size: self.payload.len(),
            source,
        })
    }
}

impl fmt::Debug for Message {
    /// The payload's length only: message bytes do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("code", &self.code)
            .field("size", &self.payload.len())
            .finish()
    }
}

/// A payload that is not the value it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("(code {code}) (size {size}) {source}")]
pub struct DecodeError {
    /// The message's code.
    pub code: u64,
    /// Size of its payload, in bytes.
    pub size: usize,
    /// What is wrong with it.
    pub source: alloy_rlp::Error,
}
