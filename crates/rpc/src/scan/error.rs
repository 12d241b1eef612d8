//! Why bytes are not JSON, in the words of Go's `encoding/json`, which callers know.

use std::fmt;

/// Why bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScanError {
    /// The byte cannot stand there.
    #[error("invalid character {} {context}", Quoted(*.byte))]
    Syntax {
        /// The byte.
        byte: u8,
        /// Where it stands.
        context: Context,
    },
    /// The byte makes a string something else than UTF-8. Go replaces such bytes.
    #[error("invalid UTF-8 in string literal: byte 0x{byte:02x}")]
    Utf8 {
        /// The byte.
        byte: u8,
    },
    /// The value goes on behind the limit.
    #[error("value is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// One bracket too many is open.
    #[error("exceeded max depth")]
    TooDeep {
        /// The limit in force, in open brackets.
        limit: usize,
    },
    /// The input ended before the value did.
    #[error("unexpected end of JSON input")]
    UnexpectedEnd,
}

/// Where a byte stands that cannot stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Value,
    Key,
    AfterKey,
    AfterMember,
    AfterElement,
    AfterTopLevel,
    Text,
    Escape,
    Hex,
    Number,
    Fraction,
    Exponent,
    Literal { word: Word, matched: u8 },
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "looking for beginning of value",
            Self::Key => "looking for beginning of object key string",
            Self::AfterKey => "after object key",
            Self::AfterMember => "after object key:value pair",
            Self::AfterElement => "after array element",
            Self::AfterTopLevel => "after top-level value",
            Self::Text => "in string literal",
            Self::Escape => "in string escape code",
            Self::Hex => "in \\u hexadecimal character escape",
            Self::Number => "in numeric literal",
            Self::Fraction => "after decimal point in numeric literal",
            Self::Exponent => "in exponent of numeric literal",
            Self::Literal { word, matched } => {
                let expected = word.rest(*matched).first().copied().unwrap_or_default();
                return write!(f, "in literal {} (expecting {})", word.text(), Quoted(expected));
            }
        })
    }
}

/// A byte as Go quotes it: taken for a Unicode code point, unprintable ones escaped.
struct Quoted(u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x07 => f.write_str(r"'\a'"),
            0x08 => f.write_str(r"'\b'"),
            b'\t' => f.write_str(r"'\t'"),
            b'\n' => f.write_str(r"'\n'"),
            0x0b => f.write_str(r"'\v'"),
            0x0c => f.write_str(r"'\f'"),
            b'\r' => f.write_str(r"'\r'"),
            b'\'' => f.write_str(r"'\''"),
            b'\\' => f.write_str(r"'\\'"),
            byte @ (0..0x20 | 0x7f) => write!(f, r"'\x{byte:02x}'"),
            // C1 controls, the no-break space and the soft hyphen.
            byte @ (0x80..=0xa0 | 0xad) => write!(f, r"'\u{byte:04x}'"),
            byte => write!(f, "'{}'", char::from(byte)),
        }
    }
}

/// A value that is always written the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    True,
    False,
    Null,
}

impl Word {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Null => "null",
        }
    }

    /// The letters of it that come after so many.
    pub(super) fn rest(self, matched: u8) -> &'static [u8] {
        self.text().as_bytes().get(usize::from(matched)..).unwrap_or_default()
    }
}
