//! Frames: how a message is cut, padded, encrypted and authenticated, one half per direction.
//!
//! ```text
//!   0        3             16           32                 32+n         48+n
//!   ├ size ──┼ header data ┼ header tag ┼ body, n bytes …  ┼ body tag ──┤
//!   └──────── encrypted ───┘            └──── encrypted ───┘
//!   body: message code (RLP) ‖ payload ‖ zeros up to a multiple of 16
//!   size: of code and payload, big-endian;  n: size rounded up to 16
//! ```
//!
//! [`Egress`] writes and [`Ingress`] reads. Each owns its end of a key stream and a tag state that
//! run on from frame to frame, so a frame can be read only in its place, and the halves can live
//! in two tasks on two cores.
//!
//! Bytes are touched as little as possible: writing copies the caller's slice to its place in the
//! output and encrypts it there, reading decrypts where the bytes arrived. Nothing is decrypted before its tag is
//! verified, and a wrong tag ends the half for good.
//!
//! Spec: ethereum/devp2p:rlpx.md, "Framing".

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fmt;

use aes::Aes256Enc;
use alloy_rlp::{Decodable as _, Encodable as _};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use cipher::{KeyIvInit as _, StreamCipher as _};
use subtle::ConstantTimeEq as _;

use crate::{
    error::FrameError,
    keccak::Keccak,
    mac::{Mac, TAG},
    message::Message,
    snappy,
};

/// The writing half of a connection.
pub struct Egress {
    cipher: Cipher,
    mac: Mac,
}

impl Egress {
    pub(crate) fn new(aes: &[u8; 32], mac: &[u8; 32], state: Keccak) -> Self {
        Self { cipher: Cipher::new(aes), mac: Mac::new(state, mac) }
    }

