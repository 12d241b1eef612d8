//! The test protocol foo/42 as every peer of the harness speaks it.
//!
//! ```text
//!   code 0   a byte string                   "here is some data"
//!   code 1   the same byte string again      "here it is back"
//! ```

use bytes::Bytes;

/// The name in the capability `foo/42`.
pub(crate) const NAME: &str = "foo";
/// The version in the capability `foo/42`.
pub(crate) const VERSION: u32 = 42;
/// How many codes it has.
pub(crate) const LENGTH: u64 = 2;
/// Code of data to be echoed.
pub(crate) const DATA: u64 = 0;
/// Code of the echo.
pub(crate) const ECHO: u64 = 1;

/// The sizes that are sent, in bytes: one, and three for which frames and compression differ.
pub(crate) const SIZES: [usize; 4] = [1, 1_024, 102_400, 1_048_576];

/// [`SIZES`] as the foreign programs take them.
pub(crate) fn sizes_argument() -> String {
    SIZES.map(|size| size.to_string()).join(",")
}

/// The content of a message of `size` bytes, the same in all peers: blocks of 1 KiB, in turn
/// pseudo-random (xorshift32 seeded with the size) and zero, so that compression has something and
/// nothing to do.
pub(crate) fn pattern(size: usize) -> Bytes {
    let mut state = u32::try_from(size).unwrap_or(u32::MAX) | 1;
    let content = (0..size).map(|at| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if at / 1_024 % 2 == 0 { state.to_le_bytes()[0] } else { 0 }
    });
    content.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_the_one_of_the_other_programs() {
        // Printed by both foreign programs for the same sizes.
        assert_eq!(const_hex::encode(pattern(8)), "2909ec355ddce665");
        assert_eq!(pattern(3 * 1_024)[1_024..2_048], [0; 1_024]);
    }
}
