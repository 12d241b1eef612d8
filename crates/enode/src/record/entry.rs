//! Typed entries of a node record: which key holds which kind of value.
//!
//! A record maps byte-string keys to RLP values. An [`Entry`] ties a Rust type to its key, so a
//! value can neither be stored under the wrong name nor read as the wrong type. Protocols define
//! their own:
//!
//! ```
//! use alloy_rlp::{RlpDecodableWrapper, RlpEncodableWrapper};
//! use enode::{RecordBuilder, SecretKey, record::Entry};
//!
//! /// Whether the node helps others into the swarm.
//! #[derive(Debug, PartialEq, RlpEncodableWrapper, RlpDecodableWrapper)]
//! struct BzzBootNode(bool);
//!
//! impl Entry for BzzBootNode {
//!     const KEY: &'static str = "bzzbootnode";
//! }
//!
//! let record = RecordBuilder::new().entry(&BzzBootNode(true)).sign(&SecretKey::random())?;
//! assert_eq!(record.entry(), Some(BzzBootNode(true)));
//! # Ok::<(), enode::RecordError>(())
//! ```
//!
//! Spec: EIP-778, ethereum/devp2p:enr.md.

use std::net::{Ipv4Addr, Ipv6Addr};

use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodableWrapper, RlpEncodableWrapper};
use bytes::Bytes;

use crate::{PublicKey, rlp};

/// A value of a node record that has a key of its own.
pub trait Entry: Encodable + Decodable {
    /// The name under which records carry it.
    const KEY: &'static str;
}

/// The identity scheme that signed the record. Signing writes it; `v4` is the only one known.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodableWrapper, RlpDecodableWrapper)]
pub struct Id(pub Bytes);

impl Id {
    /// The scheme with a secp256k1 key and a signature over the keccak-256 of the content.
    pub const V4: Self = Self(Bytes::from_static(b"v4"));
}

impl Entry for Id {
    const KEY: &'static str = "id";
}

/// The signer's public key, 33 bytes compressed. Signing writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secp256k1(pub PublicKey);

impl Entry for Secp256k1 {
    const KEY: &'static str = "secp256k1";
}

impl Encodable for Secp256k1 {
    fn encode(&self, out: &mut dyn BufMut) {
        self.0.to_compressed().encode(out);
    }

    fn length(&self) -> usize {
        self.0.to_compressed().length()
    }
}

impl Decodable for Secp256k1 {
    fn decode(buf: &mut &[u8]) -> Result<Self, rlp::Error> {
        let bytes = <[u8; 33]>::decode(buf)?;
        PublicKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| rlp::Error::Custom("invalid secp256k1 public key"))
    }
}

/// Declares entries that are a single value and nothing more.
macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident($value:ty) = $key:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodableWrapper, RlpDecodableWrapper)]
        pub struct $name(pub $value);

        impl Entry for $name {
            const KEY: &'static str = $key;
        }
    )*};
}

entries! {
    /// The IPv4 address, 4 bytes.
    Ip(Ipv4Addr) = "ip";
    /// The IPv6 address, 16 bytes.
    Ip6(Ipv6Addr) = "ip6";
    /// The port for connections, and the one over IPv6 unless [`Tcp6`] is there.
    Tcp(u16) = "tcp";
    /// The port for discovery, and the one over IPv6 unless [`Udp6`] is there.
    Udp(u16) = "udp";
    /// The port for connections over IPv6, if it differs.
    Tcp6(u16) = "tcp6";
    /// The port for discovery over IPv6, if it differs.
    Udp6(u16) = "udp6";
    /// The QUIC port over IPv4. devp2p itself does not use it.
    Quic(u16) = "quic";
    /// The QUIC port over IPv6. devp2p itself does not use it.
    Quic6(u16) = "quic6";
}