    /// Appends one frame to `out` and returns its length on the wire, in bytes.
    ///
    /// `body` is the payload as it goes out, so already compressed where compression is on.
    ///
    /// # Errors
    ///
    /// [`FrameError::SizeOverflow`] when code and body do not fit into 16,777,215 bytes,
    /// [`FrameError::Terminated`] when the key stream is used up. Nothing is appended then, and
    /// the next frame goes out as if this one had never been tried.
    pub fn frame(
        &mut self,
        code: u64,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Result<usize, FrameError> {
        let code = Code::new(code);
        let size = code.as_slice().len().saturating_add(body.len());
        if size > MAX_SIZE {
            return Err(FrameError::SizeOverflow { size });
        }
        let wire = wire_len(size);
        self.cipher.check(wire)?;

        out.reserve(wire);
        self.header(size, out);
        self.body(code.as_slice(), body, out);
        out.put_slice(&self.mac.body());
        Ok(wire)
    }

    /// The digest of the tag state, for known-answer tests.
    #[doc(hidden)]
    pub fn mac_digest(&self) -> [u8; 32] {
        self.mac.digest()
    }

    fn header(&mut self, size: usize, out: &mut BytesMut) {
        let mut header = [0; BLOCK];
        let size = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
        for (to, from) in header.iter_mut().zip(size.iter().skip(1).chain(&HEADER_DATA)) {
            *to = *from;
        }
        self.cipher.apply(&mut header);
        out.put_slice(&header);
        out.put_slice(&self.mac.header(&header));
    }

    /// Encrypts code, payload and padding, piece by piece while each piece is warm: copied to its
    /// place in the output, encrypted there, hashed.
    fn body(&mut self, code: &[u8], body: &[u8], out: &mut BytesMut) {
        let mut rest = body;
        let mut start = out.len();
        out.put_slice(code);
        loop {
            let room = start.saturating_add(WARM).saturating_sub(out.len());
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            out.put_slice(piece);
            // Only the last piece can end off a block.
            let len = out.len().saturating_sub(start);
            out.put_bytes(0, padded(len).saturating_sub(len));

            let fresh = out.get_mut(start..).unwrap_or_default();
            self.cipher.apply(fresh);
            self.mac.absorb(fresh);
            if behind.is_empty() {
                return;
            }
            (rest, start) = (behind, out.len());
        }
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

/// The reading half of a connection.
///
/// Feed it whatever arrives, in whatever pieces: the frames that come out are the same.
pub struct Ingress {
    cipher: Cipher,
    mac: Mac,
    expect: Expect,
    limit: usize,
    keep_wire: bool,
    odd_headers: u64,
}

impl Ingress {
    pub(crate) fn new(aes: &[u8; 32], mac: &[u8; 32], state: Keccak) -> Self {
        Self {
            cipher: Cipher::new(aes),
            mac: Mac::new(state, mac),
            expect: Expect::Header,
            limit: FIRST_FRAME,
            keep_wire: false,
            odd_headers: 0,
        }
    }

    /// Takes the next frame out of `buf`, or `None` when it is not complete yet.
    ///
    /// `buf` holds what arrived and was not taken yet, in order. A verified header leaves it at
    /// once, a body when it is complete; the frame's body shares `buf`'s memory, so drop or copy
    /// it before the next read if that memory is to be used again.
    ///
    /// # Errors
    ///
    /// * [`FrameError::HeaderMac`], [`FrameError::BodyMac`], [`FrameError::TooLarge`]: the half is
    ///   of no more use and says [`FrameError::Terminated`] from then on;
    /// * [`FrameError::Empty`], [`FrameError::Code`]: the frame is genuine but no message. It has
    ///   been taken out; what follows it can be read.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if let Expect::Header = self.expect {
            let Some(header) = buf.first_chunk().copied() else { return Ok(None) };
            self.expect = Expect::Nothing;
            let size = self.open_header(&header)?;
            buf.advance(HEADER);
            self.expect = Expect::Body { size, header };
        }
        let Expect::Body { size, header } = self.expect else {
            return Err(FrameError::Terminated);
        };
        let sealed = padded(size).saturating_add(TAG);
        if buf.len() < sealed {
            return Ok(None);
        }
        self.expect = Expect::Nothing;
        let frame = self.open_body(size, &header, buf.split_to(sealed))?;
        self.expect = Expect::Header;
        frame.decode().map(Some)
    }

    /// How many bytes `buf` lacks for the next step, which is a header's end or a body's end.
    ///
    /// Zero when [`next`](Self::next) has something to do.
    pub fn missing(&self, buf: &BytesMut) -> usize {
        let need = match self.expect {
            Expect::Header => HEADER,
            Expect::Body { size, .. } => padded(size).saturating_add(TAG),
            Expect::Nothing => 0,
        };
        need.saturating_sub(buf.len())
    }

    /// The size, in bytes, of a body that is announced by a verified header and not complete yet.
    pub fn announced(&self) -> Option<usize> {
        match self.expect {
            Expect::Body { size, .. } => Some(size),
            Expect::Header | Expect::Nothing => None,
        }
    }

    /// Sets the largest frame to accept: code and payload as on the wire, in bytes.
    ///
    /// Applies to headers not read yet. [`FIRST_FRAME`] at first, for a stranger has no reason to
    /// send more before its hello; never more than [`MAX_SIZE`].
    pub fn set_max_frame(&mut self, limit: usize) {
        self.limit = limit.min(MAX_SIZE);
    }

    /// The largest frame that is accepted, in bytes.
    pub fn max_frame(&self) -> usize {
        self.limit
    }

    /// Has each frame bring along its bytes as they came, for whoever shows the wire. Costs a
    /// copy.
    pub fn keep_wire(&mut self, yes: bool) {
        self.keep_wire = yes;
    }

    /// How many headers carried something other than the two zeros that every client writes there.
    ///
    /// The specification once had frames in several parts, announced in this place. Nobody sends
    /// or understands them: the claim is counted and otherwise ignored.
    pub fn odd_headers(&self) -> u64 {
        self.odd_headers
    }

    /// The digest of the tag state, for known-answer tests.
    #[doc(hidden)]
    pub fn mac_digest(&self) -> [u8; 32] {
        self.mac.digest()
    }

    /// Verifies and decrypts a header, and returns the size that it announces.
    fn open_header(&mut self, header: &[u8; HEADER]) -> Result<usize, FrameError> {
        let (mut block, tag) = halves(header);
        let expected = self.mac.header(&block);
        if !bool::from(expected.ct_eq(&tag)) {
            return Err(FrameError::HeaderMac);
        }
        self.cipher.check(BLOCK)?;
        self.cipher.apply(&mut block);

        let [high, middle, low, data @ ..] = block;
        let size = u32::from_be_bytes([0, high, middle, low]);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > self.limit {
            return Err(FrameError::TooLarge { size, limit: self.limit });
        }
        if !data.starts_with(&HEADER_DATA) {
            self.odd_headers = self.odd_headers.saturating_add(1);
        }
        Ok(size)
    }

    /// Verifies a body and its tag, and decrypts it where it is.
    fn open_body(
        &mut self,
        size: usize,
        header: &[u8; HEADER],
        mut body: BytesMut,
    ) -> Result<Frame, FrameError> {
        let wire = self.keep_wire.then(|| [header.as_slice(), &body].concat().into());
        let tag = body.split_off(body.len().saturating_sub(TAG));
        self.mac.absorb(&body);
        let expected = self.mac.body();
        if !bool::from(expected.as_slice().ct_eq(&tag)) {
            return Err(FrameError::BodyMac);
        }
        self.cipher.check(body.len())?;
        self.cipher.apply(&mut body);
        body.truncate(size);
        Ok(Frame { code: 0, body, size: wire_len(size), wire })
    }
}

impl fmt::Debug for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress")
            .field("announced", &self.announced())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A frame that was read: genuine, in its place, and decrypted.
pub struct Frame {
    /// The message code.
    pub code: u64,
    /// What follows the code, compressed where compression is on.
    pub body: BytesMut,
    /// The frame's length on the wire, in bytes: header, padding and tags included.
    pub size: usize,
    /// The frame as it came, encrypted, where [`Ingress::keep_wire`] asked for it.
    pub wire: Option<Bytes>,
}

impl Frame {
    /// Turns the frame into a message, decompressing the body if `snappy`.
    ///
    /// `limit` is the largest payload to accept, in bytes, after decompression.
    ///
    /// # Errors
    ///
    /// As [`snappy::decompress`]; [`FrameError::TooLarge`] for a plain body over the limit.
    pub fn into_message(self, snappy: bool, limit: usize) -> Result<Message, FrameError> {
        let Self { code, body, .. } = self;
        if snappy {
            return Ok(Message { code, payload: snappy::decompress(&body, limit)? });
        }
        if body.len() > limit {
            return Err(FrameError::TooLarge { size: body.len(), limit });
        }
        // A small slice would pin the whole block of memory that was read around it.
        let payload = if body.len() < PIN { Bytes::copy_from_slice(&body) } else { body.freeze() };
        Ok(Message { code, payload })
    }

