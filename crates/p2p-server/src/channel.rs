//! What a protocol reads and writes: a channel of messages.
//!
//! ```text
//!               ┌──────────── MsgChannel ────────────┐
//!   protocol ──▶│ MsgSender    bounded queue  ───────┼──▶ whoever carries it
//!   protocol ◀──│ MsgReceiver  bounded queue  ◀──────┼─── whoever carries it
//!               └────────────────────────────────────┘
//! ```
//!
//! The protocol cannot tell what carries its messages: a connection, a pipe in a test
//! ([`MsgChannel::pair`]), or a layer above this one. Codes are relative to the protocol.
//!
//! A message counts as sent when the queue has taken it; [`MsgSender::flush`] waits until it has been
//! handed to the operating system. At the end of a connection the receiver still gives out what came
//! before, then [`ChannelClosed`].

use std::{fmt, sync::Arc};

use alloy_rlp::{Decodable, Encodable};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use rlpx::{DecodeError, Message, snappy};

use crate::{
    QueueKind,
    budget::Charge,
    observer::Watch,
    queue::{HasSize, Limits, Queue, Refused},
};

/// Both directions of a protocol's conversation with one peer.
#[derive(Debug)]
pub struct MsgChannel {
    sender: MsgSender,
    receiver: MsgReceiver,
}

impl MsgChannel {
    pub(crate) fn new(sender: MsgSender, receiver: MsgReceiver) -> Self {
        Self { sender, receiver }
    }

    /// Two ends of a pipe: what is sent into one comes out of the other.
    ///
    /// The queues are those of a connection (256 messages or 1 MiB each way), so a protocol under
    /// test sees the same waiting and the same end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use p2p_server::MsgChannel;
    ///
    /// let (mut alice, mut bob) = MsgChannel::pair();
    /// alice.send(0, &"hello").await?;
    ///
    /// assert_eq!(bob.recv().await?.decode::<String>()?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn pair() -> (Self, Self) {
        let there = Arc::new(Queue::new(DEFAULT_LIMITS));
        let back = Arc::new(Queue::new(DEFAULT_LIMITS));
        (
            Self::new(MsgSender::pipe(Arc::clone(&there)), MsgReceiver::pipe(Arc::clone(&back))),
            Self::new(MsgSender::pipe(back), MsgReceiver::pipe(there)),
        )
    }

    /// Sends `value`, RLP-encoded, as the message with this code. See [`MsgSender::send`].
    ///
    /// # Errors
    ///
    /// As [`MsgSender::send`].
    pub async fn send<T: Encodable + ?Sized>(&self, code: u64, value: &T) -> Result<(), SendError> {
        self.sender.send(code, value).await
    }

    /// Sends a list of `items` as the message with this code. See [`MsgSender::send_items`].
    ///
    /// # Errors
    ///
    /// As [`MsgSender::send`].
    pub async fn send_items(
        &self,
        code: u64,
        items: &[&(dyn Encodable + Sync)],
    ) -> Result<(), SendError> {
        self.sender.send_items(code, items).await
    }

    /// Sends a payload that is encoded already. See [`MsgSender::send_raw`].
    ///
    /// # Errors
    ///
    /// As [`MsgSender::send`].
    pub async fn send_raw(&self, code: u64, payload: Bytes) -> Result<(), SendError> {
        self.sender.send_raw(code, payload).await
    }

    /// The next message. Cancel-safe. See [`MsgReceiver::recv`].
    ///
    /// # Errors
    ///
    /// [`ChannelClosed`] when the conversation is over and everything was read.
    pub async fn recv(&mut self) -> Result<Message, ChannelClosed> {
        self.receiver.recv().await
    }

    /// Takes the next message and checks that it is the expected one. See
    /// [`MsgReceiver::expect_msg`].
    ///
    /// # Errors
    ///
    /// As [`MsgReceiver::expect_msg`].
    pub async fn expect_msg<T: Encodable + ?Sized>(
        &mut self,
        code: u64,
        content: Option<&T>,
    ) -> Result<(), ExpectError> {
        self.receiver.expect_msg(code, content).await
    }

    /// Waits until everything sent so far was handed to the system. See [`MsgSender::flush`].
    ///
    /// # Errors
    ///
    /// As [`MsgSender::flush`].
    pub async fn flush(&self) -> Result<(), SendError> {
        self.sender.flush().await
    }

    /// A further handle for sending, for use from another task.
    pub fn sender(&self) -> MsgSender {
        self.sender.clone()
    }

    /// The two directions apart, for two tasks.
    pub fn split(self) -> (MsgSender, MsgReceiver) {
        (self.sender, self.receiver)
    }
}

