//! What a stream brought and no value has taken yet, and how much is read at a time.
//!
//! ```text
//!   a read fills its room          the next has twice as much, up to 16 KiB
//!   less than a quarter of it      half as much, down to 2 KiB
//!   a value goes on and on         as much as there is of it, up to 256 KiB
//! ```
//!
//! So a lone call costs one read, many calls that come together cost few, and memory follows what has
//! come, never what is promised. An empty buffer that is larger than it has to be is made anew.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// See the module's comment.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: BytesMut,
    /// What the next read gets at least, in bytes.
    room: usize,
    /// What `bytes` stands in, of which it shows less when something was taken.
    allocated: usize,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), room: LEAST_ROOM, allocated: 0 }
    }

    /// Reads once. 0 is the end of the stream.
    pub(super) fn poll_read<S: AsyncRead>(
        &mut self,
        socket: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.spare();
        let count = ready!(poll_read_buf(socket, cx, &mut self.bytes))?;
        if count == room {
            self.room = self.room.saturating_mul(2).min(MOST_ROOM);
        } else if count < self.room / 4 {
            self.room = (self.room / 2).max(LEAST_ROOM);
        }
        Poll::Ready(Ok(count))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Drops so many bytes at the start.
    pub(super) fn skip(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    /// Takes this part out, without copying it, and drops what is before it.
    pub(super) fn take(&mut self, range: Range<usize>) -> Bytes {
        let mut value = self.bytes.split_to(range.end);
        value.advance(range.start);
        value.freeze()
    }

    fn make_room(&mut self) {
        if self.bytes.is_empty() && self.allocated > self.room.saturating_mul(2) {
            self.bytes = BytesMut::new();
            self.allocated = 0;
        }
        if self.spare() < self.room {
            self.bytes.reserve(self.bytes.len().min(MOST_OF_A_VALUE).max(self.room));
            self.allocated = self.allocated.max(self.bytes.capacity());
        }
    }

    fn spare(&self) -> usize {
        self.bytes.capacity().saturating_sub(self.bytes.len())
    }
}

const LEAST_ROOM: usize = 2 * 1024;
const MOST_ROOM: usize = 16 * 1024;
const MOST_OF_A_VALUE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads at most this much once.
    fn read(buffer: &mut ReadBuffer, count: usize) {
        let source = vec![b'x'; count];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let polled = buffer.poll_read(Pin::new(&mut &source[..]), &mut cx);
        assert!(matches!(polled, Poll::Ready(Ok(_))), "a slice can be read");
    }

    #[test]
    fn room_grows_with_what_comes_at_once_and_shrinks_again() {
        let mut buffer = ReadBuffer::new();
        let mut rooms = Vec::new();
        for count in [100, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 3_000, 3_000, 100, 100, 100] {
            read(&mut buffer, count);
            rooms.push(buffer.room >> 10);
            buffer.skip(buffer.bytes().len());
        }

        assert_eq!(rooms, [2, 4, 8, 16, 16, 8, 8, 4, 2, 2]);
        buffer.make_room();
        assert!(buffer.allocated <= 2 * LEAST_ROOM, "{} bytes", buffer.allocated);
    }

    #[test]
    fn a_large_value_leaves_nothing_behind() {
        let mut buffer = ReadBuffer::new();
        while buffer.bytes().len() < 1 << 20 {
            read(&mut buffer, 100_000);
        }
        let value = buffer.take(10..buffer.bytes().len());
        assert!(value.len() >= (1 << 20) - 10);
        drop(value);

        // Nothing comes, as on a connection that is idle.
        buffer.make_room();

        assert_eq!(buffer.bytes.capacity(), buffer.allocated);
        assert!(buffer.allocated <= MOST_ROOM, "{} bytes", buffer.allocated);
    }

    #[test]
    fn memory_follows_what_has_come() {
        let mut buffer = ReadBuffer::new();
        for _ in 0..1_000 {
            read(&mut buffer, 1_000);

            let come = buffer.bytes().len();
            assert!(buffer.bytes.capacity() <= (4 * come).max(2 * MOST_ROOM), "after {come}");
        }
        assert!(!buffer.is_empty());
        buffer.skip(999_999);
        assert_eq!(buffer.bytes(), b"x");
    }
}
