//! Encrypting to a public key: the envelope of the handshake's two packets.
//!
//! ```text
//!   0        65       81                    81+n      113+n
//!   ├ R ─────┼ iv ────┼ ciphertext, n bytes ┼ tag ────┤
//!   R   one-time public key, 04 ‖ x ‖ y
//!   z   x coordinate of (one-time secret × recipient's key)
//!   K   SHA-256(00000001 ‖ z): 16 bytes for AES-128-CTR, 16 bytes hashed again for the tag
//!   tag HMAC-SHA-256 of iv ‖ ciphertext ‖ associated data
//! ```
//!
//! Opening goes in the only safe order: length, key, tag, then decryption.
//!
//! Spec: ethereum/devp2p:rlpx.md, "ECIES Encryption".

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::{BufMut as _, BytesMut};
use cipher::{KeyIvInit as _, StreamCipher as _};
use enode::{PublicKey, SecretKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::EciesError;

/// Encrypts `plain` to the holder of `recipient` and appends the result to `out`.
///
/// `ephemeral` and `iv` must be fresh and random for every call. `associated` is authenticated but
/// not sent; the recipient has to give the same bytes. The result is [`OVERHEAD`] bytes longer
/// than `plain`.
///
/// # Errors
///
/// [`EciesError::Empty`] when `plain` is empty, for no recipient would open that.
pub fn encrypt(
    recipient: &PublicKey,
    ephemeral: &SecretKey,
    iv: &[u8; IV],
    plain: &[u8],
    associated: &[u8],
    out: &mut BytesMut,
) -> Result<(), EciesError> {
    if plain.is_empty() {
        return Err(EciesError::Empty);
    }
    let keys = Keys::derive(ephemeral, recipient);

    let mut ciphertext = Zeroizing::new(plain.to_vec());
    keys.apply(iv, &mut ciphertext);
    let tag = keys.tag(iv, &ciphertext, associated).finalize().into_bytes();

    out.reserve(plain.len().saturating_add(OVERHEAD));
    out.put_slice(&ephemeral.public_key().to_sec1());
    out.put_slice(iv);
    out.put_slice(&ciphertext);
    out.put_slice(&tag);
    Ok(())
}

/// Decrypts a packet that was sealed to `key`, in memory that is wiped on drop.
///
/// `associated` are the bytes that the sender authenticated beside the content.
///
/// # Errors
///
/// [`EciesError::TooShort`], [`EciesError::PublicKey`] or [`EciesError::Mac`], checked in this
/// order. A remote side must not learn which.
pub fn decrypt(
    key: &SecretKey,
    packet: &[u8],
    associated: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EciesError> {
    let parts = Parts::split(packet)?;
    // 65 bytes that begin with 04: the compressed forms have no place here.
    let ephemeral = PublicKey::from_bytes(parts.key).map_err(EciesError::PublicKey)?;
    let keys = Keys::derive(key, &ephemeral);
    keys.tag(parts.iv, parts.ciphertext, associated)
        .verify_slice(parts.tag)
        .map_err(|_| EciesError::Mac)?;

    let mut plain = Zeroizing::new(parts.ciphertext.to_vec());
    keys.apply(parts.iv, &mut plain);
    Ok(plain)
}

/// What an envelope adds to its content, in bytes: key 65, initialisation vector 16, tag 32.
pub const OVERHEAD: usize = 113;

/// The four parts of a packet, borrowed.
struct Parts<'a> {
    key: &'a [u8; KEY],
    iv: &'a [u8; IV],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Parts<'a> {
    fn split(packet: &'a [u8]) -> Result<Self, EciesError> {
        Self::split_checked(packet)
            .ok_or(EciesError::TooShort { got: packet.len(), least: OVERHEAD.saturating_add(1) })
    }

    fn split_checked(packet: &'a [u8]) -> Option<Self> {
        let (key, rest) = packet.split_first_chunk()?;
        let (iv, rest) = rest.split_first_chunk()?;
        let (ciphertext, tag) = rest.split_last_chunk()?;
        (!ciphertext.is_empty()).then_some(Self { key, iv, ciphertext, tag })
    }
}

/// The two keys that sender and recipient agree on. Wiped on drop.
struct Keys {
    cipher: Zeroizing<[u8; 16]>,
    tag: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn derive(secret: &SecretKey, public: &PublicKey) -> Self {
        let z = secret.shared_secret(public);
        // NIST's concatenation KDF; 32 bytes are one round of SHA-256, so the counter is 1.
        let mut k = Zeroizing::new([0; 32]);
        Sha256::new()
            .chain_update(1_u32.to_be_bytes())
            .chain_update(z.as_slice())
            .finalize_into((&mut *k).into());

        let (mut cipher, mut tag) = (Zeroizing::new([0; 16]), Zeroizing::new([0; 32]));
        let (left, right) = k.split_at(cipher.len());
        cipher.copy_from_slice(left);
        Sha256::new().chain_update(right).finalize_into((&mut *tag).into());
        Self { cipher, tag }
    }

    /// Encrypts or decrypts, which is the same.
    fn apply(&self, iv: &[u8; IV], text: &mut [u8]) {
        // A random start of the counter needs all its 128 bits.
        ctr::Ctr128BE::<aes::Aes128Enc>::new((&*self.cipher).into(), iv.into())
            .apply_keystream(text);
    }

    fn tag(&self, iv: &[u8; IV], ciphertext: &[u8], associated: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new((&*self.tag_block()).into())
            .chain_update(iv)
            .chain_update(ciphertext)
            .chain_update(associated)
    }

    /// The tag's key in the form HMAC takes: zeros up to a block of the hash.
    fn tag_block(&self) -> Zeroizing<[u8; 64]> {
        let mut block = Zeroizing::new([0; 64]);
        for (to, from) in block.iter_mut().zip(self.tag.iter()) {
            *to = *from;
        }
        block
    }
}

/// Length of a one-time public key, in bytes.
const KEY: usize = 65;

/// Length of an initialisation vector, in bytes.
const IV: usize = 16;

/// Length of the tag, in bytes.
const TAG: usize = 32;