/// The sending half of a [`MsgChannel`]; clones share one queue.
#[derive(Clone)]
pub struct MsgSender(Arc<SenderState>);

struct SenderState {
    queue: Arc<Queue<Outgoing>>,
    /// How many codes the protocol has; `None` in a pipe, which knows no protocol.
    length: Option<u64>,
    on_sent: Option<Box<dyn Fn(u64, usize) + Send + Sync>>,
    watch: Watch,
}

impl MsgSender {
    fn pipe(queue: Arc<Queue<Outgoing>>) -> Self {
        Self(Arc::new(SenderState { queue, length: None, on_sent: None, watch: Watch::default() }))
    }

    /// The sending half of a connection's protocol. `on_sent` learns code and size of every message
    /// the queue takes, before the other side can see it.
    pub(crate) fn connected(
        queue: Arc<Queue<Outgoing>>,
        length: u64,
        on_sent: Box<dyn Fn(u64, usize) + Send + Sync>,
        watch: Watch,
    ) -> Self {
        Self(Arc::new(SenderState { queue, length: Some(length), on_sent: Some(on_sent), watch }))
    }

    /// Sends `value`, RLP-encoded, as the message with this code.
    ///
    /// Resolves when the bounded queue has taken the message, waiting while it is full; a peer that
    /// does not read makes this wait. Cancel-safe: a cancelled call has sent nothing.
    ///
    /// # Errors
    ///
    /// [`SendError::Code`] when the protocol has no such code, [`SendError::TooLong`] when the
    /// payload is over 16,777,215 bytes; neither disturbs the connection. [`SendError::Closed`] when
    /// the connection is over.
    pub async fn send<T: Encodable + ?Sized>(&self, code: u64, value: &T) -> Result<(), SendError> {
        self.send_raw(code, encode(value)).await
    }

    /// Sends an RLP list of `items` as the message with this code.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_items(
        &self,
        code: u64,
        items: &[&(dyn Encodable + Sync)],
    ) -> Result<(), SendError> {
        self.send_raw(code, encode_items(items)).await
    }

    /// Sends a payload that is encoded already. The bytes are shared, not copied.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_raw(&self, code: u64, payload: Bytes) -> Result<(), SendError> {
        let message = self.check(code, payload)?;
        let size = message.size();
        match self.0.queue.try_push(message, || self.sent(code, size)) {
            Ok(()) => Ok(()),
            Err(Refused::Closed) => Err(SendError::Closed),
            Err(Refused::Full(message)) => {
                self.found_full();
                let pushed = self.0.queue.push(message, || self.sent(code, size)).await;
                pushed.map_err(|_| SendError::Closed)
            }
        }
    }

    /// Sends without waiting.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`], which gives the payload back, when the queue has no room now; otherwise
    /// as [`send`](Self::send).
    pub fn try_send_raw(&self, code: u64, payload: Bytes) -> Result<(), SendError> {
        let message = self.check(code, payload)?;
        let size = message.size();
        self.0.queue.try_push(message, || self.sent(code, size)).map_err(|refused| match refused {
            Refused::Full(message) => {
                self.found_full();
                SendError::Full(message.payload)
            }
            Refused::Closed => SendError::Closed,
        })
    }

    /// Waits until everything sent before was handed to the operating system. In a pipe that is
    /// at once.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ends before.
    pub async fn flush(&self) -> Result<(), SendError> {
        if self.0.length.is_none() {
            return if self.0.queue.is_closed() { Err(SendError::Closed) } else { Ok(()) };
        }
        self.0.queue.flushed().await.map_err(|_| SendError::Closed)
    }

    /// Whether the conversation is over.
    pub fn is_closed(&self) -> bool {
        self.0.queue.is_closed()
    }

    fn check(&self, code: u64, payload: Bytes) -> Result<Outgoing, SendError> {
        if self.0.length.is_some_and(|length| code >= length) {
            return Err(SendError::Code { code });
        }
        if payload.len() > snappy::MAX_MESSAGE {
            return Err(SendError::TooLong { size: payload.len() });
        }
        Ok(Outgoing { code, payload, charge: None })
    }

    fn found_full(&self) {
        self.0.watch.tell(|observer| observer.queue_full(QueueKind::ProtocolOut));
    }

    fn sent(&self, code: u64, size: usize) {
        if let Some(on_sent) = &self.0.on_sent {
            on_sent(code, size);
        }
    }
}

