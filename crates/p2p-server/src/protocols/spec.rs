//! What a typed protocol is called, and how large its messages may be.

use std::{fmt, marker::PhantomData};

use enode::NodeId;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{MessageSet, TypedChannel};
use crate::{
    Capability, DisconnectReason, MsgChannel, Peer, PeerInfoState, Protocol, ProtocolError,
};

/// A protocol's name, version, size limit and messages. Cheap to clone.
pub struct Spec<M> {
    capability: Capability,
    max_message_size: usize,
    wrapped: bool,
    messages: PhantomData<fn() -> M>,
}

impl<M: MessageSet> Spec<M> {
    /// A protocol with these messages, which may be as large as the wire allows.
    pub fn new(name: &str, version: u32) -> Self {
        Self {
            capability: Capability::new(name, version),
            max_message_size: rlpx::snappy::MAX_MESSAGE,
            wrapped: false,
            messages: PhantomData,
        }
    }

    /// The largest message, in bytes of payload; 16,777,215 by default. A peer that sends a larger one
    /// is dropped with 0x10, before memory is set aside for it.
    #[must_use]
    pub fn max_message_size(mut self, limit: usize) -> Self {
        self.max_message_size = limit;
        self
    }

    /// Puts each payload into a list with an empty context in front, and takes it out again: the form
    /// of peers that trace their messages. Both sides must do it. Not by default.
    ///
    /// ```text
    ///   plain    c20105                      wrapped   c5 80 83c20105     [context, payload]
    /// ```
    #[must_use]
    pub fn wrapped(mut self, yes: bool) -> Self {
        self.wrapped = yes;
        self
    }

    /// Name and version.
    pub fn capability(&self) -> &Capability {
        &self.capability
    }

    /// The size limit, in bytes of payload.
    pub fn size_limit(&self) -> usize {
        self.max_message_size
    }

    pub(super) fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// Gives a channel its type.
    pub fn over(&self, channel: MsgChannel) -> TypedChannel<M> {
        TypedChannel::new(self.clone(), channel)
    }

    /// Makes a protocol from a body that talks to one peer; when it returns, the connection ends.
    ///
    /// To tell more in `admin_nodeInfo` and `admin_peers`, implement [`Protocol`] and call
    /// [`Self::over`] in its `run`, with [`Self::size_limit`] as its `max_message_size` and
    /// [`DisconnectReason::SubprotocolError`] as its `oversize_reason`.
    pub fn protocol<F, R>(self, body: F) -> impl Protocol
    where
        F: Fn(Peer, TypedChannel<M>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
    {
        TypedProtocol { spec: self, body }
    }
}

impl<M> Clone for Spec<M> {
    fn clone(&self) -> Self {
        Self {
            capability: self.capability.clone(),
            max_message_size: self.max_message_size,
            wrapped: self.wrapped,
            messages: PhantomData,
        }
    }
}

impl<M> fmt::Debug for Spec<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("capability", &self.capability)
            .field("max_message_size", &self.max_message_size)
            .field("wrapped", &self.wrapped)
            .finish()
    }
}

struct TypedProtocol<M, F> {
    spec: Spec<M>,
    body: F,
}

impl<M, F, R> Protocol for TypedProtocol<M, F>
where
    M: MessageSet,
    F: Fn(Peer, TypedChannel<M>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    fn capability(&self) -> Capability {
        self.spec.capability.clone()
    }

    fn length(&self) -> u64 {
        M::LENGTH
    }

    fn run(
        &self,
        peer: Peer,
        messages: MsgChannel,
    ) -> BoxFuture<'static, Result<(), ProtocolError>> {
        Box::pin((self.body)(peer, self.spec.over(messages)))
    }

    fn max_message_size(&self) -> usize {
        self.spec.max_message_size
    }

    fn oversize_reason(&self) -> DisconnectReason {
        DisconnectReason::SubprotocolError
    }

    fn node_info(&self) -> Option<Value> {
        None
    }

    fn peer_info(&self, _peer: NodeId) -> PeerInfoState {
        PeerInfoState::Unsupported
    }
}
