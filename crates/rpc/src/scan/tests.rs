//! Tests of the scanner.

#![allow(clippy::arithmetic_side_effects, reason = "a test may fail")]

mod any_bytes;
mod limits;

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, value::RawValue};

use super::*;
use crate::fuzz;

const NO_LIMITS: ScanLimits = ScanLimits { max_bytes: usize::MAX, max_depth: usize::MAX };

/// Reads as a transport does: a piece is appended, complete values are taken out.
#[derive(Debug)]
struct Reader {
    scanner: Scanner,
    buffer: Vec<u8>,
    values: Vec<String>,
}

impl Reader {
    fn new(limits: ScanLimits) -> Self {
        Self { scanner: Scanner::new(limits), buffer: Vec::new(), values: Vec::new() }
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), ScanError> {
        self.buffer.extend_from_slice(piece);
        loop {
            match self.scanner.scan(&self.buffer)? {
                Scan::Value(range) => self.take(range),
                Scan::Incomplete { discard } => {
                    self.buffer.drain(..discard);
                    return Ok(());
                }
            }
        }
    }

    fn finish(&mut self) -> Result<(), ScanError> {
        while let Some(range) = self.scanner.finish(&self.buffer)? {
            self.take(range);
        }
        Ok(())
    }

    fn take(&mut self, range: Range<usize>) {
        let end = range.end;
        self.values.push(String::from_utf8(self.buffer[range].to_vec()).unwrap());
        self.buffer.drain(..end);
    }
}

/// The values in the pieces, and how reading them ends.
fn read<P: AsRef<[u8]>>(
    pieces: impl IntoIterator<Item = P>,
    limits: ScanLimits,
) -> (Vec<String>, Result<(), ScanError>) {
    let mut reader = Reader::new(limits);
    let end = pieces.into_iter().try_for_each(|piece| reader.read(piece.as_ref()));
    let end = end.and_then(|()| reader.finish());
    (reader.values, end)
}

fn one(document: &[u8]) -> Result<&[u8], ScanError> {
    whole(document, ScanLimits::default()).map(|range| &document[range])
}

/// What the reader says of a stream as it comes, before its end.
fn error_of(stream: impl AsRef<[u8]>) -> Option<ScanError> {
    Reader::new(ScanLimits::default()).read(stream.as_ref()).err()
}

#[test]
fn what_json_is_is_accepted_whole_in_pieces_and_by_serde() {
    let documents: &[&str] = &[
        "null",
        "true",
        "false",
        "\"\"",
        "\"a\"",
        "{}",
        "[]",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "1234567890123456789012345678901234567890",
        "0.0",
        "-0.10",
        "3.14159",
        "1e5",
        "1E5",
        "0e0",
        "1e+5",
        "1e-05",
        "1.5E-10",
        "1e999999",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "[[],[[]],{}]",
        "[true,false,null]",
        "[-0,0.5,-1e2]",
        "{\"a\":1}",
        "{\"a\":1,\"b\":2}",
        "{\"a\":{\"a\":{}},\"b\":[{}]}",
        "{ \"a\" : 1 , \"b\" : [ ] }",
        "{\"\":\"\"}",
        "{\"a\":1,\"a\":2}",
        " \t\r\n[\n1\t,\r2 ] \n",
        "\"}\"",
        "\"{[\"",
        "\"\\\"\"",
        "\"\\\\\"",
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000\uFFFF\uabcd\uD83D\uDE00""#,
        // Halves of surrogate pairs, each alone.
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\u0061":1}"#,
        "\"\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}\"",
        "\"seven..\u{e9}\"",
        "\"eight...\u{20ac} and what follows\"",
        "\"\u{1f600}\u{2028}\u{feff}\"",
    ];
    for document in documents {
        let trimmed = document.trim();

        let bytes = document.as_bytes().chunks(1);
        assert_eq!(one(document.as_bytes()), Ok(trimmed.as_bytes()), "{document}");
        assert_eq!(read(bytes, NO_LIMITS), (vec![trimmed.to_owned()], Ok(())), "{document}");
        assert!(serde_json::from_str::<&RawValue>(document).is_ok(), "{document}");
    }
}

