//! A hook that sees the wire: every packet and frame, as sent and in clear.
//!
//! For learning and for tests. Message bytes are never logged; whoever wants to see them installs a
//! tap and decides what to show.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use enode::NodeId;

/// A packet or frame that crossed a connection.
#[derive(Debug, Clone)]
pub struct TapEvent {
    /// The node at the other end, as far as the handshake has said.
    pub peer: NodeId,
    /// Whether we sent it.
    pub sent: bool,
    /// What it was.
    pub kind: TapKind,
    /// The bytes as they were on the wire, encrypted and with their MACs.
    pub wire: Bytes,
}

/// What a tapped piece of the wire is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TapKind {
    /// The first packet of the handshake.
    Auth,
    /// The second packet of the handshake.
    Ack,
    /// A frame.
    Frame {
        /// The message code on the wire, offset included.
        code: u64,
        /// The payload in clear, uncompressed.
        payload: Bytes,
    },
}

/// The installed hook.
#[derive(Clone)]
pub(crate) struct Tap(pub(crate) Arc<dyn Fn(TapEvent) + Send + Sync>);

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}