impl fmt::Debug for MsgSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsgSender").field("queue", &self.0.queue).finish_non_exhaustive()
    }
}

impl Drop for SenderState {
    fn drop(&mut self) {
        // The last sender of a pipe is gone: the other end reads what is left, then the end. A
        // connection closes its queues itself.
        if self.length.is_none() {
            self.queue.close();
        }
    }
}

/// The receiving half of a [`MsgChannel`].
pub struct MsgReceiver {
    queue: Arc<Queue<Outgoing>>,
    on_taken: Option<Box<dyn Fn(u64, usize) + Send + Sync>>,
}

impl MsgReceiver {
    fn pipe(queue: Arc<Queue<Outgoing>>) -> Self {
        Self { queue, on_taken: None }
    }

    /// The receiving half of a connection's protocol. `on_taken` learns code and size of every
    /// message the protocol takes out.
    pub(crate) fn connected(
        queue: Arc<Queue<Outgoing>>,
        on_taken: Box<dyn Fn(u64, usize) + Send + Sync>,
    ) -> Self {
        Self { queue, on_taken: Some(on_taken) }
    }

    /// The next message, waiting for one. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`ChannelClosed`] when the conversation is over and everything that came before was read.
    pub async fn recv(&mut self) -> Result<Message, ChannelClosed> {
        let message = self.queue.pop().await.ok_or(ChannelClosed)?;
        if let Some(on_taken) = &self.on_taken {
            on_taken(message.code, message.payload.len());
        }
        Ok(Message { code: message.code, payload: message.payload })
    }

    /// The messages as a stream that ends when the conversation does.
    pub fn into_stream(self) -> impl Stream<Item = Message> + Send {
        stream::unfold(self, |mut receiver| async move {
            let message = receiver.recv().await.ok()?;
            Some((message, receiver))
        })
    }

