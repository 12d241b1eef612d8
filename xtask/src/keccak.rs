//! Keccak-256 from its definition, so that the check of a node id does not ask the code it checks.
//!
//! Slow and plain on purpose: one chapter hashes 64 bytes. Source: the Keccak reference
//! (rate 1088, capacity 512) with the padding of before SHA-3, first byte 0x01.

/// The hash that Ethereum calls keccak256.
pub(crate) fn keccak256(input: &[u8]) -> [u8; 32] {
    let mut padded = input.to_vec();
    padded.push(0x01);
    padded.resize(padded.len().next_multiple_of(RATE), 0);
    if let Some(last) = padded.last_mut() {
        *last |= 0x80;
    }

    let mut state = [0u64; 25];
    for block in padded.chunks_exact(RATE) {
        for (lane, bytes) in state.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane ^= u64::from_le_bytes(*bytes);
        }
        permute(&mut state);
    }

    let mut hash = [0; 32];
    for (out, lane) in hash.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *out = lane.to_le_bytes();
    }
    hash
}

/// The permutation Keccak-f of 1600 bits; lane (x, y) is at `x + 5 * y`.
fn permute(state: &mut [u64; 25]) {
    let mut lfsr = 1u8;
    for _ in 0..ROUNDS {
        // Theta: each column is mixed with the parity of its neighbours.
        let parity: [u64; 5] = std::array::from_fn(|x| (0..5).fold(0, |p, y| p ^ state[x + 5 * y]));
        for (i, lane) in state.iter_mut().enumerate() {
            *lane ^= parity[(i + 4) % 5] ^ parity[(i + 1) % 5].rotate_left(1);
        }
        // Rho and pi: every lane is rotated by a triangular number and moves on.
        let (mut x, mut y, mut moving) = (1, 0, state[1]);
        for step in 1..=24 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let arrives = moving.rotate_left(step * (step + 1) / 2);
            moving = std::mem::replace(&mut state[x + 5 * y], arrives);
        }
        // Chi: the only step that is not linear.
        for row in state.as_chunks_mut::<5>().0 {
            let before = *row;
            *row =
                std::array::from_fn(|x| before[x] ^ (!before[(x + 1) % 5] & before[(x + 2) % 5]));
        }
        // Iota: a constant a round, from a shift register.
        for bit in 0..7 {
            if lfsr & 1 == 1 {
                state[0] ^= 1 << ((1u32 << bit) - 1);
            }
            lfsr = (lfsr << 1) ^ if lfsr & 0x80 == 0 { 0 } else { 0x71 };
        }
    }
}

/// Bytes taken in a permutation.
const RATE: usize = 136;

const ROUNDS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_come_out() {
        check(b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
        check(b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
        check(b"testing", "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02");
    }

    #[test]
    fn inputs_at_the_edge_of_a_block_come_out() {
        check(&[0; 135], "29e3704feeca7fb9ba229f0fa04d9b36449cf3ad6e1d85d9cfff3a10df9abc3e");
        check(&[0; 136], "3a5912a7c5faa06ee4fe906253e339467a9ce87d533c65be3c15cb231cdb25f9");
        check(&[0; 137], "bee7fbb405cb0d91a8775e338c4a5e4b5d6b2d051f687fa942043cffdc73bd28");
    }

    fn check(input: &[u8], expected: &str) {
        let hash: String = keccak256(input).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected, "of {} bytes", input.len());
    }
}
