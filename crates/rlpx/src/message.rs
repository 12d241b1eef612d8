//! A message: what travels in one frame.

use std::fmt;

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
