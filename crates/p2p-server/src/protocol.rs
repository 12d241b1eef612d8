//! Subprotocols: what two peers say to each other once they are connected.
//!
//! A protocol is a name, a version, a number of message codes and a body. The body runs once for
//! each peer that speaks it too, and when it returns, the whole connection ends:
//!
//! ```text
//!   body returned                        the peer is told
//!   Ok(())                               0x08 client quitting
//!   Err(Disconnect(reason))              that reason
//!   Err(InvalidMessage | InvalidCode)    0x02 breach of protocol
//!   any other error, or a panic          0x10 subprotocol error
//! ```

use std::{error::Error, future::Future, sync::Arc};

use bytes::Bytes;
use enode::NodeId;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    Capability, ChannelClosed, DisconnectReason, ExpectError, MsgChannel, Peer, SendError,
    protocols::MessageSetError,
};

/// A subprotocol. Implement it, or make one from a closure with [`protocol_fn`].
pub trait Protocol: Send + Sync + 'static {
    /// Name and version announced in the hello message.
    fn capability(&self) -> Capability;

    /// How many message codes the protocol uses, counted from zero. Both sides must agree on it:
    /// nothing on the wire says it.
    fn length(&self) -> u64;

    /// Talks to one peer; returning, with or without an error, ends the connection.
    fn run(
        &self,
        peer: Peer,
        messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>>;

    /// The largest message this protocol takes, in bytes of payload. Default: the wire's limit,
    /// 16,777,215. A larger one ends the connection before memory is set aside for it.
    fn max_message_size(&self) -> usize {
        rlpx::snappy::MAX_MESSAGE
    }

    /// What a peer is told that sends a larger one. Default: a breach of protocol, 0x02.
    fn oversize_reason(&self) -> DisconnectReason {
        DisconnectReason::ProtocolError
    }

    /// What `admin_nodeInfo` shows for this protocol; `"unknown"` when `None`, the default.
    fn node_info(&self) -> Option<Value> {
        None
    }

    /// What `admin_peers` shows for one peer of this protocol; `"unknown"` by default.
    fn peer_info(&self, _peer: NodeId) -> PeerInfoState {
        PeerInfoState::Unsupported
    }

    /// Entries this protocol adds to the node's own record: key and RLP-encoded value. None by
    /// default.
    fn record_entries(&self) -> Vec<(String, Bytes)> {
        Vec::new()
    }
}

/// What a protocol knows of one peer, for `admin_peers`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PeerInfoState {
    /// The protocol offers no such information: printed as `"unknown"`.
    Unsupported,
    /// It does, but not for this peer yet: printed as `"handshake"`.
    Pending,
    /// This.
    Known(Value),
}

/// Makes a protocol from a closure that talks to one peer.
///
/// ```
/// use p2p_server::{Capability, protocol_fn};
///
/// let foo = protocol_fn(Capability::new("foo", 42), 1, |_peer, mut messages| async move {
///     messages.send(0, &"foobar").await?;
///     let reply = messages.recv().await?;
///     println!("{}", reply.decode::<String>()?);
///     Ok(())
/// });
/// ```
pub fn protocol_fn<F, R>(capability: Capability, length: u64, body: F) -> impl Protocol
where
    F: Fn(Peer, MsgChannel) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    FnProtocol { capability, length, body }
}

struct FnProtocol<F> {
    capability: Capability,
    length: u64,
    body: F,
}

impl<F, R> Protocol for FnProtocol<F>
where
    F: Fn(Peer, MsgChannel) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    fn capability(&self) -> Capability {
        self.capability.clone()
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn run(
        &self,
        peer: Peer,
        messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin((self.body)(peer, messages))
    }
}

impl<P: Protocol + ?Sized> Protocol for Arc<P> {
    fn capability(&self) -> Capability {
        (**self).capability()
    }

    fn length(&self) -> u64 {
        (**self).length()
    }

    fn run(
        &self,
        peer: Peer,
        messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>> {
        (**self).run(peer, messages)
    }

    fn max_message_size(&self) -> usize {
        (**self).max_message_size()
    }

    fn oversize_reason(&self) -> DisconnectReason {
        (**self).oversize_reason()
    }

    fn node_info(&self) -> Option<Value> {
        (**self).node_info()
    }

    fn peer_info(&self, peer: NodeId) -> PeerInfoState {
        (**self).peer_info(peer)
    }

    fn record_entries(&self) -> Vec<(String, Bytes)> {
        (**self).record_entries()
    }
}

/// How a protocol's conversation with a peer went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The body wants the connection ended for this reason.
    #[error("{0}")]
    Disconnect(DisconnectReason),
    /// The peer sent something this protocol cannot read.
    #[error("invalid message: {0}")]
    InvalidMessage(#[from] rlpx::DecodeError),
    /// The peer sent a code this protocol does not use.
    #[error("invalid message code: {code}")]
    InvalidCode {
        /// The code, relative to the protocol.
        code: u64,
    },
    /// A message could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The connection ended while the body wanted to read. A body may return this with `?`: the
    /// connection is over, and there is nobody left to tell.
    #[error(transparent)]
    Closed(#[from] ChannelClosed),
    /// The peer sent what is none of a typed protocol's messages.
    #[error(transparent)]
    Invalid(#[from] MessageSetError),
    /// Another message was expected.
    #[error(transparent)]
    Expect(#[from] ExpectError),
    /// Anything else.
    #[error("{0}")]
    Other(#[from] Box<dyn Error + Send + Sync>),
}

impl ProtocolError {
    /// Wraps an error of the protocol's own, or a text.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// What the peer is told.
    pub fn disconnect_reason(&self) -> DisconnectReason {
        match self {
            Self::Disconnect(reason) => *reason,
            Self::InvalidMessage(_) | Self::InvalidCode { .. } => DisconnectReason::ProtocolError,
            Self::Send(_)
            | Self::Closed(_)
            | Self::Invalid(_)
            | Self::Expect(_)
            | Self::Other(_) => DisconnectReason::SubprotocolError,
        }
    }
}

impl From<DisconnectReason> for ProtocolError {
    fn from(reason: DisconnectReason) -> Self {
        Self::Disconnect(reason)
    }
}
