//! Bytes as arguments and results, in every form that real clients send.
//!
//! ```text
//!   "0x666f6f"       hexadecimal, an even number of digits     what we write
//!   "Zm9v"           base64, as Go writes a plain byte slice
//!   [102,111,111]    numbers, as a page in a browser writes them
//! ```

use std::{fmt, ops::Deref};

use base64::Engine as _;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};

/// Bytes that are read from hexadecimal text with the prefix `0x` or from an array of numbers, and
/// written as hexadecimal text.
///
/// ```
/// let bytes: rpc::Bytes = serde_json::from_str(r#""0x666f6f""#)?;
///
/// assert_eq!(&*bytes, b"foo");
/// assert_eq!(serde_json::to_string(&bytes)?, r#""0x666f6f""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

/// Bytes that are read from base64 text as well: what a method takes whose clients were written for
/// Go's plain byte slices.
///
/// Text with the prefix `0x` is hexadecimal; base64 text never has that prefix and an even number
/// of hexadecimal digits that is not also meant as such.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnyBytes(pub Vec<u8>);

macro_rules! bytes {
    ($type:ident, $base64:expr) => {
        impl Deref for $type {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<Vec<u8>> for $type {
            fn from(bytes: Vec<u8>) -> Self {
                Self(bytes)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&const_hex::encode_prefixed(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader { base64: $base64 }).map(Self)
            }
        }
    };
}

bytes!(Bytes, false);
bytes!(AnyBytes, true);

struct Reader {
    base64: bool,
}

impl<'de> Visitor<'de> for Reader {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.base64 {
            true => "bytes: hex with 0x, base64, or numbers",
            false => "bytes: hex with 0x, or numbers",
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
            if self.base64 {
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                return decoded.map_err(|_| E::invalid_value(Unexpected::Str(text), &self));
            }
            return Err(E::custom("hex string without 0x prefix"));
        };
        if !digits.len().is_multiple_of(2) {
            return Err(E::custom("hex string of odd length"));
        }
        // The decoder would take a second prefix.
        let digits = Some(digits).filter(|digits| !digits.starts_with("0x"));
        let decoded = digits.and_then(|digits| const_hex::decode(digits).ok());
        decoded.ok_or_else(|| E::custom("invalid hex string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        // bound: the message they are in, a byte for two of its own at least
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_and_numbers_are_bytes() {
        for (json, expected) in
            [(r#""0x""#, &b""[..]), (r#""0xFf00""#, &[255, 0]), ("[1,2,255]", &[1, 2, 255])]
        {
            assert_eq!(serde_json::from_str::<Bytes>(json).expect(json).0, expected);
            assert_eq!(serde_json::from_str::<AnyBytes>(json).expect(json).0, expected);
        }
    }

    #[test]
    fn what_is_wrong_with_hexadecimal_text_is_said() {
        for (json, expected) in [
            (r#""abc""#, "hex string without 0x prefix"),
            (r#""""#, "hex string without 0x prefix"),
            (r#""0x123""#, "hex string of odd length"),
            (r#""0xzz""#, "invalid hex string"),
            (r#""0x0x11""#, "invalid hex string"),
            ("[256]", "invalid value: integer `256`, expected u8"),
            ("5", "invalid type: integer `5`, expected bytes: hex with 0x, or numbers"),
        ] {
            let error = serde_json::from_str::<Bytes>(json).expect_err(json).to_string();
            assert!(error.starts_with(expected), "{json}: {error}");
        }
    }

    #[test]
    fn base64_is_read_where_it_is_meant() {
        assert_eq!(serde_json::from_str::<AnyBytes>(r#""Zm9v""#).expect("base64").0, b"foo");
        assert_eq!(serde_json::from_str::<AnyBytes>(r#""""#).expect("base64").0, b"");
        assert!(serde_json::from_str::<AnyBytes>(r#""Zm9""#).is_err());
    }
}
