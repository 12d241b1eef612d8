//! What the fuzz targets run, here so that a test can replay their inputs.

mod dispatch;

use std::ops::Range;

use serde_json::value::RawValue;

pub use self::dispatch::dispatch;
use crate::scan::{self, Scan, ScanError, ScanLimits, Scanner};

/// Scans a document in pieces and in one go, and compares the results with each other and with
/// what `serde_json` thinks.
///
/// The first four bytes are the lengths of the pieces, over and over; the rest is the document.
///
/// # Panics
///
/// When they differ.
pub fn scan(data: &[u8]) {
    let Some((lengths, document)) = data.split_first_chunk::<4>() else { return };
    let narrow = ScanLimits { max_bytes: 64, max_depth: 4 };
    for limits in [ScanLimits::default(), narrow] {
        let at_once = split(document, &[document.len()], limits);
        let in_pieces = split(document, &lengths.map(usize::from), limits);
        assert_eq!(in_pieces, at_once, "pieces of {lengths:?} bytes, {limits:?}");
    }
    let limits = ScanLimits::default();
    for value in split(document, &[document.len()], limits).0 {
        let value = document.get(value).unwrap_or_default();
        assert_eq!(theirs(value).map(str::as_bytes), Some(value), "one of several values");
    }
    match scan::whole(document, limits) {
        // Their skipping of a value counts neither.
        Err(ScanError::TooDeep { .. } | ScanError::TooLarge { .. }) => {}
        ours => {
            let ours = ours.ok().map(|range| document.get(range).unwrap_or_default());
            assert_eq!(ours, theirs(document).map(str::as_bytes), "one value");
        }
    }
}

/// Counts the values of a document that arrives in pieces of `length` bytes; nothing if it is no
/// JSON. For the bench.
#[must_use]
pub fn count_values(document: &[u8], length: usize) -> Option<usize> {
    let (values, error) = split(document, &[length], ScanLimits::default());
    error.is_none().then_some(values.len())
}

/// The values that a reader finds to whom pieces of such lengths come, and how it ends.
fn split(
    document: &[u8],
    lengths: &[usize],
    limits: ScanLimits,
) -> (Vec<Range<usize>>, Option<ScanError>) {
    let mut scanner = Scanner::new(limits);
    // bound: a value is at least a byte of the document
    let mut values = Vec::new();
    let (mut start, mut received) = (0, 0);
    let error = 'reading: {
        for length in lengths.iter().cycle() {
            received = document.len().min(received + length.max(&1));
            loop {
                match scanner.scan(&document[start..received]) {
                    Ok(Scan::Value(range)) => {
                        values.push(start + range.start..start + range.end);
                        start += range.end;
                    }
                    Ok(Scan::Incomplete { discard }) => {
                        start += discard;
                        break;
                    }
                    Err(error) => break 'reading Some(error),
                }
            }
            if received == document.len() {
                break;
            }
        }
        match scanner.finish(&document[start..]) {
            Ok(last) => {
                values.extend(last.map(|range| start + range.start..start + range.end));
                None
            }
            Err(error) => Some(error),
        }
    };
    (values, error)
}

/// The value in `document` if `serde_json` takes it for one. A raw value has every rule checked
/// but the pairing of surrogates, which nobody here asks for.
fn theirs(document: &[u8]) -> Option<&str> {
    serde_json::from_slice::<&RawValue>(document).ok().map(RawValue::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_are_hard_on_a_splitter_are_survived() {
        let inputs: &[&[u8]] = &[
            b"",
            b"\x01\x01\x01",
            b"\x01\x01\x01\x01",
            b"\x01\x02\x03\x04{\"a\":\"}{\\\"\"}{\"b\":[1,2]} 12 true\"\"",
            b"\x00\xff\x00\x01[\"\\ud800\\u12\"]",
            b"\x05\x01\x01\x01\"1234567\xe2\x82\xac\xf0\x9f\x98\x80\"",
            b"\x02\x02\x02\x02\"\xed\xa0\x80\"",
            b"\x03\x03\x03\x03-0.5e+1 -01 1.",
            b"\x40\x01\x40\x01[[[[[]]]]]",
            b"\x10\x10\x10\x10\"0x00000000000000000000000000000000000000000000000000000000000000\"",
            b"\x10\x10\x10\x101234567890123456789012345678901234567890123456789012345678901234 5",
            b"\x07\x07\x07\x07{\"id\":22,\"params\":[1,2]{\"id\":99}",
        ];
        for input in inputs {
            scan(input);
        }
        scan(&[&[9, 1, 3, 200][..], &[b'['; 200], &[b']'; 200]].concat());
    }

    #[test]
    fn values_are_counted() {
        assert_eq!(count_values(b"{} [1,2]\"a\" 3", 2), Some(4));
        assert_eq!(count_values(b"{} [1,2", 100), None);
    }
}
