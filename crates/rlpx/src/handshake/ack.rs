//! The body of the second packet: the recipient's half of the secret.
//!
//! ```text
//!   [ ephemeral key 64, nonce 32, version, … ]
//! ```
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

use super::{Randomness, VERSION, list, unseal};
use crate::error::HandshakeError;

/// What an ack says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckBody {
    /// The recipient's ephemeral key.
    pub ephemeral: PublicKey,
    /// What the recipient contributes to the keys beside its ephemeral key.
    pub nonce: [u8; 32],
    /// Announced and ignored.
    pub version: u64,
}

impl AckBody {
    /// Opens a whole ack packet, size prefix included, with the initiator's node key.
    ///
    /// For tools that look into recordings; [`Initiator`](super::Initiator) does it by itself.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet, as [`Initiator::on_ack`](super::Initiator::on_ack).
    pub fn open(key: &SecretKey, packet: &[u8]) -> Result<Self, HandshakeError> {
        Self::decode(&unseal(key, packet)?)
    }

    /// Makes the body.
    pub(super) fn new(randomness: &Randomness) -> Self {
        Self {
            ephemeral: randomness.ephemeral.public_key(),
            nonce: randomness.nonce,
            version: VERSION,
        }
    }

    /// The list that goes into the packet.
    pub(super) fn encode(&self) -> Vec<u8> {
        let ephemeral = self.ephemeral.to_bytes();
        let lengths = [ephemeral.length(), self.nonce.length(), self.version.length()];
        let mut out = Vec::new();
        Header { list: true, payload_length: lengths.iter().sum() }.encode(&mut out);
        ephemeral.encode(&mut out);
        self.nonce.encode(&mut out);
        self.version.encode(&mut out);
        out
    }

    fn decode(mut body: &[u8]) -> Result<Self, HandshakeError> {
        let mut content = list(&mut body)?;
        let ephemeral = <[u8; 64]>::decode(&mut content)?;
        let nonce = <[u8; 32]>::decode(&mut content)?;
        let version = u64::decode(&mut content)?;
        Ok(Self { ephemeral: PublicKey::from_bytes(&ephemeral)?, nonce, version })
    }
}
