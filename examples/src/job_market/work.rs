//! The rule: SHA-1 of the data and a nonce, whose last bits are to be zero.
//!
//! ```text
//!   SHA-1( data ‖ nonce )  =  a94f…c300     difficulty 8: the last 8 bits are zero
//!                 └ 8 bytes, big-endian, counted up from 1
//! ```
//!
//! SHA-1 is broken for signatures; for making somebody count it is as good as any.

use std::sync::atomic::{AtomicBool, Ordering};

use sha1::{Digest as _, Sha1};

/// A number as it is hashed and sent: big-endian.
pub type Nonce = [u8; 8];
/// What SHA-1 gives.
pub type Hash = [u8; 20];

/// The hash that a result has to have.
pub fn hash(data: &[u8], nonce: &Nonce) -> Hash {
    Sha1::new().chain_update(data).chain_update(nonce).finalize().into()
}

/// Whether the last `difficulty` bits are zero.
pub fn meets(hash: &Hash, difficulty: u8) -> bool {
    let mut zeros = 0;
    for byte in hash.iter().rev() {
        zeros += byte.trailing_zeros().min(8);
        if *byte != 0 {
            break;
        }
    }
    zeros >= u32::from(difficulty)
}

/// Looks for the smallest nonce from 1 up, on this thread, until it is told to stop.
pub fn mine(data: &[u8], difficulty: u8, stop: &AtomicBool) -> Option<(Nonce, Hash)> {
    // The data is hashed once, and only the nonce for every attempt.
    let beginning = Sha1::new().chain_update(data);
    for number in 1..=u64::MAX {
        let nonce = number.to_be_bytes();
        let hash: Hash = beginning.clone().chain_update(nonce).finalize().into();
        if meets(&hash, difficulty) {
            return Some((nonce, hash));
        }
        if number.is_multiple_of(LOOK_UP) && stop.load(Ordering::Relaxed) {
            return None;
        }
    }
    None
}

/// How many attempts are made between two looks at the flag: far less than a millisecond's worth.
const LOOK_UP: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zeros_at_the_end_count() {
        let mut hash = [0xff; 20];
        assert!(meets(&hash, 0) && !meets(&hash, 1));

        hash[19] = 0b1010_0000;
        assert!(meets(&hash, 5) && !meets(&hash, 6));

        (hash[19], hash[18]) = (0, 0b1000);
        assert!(meets(&hash, 11) && !meets(&hash, 12));
        assert!(meets(&[0; 20], 160) && !meets(&[0; 20], 161));
    }

    #[test]
    fn what_is_mined_meets_the_difficulty_and_nothing_smaller_does() {
        let (nonce, found) = mine(b"data", 8, &AtomicBool::new(false)).unwrap();

        assert_eq!(found, hash(b"data", &nonce));
        assert!(meets(&found, 8));
        let smaller = 1..u64::from_be_bytes(nonce);
        assert!(smaller.into_iter().all(|n| !meets(&hash(b"data", &n.to_be_bytes()), 8)));
    }

    #[test]
    fn mining_ends_when_it_is_told_to() {
        assert_eq!(mine(b"data", u8::MAX, &AtomicBool::new(true)), None);
    }
}
