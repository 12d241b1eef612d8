//! Messages on their way out, one behind the other in one buffer.
//!
//! ```text
//!   stream   {"jsonrpc":…}\n{"jsonrpc":…}\n      a newline ends each
//!   frames   {"jsonrpc":…}{"jsonrpc":…}          the ends are kept beside the buffer
//! ```

use std::collections::VecDeque;

use ::bytes::{Buf as _, Bytes, BytesMut};

use crate::{Caller, tap::Tap};

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: BytesMut,
    /// Lengths of the messages in `bytes`; unused on a stream.
    // bound: one for each message in `bytes`, which the session bounds
    lengths: VecDeque<usize>,
    framed: bool,
    /// `bytes` has been longer than [`KEPT`].
    grown: bool,
    /// Sees each message when it is added, and whom it goes to.
    tap: Option<(Tap, Caller)>,
}

impl Outbox {
    /// Empty. `framed` for a transport that carries messages rather than bytes.
    pub(crate) fn new(framed: bool) -> Self {
        // bound: see the field
        let (bytes, lengths) = (BytesMut::new(), VecDeque::new());
        Self { bytes, lengths, framed, grown: false, tap: None }
    }

    /// Shows every message to `tap` from now on.
    pub(crate) fn set_tap(&mut self, tap: Tap, caller: Caller) {
        self.tap = Some((tap, caller));
    }

    /// Adds the message that `write` writes.
    pub(crate) fn message(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if let Some((tap, caller)) = &self.tap {
            tap.show(*caller, true, self.bytes.get(start..).unwrap_or_default());
        }
        if self.framed {
            self.lengths.push_back(self.bytes.len().saturating_sub(start));
        } else {
            self.bytes.extend_from_slice(b"\n");
        }
        self.grown |= self.bytes.len() > KEPT;
    }

    /// Moves all messages of `other` behind those here.
    pub(crate) fn append(&mut self, other: &mut Self) {
        if self.bytes.is_empty() {
            std::mem::swap(&mut self.bytes, &mut other.bytes);
        } else {
            self.bytes.extend_from_slice(&other.bytes);
        }
        other.bytes.clear();
        self.lengths.append(&mut other.lengths);
        self.grown |= self.bytes.len() > KEPT;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What a stream writes next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes
    }

    /// So many bytes of [`Self::unwritten`] were written.
    pub(crate) fn written(&mut self, count: usize) {
        self.bytes.advance(count);
        self.give_back();
    }

    /// The next message of a transport with frames.
    pub(crate) fn next_frame(&mut self) -> Option<Bytes> {
        let length = self.lengths.pop_front()?;
        let frame = self.bytes.split_to(length).freeze();
        self.give_back();
        Some(frame)
    }

    /// An empty buffer still holds on to all that it has grown to, however little it shows of it.
    fn give_back(&mut self) {
        if self.grown && self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.grown = false;
        }
    }
}

/// A buffer that has grown beyond this is given back when it is empty, in bytes.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_each_message_with_a_newline() {
        let mut out = Outbox::new(false);
        out.message(|bytes| bytes.extend_from_slice(b"1"));
        let mut more = Outbox::new(false);
        more.message(|bytes| bytes.extend_from_slice(b"2"));

        out.append(&mut more);

        assert_eq!(out.unwritten(), b"1\n2\n");
        assert!(more.is_empty());
        out.written(3);
        assert_eq!(out.unwritten(), b"\n");
        out.written(1);
        assert!(out.is_empty());
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut out = Outbox::new(true);
        out.message(|bytes| bytes.extend_from_slice(b"one"));
        let mut more = Outbox::new(true);
        more.message(|bytes| bytes.extend_from_slice(b"t\nwo"));

        out.append(&mut more);

        assert_eq!(out.next_frame().as_deref(), Some(&b"one"[..]));
        assert_eq!(out.next_frame().as_deref(), Some(&b"t\nwo"[..]));
        assert_eq!(out.next_frame(), None);
        assert!(out.is_empty());
    }

    #[test]
    fn a_buffer_that_has_grown_is_given_back() {
        let mut out = Outbox::new(false);
        out.message(|bytes| bytes.extend_from_slice(&vec![b'x'; 1 << 20]));

        out.written(out.len());

        assert!(out.bytes.capacity() <= KEPT);
    }
}
