//! Inside a string: bytes that need no thought, eight at a time, and letters of several bytes.

/// What is left of `bytes` from the first that the scanner must see: a quote, a backslash, a
/// control character, or a byte beyond ASCII that begins no whole letter.
pub(super) fn skip(bytes: &[u8]) -> &[u8] {
    let bytes = skip_plain(bytes);
    if bytes.first().is_some_and(|byte| *byte >= 0x80) { skip_letters(bytes) } else { bytes }
}

/// Apart, to keep it out of the loop that has no such letters.
#[inline(never)]
fn skip_letters(mut bytes: &[u8]) -> &[u8] {
    while let Some(mut rest) = skip_letter(bytes) {
        while let Some(behind) = skip_letter(rest) {
            rest = behind;
        }
        bytes = skip_plain(rest);
    }
    bytes
}

fn skip_letter(bytes: &[u8]) -> Option<&[u8]> {
    let (first, mut rest) = bytes.split_first()?;
    let mut tail = Tail::of(*first)?;
    while !tail.is_empty() {
        let (byte, behind) = rest.split_first()?;
        tail = tail.next(*byte)?;
        rest = behind;
    }
    Some(rest)
}

/// What is left from the first byte that is not plain: a quote, a backslash, a control character
/// or a byte beyond ASCII.
///
/// Strings are most of what is sent (a contract's code, a block's transactions in hex), so this
/// loop decides how fast a scan is.
fn skip_plain(mut bytes: &[u8]) -> &[u8] {
    while let Some((word, rest)) = bytes.split_first_chunk() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            // The first byte is the lowest; its mark is the highest of its eight bits.
            let plain = usize::try_from(marks.trailing_zeros() / 8).unwrap_or_default();
            return bytes.get(plain..).unwrap_or_default();
        }
        bytes = rest;
    }
    let plain = bytes.iter().take_while(|byte| marks(EACH.wrapping_mul(u64::from(**byte))) == 0);
    bytes.get(plain.count()..).unwrap_or_default()
}

/// Sets the highest bit of each byte that is not plain.
///
/// A subtraction borrows from the byte above only when its own byte is marked, so every mark up to
/// the lowest is right, and the lowest is the one that counts.
const fn marks(word: u64) -> u64 {
    let control = word.wrapping_sub(EACH * 0x20);
    let quote = (word ^ QUOTES).wrapping_sub(EACH);
    let backslash = (word ^ BACKSLASHES).wrapping_sub(EACH);
    (word | control | quote | backslash) & (EACH * 0x80)
}

/// A one in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;
const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);

/// The bytes that must still come of a letter of several bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    left: u8,
    /// The least and the most that the next may be.
    low: u8,
    high: u8,
}

impl Tail {
    /// What must follow a byte beyond ASCII, if a letter can begin with it.
    ///
    /// The ranges keep out longer forms than needed, halves of surrogate pairs, and what is beyond
    /// U+10FFFF. Spec: Unicode, table 3-7.
    pub(super) const fn of(first: u8) -> Option<Self> {
        let (left, low, high) = match first {
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return None,
        };
        Some(Self { left, low, high })
    }

    /// What must follow after the next byte, if that is one of the bytes that may come.
    pub(super) const fn next(self, byte: u8) -> Option<Self> {
        if byte < self.low || byte > self.high {
            return None;
        }
        Some(Self { left: self.left.saturating_sub(1), low: 0x80, high: 0xbf })
    }

    /// Whether the letter is complete.
    pub(super) const fn is_empty(self) -> bool {
        self.left == 0
    }
}
