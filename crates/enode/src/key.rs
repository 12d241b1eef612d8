//! Keys: a node's secret, the public half that names it, and the one door for public keys.
//!
//! Every public key that reaches this program from outside (a handshake, a hello, a record, a URL)
//! comes in through [`PublicKey::from_bytes`]. There is no other constructor, so whoever holds a
//! [`PublicKey`] holds a point that lies on the curve, and no scalar is ever multiplied with
//! anything else.
//!
//! ```text
//!   64 bytes  x ‖ y            node keys on the wire, enode URLs
//!   65 bytes  04 ‖ x ‖ y       the ephemeral key of a handshake packet
//!   33 bytes  02|03 ‖ x        node records
//! ```
//!
//! Spec: ethereum/devp2p:rlpx.md, SEC 1 v2.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod file;

use std::{fmt, hash};

use k256::{
    ecdh::diffie_hellman,
    ecdsa::{
        RecoveryId, Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier as _,
    },
    elliptic_curve::sec1::ToSec1Point as _,
};
use rand::Rng;
use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

pub use self::file::KeyFileError;
use crate::NodeId;

/// A secp256k1 secret key: what proves a node's identity.
///
/// Wiped from memory on drop, never printed: its `Debug` shows the public half only.
#[derive(Clone)]
pub struct SecretKey(k256::SecretKey);

impl SecretKey {
    /// Makes a new key from the system's random source.
    pub fn random() -> Self {
        Self::generate(&mut rand::rng())
    }

    /// Makes a new key from `rng`, which must be cryptographically strong outside tests.
    pub fn generate<R: Rng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rng.fill_bytes(&mut *bytes);
            // All but one in 2^128 draws are below the group order.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// Imports the 32 bytes of a scalar, big-endian.
    ///
    /// # Errors
    ///
    /// [`KeyError::Scalar`] when it is zero or not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        k256::SecretKey::from_slice(bytes).map(Self).map_err(|_| KeyError::Scalar)
    }

    /// Imports 64 hex digits, with or without a leading `0x`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] or [`KeyError::Digit`] when the text is not 64 hex digits,
    /// [`KeyError::Scalar`] as [`from_bytes`](Self::from_bytes).
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        if digits.len() != 64 {
            return Err(KeyError::Length { got: digits.len().div_ceil(2), want: "32" });
        }
        const_hex::decode_to_slice(digits, &mut *bytes).map_err(|_| KeyError::Digit)?;
        Self::from_bytes(&bytes)
    }

    /// The 32 bytes of the scalar, big-endian, in memory that is wiped on drop.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// The id of the node that owns this key.
    pub fn node_id(&self) -> NodeId {
        self.public_key().node_id()
    }

    /// The x coordinate (32 bytes) of the point both key holders can compute and nobody else.
    ///
    /// Not hashed: devp2p uses the raw coordinate.
    pub fn shared_secret(&self, remote: &PublicKey) -> Zeroizing<[u8; 32]> {
        let shared = diffie_hellman(self.0.to_nonzero_scalar(), remote.0.as_affine());
        Zeroizing::new((*shared.raw_secret_bytes()).into())
    }

    /// Signs a 32-byte hash; the result is `r(32) ‖ s(32) ‖ v(1)` with `v` in 0…3 and low `s`.
    ///
    /// Deterministic (RFC 6979). The signer's key can be recovered from it.
    pub fn sign_recoverable(&self, hash: &[u8; 32]) -> [u8; 65] {
        let (signature, id) = SigningKey::from(&self.0).sign_prehash_recoverable(hash);
        let mut out = [0; 65];
        out[..64].copy_from_slice(&signature.to_bytes());
        out[64] = id.to_byte();
        out
    }

    /// Signs a 32-byte hash; the result is `r(32) ‖ s(32)` with low `s`.
    pub fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        let [signature @ .., _v] = self.sign_recoverable(hash);
        signature
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.node_id())
    }
}

/// A secp256k1 public key that is known to be a point of the curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(k256::PublicKey);

