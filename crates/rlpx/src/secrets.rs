//! The keys of a connection, and the one way to them: two ephemeral keys, two nonces, two packets.
//!
//! ```text
//!   e       shared secret of the two ephemeral keys
//!   shared  keccak(e ‖ keccak(recipient's nonce ‖ initiator's nonce))
//!   aes     keccak(e ‖ shared)          encrypts both directions
//!   mac     keccak(e ‖ aes)             keys the tags of both directions
//!
//!   state A: mac ^ recipient's nonce ‖ auth      initiator's egress, recipient's ingress
//!   state B: mac ^ initiator's nonce ‖ ack       recipient's egress, initiator's ingress
//! ```
//!
//! The packets go into the tag states exactly as they were on the wire, so a connection also
//! proves that nobody changed the handshake.
//!
//! Spec: ethereum/devp2p:rlpx.md, "Initial Handshake".

use std::fmt;

use enode::{SecretKey, keccak256};
use zeroize::Zeroizing;

use crate::{
    error::HandshakeError,
    frame::{Egress, Ingress},
    handshake::{AckBody, AuthBody},
    keccak::Keccak,
};

/// Which part a side played in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Opened the connection and wrote the auth.
    Initiator,
    /// Accepted the connection and wrote the ack.
    Recipient,
}

/// The keys of a connection as one side sees them. Wiped on drop, never printed.
pub struct Secrets {
    aes: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
    egress: Keccak,
    ingress: Keccak,
}

impl Secrets {
    /// Derives the keys from what both sides know after the handshake.
    ///
    /// `ephemeral` is the shared secret of the two ephemeral keys (32 bytes, an x coordinate);
    /// the packets are whole, size prefix and padding included, as they were on the wire.
    pub fn derive(
        role: Role,
        ephemeral: &[u8; 32],
        initiator_nonce: &[u8; 32],
        recipient_nonce: &[u8; 32],
        auth: &[u8],
        ack: &[u8],
    ) -> Self {
        let nonces = keccak_of(recipient_nonce, initiator_nonce);
        let shared = keccak_of(ephemeral, &nonces);
        let aes = keccak_of(ephemeral, &shared);
        let mac = keccak_of(ephemeral, &aes);

        let a = tag_state(&mac, recipient_nonce, auth);
        let b = tag_state(&mac, initiator_nonce, ack);
        let (egress, ingress) = match role {
            Role::Initiator => (a, b),
            Role::Recipient => (b, a),
        };
        Self { aes, mac, egress, ingress }
    }

    /// Derives the keys of a recorded connection from one side's secrets and the two packets.
    ///
    /// `key` and `ephemeral` are that side's static and ephemeral keys, `nonce` the nonce that it
    /// put into its own packet. What the other side contributed is read from the packet it sent;
    /// the side's own packet cannot be opened again and does not have to be.
    ///
    /// # Errors
    ///
    /// As [`Initiator::on_ack`](crate::handshake::Initiator::on_ack) for the initiator and
    /// [`Recipient::on_auth`](crate::handshake::Recipient::on_auth) for the recipient.
    pub fn from_packets(
        role: Role,
        key: &SecretKey,
        ephemeral: &SecretKey,
        nonce: &[u8; 32],
        auth: &[u8],
        ack: &[u8],
    ) -> Result<Self, HandshakeError> {
        let (remote, initiator_nonce, recipient_nonce) = match role {
            Role::Initiator => {
                let body = AckBody::open(key, ack)?;
                (body.ephemeral, *nonce, body.nonce)
            }
            Role::Recipient => {
                let body = AuthBody::open(key, auth)?;
                (body.ephemeral(key)?, body.nonce, *nonce)
            }
        };
        let shared = ephemeral.shared_secret(&remote);
        Ok(Self::derive(role, &shared, &initiator_nonce, &recipient_nonce, auth, ack))
    }

    /// Splits the keys into the half that writes and the half that reads.
    ///
    /// The halves share nothing, so each can live in a task of its own.
    pub fn into_halves(self) -> (Egress, Ingress) {
        let egress = Egress::new(&self.aes, &self.mac, self.egress);
        let ingress = Ingress::new(&self.aes, &self.mac, self.ingress);
        (egress, ingress)
    }

    /// The 32-byte key of the frame cipher, for known-answer tests.
    #[doc(hidden)]
    pub fn aes(&self) -> &[u8; 32] {
        &self.aes
    }

    /// The 32-byte key of the frame tags, for known-answer tests.
    #[doc(hidden)]
    pub fn mac(&self) -> &[u8; 32] {
        &self.mac
    }

    /// The digest of the writing direction's tag state, for known-answer tests.
    #[doc(hidden)]
    pub fn egress_digest(&self) -> [u8; 32] {
        self.egress.squeeze()
    }

    /// The digest of the reading direction's tag state after feeding it `more`, for known-answer
    /// tests.
    #[doc(hidden)]
    pub fn ingress_digest(&self, more: &[u8]) -> [u8; 32] {
        let mut state = self.ingress.clone();
        state.absorb(more);
        state.squeeze()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

fn keccak_of(left: &[u8; 32], right: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut both = Zeroizing::new([0; 64]);
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    Zeroizing::new(keccak256(both.as_slice()))
}

fn tag_state(mac: &[u8; 32], nonce: &[u8; 32], packet: &[u8]) -> Keccak {
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(std::array::from_fn(|i| mac[i] ^ nonce[i]));
    let mut state = Keccak::default();
    state.absorb(&*seed);
    state.absorb(packet);
    state
}
