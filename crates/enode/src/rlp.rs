//! Reading RLP that a stranger sent: strict where the protocol is, lenient only where it says so.
//!
//! `alloy-rlp` decodes single values well; what devp2p needs on top of it is here:
//!
//! ```text
//!   c8 83 63 61 74 83 64 6f 67 │ 00 00 00
//!   ├─ list ─────────────────┤ └ padding: left in the input, the caller decides
//!      └ field ──┘ └ field ──┘
//!
//!   ListReader::open ──▶ next, next, … ──▶ finish      the list ends here, or it is an error
//!                                     └──▶ skip_rest   a newer peer may have added fields (EIP-8)
//! ```
//!
//! Nothing here allocates: items borrow from the input, and a length is compared with the bytes
//! that are there before it is used for anything. Nothing recurses either, so depth is the
//! caller's choice.
//!
//! ```
//! use enode::rlp::ListReader;
//!
//! // [4, "cat", 7] from a peer that is newer than we are, then padding
//! let mut input: &[u8] = &[0xc6, 0x04, 0x83, b'c', b'a', b't', 0x07, 0x00, 0x00];
//! let mut fields = ListReader::open(&mut input)?;
//! let version: u64 = fields.next()?;
//! let name: &[u8] = fields.next_bytes()?;
//! fields.skip_rest()?;
//!
//! assert_eq!((version, name, input), (4, &b"cat"[..], &[0, 0][..]));
//! # Ok::<(), enode::rlp::Error>(())
//! ```
//!
//! Spec: ethereum/devp2p:rlpx.md, EIP-8, and the rules of go-ethereum's `rlp` package, which every
//! peer was tested against.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub use alloy_rlp::{Decodable, Encodable, Error};

/// The fields of one list, read in order.
///
/// A cheap view into the input. After an error the reader must not be used further: it may stand
/// in the middle of a field.
#[derive(Debug, Clone)]
pub struct ListReader<'a> {
    rest: &'a [u8],
}

impl<'a> ListReader<'a> {
    /// Takes a list off the front of `input`; what follows it stays there.
    ///
    /// This is how bodies with padding after them are read.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedString`] when the value is no list, and what [`split`] returns.
    pub fn open(input: &mut &'a [u8]) -> Result<Self, Error> {
        let (item, rest) = split(input)?;
        let reader = item.list()?;
        *input = rest;
        Ok(reader)
    }

    /// Reads `input` as one list with nothing after it.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedLength`] when bytes follow the list, otherwise as [`open`](Self::open).
    pub fn exact(mut input: &'a [u8]) -> Result<Self, Error> {
        let reader = Self::open(&mut input)?;
        if input.is_empty() { Ok(reader) } else { Err(Error::UnexpectedLength) }
    }

    /// The next field, decoded.
    ///
    /// # Errors
    ///
    /// [`Error::InputTooShort`] when the list has no further field, otherwise what the type's
    /// decoder returns.
    #[expect(clippy::should_implement_trait, reason = "the type of the next field varies")]
    pub fn next<T: Decodable>(&mut self) -> Result<T, Error> {
        T::decode(&mut self.rest)
    }

    /// The next field, or `None` at the end of the list: a field that older peers leave out.
    ///
    /// # Errors
    ///
    /// What the type's decoder returns.
    pub fn next_optional<T: Decodable>(&mut self) -> Result<Option<T>, Error> {
        if self.is_empty() { Ok(None) } else { self.next().map(Some) }
    }