impl PublicKey {
    /// Imports a key from its 64-byte (`x ‖ y`), 65-byte (`04 ‖ x ‖ y`) or 33-byte (`02|03 ‖ x`)
    /// form, coordinates big-endian.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] for any other length; [`KeyError::Point`] when a coordinate is not
    /// below the field prime, the point is not on the curve, is the point at infinity, or the
    /// prefix byte is not the one of its length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let prefixed = match bytes {
            [] => return Err(KeyError::Length { got: 0, want: "64, 65 or 33" }),
            [0x04, ..] if bytes.len() == 65 => k256::PublicKey::from_sec1_bytes(bytes),
            [0x02 | 0x03, ..] if bytes.len() == 33 => k256::PublicKey::from_sec1_bytes(bytes),
            _ if bytes.len() == 64 => {
                let mut sec1 = [0x04; 65];
                sec1[1..].copy_from_slice(bytes);
                k256::PublicKey::from_sec1_bytes(&sec1)
            }
            _ if bytes.len() == 65 || bytes.len() == 33 => return Err(KeyError::Point),
            _ => return Err(KeyError::Length { got: bytes.len(), want: "64, 65 or 33" }),
        };
        prefixed.map(Self).map_err(|_| KeyError::Point)
    }

    /// Recovers the signer of a 32-byte hash from `r(32) ‖ s(32) ‖ v(1)`, `v` in 0…3.
    ///
    /// A high `s` is accepted, as every devp2p implementation does here.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Malformed`] when `r` or `s` is zero or not below the group order, or `v`
    /// is over 3; [`SignatureError::NoKey`] when no point corresponds to it.
    pub fn recover(hash: &[u8; 32], signature: &[u8; 65]) -> Result<Self, SignatureError> {
        let [rs @ .., v] = signature;
        let rs = Signature::from_slice(rs).map_err(|_| SignatureError::Malformed)?;
        let id = RecoveryId::from_byte(*v).ok_or(SignatureError::Malformed)?;
        let key =
            VerifyingKey::recover_from_prehash(hash, &rs, id).map_err(|_| SignatureError::NoKey)?;
        // Back through the one door, so that no key exists that did not pass its checks.
        Self::from_bytes(key.to_sec1_point(false).as_bytes()).map_err(|_| SignatureError::NoKey)
    }

    /// Checks a 64-byte signature `r ‖ s` of a 32-byte hash. High `s` is refused.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Malformed`] when `r` or `s` is out of range, [`SignatureError::Mismatch`]
    /// when it is not this key's signature of this hash.
    pub fn verify(&self, hash: &[u8; 32], signature: &[u8; 64]) -> Result<(), SignatureError> {
        let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?;
        if signature.normalize_s() != signature {
            return Err(SignatureError::Malformed);
        }
        VerifyingKey::from(&self.0)
            .verify_prehash(hash, &signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    /// The 64 bytes `x ‖ y`: the form of enode URLs and of the hello message.
    pub fn to_bytes(&self) -> [u8; 64] {
        let [_prefix, point @ ..] = self.to_sec1();
        point
    }

    /// The 65 bytes `04 ‖ x ‖ y`.
    pub fn to_sec1(&self) -> [u8; 65] {
        let point = self.0.to_sec1_point(false);
        let mut out = [0; 65];
        out.copy_from_slice(point.as_bytes());
        out
    }

    /// The 33 bytes `02|03 ‖ x`: the form of node records.
    pub fn to_compressed(&self) -> [u8; 33] {
        let point = self.0.to_sec1_point(true);
        let mut out = [0; 33];
        out.copy_from_slice(point.as_bytes());
        out
    }

    /// The id of the node that owns this key: keccak-256 of the 64 bytes `x ‖ y`.
    pub fn node_id(&self) -> NodeId {
        NodeId::new(keccak256(self.to_bytes()))
    }
}

impl fmt::Display for PublicKey {
    /// 128 lower-case hex digits, `x ‖ y`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}…)", const_hex::encode(&self.to_bytes()[..8]))
    }
}

impl hash::Hash for PublicKey {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.to_compressed().hash(state);
    }
}

/// Keccak-256 with the original padding, which is not SHA3-256.
pub fn keccak256(data: impl AsRef<[u8]>) -> [u8; 32] {
    Keccak256::digest(data.as_ref()).into()
}

/// Why bytes or text are no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The input has a length that no form of key has.
    #[error("wrong length, got {got} bytes, want {want}")]
    Length {
        /// Length of the input, in bytes.
        got: usize,
        /// The lengths that would do, in bytes.
        want: &'static str,
    },
    /// A character that is no hex digit.
    #[error("key is not hexadecimal")]
    Digit,
    /// The scalar is zero or not below the group order.
    #[error("secret key is zero or not below the group order")]
    Scalar,
    /// The bytes are no point of the curve.
    #[error("invalid secp256k1 public key")]
    Point,
}

/// Why a signature was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A number in it is out of range.
    #[error("malformed signature")]
    Malformed,
    /// No public key could have made it.
    #[error("recovery failed")]
    NoKey,
    /// It is not this key's signature of this hash.
    #[error("signature does not match")]
    Mismatch,
}
