//! The handshake: two packets after which both sides hold the same fresh keys.
//!
//! Pure: packets and randomness go in, packets and [`Secrets`] come out. Each side has one state
//! in which it waits, and handling a packet consumes that state, so no packet is handled twice.
//!
//! ```text
//!   Initiator::new ──▶ Initiator ── on_ack ──▶ Established
//!        │ auth                ▲ ack
//!        ▼                     │
//!   Recipient::new ──▶ Recipient ── on_auth ─▶ Established
//!
//!   packet:  size (2 bytes, big-endian) ‖ ecies( body ‖ padding ), the size authenticated
//!   auth:    [signature 65, initiator's key 64, nonce 32, version, …]
//!   ack:     [ephemeral key 64, nonce 32, version, …]
//! ```
//!
//! Whoever reads a packet off a wire reads two bytes, asks [`packet_len`], and only then makes
//! room for the rest. After any error the connection is closed without a byte.
//!
//! The recipient knows *who claims* to call when it has read the auth. That the claim is true is
//! only proven by the first frame whose tag verifies.
//!
//! Spec: ethereum/devp2p:rlpx.md, "Initial Handshake"; EIP-8.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod ack;
mod auth;
#[cfg(feature = "legacy")]
pub mod legacy;

use std::fmt;

use alloy_rlp::{Buf as _, Header};
use bytes::{BufMut as _, Bytes, BytesMut};
use enode::{PublicKey, SecretKey};
use rand::{Rng, RngExt as _};
use zeroize::Zeroizing;

pub use self::{ack::AckBody, auth::AuthBody};

use crate::{
    ecies,
    error::HandshakeError,
    secrets::{Role, Secrets},
};

/// The initiator after it wrote its auth: waits for the ack.
pub struct Initiator {
    key: SecretKey,
    remote: PublicKey,
    ephemeral: SecretKey,
    nonce: [u8; 32],
    auth: Bytes,
}

impl Initiator {
    /// Makes the auth packet for the node that holds `remote`, and the state that waits for its
    /// answer.
    ///
    /// `key` is our node key. The packet is 384 to 483 bytes with padding as
    /// [`Randomness::generate`] draws it.
    pub fn new(key: &SecretKey, remote: &PublicKey, randomness: Randomness) -> (Bytes, Self) {
        let body = AuthBody::sign(key, remote, &randomness).encode();
        let auth = seal(remote, &body, &randomness);
        let Randomness { ephemeral, nonce, .. } = randomness;
        let state =
            Self { key: key.clone(), remote: *remote, ephemeral, nonce, auth: auth.clone() };
        (auth, state)
    }

    /// Handles the whole ack packet, size prefix included.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet; the connection is to be closed without a byte.
    pub fn on_ack(self, packet: &[u8]) -> Result<Established, HandshakeError> {
        let ack = AckBody::open(&self.key, packet)?;
        Ok(self.establish(&ack, packet))
    }