    /// Takes the next message and checks code and content; `None` accepts any content.
    ///
    /// # Errors
    ///
    /// [`ExpectError`] with what was expected and what came.
    pub async fn expect_msg<T: Encodable + ?Sized>(
        &mut self,
        code: u64,
        content: Option<&T>,
    ) -> Result<(), ExpectError> {
        let message = self.recv().await?;
        if message.code != code {
            return Err(ExpectError::Code { got: message.code, expected: code });
        }
        let Some(content) = content else { return Ok(()) };
        let want = encode(content);
        if message.payload.len() != want.len() {
            return Err(ExpectError::Size { got: message.payload.len(), want: want.len() });
        }
        if message.payload != want {
            return Err(ExpectError::Payload {
                got: const_hex::encode(&message.payload),
                want: const_hex::encode(&want),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for MsgReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsgReceiver").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Drop for MsgReceiver {
    fn drop(&mut self) {
        // Nobody will read: whoever waits for room must not wait for ever.
        self.queue.close_and_clear();
    }
}

/// A message in a queue, with the memory it is charged for until somebody takes it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) code: u64,
    pub(crate) payload: Bytes,
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) charge: Option<Charge>,
}

impl HasSize for Outgoing {
    fn size(&self) -> usize {
        self.payload.len()
    }
}

/// The RLP encoding of `value`.
fn encode<T: Encodable + ?Sized>(value: &T) -> Bytes {
    let mut out = BytesMut::with_capacity(value.length());
    value.encode(&mut out);
    out.freeze()
}

/// The RLP encoding of a list of `items`.
fn encode_items(items: &[&(dyn Encodable + Sync)]) -> Bytes {
    let payload_length = items.iter().map(|item| item.length()).sum();
    let header = alloy_rlp::Header { list: true, payload_length };
    let mut out = BytesMut::with_capacity(header.length_with_payload());
    header.encode(&mut out);
    for item in items {
        item.encode(&mut out);
    }
    out.freeze()
}

/// Decodes a message's payload as a list of values of one type: what
/// [`send_items`](MsgSender::send_items) makes.
///
/// # Errors
///
/// The decoder's error when the payload is no list of such values.
pub fn decode_items<T: Decodable>(message: &Message) -> Result<Vec<T>, DecodeError> {
    message.decode()
}

/// The bounds of a protocol's queue in each direction.
///
/// bound: 256 messages or 1 MiB, whichever comes first; then the producer waits.
pub(crate) const DEFAULT_LIMITS: Limits = Limits { messages: 256, bytes: 1 << 20 };

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The protocol has no such code; the connection stays up.
    #[error("invalid message code: not handled")]
    Code {
        /// The code, relative to the protocol.
        code: u64,
    },
    /// The payload is over 16,777,215 bytes; the connection stays up.
    #[error("message of {size} bytes is over the limit of 16777215")]
    TooLong {
        /// Its size, in bytes.
        size: usize,
    },
    /// The queue has no room now; the payload comes back.
    #[error("the connection's queue is full")]
    Full(Bytes),
    /// The connection is over.
    #[error("shutting down")]
    Closed,
}

/// The conversation is over and everything was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct ChannelClosed;

/// How a message differs from the expected one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectError {
    /// Another code.
    #[error("message code mismatch: got {got}, expected {expected}")]
    Code {
        /// The code that came.
        got: u64,
        /// The code that should have come.
        expected: u64,
    },
    /// Another size.
    #[error("message size mismatch: got {got}, want {want}")]
    Size {
        /// Size of what came, in bytes.
        got: usize,
        /// Size of what should have come, in bytes.
        want: usize,
    },
    /// Other bytes.
    #[error("message payload mismatch: got {got}, want {want}")]
    Payload {
        /// What came, in hex.
        got: String,
        /// What should have come, in hex.
        want: String,
    },
    /// No message came.
    #[error(transparent)]
    Closed(#[from] ChannelClosed),
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn a_list_of_one_string_is_what_send_items_makes() {
        let (one, mut two) = MsgChannel::pair();

        one.send_items(0, &[&"bar"]).await.unwrap();

        let message = two.recv().await.unwrap();
        assert_eq!(const_hex::encode(&message.payload), "c483626172");
        assert_eq!(decode_items::<String>(&message).unwrap(), ["bar"]);
    }

    #[test]
    fn a_body_can_send_items_and_decode_them() {
        let body = |messages: MsgChannel, message: Message| async move {
            messages.send_items(0, &[&"bar", &7_u64]).await?;
            decode_items::<String>(&message)?;
            Ok::<(), crate::ProtocolError>(())
        };

        let protocol =
            crate::protocol_fn(crate::Capability::new("foo", 1), 1, move |_, messages| {
                body(messages, Message::new(0, Bytes::new()))
            });

        assert_eq!(crate::Protocol::length(&protocol), 1);
    }

    #[tokio::test]
    async fn closing_one_end_lets_the_other_read_what_is_left() {
        let (one, mut two) = MsgChannel::pair();
        one.send(3, &7_u64).await.unwrap();

        drop(one);

        assert_eq!(two.recv().await.unwrap().code, 3);
        assert_eq!(two.recv().await, Err(ChannelClosed));
        assert_eq!(two.send(0, &1_u64).await, Err(SendError::Closed));
    }

    #[tokio::test]
    async fn a_receiver_that_leaves_frees_the_waiting_sender() {
        let (one, two) = MsgChannel::pair();
        for _ in 0..256 {
            one.send(0, &0_u64).await.unwrap();
        }
        let mut waiting = Box::pin(one.send(0, &0_u64));
        assert!(waiting.as_mut().now_or_never().is_none());

        drop(two);

        assert_eq!(waiting.await, Err(SendError::Closed));
    }

    #[tokio::test]
    async fn expect_msg_names_the_difference() {
        let (one, mut two) = MsgChannel::pair();
        for _ in 0..4 {
            one.send(1, &"foobar").await.unwrap();
        }

        assert_eq!(two.expect_msg(1, Some("foobar")).await, Ok(()));
        let code = two.expect_msg::<str>(2, None).await.unwrap_err();
        let size = two.expect_msg(1, Some("foo")).await.unwrap_err();
        let payload = two.expect_msg(1, Some("barfoo")).await.unwrap_err();

        assert_eq!(code.to_string(), "message code mismatch: got 1, expected 2");
        assert_eq!(size.to_string(), "message size mismatch: got 7, want 4");
        assert!(payload.to_string().starts_with("message payload mismatch: got 86666f6f"));
    }

    #[tokio::test]
    async fn the_receiver_becomes_a_stream_that_ends() {
        let (one, two) = MsgChannel::pair();
        let (_, receiver) = two.split();
        one.send(0, &1_u64).await.unwrap();
        one.send(1, &2_u64).await.unwrap();
        drop(one);

        let codes: Vec<u64> = receiver.into_stream().map(|message| message.code).collect().await;

        assert_eq!(codes, [0, 1]);
    }
}
