//! Node ids and the distance between them.
//!
//! A node id is the keccak-256 hash of the node's 64-byte public key. Discovery measures how far
//! two nodes are apart by the XOR of their ids, read as a big-endian number:
//!
//! ```text
//!   a        1 0 1 1 …
//!   b        1 0 0 1 …
//!   a XOR b  0 0 1 0 …     two leading zero bits, so log_distance = 256 - 2 = 254
//! ```

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::{cmp::Ordering, fmt, str::FromStr};

/// A node's address in the discovery space: keccak-256 of its 64-byte public key.
///
/// Prints in full (64 lower-case hex digits) with `Display` and shortened to the first eight bytes
/// with `Debug`, so that logs of larger things stay readable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// Wraps the 32 bytes of an id that is already known.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes as 16 hex digits: what logs and `Peer`'s display show.
    pub fn short(&self) -> String {
        const_hex::encode(&self.0[..8])
    }

    /// Compares how far `a` and `b` are from this id by XOR: `Less` when `a` is the closer one.
    pub fn closer(&self, a: &Self, b: &Self) -> Ordering {
        self.xor(a).cmp(&self.xor(b))
    }

    /// The distance to another id, a big-endian number.
    fn xor(&self, other: &Self) -> [u8; 32] {
        let mut distance = self.0;
        for (byte, other) in distance.iter_mut().zip(other.0) {
            *byte ^= other;
        }
        distance
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.short())
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    /// Parses 64 hex digits of either case, with or without a leading `0x`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if let Some(bad) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(NodeIdError::Digit(bad));
        }
        let mut bytes = [0; 32];
        const_hex::decode_to_slice(digits, &mut bytes).map_err(|_| NodeIdError::Length)?;
        Ok(Self(bytes))
    }
}

/// The logarithmic distance of two ids: 256 minus the number of leading bits they share.
///
/// 0 for equal ids, 256 when the first bit already differs.
pub fn log_distance(a: &NodeId, b: &NodeId) -> u16 {
    let mut distance = 256_u16;
    for byte in a.xor(b) {
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                return distance;
            }
            distance = distance.saturating_sub(1);
        }
    }
    distance
}

/// Why a text is no node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeIdError {
    /// Not 64 digits.
    #[error("wrong length, want 64 hex chars")]
    Length,
    /// A character that is no hex digit.
    #[error("invalid hex digit {0:?} in node id")]
    Digit(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ids_have_distance_zero() {
        let id = NodeId::new([7; 32]);

        assert_eq!(log_distance(&id, &id), 0);
        assert_eq!(id.closer(&id, &id), Ordering::Equal);
    }

    #[test]
    fn the_first_differing_bit_decides_the_distance() {
        let zero = NodeId::new([0; 32]);
        for bit in 0..256_u16 {
            let mut bytes = [0; 32];
            bytes[usize::from(bit / 8)] = 0x80 >> (bit % 8);

            assert_eq!(log_distance(&zero, &NodeId::new(bytes)), 256 - bit);
        }
    }

    #[test]
    fn debug_is_short_and_display_is_whole() {
        let id = NodeId::new([0xab; 32]);

        assert_eq!(format!("{id:?}"), "abababababababab…");
        assert_eq!(id.to_string(), "ab".repeat(32));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
