//! The running tag of one direction: what proves that a frame is next in line and unchanged.
//!
//! ```text
//!   header tag:  absorb( E(last tag) ^ header )                 then squeeze = tag
//!   body tag:    absorb( body ),  s = squeeze,
//!                absorb( E(s) ^ s )                             then squeeze = tag
//!   E: one AES-256 block under the MAC secret; tags are the first 16 bytes of a digest
//! ```
//!
//! The specification opens a header with a digest of its own. Nothing touches the state between a
//! frame's last digest and the next header, so that digest *is* the last tag, and keeping it saves
//! one squeeze in four.
//!
//! Spec: ethereum/devp2p:rlpx.md, "MAC".

use aes::Aes256Enc;
use cipher::{BlockCipherEncrypt as _, KeyInit as _};

use crate::keccak::Keccak;

/// The tag state of one direction.
pub(crate) struct Mac {
    state: Keccak,
    /// The expanded MAC secret.
    key: Aes256Enc,
    /// The last tag, which is also what the next header's tag starts from.
    last: [u8; TAG],
}

impl Mac {
    /// Starts from the state that the handshake left and its 32-byte MAC secret.
    pub(crate) fn new(state: Keccak, secret: &[u8; 32]) -> Self {
        let last = first_half(state.squeeze());
        Self { state, key: Aes256Enc::new(secret.into()), last }
    }

    /// Takes in a header's ciphertext and returns its tag.
    pub(crate) fn header(&mut self, ciphertext: &[u8; 16]) -> [u8; TAG] {
        self.mix(self.last, *ciphertext)
    }

    /// Takes in some of a body's ciphertext, padding included.
    pub(crate) fn absorb(&mut self, ciphertext: &[u8]) {
        self.state.absorb(ciphertext);
    }

    /// Returns the tag of the body that was absorbed.
    pub(crate) fn body(&mut self) -> [u8; TAG] {
        let seed = first_half(self.state.squeeze());
        self.mix(seed, seed)
    }

    /// The digest of the state, which known answers are given in.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.state.squeeze()
    }

    fn mix(&mut self, seed: [u8; TAG], mask: [u8; 16]) -> [u8; TAG] {
        let mut block = seed.into();
        self.key.encrypt_block(&mut block);
        let mixed: [u8; 16] = std::array::from_fn(|i| block[i] ^ mask[i]);
        self.state.absorb(&mixed);
        self.last = first_half(self.state.squeeze());
        self.last
    }
}

fn first_half(digest: [u8; 32]) -> [u8; TAG] {
    std::array::from_fn(|i| digest[i])
}

/// Length of a tag, in bytes.
pub(crate) const TAG: usize = 16;