    /// Reads the code off the body's front.
    fn decode(mut self) -> Result<Self, FrameError> {
        if self.body.is_empty() {
            return Err(FrameError::Empty);
        }
        let mut rest: &[u8] = &self.body;
        self.code = u64::decode(&mut rest).map_err(FrameError::Code)?;
        let used = self.body.len().saturating_sub(rest.len());
        self.body.advance(used);
        Ok(self)
    }
}

impl fmt::Debug for Frame {
    /// Sizes only: message bytes do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("code", &self.code)
            .field("body", &self.body.len())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The largest frame there can be: code and payload as on the wire, in bytes.
pub const MAX_SIZE: usize = 0xff_ff_ff;

/// The largest frame to accept before the hello is done: 2,048 bytes of payload and 9 of code.
pub const FIRST_FRAME: usize = 2048 + 9;

/// What the reading half waits for.
#[derive(Clone, Copy)]
enum Expect {
    Header,
    /// The header as it came is kept for [`Frame::wire`].
    Body {
        size: usize,
        header: [u8; HEADER],
    },
    /// An earlier frame could not be trusted, so nothing after it can be.
    Nothing,
}

/// One direction's key stream.
///
/// The counter starts at zero, so 64 of its 128 bits are all that will ever move, which is faster
/// than moving all of them. Every use is a multiple of a block.
struct Cipher(ctr::Ctr64BE<Aes256Enc>);

impl Cipher {
    fn new(key: &[u8; 32]) -> Self {
        Self(ctr::Ctr64BE::new(key.into(), &[0; BLOCK].into()))
    }

    /// Whether `len` bytes of key stream are left. They are, for 2^68 bytes; that nothing panics
    /// should not hang on it.
    fn check(&self, len: usize) -> Result<(), FrameError> {
        self.0.check_remaining(len).map_err(|_| FrameError::Terminated)
    }

    /// Encrypts or decrypts in place, after a [`check`](Self::check).
    fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

/// A message code as it stands on the wire, without an allocation.
struct Code {
    bytes: [u8; 9],
    len: usize,
}

impl Code {
    fn new(code: u64) -> Self {
        let mut bytes = [0; 9];
        let mut rest: &mut [u8] = &mut bytes;
        code.encode(&mut rest);
        Self { bytes, len: code.length() }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

fn halves(header: &[u8; HEADER]) -> ([u8; BLOCK], [u8; TAG]) {
    let (mut block, mut tag) = ([0; BLOCK], [0; TAG]);
    let (left, right) = header.split_at(BLOCK);
    block.copy_from_slice(left);
    tag.copy_from_slice(right);
    (block, tag)
}

/// A body's length with its padding, in bytes.
fn padded(size: usize) -> usize {
    size.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX)
}

/// A frame's length on the wire, in bytes.
fn wire_len(size: usize) -> usize {
    padded(size).saturating_add(HEADER).saturating_add(TAG)
}

/// A header and its tag, in bytes.
const HEADER: usize = 32;

/// The cipher's block, in bytes.
const BLOCK: usize = 16;

/// An RLP list of two zeros: where protocol and context of a frame once stood.
const HEADER_DATA: [u8; 3] = [0xc2, 0x80, 0x80];

/// How much is encrypted before it is hashed, in bytes: little enough to be still in the cache.
const WARM: usize = 16 * 1024;

/// Plain payloads below this length are copied out of the read buffer, in bytes.
const PIN: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use enode::keccak256;

    use super::*;

    /// The published frame: its tags were made with a hash that does nothing, so only what is
    /// encrypted can be compared.
    #[test]
    fn published_frame_is_encrypted_as_published() {
        let secret = keccak256(b"");
        let mut egress = Egress::new(&secret, &secret, Keccak::default());
        let mut out = BytesMut::new();

        egress.frame(8, &const_hex::decode("c401020304").unwrap(), &mut out).unwrap();

        assert_eq!(const_hex::encode(&out[..16]), "00828ddae471818bb0bfa6b551d1cb42");
        assert_eq!(const_hex::encode(&out[32..48]), "ba628a4ba590cb43f7848f41c4382885");
    }

    #[test]
    fn sizes_are_padded_to_whole_blocks() {
        for (size, want) in [(0, 48), (1, 64), (16, 64), (17, 80), (MAX_SIZE, 16_777_264)] {
            assert_eq!(wire_len(size), want);
        }
    }
}