    /// The next field as the item it is, whatever its kind.
    ///
    /// # Errors
    ///
    /// As [`split`].
    pub fn next_item(&mut self) -> Result<Item<'a>, Error> {
        let (item, rest) = split(self.rest)?;
        self.rest = rest;
        Ok(item)
    }

    /// The content of the next field, which must be a byte string; copies nothing.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedList`] when it is a list, otherwise as [`split`].
    pub fn next_bytes(&mut self) -> Result<&'a [u8], Error> {
        self.next_item()?.bytes()
    }

    /// As [`next_bytes`](Self::next_bytes), or `None` at the end of the list.
    ///
    /// # Errors
    ///
    /// As [`next_bytes`](Self::next_bytes), but for the end of the list.
    pub fn next_optional_bytes(&mut self) -> Result<Option<&'a [u8]>, Error> {
        if self.is_empty() { Ok(None) } else { self.next_bytes().map(Some) }
    }

    /// The next field, which must be a list.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedString`] when it is a byte string, otherwise as [`split`].
    pub fn next_list(&mut self) -> Result<Self, Error> {
        self.next_item()?.list()
    }

    /// The next field as it is encoded, header included, its content unexamined.
    ///
    /// # Errors
    ///
    /// As [`split_raw`].
    pub fn next_raw(&mut self) -> Result<&'a [u8], Error> {
        let (item, rest) = split_raw(self.rest)?;
        self.rest = rest;
        Ok(item.encoded)
    }

    /// Ends a list whose length the protocol fixes.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedLength`] when fields are left.
    pub fn finish(self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::UnexpectedLength) }
    }

    /// Ends a list that a newer peer may have extended: further fields are passed over unread.
    ///
    /// Their headers are still followed, as every live client does, so a list whose last field
    /// runs past its end is refused.
    ///
    /// # Errors
    ///
    /// As [`split_raw`].
    pub fn skip_rest(mut self) -> Result<(), Error> {
        while !self.is_empty() {
            self.next_raw()?;
        }
        Ok(())
    }

    /// Whether all fields were read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The encoded fields that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// One encoded value: a byte string or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Which of the three forms the header has.
    pub kind: Kind,
    /// The content without its header: the bytes of a string, the encoded fields of a list.
    pub payload: &'a [u8],
    /// The whole value as it was encoded, header included.
    pub encoded: &'a [u8],
}

impl<'a> Item<'a> {
    /// The content of a byte string.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedList`] for a list, [`Error::NonCanonicalSingleByte`] for a byte below
    /// 0x80 behind a header it must not have.
    pub fn bytes(&self) -> Result<&'a [u8], Error> {
        match (self.kind, self.payload) {
            (Kind::List, _) => Err(Error::UnexpectedList),
            (Kind::String, [0..=0x7f]) => Err(Error::NonCanonicalSingleByte),
            (Kind::Byte | Kind::String, payload) => Ok(payload),
        }
    }

    /// The big-endian digits of an unsigned integer of any width; zero has none.
    ///
    /// # Errors
    ///
    /// [`Error::LeadingZero`], otherwise as [`bytes`](Self::bytes).
    pub fn integer(&self) -> Result<&'a [u8], Error> {
        match self.bytes()? {
            [0, ..] => Err(Error::LeadingZero),
            digits => Ok(digits),
        }
    }

    /// The fields of a list.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedString`] for a byte string.
    pub fn list(&self) -> Result<ListReader<'a>, Error> {
        match self.kind {
            Kind::List => Ok(ListReader { rest: self.payload }),
            Kind::Byte | Kind::String => Err(Error::UnexpectedString),
        }
    }
}

/// The form of an encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A byte below 0x80 that stands for itself.
    Byte,
    /// A byte string with a header.
    String,
    /// A list of further values.
    List,
}

/// Decodes a value that must be the whole of `bytes`.
///
/// # Errors
///
/// [`Error::UnexpectedLength`] when bytes follow the value, otherwise what its decoder returns.
pub fn decode_exact<T: Decodable>(bytes: impl AsRef<[u8]>) -> Result<T, Error> {
    alloy_rlp::decode_exact(bytes)
}

/// Splits `input` into its first value and the rest. The content of a list is not examined.
///
/// # Errors
///
/// [`Error::InputTooShort`] when there is no value or it claims more bytes than there are,
/// [`Error::NonCanonicalSize`], [`Error::LeadingZero`] and [`Error::NonCanonicalSingleByte`] when
/// a shorter header would have done.
pub fn split(input: &[u8]) -> Result<(Item<'_>, &[u8]), Error> {
    let (item, rest) = split_raw(input)?;
    if item.kind == Kind::String {
        item.bytes()?;
    }
    Ok((item, rest))
}

/// As [`split`], but lets a byte below 0x80 pass behind a superfluous header (`81 05`).
///
/// For values that are carried and never read, such as the entries of a node record that we do
/// not know: go-ethereum carries them so, and a record it passes on must not fail with us.
///
/// # Errors
///
/// As [`split`], without [`Error::NonCanonicalSingleByte`].
pub fn split_raw(input: &[u8]) -> Result<(Item<'_>, &[u8]), Error> {
    let (&first, tail) = input.split_first().ok_or(Error::InputTooShort)?;
    let (kind, header, length) = match first {
        0x00..=0x7f => (Kind::Byte, 0, 1),
        0x80..=0xb7 => (Kind::String, 1, usize::from(first.wrapping_sub(0x80))),
        0xb8..=0xbf => long(Kind::String, first.wrapping_sub(0xb7), tail)?,
        0xc0..=0xf7 => (Kind::List, 1, usize::from(first.wrapping_sub(0xc0))),
        0xf8..=0xff => long(Kind::List, first.wrapping_sub(0xf7), tail)?,
    };
    let end = length.checked_add(header).ok_or(Error::InputTooShort)?;
    let (encoded, rest) = input.split_at_checked(end).ok_or(Error::InputTooShort)?;
    let payload = encoded.get(header..).ok_or(Error::InputTooShort)?;
    Ok((Item { kind, payload, encoded }, rest))
}

