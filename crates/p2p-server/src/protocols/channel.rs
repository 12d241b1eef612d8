//! A channel that carries one protocol's messages and nothing else.

use std::fmt;

use alloy_rlp::{Encodable as _, Header};
use bytes::{Buf as _, Bytes};

use super::{MessageSet, MessageSetError, Spec};
use crate::{
    ChannelClosed, DisconnectReason, Message, MsgChannel, MsgReceiver, MsgSender, ProtocolError,
    SendError,
};

/// Both directions of a typed protocol's conversation with one peer.
pub struct TypedChannel<M> {
    sender: TypedSender<M>,
    receiver: TypedReceiver<M>,
}

/// The sending half of a [`TypedChannel`]; clones share one queue.
pub struct TypedSender<M> {
    spec: Spec<M>,
    sender: MsgSender,
}

/// The receiving half of a [`TypedChannel`].
pub struct TypedReceiver<M> {
    spec: Spec<M>,
    receiver: MsgReceiver,
}

/// What a handler wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// The next message.
    Continue,
    /// No more: the loop returns, and with the body the connection ends well.
    Stop,
    /// The end of the connection, for this reason.
    Drop(DisconnectReason),
}

/// What deals with messages, one after the other. A closure that returns a future is one; implement
/// it for what keeps a state of its own between messages.
///
/// ```
/// use p2p_server::{ProtocolError, protocols::{Handler, Next}};
///
/// /// Counts to a number.
/// struct Counter(u64);
///
/// impl<M: Send> Handler<M> for Counter {
///     async fn on_message(&mut self, _message: M) -> Result<Next, ProtocolError> {
///         self.0 = self.0.saturating_sub(1);
///         Ok(if self.0 == 0 { Next::Stop } else { Next::Continue })
///     }
/// }
/// ```
pub trait Handler<M>: Send {
    /// Deals with one message. An error ends the connection.
    fn on_message(
        &mut self,
        message: M,
    ) -> impl Future<Output = Result<Next, ProtocolError>> + Send;
}

impl<M, F, R> Handler<M> for F
where
    F: FnMut(M) -> R + Send,
    R: Future<Output = Result<Next, ProtocolError>> + Send,
{
    fn on_message(
        &mut self,
        message: M,
    ) -> impl Future<Output = Result<Next, ProtocolError>> + Send {
        self(message)
    }
}

/// Why a handshake of a typed protocol did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A message was not sent or not received.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The peer began with another message.
    #[error("handshake: first message has code {got}, want {want}")]
    Unexpected {
        /// The code that came.
        got: u64,
        /// The code of our own first message.
        want: u64,
    },
    /// The peer's first message was refused.
    #[error("handshake: {reason}")]
    Refused {
        /// The verdict.
        reason: String,
    },
}

impl From<HandshakeError> for ProtocolError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Protocol(error) => error,
            other => Self::other(other),
        }
    }
}

impl<M: MessageSet> TypedChannel<M> {
    pub(super) fn new(spec: Spec<M>, channel: MsgChannel) -> Self {
        let (sender, receiver) = channel.split();
        Self {
            sender: TypedSender { spec: spec.clone(), sender },
            receiver: TypedReceiver { spec, receiver },
        }
    }

    /// Two ends that are connected, for a test of a body.
    pub fn pair(spec: &Spec<M>) -> (Self, Self) {
        let (one, two) = MsgChannel::pair();
        (spec.over(one), spec.over(two))
    }

    /// Sends a message. As [`MsgSender::send`]: it waits while the connection's queue, 256 messages or
    /// 1 MiB, is full. Two bodies that only send wait for each other then, so a body that has much to
    /// say reads meanwhile.
    ///
    /// # Errors
    ///
    /// As [`TypedSender::send`].
    pub async fn send(&self, message: impl Into<M>) -> Result<(), ProtocolError> {
        self.sender.send(message).await
    }

    /// The next message. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`TypedReceiver::recv`].
    pub async fn recv(&mut self) -> Result<M, ProtocolError> {
        self.receiver.recv().await
    }

    /// Hands each message to `handler`, one after the other in the order they came, until it wants no
    /// more or the conversation is over.
    ///
    /// A handler that takes long holds up the messages behind; it may start a task and return.
    ///
    /// # Errors
    ///
    /// The handler's own, [`ProtocolError::Disconnect`] for [`Next::Drop`], and those of
    /// [`Self::recv`], but for the end of the conversation, which is no error.
    pub async fn handle(&mut self, handler: impl Handler<M>) -> Result<(), ProtocolError> {
        self.receiver.handle(handler).await
    }