    fn establish(self, ack: &AckBody, packet: &[u8]) -> Established {
        let shared = self.ephemeral.shared_secret(&ack.ephemeral);
        let secrets =
            Secrets::derive(Role::Initiator, &shared, &self.nonce, &ack.nonce, &self.auth, packet);
        Established { remote: self.remote, secrets }
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// The recipient before anything came in: waits for the auth.
#[derive(Debug)]
pub struct Recipient {
    key: SecretKey,
}

impl Recipient {
    /// Starts to wait; `key` is our node key.
    pub fn new(key: &SecretKey) -> Self {
        Self { key: key.clone() }
    }

    /// Handles the whole auth packet, size prefix included, and makes the ack packet.
    ///
    /// The ack is 317 to 416 bytes with padding as [`Randomness::generate`] draws it.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet; the connection is to be closed without a byte.
    pub fn on_auth(
        self,
        packet: &[u8],
        randomness: Randomness,
    ) -> Result<(Bytes, Established), HandshakeError> {
        let auth = AuthBody::open(&self.key, packet)?;
        let ephemeral = auth.ephemeral(&self.key)?;

        let body = AckBody::new(&randomness).encode();
        let ack = seal(&auth.public_key, &body, &randomness);
        let shared = randomness.ephemeral.shared_secret(&ephemeral);
        let secrets =
            Secrets::derive(Role::Recipient, &shared, &auth.nonce, &randomness.nonce, packet, &ack);
        Ok((ack, Established { remote: auth.public_key, secrets }))
    }
}

/// What a handshake leads to.
#[derive(Debug)]
pub struct Established {
    /// The remote node's key: whom we dialed, or who claims to have dialed us. The claim is proven
    /// by the first frame that can be read.
    pub remote: PublicKey,
    /// The keys of the connection.
    pub secrets: Secrets,
}

/// All that is random about one side of a handshake.
///
/// An argument rather than a call to the system, so that recorded handshakes can be repeated byte
/// for byte. Never use one value twice.
pub struct Randomness {
    /// The key whose shared secret with the other side's becomes the connection's keys.
    pub ephemeral: SecretKey,
    /// The nonce we contribute to the keys.
    pub nonce: [u8; 32],
    /// The one-time key of the packet's envelope.
    pub ecies_key: SecretKey,
    /// The initialisation vector of the packet's envelope.
    pub iv: [u8; 16],
    /// How many zero bytes follow the packet's body, 100 to 199 where it is drawn.
    ///
    /// Old readers refuse packets with less padding. What would push a packet over its limit of
    /// 2,048 bytes is left out.
    pub padding: usize,
}

impl Randomness {
    /// Draws everything from `rng`, which must be cryptographically strong outside tests.
    pub fn generate<R: Rng + ?Sized>(rng: &mut R) -> Self {
        let (mut nonce, mut iv) = ([0; 32], [0; 16]);
        rng.fill_bytes(&mut nonce);
        rng.fill_bytes(&mut iv);
        Self {
            ephemeral: SecretKey::generate(rng),
            nonce,
            ecies_key: SecretKey::generate(rng),
            iv,
            padding: rng.random_range(PADDING),
        }
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Randomness").finish_non_exhaustive()
    }
}

/// The length of a whole packet, in bytes, from its first two: the two included.
///
/// To be asked before anything is allocated or read on behalf of the sender.
///
/// # Errors
///
/// [`HandshakeError::TooSmall`] below 113 bytes of content, [`HandshakeError::TooBig`] above
/// 2,048.
pub fn packet_len(prefix: [u8; 2]) -> Result<usize, HandshakeError> {
    let size = usize::from(u16::from_be_bytes(prefix));
    if size < ecies::OVERHEAD {
        return Err(HandshakeError::TooSmall { size, least: ecies::OVERHEAD });
    }
    if size > MAX_SIZE {
        return Err(HandshakeError::TooBig { size, limit: MAX_SIZE });
    }
    Ok(size.saturating_add(PREFIX))
}

/// Seals a body and its padding into a packet to `recipient`.
fn seal(recipient: &PublicKey, body: &[u8], randomness: &Randomness) -> Bytes {
    let room = MAX_SIZE.saturating_sub(ecies::OVERHEAD).saturating_sub(body.len());
    let mut plain = Zeroizing::new(body.to_vec());
    plain.resize(body.len().saturating_add(randomness.padding.min(room)), 0);

    let size = plain.len().saturating_add(ecies::OVERHEAD);
    let prefix = u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = BytesMut::with_capacity(size.saturating_add(PREFIX));
    packet.put_slice(&prefix);
    let Randomness { ecies_key, iv, .. } = randomness;
    let sealed = ecies::encrypt(recipient, ecies_key, iv, &plain, &prefix, &mut packet);
    debug_assert!(sealed.is_ok(), "a body is never empty");
    packet.freeze()
}

/// Checks a packet's length against its prefix and decrypts it.
fn unseal(key: &SecretKey, packet: &[u8]) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
    let Some((prefix, sealed)) = packet.split_first_chunk::<PREFIX>() else {
        return Err(HandshakeError::Length { got: packet.len(), want: PREFIX });
    };
    let want = packet_len(*prefix)?;
    if packet.len() != want {
        return Err(HandshakeError::Length { got: packet.len(), want });
    }
    Ok(ecies::decrypt(key, sealed, prefix)?)
}

/// The content of the list that a decrypted body begins with.
///
/// Whatever follows the list is padding. What follows the known elements *in* the list belongs to
/// later versions; the readers of the bodies leave it where it is.
fn list<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], alloy_rlp::Error> {
    let header = Header::decode(body)?;
    if !header.list {
        return Err(alloy_rlp::Error::UnexpectedString);
    }
    let (content, _padding) =
        body.split_at_checked(header.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
    body.advance(header.payload_length);
    Ok(content)
}

/// Length of the size prefix, in bytes.
const PREFIX: usize = 2;

/// The largest size a packet's prefix may announce, in bytes. Real packets stay below 600.
const MAX_SIZE: usize = 2048;

/// How much padding a packet gets, in bytes. At least 100, or readers of the years before 2020
/// take the packet for one of the older form.
const PADDING: std::ops::RangeInclusive<usize> = 100..=199;

/// The handshake's version, as we announce it. Nobody refuses another.
const VERSION: u64 = 4;