/// How many values stand one after the other in `input`; their contents are not examined.
///
/// # Errors
///
/// As [`split`], for the first value that it refuses.
pub fn count(mut input: &[u8]) -> Result<usize, Error> {
    let mut values = 0_usize;
    while !input.is_empty() {
        (_, input) = split(input)?;
        // Each value takes a byte at least, so the count cannot pass the length of a slice.
        values = values.saturating_add(1);
    }
    Ok(values)
}

/// Reads a length of `width` bytes that follows the first byte of a long header.
fn long(kind: Kind, width: u8, tail: &[u8]) -> Result<(Kind, usize, usize), Error> {
    let width = usize::from(width);
    let digits = tail.get(..width).ok_or(Error::InputTooShort)?;
    if digits.first() == Some(&0) {
        return Err(Error::LeadingZero);
    }
    let length = digits.iter().fold(0_u64, |sum, &digit| sum << 8 | u64::from(digit));
    if length <= SHORT_LENGTH {
        return Err(Error::NonCanonicalSize);
    }
    // A length that this machine cannot address is more than the input holds.
    let length = usize::try_from(length).map_err(|_| Error::InputTooShort)?;
    Ok((kind, width.saturating_add(1), length))
}

/// The longest content, in bytes, that has its length in the first byte of the header.
const SHORT_LENGTH: u64 = 55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_the_rest_is_skipped() {
        let mut input: &[u8] = &[0xc5, 0x01, 0x02, 0x82, 0xff, 0xff, 0xaa];

        let mut fields = ListReader::open(&mut input).unwrap();

        assert_eq!(fields.next::<u64>(), Ok(1));
        assert_eq!(fields.next_optional::<u8>(), Ok(Some(2)));
        assert_eq!(fields.clone().finish(), Err(Error::UnexpectedLength));
        assert_eq!(fields.skip_rest(), Ok(()));
        assert_eq!(input, [0xaa]);
    }

    #[test]
    fn a_missing_field_is_an_error_unless_it_is_optional() {
        let mut fields = ListReader::exact(&[0xc0]).unwrap();

        assert_eq!(fields.next_optional::<u64>(), Ok(None));
        assert_eq!(fields.next::<u64>(), Err(Error::InputTooShort));
        assert_eq!(fields.next_item(), Err(Error::InputTooShort));
        assert_eq!(fields.finish(), Ok(()));
    }

    #[test]
    fn a_field_that_runs_past_its_list_is_refused_even_when_the_input_goes_on() {
        let mut input: &[u8] = &[0xc2, 0x01, 0xc3, 0x01, 0x02, 0x03];
        let mut fields = ListReader::open(&mut input).unwrap();

        assert_eq!(fields.next::<u64>(), Ok(1));
        assert_eq!(fields.clone().next_raw(), Err(Error::InputTooShort));
        assert_eq!(fields.skip_rest(), Err(Error::InputTooShort));
    }

    #[test]
    fn a_claim_of_more_than_is_there_is_refused_without_memory() {
        for input in ["bb7fffffff", "bfffffffffffffffff01", "ffffffffffffffffff01", "f8", "b8ff01"]
        {
            let bytes = const_hex::decode(input).unwrap();

            assert_eq!(split(&bytes), Err(Error::InputTooShort), "{input}");
        }
    }

    #[test]
    fn only_raw_reading_passes_a_superfluous_header() {
        let (raw, rest) = split_raw(&[0x81, 0x05, 0x01]).unwrap();

        assert_eq!((raw.encoded, rest), (&[0x81, 0x05][..], &[0x01][..]));
        assert_eq!(raw.bytes(), Err(Error::NonCanonicalSingleByte));
        assert_eq!(split(&[0x81, 0x05, 0x01]), Err(Error::NonCanonicalSingleByte));
    }

    #[test]
    fn an_integer_has_no_leading_zero() {
        let digits = |bytes: &'static [u8]| split(bytes).and_then(|(item, _)| item.integer());

        assert_eq!(digits(&[0x80]), Ok(&[][..]));
        assert_eq!(digits(&[0x00]), Err(Error::LeadingZero));
        assert_eq!(digits(&[0x82, 0x00, 0x01]), Err(Error::LeadingZero));
        assert_eq!(digits(&[0x82, 0x01, 0x00]), Ok(&[1, 0][..]));
    }
}
