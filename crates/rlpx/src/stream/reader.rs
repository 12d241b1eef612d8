//! The reading direction: bytes from a connection, frames and messages out of them.
//!
//! ```text
//!   fill:       connection ──▶ buffer             one read, no decoding
//!   try_frame:                 buffer ──▶ frame   decoding, no I/O
//!   read:       both until there is a message
//! ```
//!
//! The buffer starts small and grows only by what is known to come and only as it comes: by 64 KiB
//! at most before those bytes arrived, whatever size a header announces. A grown buffer is given
//! back once traffic is small again.

use std::{
    fmt,
    future::{Future as _, poll_fn},
    io, mem,
    pin::pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{
    error::FrameError,
    frame::{Frame, Ingress},
    message::Message,
    snappy,
};

/// Reads frames from a connection.
pub struct Reader<R> {
    io: R,
    /// Boxed, for it is most of a kilobyte and a reader is moved from one future into the next.
    ingress: Box<Ingress>,
    buffer: BytesMut,
    /// What `buffer` holds on to, in bytes; its own `capacity` counts from its position only.
    allocated: usize,
    /// How many bytes to have room for when nothing says how many will come.
    ahead: usize,
    /// Frames of modest size since the last large one.
    calm: u32,
    snappy: bool,
}

impl<R> Reader<R> {
    /// Reads what `ingress` can open from `io`.
    pub fn new(io: R, ingress: Ingress) -> Self {
        Self {
            io,
            ingress: Box::new(ingress),
            buffer: BytesMut::new(),
            allocated: 0,
            ahead: SMALL,
            calm: 0,
            snappy: false,
        }
    }

    /// The next frame out of what is buffered, or `None` when it is not complete. Does no I/O.
    ///
    /// # Errors
    ///
    /// As [`Ingress::next`].
    pub fn try_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let frame = self.ingress.next(&mut self.buffer)?;
        if let Some(frame) = &frame {
            self.calm = if frame.size > LARGE { 0 } else { self.calm.saturating_add(1) };
        }
        Ok(frame)
    }

    /// Turns decompression on or off, from the next message on.
    pub fn set_snappy(&mut self, on: bool) {
        self.snappy = on;
    }

    /// Whether messages are decompressed.
    pub fn snappy(&self) -> bool {
        self.snappy
    }

    /// Sets the largest frame to accept, as [`Ingress::set_max_frame`].
    pub fn set_max_frame(&mut self, limit: usize) {
        self.ingress.set_max_frame(limit);
    }

    /// Has each frame bring along its bytes as they came, as [`Ingress::keep_wire`].
    pub fn keep_wire(&mut self, yes: bool) {
        self.ingress.keep_wire(yes);
    }

    /// The size, in bytes, of a body that a verified header announced and that is not complete.
    pub fn announced(&self) -> Option<usize> {
        self.ingress.announced()
    }

    /// How many bytes arrived and were not taken yet.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// How many bytes of memory the buffer holds.
    pub fn allocated(&self) -> usize {
        self.allocated
    }

    /// Whether the connection may end here: no frame has been begun.
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty() && self.announced().is_none()
    }

    /// How many headers carried odd data, as [`Ingress::odd_headers`].
    pub fn odd_headers(&self) -> u64 {
        self.ingress.odd_headers()
    }

    /// Gives back a grown buffer; to be called when the connection has gone quiet.
    pub fn shrink(&mut self) {
        self.ahead = SMALL;
        if self.allocated > SMALL.max(self.buffer.len()) {
            self.buffer = BytesMut::from(&*self.buffer);
            self.allocated = self.buffer.capacity();
        }
    }

    fn decode(&mut self) -> Result<Option<Message>, FrameError> {
        match self.try_frame()? {
            Some(frame) => frame.into_message(self.snappy, snappy::MAX_MESSAGE).map(Some),
            None => Ok(None),
        }
    }

    /// Makes room for the next read.
    fn make_room(&mut self) {
        let missing = self.ingress.missing(&self.buffer);
        let room = missing.clamp(self.ahead, STEP);
        let given_back = self.allocated > LARGE && room <= LARGE && self.calm >= CALM;
        if given_back && self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        let spare = self.buffer.capacity().saturating_sub(self.buffer.len());
        // Growing for every few bytes would move a large body once for each packet it comes in.
        let least = missing.clamp(1, LEAST);
        // Going back to the start of the memory is free when nothing has to move there.
        let wanted = if self.buffer.is_empty() { room } else { least };
        if spare < wanted && !self.buffer.try_reclaim(room) && spare < least {
            self.grow(room);
        }
    }

    /// Grows by exactly `room` bytes. The buffer's own growth would double it, and so let a peer
    /// that announces much and sends little hold twice what it sent.
    fn grow(&mut self, room: usize) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::with_capacity(room);
        } else {
            let mut bytes = Vec::from(mem::take(&mut self.buffer));
            bytes.reserve_exact(room);
            self.buffer = BytesMut::from(Bytes::from(bytes));
        }
        self.allocated = self.buffer.capacity();
    }

    /// A read that brings as much as was looked ahead for says that more is waiting.
    fn look_ahead(&mut self, read: usize) {
        if read >= self.ahead && self.ingress.max_frame() > LARGE {
            self.ahead = self.ahead.saturating_mul(2).min(STEP);
        }
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Waits for the next message; `None` when the remote side has closed the connection between
    /// two frames.
    ///
    /// Cancel-safe: what has arrived stays.
    ///
    /// # Errors
    ///
    /// As [`Ingress::next`] for frames and [`snappy::decompress`] for what is in them;
    /// [`FrameError::UnexpectedEof`] when the connection ends inside a frame, [`FrameError::Io`]
    /// when it fails.
    pub async fn read(&mut self) -> Result<Option<Message>, FrameError> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Waits for bytes, reads once, and returns how many came; 0 at the end of the connection.
    ///
    /// To be called when [`try_frame`](Self::try_frame) has nothing more to give, otherwise the
    /// buffer grows. Cancel-safe.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Waits for bytes and drops them, and with them the buffer and what was in it; returns how
    /// many came, 0 at the end of the connection.
    ///
    /// Never reads more than `limit` at a time. For the last moments of a connection, after which
    /// no frame can be read any more. Cancel-safe.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub async fn discard(&mut self, limit: usize) -> io::Result<usize> {
        self.buffer = BytesMut::new();
        self.allocated = 0;
        let mut bytes = [0; SMALL];
        let limit = limit.min(bytes.len());
        self.io.read(bytes.split_at_mut(limit).0).await
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, FrameError>> {
        loop {
            if let Some(message) = self.decode()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                let clean = self.is_between_frames();
                return Poll::Ready(if clean { Ok(None) } else { Err(FrameError::UnexpectedEof) });
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        // The future of one read holds nothing but the two borrows, so it may be dropped pending.
        let read = ready!(pin!(self.io.read_buf(&mut self.buffer)).poll(cx))?;
        self.look_ahead(read);
        Poll::Ready(Ok(read))
    }
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("buffered", &self.buffered())
            .field("announced", &self.announced())
            .field("snappy", &self.snappy)
            .finish_non_exhaustive()
    }
}

/// What a quiet connection's buffer holds, in bytes.
const SMALL: usize = 1024;

/// The most room made for bytes that did not arrive yet.
const STEP: usize = 64 * 1024;

/// Frames and buffers over this size, in bytes, are not kept for.
const LARGE: usize = 64 * 1024;

/// With this much room, in bytes, a read is worth it; growing can wait.
const LEAST: usize = 4 * 1024;

/// How many frames in a row have to be modest before a large buffer is given back.
const CALM: u32 = 16;
