//! The body of the first packet: who the initiator is, and proof of its ephemeral key.
//!
//! ```text
//!   [ signature 65, initiator's key 64, nonce 32, version, … ]
//!   signature: by the ephemeral key, of (static shared secret ^ nonce)
//! ```
//!
//! The ephemeral key itself is not in the body: the recipient recovers it from the signature.
//!
//! Spec: ethereum/devp2p:rlpx.md, EIP-8.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use alloy_rlp::{Decodable as _, Encodable as _, Header};
use enode::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::{Randomness, VERSION, list, unseal};
use crate::error::HandshakeError;

/// What an auth says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthBody {
    /// `r ‖ s ‖ v` by the initiator's ephemeral key.
    pub signature: [u8; 65],
    /// The initiator's node key.
    pub public_key: PublicKey,
    /// What the initiator contributes to the keys beside its ephemeral key.
    pub nonce: [u8; 32],
    /// Announced and ignored.
    pub version: u64,
}

impl AuthBody {
    /// Opens a whole auth packet, size prefix included, with the recipient's node key.
    ///
    /// For tools that look into recordings; [`Recipient`](super::Recipient) does it by itself.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet, as [`Recipient::on_auth`](super::Recipient::on_auth).
    pub fn open(key: &SecretKey, packet: &[u8]) -> Result<Self, HandshakeError> {
        Self::decode(&unseal(key, packet)?)
    }

    /// Recovers the initiator's ephemeral key; `key` is the recipient's node key.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Signature`] when the signature does not lead to a key.
    pub fn ephemeral(&self, key: &SecretKey) -> Result<PublicKey, HandshakeError> {
        let hash = signed_hash(key, &self.public_key, &self.nonce);
        Ok(PublicKey::recover(&hash, &self.signature)?)
    }

    /// Makes the body for the holder of `remote`.
    pub(super) fn sign(key: &SecretKey, remote: &PublicKey, randomness: &Randomness) -> Self {
        let hash = signed_hash(key, remote, &randomness.nonce);
        Self {
            signature: randomness.ephemeral.sign_recoverable(&hash),
            public_key: key.public_key(),
            nonce: randomness.nonce,
            version: VERSION,
        }
    }

    /// The list that goes into the packet.
    pub(super) fn encode(&self) -> Vec<u8> {
        let public_key = self.public_key.to_bytes();
        let lengths = [
            self.signature.length(),
            public_key.length(),
            self.nonce.length(),
            self.version.length(),
        ];
        let mut out = Vec::new();
        Header { list: true, payload_length: lengths.iter().sum() }.encode(&mut out);
        self.signature.encode(&mut out);
        public_key.encode(&mut out);
        self.nonce.encode(&mut out);
        self.version.encode(&mut out);
        out
    }

    fn decode(mut body: &[u8]) -> Result<Self, HandshakeError> {
        let mut content = list(&mut body)?;
        let signature = <[u8; 65]>::decode(&mut content)?;
        let public_key = <[u8; 64]>::decode(&mut content)?;
        let nonce = <[u8; 32]>::decode(&mut content)?;
        let version = u64::decode(&mut content)?;
        Ok(Self { signature, public_key: PublicKey::from_bytes(&public_key)?, nonce, version })
    }
}

/// What the ephemeral key signs: the static shared secret ^ the nonce, as it is, not hashed.
fn signed_hash(own: &SecretKey, other: &PublicKey, nonce: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut hash = own.shared_secret(other);
    for (byte, mask) in hash.iter_mut().zip(nonce) {
        *byte ^= mask;
    }
    hash
}
