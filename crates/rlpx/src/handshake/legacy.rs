//! Reads the handshake as it was before EIP-8: bare envelopes of fixed size.
//!
//! ```text
//!   auth  307 bytes, inside: signature 65, hash of the ephemeral key 32, node key 64, nonce 32, 0
//!   ack   210 bytes, inside: ephemeral key 64, nonce 32, 0
//! ```
//!
//! No node sends this form any more. The reader exists for old recordings and lives behind the
//! feature `legacy`; no driver of this crate calls it, because trying two forms on the same
//! unauthenticated bytes doubles what garbage costs us and tells its sender which one failed.
//!
//! The bodies come out as today's types. [`Secrets::derive`](crate::Secrets::derive) takes it
//! from there: the derivation has not changed.
//!
//! Spec: ethereum/devp2p:rlpx.md of 2015, EIP-8.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use enode::{PublicKey, SecretKey};

use super::{AckBody, AuthBody, VERSION};
use crate::{ecies, error::HandshakeError};

/// Opens a 307-byte auth packet with the recipient's node key.
///
/// The hash of the ephemeral key is skipped, as every reader of that time did: the key itself is
/// recovered from the signature.
///
/// # Errors
///
/// [`HandshakeError::Length`] for any other length, otherwise what is wrong with the packet.
pub fn open_auth(key: &SecretKey, packet: &[u8]) -> Result<AuthBody, HandshakeError> {
    let plain = ecies::decrypt(key, sized(packet, AUTH)?, &[])?;
    let (signature, rest) = take::<65>(&plain)?;
    let (_ephemeral_hash, rest) = take::<32>(rest)?;
    let (public_key, rest) = take::<64>(rest)?;
    let (nonce, _token_flag) = take::<32>(rest)?;
    Ok(AuthBody {
        signature: *signature,
        public_key: PublicKey::from_bytes(public_key)?,
        nonce: *nonce,
        version: VERSION,
    })
}

/// Opens a 210-byte ack packet with the initiator's node key.
///
/// # Errors
///
/// [`HandshakeError::Length`] for any other length, otherwise what is wrong with the packet.
pub fn open_ack(key: &SecretKey, packet: &[u8]) -> Result<AckBody, HandshakeError> {
    let plain = ecies::decrypt(key, sized(packet, ACK)?, &[])?;
    let (ephemeral, rest) = take::<64>(&plain)?;
    let (nonce, _token_flag) = take::<32>(rest)?;
    Ok(AckBody { ephemeral: PublicKey::from_bytes(ephemeral)?, nonce: *nonce, version: VERSION })
}

fn sized(packet: &[u8], want: usize) -> Result<&[u8], HandshakeError> {
    if packet.len() == want {
        Ok(packet)
    } else {
        Err(HandshakeError::Length { got: packet.len(), want })
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), HandshakeError> {
    bytes.split_first_chunk().ok_or(HandshakeError::Rlp(alloy_rlp::Error::InputTooShort))
}

/// Length of an auth packet, in bytes.
const AUTH: usize = 307;

/// Length of an ack packet, in bytes.
const ACK: usize = 210;
