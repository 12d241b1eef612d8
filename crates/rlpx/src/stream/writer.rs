//! The writing direction: messages become frames in a buffer, the buffer goes to the connection.
//!
//! ```text
//!   push:         message ──▶ output buffer                       encoding, no I/O
//!   write_some:               output buffer ──▶ connection        one write
//!   flush:                    all of it
//! ```
//!
//! Many messages can be pushed before one write. A grown buffer is given back once traffic is
//! small again.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite;

use crate::{
    error::FrameError,
    frame::Egress,
    snappy::{self, Scratch},
};

/// Writes frames to a connection.
pub struct Writer<W> {
    io: W,
    /// Boxed, for it is most of a kilobyte and a writer is moved from one future into the next.
    egress: Box<Egress>,
    output: BytesMut,
    /// The most that waited in `output` since it was last empty, in bytes.
    peak: usize,
    /// What `output` holds on to, in bytes; its own `capacity` counts from its position only.
    allocated: usize,
    /// Flushes of modest size since the last large one.
    calm: u32,
    snappy: bool,
}

impl<W> Writer<W> {
    /// Writes what `egress` makes to `io`.
    pub fn new(io: W, egress: Egress) -> Self {
        let (egress, output) = (Box::new(egress), BytesMut::new());
        Self { io, egress, output, peak: 0, allocated: 0, calm: 0, snappy: false }
    }

    /// Encodes a message into the output buffer and returns its frame's length, in bytes.
    ///
    /// Does no I/O, and allocates nothing once buffer and scratch have grown to the traffic. The
    /// caller bounds the buffer: flush before [`pending`](Self::pending) gets long.
    ///
    /// # Errors
    ///
    /// [`FrameError::MessageTooLong`] for a payload over [`snappy::MAX_MESSAGE`] where compression
    /// is on; otherwise as [`Egress::frame`]. The connection is as if the message had never been.
    pub fn push(
        &mut self,
        code: u64,
        payload: &[u8],
        scratch: &mut Scratch,
    ) -> Result<usize, FrameError> {
        let body = if self.snappy { snappy::compress(payload, scratch)? } else { payload };
        self.push_compressed(code, body)
    }

    /// Encodes a message whose payload is already as it goes on the wire.
    ///
    /// For a message to many peers: [`snappy::compress`] it once and push the result to every
    /// connection that compresses. Whether this one does is not checked.
    ///
    /// # Errors
    ///
    /// As [`Egress::frame`].
    pub fn push_compressed(&mut self, code: u64, compressed: &[u8]) -> Result<usize, FrameError> {
        let wire = self.egress.frame(code, compressed, &mut self.output)?;
        self.peak = self.peak.max(self.output.len());
        self.allocated = self.allocated.max(self.output.capacity());
        Ok(wire)
    }

    /// The encoded bytes that were not written yet, oldest first.
    pub fn pending(&self) -> &[u8] {
        &self.output
    }

    /// How many bytes of memory the output buffer holds.
    pub fn allocated(&self) -> usize {
        self.allocated
    }

    /// Turns compression on or off, from the next message on.
    pub fn set_snappy(&mut self, on: bool) {
        self.snappy = on;
    }

    /// Whether messages are compressed.
    pub fn snappy(&self) -> bool {
        self.snappy
    }

    /// Gives back the output buffer if nothing is in it; to be called when the connection has gone
    /// quiet.
    pub fn shrink(&mut self) {
        if self.output.is_empty() {
            self.output = BytesMut::new();
            self.allocated = 0;
        }
    }

    /// Everything was written: gives back a large buffer if it has not been needed for a while.
    fn drained(&mut self) {
        self.calm = if self.peak > LARGE { 0 } else { self.calm.saturating_add(1) };
        self.peak = 0;
        if self.allocated > LARGE && self.calm >= CALM {
            self.shrink();
        }
    }
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes everything out and flushes the connection.
    ///
    /// Cancel-safe: what was not written stays in the buffer.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Writes once and returns how many bytes the connection took; 0 when none were waiting.
    ///
    /// Cancel-safe. For drivers that watch whether a slow peer makes progress.
    ///
    /// # Errors
    ///
    /// When the connection fails or takes nothing.
    pub async fn write_some(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_some(cx)).await
    }

    /// Writes everything out and closes the writing direction.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }

    pub(super) fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.output.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.output))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.output.advance(written);
        if self.output.is_empty() {
            self.drained();
        }
        Poll::Ready(Ok(written))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            ready!(self.poll_write_some(cx))?;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("pending", &self.output.len())
            .field("snappy", &self.snappy)
            .finish_non_exhaustive()
    }
}

/// Flushes and buffers over this size, in bytes, are not kept for.
const LARGE: usize = 64 * 1024;

/// How many flushes in a row have to be modest before a large buffer is given back.
const CALM: u32 = 16;