#[test]
fn what_is_not_json_is_refused_in_the_words_of_go() {
    // The texts are those of Go 1.26, but where the input ends: there it names a space that is not
    // in it, if a number or a literal is cut.
    let documents: &[(&str, &str)] = &[
        ("this is not json", "invalid character 'h' in literal true (expecting 'r')"),
        ("'x'", r"invalid character '\'' looking for beginning of value"),
        ("}", "invalid character '}' looking for beginning of value"),
        ("]", "invalid character ']' looking for beginning of value"),
        (",", "invalid character ',' looking for beginning of value"),
        ("\\", r"invalid character '\\' looking for beginning of value"),
        ("+1", "invalid character '+' looking for beginning of value"),
        (".5", "invalid character '.' looking for beginning of value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("\u{feff}1", "invalid character 'ï' looking for beginning of value"),
        ("\u{a0}1", "invalid character 'Â' looking for beginning of value"),
        ("\u{c}1", r"invalid character '\f' looking for beginning of value"),
        ("\0", r"invalid character '\x00' looking for beginning of value"),
        ("\u{7f}", r"invalid character '\x7f' looking for beginning of value"),
        ("[,1]", "invalid character ',' looking for beginning of value"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1}", "invalid character '}' after array element"),
        ("[01]", "invalid character '1' after array element"),
        ("[-01]", "invalid character '1' after array element"),
        ("[\"a\":1]", "invalid character ':' after array element"),
        ("[truex]", "invalid character 'x' after array element"),
        ("[1.5.2]", "invalid character '.' after array element"),
        ("[1e5.2]", "invalid character '.' after array element"),
        ("{,}", "invalid character ',' looking for beginning of object key string"),
        ("{1:2}", "invalid character '1' looking for beginning of object key string"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        ("{]", "invalid character ']' looking for beginning of object key string"),
        ("{\"a\"}", "invalid character '}' after object key"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":}", "invalid character '}' looking for beginning of value"),
        ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
        ("{\"a\":1]", "invalid character ']' after object key:value pair"),
        ("{\"a\":[1,2]{", "invalid character '{' after object key:value pair"),
        ("[fal,", "invalid character ',' in literal false (expecting 's')"),
        ("[nul ", "invalid character ' ' in literal null (expecting 'l')"),
        ("[tRue", "invalid character 'R' in literal true (expecting 'r')"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("[--1", "invalid character '-' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1.e5", "invalid character 'e' after decimal point in numeric literal"),
        ("[1.]", "invalid character ']' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("1e+]", "invalid character ']' in exponent of numeric literal"),
        ("1e++1", "invalid character '+' in exponent of numeric literal"),
        ("\"\n\"", r"invalid character '\n' in string literal"),
        ("\"\u{1f}\"", r"invalid character '\x1f' in string literal"),
        ("\"and behind eight bytes \0", r"invalid character '\x00' in string literal"),
        ("\"\t", r"invalid character '\t' in string literal"),
        ("\"\u{7}", r"invalid character '\a' in string literal"),
        ("\"\u{8}", r"invalid character '\b' in string literal"),
        ("\"\u{b}", r"invalid character '\v' in string literal"),
        ("\"\r", r"invalid character '\r' in string literal"),
        (r#""\x""#, "invalid character 'x' in string escape code"),
        (r#""\U0000""#, "invalid character 'U' in string escape code"),
        (r#""\'""#, r"invalid character '\'' in string escape code"),
        ("\"\\\u{e9}", "invalid character 'Ã' in string escape code"),
        (r#""\u12g4""#, r"invalid character 'g' in \u hexadecimal character escape"),
        (r#""\u""#, "invalid character '\"' in \\u hexadecimal character escape"),
        (r#"{"\u00"#, "unexpected end of JSON input"),
        ("", "unexpected end of JSON input"),
        (" \n", "unexpected end of JSON input"),
        ("\"", "unexpected end of JSON input"),
        ("\"a\\", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("[1,", "unexpected end of JSON input"),
        ("{\"a\":1", "unexpected end of JSON input"),
        ("tru", "unexpected end of JSON input"),
        ("1 x", "invalid character 'x' after top-level value"),
        ("1x", "invalid character 'x' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
        ("{}{", "invalid character '{' after top-level value"),
        ("[]\0", r"invalid character '\x00' after top-level value"),
        ("\"a\"\u{ad}", "invalid character 'Â' after top-level value"),
    ];
    for (document, text) in documents {
        let error = one(document.as_bytes()).unwrap_err();

        assert_eq!(error.to_string(), *text, "{document:?}");
        assert!(serde_json::from_str::<&RawValue>(document).is_err(), "{document:?}");
    }
}

#[test]
fn what_is_neither_ascii_nor_printable_is_escaped_in_texts() {
    let quoted = |byte: u8| {
        let text = one(&[byte]).unwrap_err().to_string();
        text.strip_suffix(" looking for beginning of value").map(str::to_owned).unwrap()
    };

    assert_eq!(quoted(0x80), r"invalid character '\u0080'");
    assert_eq!(quoted(0xa0), r"invalid character '\u00a0'");
    assert_eq!(quoted(0xad), r"invalid character '\u00ad'");
    assert_eq!(quoted(0xff), "invalid character 'ÿ'");
}

#[test]
fn strings_hold_every_code_point_and_no_other_bytes() {
    for code in (0x20..0x3000).chain(0xd000..0x1_1000).chain(0x10_f000..0x11_0000) {
        let Some(letter) = char::from_u32(code).filter(|c| !['"', '\\'].contains(c)) else {
            continue;
        };
        let document = format!("\"{letter}\"");
        assert_eq!(one(document.as_bytes()), Ok(document.as_bytes()), "{code:x}");
    }
    let refused: &[&[u8]] = &[
        b"\x80",             // a tail without a head
        b"\xbf",             //
        b"\xc0\x80",         // NUL in two bytes
        b"\xc1\xbf",         // U+7F in two bytes
        b"\xc2\"",           // a head without its tail
        b"\xc2\xc2",         //
        b"\xe0\x9f\xbf",     // U+7FF in three bytes
        b"\xe2\x82\"",       // the last byte of a euro sign is missing
        b"\xe2\x82\\",       //
        b"\xe2\x82\x7f",     // or is none that may be last
        b"\xe2\x82\xc0",     //
        b"\xf0\x9f\xc0\x80", // nor that may be last but one
        b"\xed\xa0\x80",     // half of a surrogate pair
        b"\xed\xbf\xbf",     // the other half
        b"\xf0\x8f\xbf\xbf", // U+FFFF in four bytes
        b"\xf0\x9f\x98 ",    // a face without its last byte
        b"\xf4\x90\x80\x80", // U+110000
        b"\xf5\x80\x80\x80", // beyond
        b"\xff",             // nowhere in UTF-8
    ];
    for bytes in refused {
        for before in ["\"", "\"1234567", "{\"\u{e9}"] {
            let stream = [before.as_bytes(), bytes, b"\""].concat();
            let expected = error_of(&stream);

            assert!(matches!(expected, Some(ScanError::Utf8 { .. })), "{bytes:x?} {expected:?}");
            assert!(serde_json::from_slice::<&RawValue>(&stream).is_err(), "{bytes:x?}");
            for cut in 1..stream.len() {
                let (near, far) = stream.split_at(cut);
                let got = read([near, far], NO_LIMITS);
                assert_eq!(got, (vec![], Err(expected.unwrap())), "{bytes:x?} cut at {cut}");
            }
        }
    }
    assert_eq!(
        error_of(b"\"\xff").unwrap().to_string(),
        "invalid UTF-8 in string literal: byte 0xff"
    );
}

#[test]
fn bytes_beyond_ascii_are_refused_outside_strings() {
    for before in ["", "[", "[1", "{", "{\"a\"", "{\"a\":1", "tr", "-", "1e", "[\"a\""] {
        for byte in 0x80..=0xff {
            let error = error_of([before.as_bytes(), &[byte]].concat());

            assert!(
                matches!(error, Some(ScanError::Syntax { byte: b, .. }) if b == byte),
                "{before} {byte:x} {error:?}"
            );
        }
    }
}

#[test]
fn values_back_to_back_are_told_apart_wherever_they_are_cut() {
    let values = [
        r#"{"method":"}","params":["\"","{[","]\\"]}"#,
        r#"{"a":"}{"}"#,
        r#"["\u005d]",{}]"#,
        "{}",
        "[]",
        "\"\"",
        "\"é\u{20ac}\u{1f600}\"",
        "true",
        "null",
        "[1]",
        "false",
    ];
    let stream = values.concat().into_bytes();

    for cut in 0..=stream.len() {
        let (near, far) = stream.split_at(cut);
        let (got, end) = read([near, far], ScanLimits::default());
        assert_eq!(got, values, "cut at {cut}");
        assert_eq!(end, Ok(()), "cut at {cut}");
    }
    let (got, end) = read(stream.chunks(1), ScanLimits::default());
    assert_eq!((got.as_slice(), end), (values.map(str::to_owned).as_slice(), Ok(())));
}

#[test]
fn a_value_is_handed_out_at_its_last_byte() {
    for document in ["{\"a\":[1]}", "[[]]", "\"a\\\"\"", "true", "false", "null"] {
        let mut scanner = Scanner::new(ScanLimits::default());
        let (before, _) = document.as_bytes().split_at(document.len() - 1);

        assert_eq!(scanner.scan(before), Ok(Scan::Incomplete { discard: 0 }), "{document}");
        assert_eq!(scanner.scan(document.as_bytes()), Ok(Scan::Value(0..document.len())));
    }
}

#[test]
fn a_number_ends_at_the_byte_behind_it_or_with_the_input() {
    let mut scanner = Scanner::new(ScanLimits::default());

    assert_eq!(scanner.scan(b" 12"), Ok(Scan::Incomplete { discard: 1 }));
    assert_eq!(scanner.scan(b"12"), Ok(Scan::Incomplete { discard: 0 }));
    assert_eq!(scanner.scan(b"123 4"), Ok(Scan::Value(0..3)));
    assert_eq!(scanner.scan(b" 4"), Ok(Scan::Incomplete { discard: 1 }));
    assert_eq!(scanner.finish(b"4"), Ok(Some(0..1)));
    assert_eq!(scanner.finish(b""), Ok(None));

    for (stream, values) in [
        ("1{}", vec!["1", "{}"]),
        ("1\"a\"-2", vec!["1", "\"a\"", "-2"]),
        ("00", vec!["0", "0"]),
        ("1.5e3true", vec!["1.5e3", "true"]),
    ] {
        let (got, end) = read(stream.as_bytes().chunks(1), ScanLimits::default());
        assert_eq!((got, end), (values.into_iter().map(str::to_owned).collect(), Ok(())));
    }
    for stream in ["-", "1.", "1e", "1e+", "[1"] {
        let (got, end) = read([stream], ScanLimits::default());
        assert_eq!((got, end), (vec![], Err(ScanError::UnexpectedEnd)), "{stream}");
    }
}

#[test]
fn the_end_of_the_input_finds_every_value_that_was_not_taken_yet() {
    let mut reader = Reader::new(ScanLimits::default());
    reader.buffer.extend_from_slice(b" {} [1] 23 \n");

    assert_eq!(reader.finish(), Ok(()));

    assert_eq!(reader.values, ["{}", "[1]", "23"]);
    assert_eq!(reader.scanner.finish(b"  "), Ok(None));
}

#[test]
fn white_space_between_values_is_discarded_and_counts_for_nothing() {
    let limits = ScanLimits { max_bytes: 2, max_depth: 1 };
    let mut scanner = Scanner::new(limits);

    for _ in 0..100 {
        assert_eq!(scanner.scan(b" \t\r\n"), Ok(Scan::Incomplete { discard: 4 }));
    }
    assert_eq!(scanner.scan(b" \n{"), Ok(Scan::Incomplete { discard: 2 }));
    assert_eq!(scanner.scan(b"{} "), Ok(Scan::Value(0..2)));
    assert_eq!(scanner.finish(b" \n"), Ok(None));
}

#[test]
fn bytes_of_an_earlier_call_are_not_looked_at_again() {
    let document = "{\"a\\n\u{e9}\":[1,2.5,true,{\"b\":\"\\u00e9}\"}]}".as_bytes();
    let mut scanner = Scanner::new(ScanLimits::default());

    for seen in 1..document.len() {
        let mut spoilt = document[..seen].to_vec();
        spoilt[..seen - 1].fill(0xff);
        assert_eq!(scanner.scan(&spoilt), Ok(Scan::Incomplete { discard: 0 }), "{seen}");
    }

    assert_eq!(scanner.scan(document), Ok(Scan::Value(0..document.len())));
}

#[test]
fn an_object_left_open_is_refused_at_the_next_one() {
    let mut reader = Reader::new(ScanLimits::default());

    assert_eq!(reader.read(br#"{"jsonrpc":"2.0","id":22,"params":[1,2]"#), Ok(()));
    let error = reader.read(b"{").unwrap_err();

    assert_eq!(error.to_string(), "invalid character '{' after object key:value pair");
    assert!(reader.values.is_empty());
}

#[test]
fn an_error_is_final() {
    for (bad, error) in [
        (&b"  {x"[..], ScanError::Syntax { byte: b'x', context: Context::Key }),
        (b" \"\xff", ScanError::Utf8 { byte: 0xff }),
        (b" [[[", ScanError::TooDeep { limit: 2 }),
        (b" \"345678\"", ScanError::TooLarge { limit: 7 }),
    ] {
        let mut scanner = Scanner::new(ScanLimits { max_bytes: 7, max_depth: 2 });

        assert_eq!(scanner.scan(bad), Err(error));
        assert_eq!(scanner.scan(b"{}"), Err(error));
        assert_eq!(scanner.finish(b""), Err(error));
    }
    let mut scanner = Scanner::new(ScanLimits::default());
    assert_eq!(scanner.finish(b"["), Err(ScanError::UnexpectedEnd));
    assert_eq!(scanner.scan(b"[]"), Err(ScanError::UnexpectedEnd));
}

#[test]
fn the_recorded_conversations_are_split_and_refused_as_the_original_did() {
    let transcript: Value =
        serde_json::from_str(include_str!("../../tests/vectors/rpc_ipc_transcript.json")).unwrap();

    // One section is one connection.
    for section in transcript["sections"].as_array().unwrap() {
        let title = section["title"].as_str().unwrap();
        let entries = section["exchange"].as_array().unwrap();
        let bytes_of = |side| {
            let of_side = entries.iter().filter(move |entry| entry["direction"] == side);
            of_side.filter_map(|entry| entry["bytes"].as_str())
        };
        let refusal = bytes_of("server").find_map(|line| {
            let answer: Value = serde_json::from_str(line).unwrap();
            let is_parse_error = answer["error"]["code"] == -32700;
            is_parse_error.then(|| answer["error"]["message"].as_str().unwrap().to_owned())
        });
        let expected = refusal.unwrap_or_default();

        let (values, end) = read(bytes_of("client"), ScanLimits::default());

        let text = end.map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(text, expected, "{title}");
        for value in values {
            assert!(serde_json::from_str::<Value>(&value).is_ok(), "{title}: {value}");
        }
    }
}
