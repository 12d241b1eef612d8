//! The parts of a number.
//!
//! ```text
//!            ┌─▶ Zero ─────┐        ┌──┐                    ┌──┐
//!   [ - ] ───┤             ├─▶ . ─▶ Fraction ─▶ e ─▶ [ ± ] ─▶ Exponent
//!            └─▶ Integer ──┴──────────────────▶ e
//! ```

use super::error::Context;

/// What was read last of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The minus in front.
    Minus,
    /// A zero in front, which no digit may follow.
    Zero,
    /// A digit in front of the point.
    Integer,
    /// The point.
    Point,
    /// A digit behind the point.
    Fraction,
    /// The `e`.
    E,
    /// The sign behind it.
    Sign,
    /// A digit of the exponent.
    Exponent,
}

impl Part {
    /// The first part, if a number can begin with the byte.
    pub(super) const fn first(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Integer),
            _ => None,
        }
    }

    /// The next part, if the number goes on with the byte.
    pub(super) const fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::Sign),
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    /// Whether any digit may follow, which changes nothing.
    pub(super) const fn is_digit(self) -> bool {
        matches!(self, Self::Integer | Self::Fraction | Self::Exponent)
    }

    /// Whether the number may end here.
    pub(super) const fn may_end(self) -> bool {
        matches!(self, Self::Zero) || self.is_digit()
    }

    /// What to say of a byte that does not fit.
    pub(super) const fn context(self) -> Context {
        match self {
            Self::Minus | Self::Zero | Self::Integer => Context::Number,
            Self::Point | Self::Fraction => Context::Fraction,
            Self::E | Self::Sign | Self::Exponent => Context::Exponent,
        }
    }
}

pub(super) fn skip_digits(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((b'0'..=b'9', behind)) = rest.split_first() {
        rest = behind;
    }
    rest
}