    /// Exchanges first messages: the side that dialed sends its own and then reads, the other reads
    /// first. `verify` judges the peer's.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] when the peer begins with another message or `verify` refuses it; as an error
    /// of a body both tell the peer 0x10.
    pub async fn handshake<E: fmt::Display>(
        &mut self,
        inbound: bool,
        ours: impl Into<M>,
        verify: impl FnOnce(&M) -> Result<(), E>,
    ) -> Result<M, HandshakeError> {
        let ours = ours.into();
        let want = ours.code();
        let theirs = if inbound {
            let theirs = self.first_message(want, verify).await?;
            self.send(ours).await?;
            theirs
        } else {
            self.send(ours).await?;
            self.first_message(want, verify).await?
        };
        Ok(theirs)
    }

    async fn first_message<E: fmt::Display>(
        &mut self,
        want: u64,
        verify: impl FnOnce(&M) -> Result<(), E>,
    ) -> Result<M, HandshakeError> {
        let theirs = self.recv().await?;
        if theirs.code() != want {
            return Err(HandshakeError::Unexpected { got: theirs.code(), want });
        }
        let refused = |error: E| HandshakeError::Refused { reason: error.to_string() };
        verify(&theirs).map_err(refused)?;
        Ok(theirs)
    }

    /// A further handle for sending, for use from another task.
    pub fn sender(&self) -> TypedSender<M> {
        self.sender.clone()
    }

    /// The two directions apart, for two tasks.
    pub fn split(self) -> (TypedSender<M>, TypedReceiver<M>) {
        (self.sender, self.receiver)
    }
}

impl<M: MessageSet> TypedSender<M> {
    /// Sends a message; resolves when the bounded queue has taken it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`MessageSetError::TooLong`], as the cause of [`ProtocolError::Invalid`], for a message over the
    /// protocol's own limit, which is not sent; otherwise as [`MsgSender::send`].
    pub async fn send(&self, message: impl Into<M>) -> Result<(), ProtocolError> {
        let message = message.into();
        let payload = message.encode();
        let payload = if self.spec.is_wrapped() { wrap(&payload) } else { payload };
        check_size(&self.spec, payload.len())?;
        Ok(self.sender.send_raw(message.code(), payload).await?)
    }

    /// Waits until everything sent before was handed to the operating system.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ends before.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.sender.flush().await
    }

    /// Whether the conversation is over.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl<M: MessageSet> TypedReceiver<M> {
    /// The next message. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Closed`] at the end of the conversation; [`ProtocolError::Invalid`] for what is
    /// none of the protocol's messages: a body that returns it drops the peer with 0x10.
    pub async fn recv(&mut self) -> Result<M, ProtocolError> {
        let message = self.receiver.recv().await?;
        Ok(self.read(&message)?)
    }

    /// See [`TypedChannel::handle`].
    ///
    /// # Errors
    ///
    /// As [`TypedChannel::handle`].
    pub async fn handle(&mut self, mut handler: impl Handler<M>) -> Result<(), ProtocolError> {
        loop {
            let message = match self.recv().await {
                Ok(message) => message,
                Err(ProtocolError::Closed(ChannelClosed)) => return Ok(()),
                Err(error) => return Err(error),
            };
            match handler.on_message(message).await? {
                Next::Continue => {}
                Next::Stop => return Ok(()),
                Next::Drop(reason) => return Err(ProtocolError::Disconnect(reason)),
            }
        }
    }

    fn read(&self, message: &Message) -> Result<M, MessageSetError> {
        check_size(&self.spec, message.payload.len())?;
        if !self.spec.is_wrapped() {
            return M::decode(message.code, &message.payload);
        }
        let inner = unwrap(&message.payload)
            .map_err(|source| MessageSetError::Decode { code: message.code, source })?;
        M::decode(message.code, inner)
    }
}

impl<M> Clone for TypedSender<M> {
    fn clone(&self) -> Self {
        Self { spec: self.spec.clone(), sender: self.sender.clone() }
    }
}

impl<M> fmt::Debug for TypedChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedChannel").field("spec", &self.sender.spec).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for TypedSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedSender").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for TypedReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedReceiver").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// The base layer refuses what a peer sends by its length alone; a pipe has no base layer.
fn check_size<M: MessageSet>(spec: &Spec<M>, size: usize) -> Result<(), MessageSetError> {
    let limit = spec.size_limit();
    if size > limit { Err(MessageSetError::TooLong { size, limit }) } else { Ok(()) }
}

/// A list of an empty context and the payload as a text of bytes.
fn wrap(payload: &Bytes) -> Bytes {
    let context: &[u8] = &[];
    let payload_length = context.length().saturating_add(payload.length());
    let mut wrapped = Vec::new();
    Header { list: true, payload_length }.encode(&mut wrapped);
    context.encode(&mut wrapped);
    payload.encode(&mut wrapped);
    wrapped.into()
}

/// The payload in a wrapper; the context is not looked at.
fn unwrap(mut wrapped: &[u8]) -> alloy_rlp::Result<&[u8]> {
    let mut inside = Header::decode_bytes(&mut wrapped, true)?;
    if wrapped.has_remaining() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    Header::decode_bytes(&mut inside, false)?;
    let payload = Header::decode_bytes(&mut inside, false)?;
    if inside.has_remaining() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    Ok(payload)
}
