//! Drives the core over tokio: the handshake, then messages both ways.
//!
//! ```text
//!   connect / accept ──▶ Handshaken { reader, writer }       parts of any AsyncRead, AsyncWrite
//!        │                   │         │
//!        ▼                   ▼         ▼
//!   RlpxStream           Reader      Writer                   each may have its own task
//!   read, write,         bytes ─▶    messages ─▶ output
//!   Stream + Sink        frames      buffer ─▶ bytes
//! ```
//!
//! [`RlpxStream`] is the paved path: one value, messages in and out. Whoever runs many connections
//! takes the [`Reader`] and the [`Writer`] apart, meters them, and gives each a task; both are
//! built from steps that either do I/O or decode, never both, and each step may be cancelled
//! without losing a byte.
//!
//! Nothing here decides anything about the protocol. Time enters only as the deadline of the
//! handshake on [`RlpxStream`]; all other deadlines belong to the caller.

mod connect;
mod reader;
mod writer;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use enode::{PublicKey, SecretKey};
use futures_util::{Sink, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf},
    time::{Instant, timeout_at},
};

pub use self::{
    connect::{Handshaken, accept, connect},
    reader::Reader,
    writer::Writer,
};
use crate::{
    error::{FrameError, HandshakeError},
    handshake::Randomness,
    message::Message,
    snappy::Scratch,
};

/// An encrypted connection that carries messages.
///
/// Made by [`connect`](Self::connect) or [`accept`](Self::accept) from one value that is both
/// reader and writer, or from the result of the free functions [`connect()`] and [`accept()`],
/// which take the two apart (`TcpStream::into_split` shares them without a lock).
///
/// Also a [`Stream`] of messages and a [`Sink`] for them; the sink sends when it is flushed or
/// when 64 KiB wait.
///
/// A fresh connection takes frames of at most 2,057 bytes and does not compress, as fits a
/// stranger's hello. Once the hello is done, say so with [`set_max_frame`](Self::set_max_frame)
/// and [`set_snappy`](Self::set_snappy).
pub struct RlpxStream<R, W> {
    remote: PublicKey,
    reader: Reader<R>,
    writer: Writer<W>,
    scratch: Scratch,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RlpxStream<ReadHalf<S>, WriteHalf<S>> {
    /// Shakes hands with the node that holds `remote`, which we dialed.
    ///
    /// `deadline` bounds the whole handshake: bytes that trickle in do not extend it.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Timeout`] at the deadline, otherwise as [`connect()`]. The connection is
    /// dropped and nothing more is sent.
    pub async fn connect(
        io: S,
        key: &SecretKey,
        remote: &PublicKey,
        deadline: Instant,
    ) -> Result<Self, HandshakeError> {
        let (reader, writer) = tokio::io::split(io);
        let randomness = Randomness::generate(&mut rand::rng());
        let handshake = connect(reader, writer, key, remote, randomness);
        timeout_at(deadline, handshake).await.map_err(|_| HandshakeError::Timeout)?.map(Self::from)
    }

    /// Shakes hands with whoever dialed us.
    ///
    /// `deadline` bounds the whole handshake: bytes that trickle in do not extend it.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Timeout`] at the deadline, otherwise as [`accept()`]. The connection is
    /// dropped and nothing more is sent.
    pub async fn accept(io: S, key: &SecretKey, deadline: Instant) -> Result<Self, HandshakeError> {
        let (reader, writer) = tokio::io::split(io);
        let randomness = Randomness::generate(&mut rand::rng());
        let handshake = accept(reader, writer, key, randomness);
        timeout_at(deadline, handshake).await.map_err(|_| HandshakeError::Timeout)?.map(Self::from)
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> RlpxStream<R, W> {
    /// Waits for the next message; `None` when the remote side has closed the connection between
    /// two frames.
    ///
    /// Cancel-safe: what has arrived stays.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub async fn read(&mut self) -> Result<Option<Message>, FrameError> {
        self.reader.read().await
    }

    /// Sends a message and waits until the system has taken all of it.
    ///
    /// Cancelled, it has sent nothing, some or all of the message; the rest goes out with the next
    /// write.
    ///
    /// # Errors
    ///
    /// As [`Writer::push`], after which the connection is as before; [`FrameError::Io`] when the
    /// connection failed.
    pub async fn write(&mut self, message: &Message) -> Result<(), FrameError> {
        self.writer.push(message.code, &message.payload, &mut self.scratch)?;
        self.scratch.shrink();
        Ok(self.writer.flush().await?)
    }
}

impl<R, W> RlpxStream<R, W> {
    /// The remote node's key.
    pub fn remote(&self) -> PublicKey {
        self.remote
    }

    /// Turns compression on or off in both directions, from the next frame on.
    pub fn set_snappy(&mut self, on: bool) {
        self.reader.set_snappy(on);
        self.writer.set_snappy(on);
    }

    /// Sets the largest frame to accept, in bytes of code and payload as on the wire.
    pub fn set_max_frame(&mut self, limit: usize) {
        self.reader.set_max_frame(limit);
    }

    /// Takes the two directions apart, each for a task of its own.
    pub fn split(self) -> (Reader<R>, Writer<W>) {
        (self.reader, self.writer)
    }
}

impl<R, W> From<Handshaken<R, W>> for RlpxStream<R, W> {
    fn from(handshaken: Handshaken<R, W>) -> Self {
        let Handshaken { remote, reader, writer, .. } = handshaken;
        Self { remote, reader, writer, scratch: Scratch::new() }
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> Stream for RlpxStream<R, W> {
    type Item = Result<Message, FrameError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.reader.poll_read(cx).map(Result::transpose)
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> Sink<Message> for RlpxStream<R, W> {
    type Error = FrameError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        // bound: 64 KiB and one message, then sending waits for the connection
        while self.writer.pending().len() >= BATCH {
            ready!(self.writer.poll_write_some(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), FrameError> {
        let Self { writer, scratch, .. } = &mut *self;
        writer.push(message.code, &message.payload, scratch).map(|_| ())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        ready!(self.writer.poll_flush(cx))?;
        self.scratch.shrink();
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        ready!(self.writer.poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

impl<R, W> fmt::Debug for RlpxStream<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RlpxStream")
            .field("remote", &self.remote)
            .field("reader", &self.reader)
            .field("writer", &self.writer)
            .finish()
    }
}

/// How many encoded bytes wait before the sink stops taking messages.
const BATCH: usize = 64 * 1024;
