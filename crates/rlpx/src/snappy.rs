//! Payload compression: raw snappy blocks, and the limits that keep them harmless.
//!
//! ```text
//!   body = code ‖ snappy( payload )
//!                 ├ varint: payload's length ─┼ elements … ┤
//! ```
//!
//! A kilobyte can claim to be sixteen megabytes and some kilobytes really are, so the claim is
//! read and compared with a limit before anything is allocated; then there is one allocation, of
//! exactly the claimed length, and the elements have to fill it to the last byte.
//!
//! Compressing takes a [`Scratch`] from the caller: some 36 KB that need not exist once per peer.
//! A [`ScratchPool`] holds a few for all connections.
//!
//! Spec: EIP-706; google/snappy:format_description.txt.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use snap::raw::{Decoder, Encoder, max_compress_len};

use crate::error::FrameError;

/// Compresses a payload into `scratch`; the result stays valid until its next use.
///
/// # Errors
///
/// [`FrameError::MessageTooLong`] when the payload is over [`MAX_MESSAGE`].
pub fn compress<'a>(payload: &[u8], scratch: &'a mut Scratch) -> Result<&'a [u8], FrameError> {
    if payload.len() > MAX_MESSAGE {
        return Err(FrameError::MessageTooLong { size: payload.len() });
    }
    let worst = max_compress_len(payload.len());
    if scratch.buffer.len() < worst {
        scratch.buffer.resize(worst, 0);
    }
    let Scratch { encoder, buffer } = scratch;
    let len = encoder.compress(payload, buffer).map_err(|_| FrameError::Snappy)?;
    buffer.get(..len).ok_or(FrameError::Snappy)
}

/// Decompresses a body into memory of exactly its payload's length.
///
/// `limit` is the largest payload to accept, in bytes; [`MAX_MESSAGE`] applies as well.
///
/// # Errors
///
/// [`FrameError::MessageTooLong`] or [`FrameError::TooLarge`] when the claimed length is over a
/// limit, both before anything is allocated; [`FrameError::Snappy`] when the body is empty or not
/// exactly one block of the claimed length.
pub fn decompress(body: &[u8], limit: usize) -> Result<Bytes, FrameError> {
    let size = payload_len(body, limit)?;
    let mut payload = vec![0; size];
    let written = Decoder::new().decompress(body, &mut payload).map_err(|_| FrameError::Snappy)?;
    if written != size {
        return Err(FrameError::Snappy);
    }
    Ok(payload.into())
}

/// The length that the payload of a body has if it has one, for whoever has to find room first.
///
/// `limit` is the largest payload to accept, in bytes; [`MAX_MESSAGE`] applies as well.
///
/// # Errors
///
/// As [`decompress`] for the limits; [`FrameError::Snappy`] when so short a body cannot be that long
/// a payload, because no element of the format makes more than 64 bytes out of three.
pub fn payload_len(body: &[u8], limit: usize) -> Result<usize, FrameError> {
    let size = declared_len(body)?;
    if size > limit {
        return Err(FrameError::TooLarge { size, limit });
    }
    if size > body.len().saturating_mul(MAX_RATIO) {
        return Err(FrameError::Snappy);
    }
    Ok(size)
}

/// The length of the payload that a body claims to hold, in bytes.
///
/// # Errors
///
/// [`FrameError::MessageTooLong`] when it is over [`MAX_MESSAGE`], [`FrameError::Snappy`] when the
/// body does not begin with a length of one to five bytes.
pub fn declared_len(body: &[u8]) -> Result<usize, FrameError> {
    let mut value = 0_u64;
    for (index, byte) in (0_u32..5).zip(body) {
        let bits = u64::from(byte & 0x7f).checked_shl(index.saturating_mul(7)).unwrap_or(u64::MAX);
        value |= bits;
        if byte & 0x80 == 0 {
            return fitting(value);
        }
    }
    Err(FrameError::Snappy)
}

fn fitting(value: u64) -> Result<usize, FrameError> {
    let size = usize::try_from(value).unwrap_or(usize::MAX);
    match size {
        0..=MAX_MESSAGE => Ok(size),
        _ => Err(FrameError::MessageTooLong { size }),
    }
}

/// The largest payload of a message, in bytes, not compressed.
pub const MAX_MESSAGE: usize = 0xff_ff_ff;

/// A compressor and the memory it works in, to be lent for one message after another.
///
/// Grows with the payload; [`shrink`](Self::shrink) gives back what is over 64 KiB.
pub struct Scratch {
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl Scratch {
    /// A compressor without a buffer; both grow on first use.
    pub fn new() -> Self {
        Self { encoder: Encoder::new(), buffer: Vec::new() }
    }

    /// Gives back what a large message needed, down to 64 KiB.
    pub fn shrink(&mut self) {
        if self.buffer.capacity() > KEEP {
            self.buffer.truncate(KEEP);
            self.buffer.shrink_to(KEEP);
        }
    }

    /// How much memory the buffer holds, in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// A few [`Scratch`]es for many connections. Clones share the same few.
#[derive(Debug, Clone)]
pub struct ScratchPool {
    // bound: `limit` scratches of at most 64 KiB; those given back beyond it are dropped
    idle: Arc<Mutex<Vec<Scratch>>>,
    limit: usize,
}

impl ScratchPool {
    /// A pool that keeps at most `limit` scratches while nobody uses them.
    ///
    /// One for each thread that compresses is enough.
    pub fn new(limit: usize) -> Self {
        Self { idle: Arc::default(), limit }
    }

    /// Lends a scratch until the guard is dropped; makes one when none is idle.
    ///
    /// Keep it for a batch of messages, but not while waiting for anything.
    pub fn lend(&self) -> Lent {
        let scratch = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { scratch: scratch.unwrap_or_default(), pool: self.clone() }
    }

    fn give_back(&self, mut scratch: Scratch) {
        scratch.shrink();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.limit {
            idle.push(scratch);
        }
    }
}

impl Default for ScratchPool {
    /// A pool for a machine of eight cores.
    fn default() -> Self {
        Self::new(8)
    }
}

/// A [`Scratch`] on loan from a [`ScratchPool`].
#[derive(Debug)]
pub struct Lent {
    scratch: Scratch,
    pool: ScratchPool,
}

impl Deref for Lent {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Scratch {
        &mut self.scratch
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.scratch));
    }
}

/// No payload is more than this many times as long as its body: 64 bytes out of three.
const MAX_RATIO: usize = 22;

/// How much memory an idle scratch may hold, in bytes.
const KEEP: usize = 64 * 1024;
