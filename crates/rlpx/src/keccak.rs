//! The running Keccak-256 state behind every frame tag.
//!
//! A frame's tag is a digest of everything sent so far, so the state lives as long as the
//! connection and is squeezed without ending it:
//!
//! ```text
//!   absorb ─▶ absorb ─▶ absorb ─▶ …
//!               │          │
//!            squeeze    squeeze        on a copy, the state goes on
//! ```
//!
//! This is nearly all of what a frame costs, and the one place to change when a faster
//! permutation is at hand.

use sha3::{Digest as _, Keccak256};

/// A Keccak-256 that can be asked for its digest at any time. Wiped on drop.
#[derive(Clone, Default)]
pub(crate) struct Keccak(Keccak256);

impl Keccak {
    /// Feeds more bytes.
    pub(crate) fn absorb(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was fed so far; the state goes on as if nobody had asked.
    pub(crate) fn squeeze(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}
