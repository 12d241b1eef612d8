//! Tests of the scanner.

#![allow(clippy::arithmetic_side_effects, reason = "a test may fail")]

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
fn a_depth_of_128_is_accepted_and_129_is_refused_at_the_bracket() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = open.matches(['[', '{']).count();
        let deep = |depth: usize| open.repeat(depth / levels);
        let accepted = format!("{}1{}", deep(128), close.repeat(128 / levels));

        assert_eq!(one(accepted.as_bytes()), Ok(accepted.as_bytes()));
        assert_eq!(error_of(deep(128)), None);
        for bracket in ["[", "{"] {
            let error = error_of(deep(128) + bracket);
            assert_eq!(error, Some(ScanError::TooDeep { limit: 128 }));
        }
    }
    assert_eq!(ScanError::TooDeep { limit: 128 }.to_string(), "exceeded max depth");

    let beside = format!("[{}]", vec!["[[]]"; 1000].join(","));
    assert_eq!(one(beside.as_bytes()), Ok(beside.as_bytes()));
}

#[test]
fn brackets_match_at_any_depth() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 192, 1000] {
        for pattern in ["[", "{", "[[{", "{[", "[{{"] {
            let brackets: String = pattern.chars().cycle().take(depth).collect();
            let open = brackets.replace('{', "{\"\":");
            let close: Vec<_> =
                brackets.chars().rev().map(|c| if c == '[' { ']' } else { '}' }).collect();
            let document = format!("{open}0{}", close.iter().collect::<String>());

            assert_eq!(whole(document.as_bytes(), NO_LIMITS), Ok(0..document.len()), "{depth}");
            for wrong in [0, depth / 2, depth - 1] {
                let mut close = close.clone();
                close[wrong] = if close[wrong] == ']' { '}' } else { ']' };
                let document = format!("{open}0{}", close.iter().collect::<String>());

                let context = match close[wrong] {
                    ']' => Context::AfterMember,
                    _ => Context::AfterElement,
                };
                let byte = u8::try_from(close[wrong]).unwrap();
                let error = ScanError::Syntax { byte, context };
                assert_eq!(whole(document.as_bytes(), NO_LIMITS), Err(error), "{depth} {wrong}");
            }
        }
    }
}

#[test]
fn the_first_byte_over_the_limit_refuses_a_value_even_if_it_would_complete_it() {
    for document in ["\"3456\"", "[1,2,3]", "{\"a\":1}", "false", "[    ]", "[\"\u{20ac}\"]"] {
        let size = document.len();
        for (max_bytes, accepted) in [(size, true), (size - 1, false)] {
            let limits = ScanLimits { max_bytes, max_depth: 1 };
            let expected = match accepted {
                true => (vec![document.to_owned()], Ok(())),
                false => (vec![], Err(ScanError::TooLarge { limit: max_bytes })),
            };

            assert_eq!(read([document], limits), expected);
            assert_eq!(read(document.as_bytes().chunks(1), limits), expected);
            assert_eq!(read([&format!(" {document} ")], limits), expected);
        }
    }
    let text = ScanError::TooLarge { limit: 7 }.to_string();
    assert_eq!(text, "value is over the limit of 7 bytes");
}

#[test]
fn a_number_of_just_the_limit_is_ended_by_what_is_behind_it() {
    let limits = ScanLimits { max_bytes: 3, max_depth: 1 };
    let too_large = Err(ScanError::TooLarge { limit: 3 });

    for (stream, values, end) in [
        ("123", vec!["123"], Ok(())),
        ("123 ", vec!["123"], Ok(())),
        ("123{}", vec!["123", "{}"], Ok(())),
        ("1234", vec![], too_large),
        ("123.", vec![], too_large),
        ("12.x", vec![], too_large),
        ("-12e", vec![], too_large),
    ] {
        let expected = (values.into_iter().map(str::to_owned).collect(), end);
        assert_eq!(read([stream], limits), expected, "{stream}");
        assert_eq!(read(stream.as_bytes().chunks(1), limits), expected, "{stream}");
    }
}

#[test]
fn what_spoils_a_value_within_the_limit_is_said_before_its_size() {
    let limits = ScanLimits { max_bytes: 3, max_depth: 1 };

    let (_, end) = read(["[1}2345]"], limits);

    assert_eq!(end, Err(ScanError::Syntax { byte: b'}', context: Context::AfterElement }));
}

#[test]
fn a_string_without_end_is_refused_at_32_mib_and_one_byte() {
    let limit = 32 * 1024 * 1024;
    let mut buffer = vec![b'a'; limit + 1];
    buffer[0] = b'"';
    let mut scanner = Scanner::new(ScanLimits::default());

    // As it arrives, 64 KiB at a time.
    for received in (0..=limit).step_by(64 * 1024) {
        assert_eq!(scanner.scan(&buffer[..received]), Ok(Scan::Incomplete { discard: 0 }));
    }
    assert_eq!(scanner.scan(&buffer), Err(ScanError::TooLarge { limit }));

    buffer[limit - 1] = b'"';
    assert_eq!(whole(&buffer[..limit], ScanLimits::default()), Ok(0..limit));
    buffer[limit - 1] = b'a';
    buffer[limit] = b'"';
    assert_eq!(one(&buffer), Err(ScanError::TooLarge { limit }));
}

#[test]
fn what_is_remembered_of_a_value_is_small() {
    let mut scanner = Scanner::new(NO_LIMITS);

    assert!(size_of::<Scanner>() <= 128, "{}", size_of::<Scanner>());
    assert_eq!(scanner.scan("[".repeat(64).as_bytes()), Ok(Scan::Incomplete { discard: 0 }));
    assert_eq!(scanner.nesting.allocated(), 0);
    assert_eq!(scanner.scan("[".repeat(128 * 64).as_bytes()), Ok(Scan::Incomplete { discard: 0 }));
    assert!(scanner.nesting.allocated() <= 2 * 128, "{}", scanner.nesting.allocated());
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

proptest! {
    #[test]
    fn json_is_accepted_in_any_pieces_and_by_serde(
        json in json(),
        lengths in any::<[u8; 4]>(),
    ) {
        prop_assert_eq!(one(json.as_bytes()), Ok(trim(&json).as_bytes()));

        fuzz::scan(&[&lengths, json.as_bytes()].concat());
    }

    #[test]
    fn spoilt_json_has_one_verdict_in_any_pieces_and_it_is_that_of_serde(
        json in json(),
        edits in vec(edit(), 1..4),
        lengths in any::<[u8; 4]>(),
    ) {
        let mut document = json.into_bytes();
        for edit in edits {
            edit.apply(&mut document);
        }

        fuzz::scan(&[&lengths, &document[..]].concat());
    }

    #[test]
    fn a_stream_gives_the_values_it_was_made_of(
        values in vec((json(), "[ \t\r\n]{1,3}"), 0..5),
        lengths in vec(1..40_usize, 1..10),
    ) {
        let stream: String = values.iter().flat_map(|(json, space)| [&json[..], space]).collect();

        let (got, end) = read(pieces(stream.as_bytes(), &lengths), ScanLimits::default());

        let want: Vec<_> = values.iter().map(|(json, _)| trim(json).to_owned()).collect();
        prop_assert_eq!((got, end), (want, Ok(())));
    }

    #[test]
    fn a_value_cut_short_is_waited_for_and_nothing_worse(json in json(), cut in any::<Index>()) {
        let json = format!("[{json}]");
        let cut = cut.index(json.len());
        let mut reader = Reader::new(ScanLimits::default());

        prop_assert_eq!(reader.read(&json.as_bytes()[..cut]), Ok(()));

        prop_assert!(reader.values.is_empty());
        let end = if cut == 0 { Ok(()) } else { Err(ScanError::UnexpectedEnd) };
        prop_assert_eq!(reader.finish(), end);
    }

    #[test]
    fn the_limit_of_bytes_is_exact_in_any_pieces(
        json in json(),
        lengths in vec(1..40_usize, 1..10),
    ) {
        let value = trim(&json);
        let with = |max_bytes| {
            let limits = ScanLimits { max_bytes, ..NO_LIMITS };
            read(pieces(value.as_bytes(), &lengths), limits)
        };

        prop_assert_eq!(with(value.len()), (vec![value.to_owned()], Ok(())));
        let limit = value.len() - 1;
        prop_assert_eq!(with(limit), (vec![], Err(ScanError::TooLarge { limit })));
    }

    #[test]
    fn any_bytes_are_survived(data in vec(any::<u8>(), 0..64)) {
        fuzz::scan(&data);
    }

    #[test]
    fn strings_of_any_bytes_are_accepted_if_they_are_json(
        bytes in vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\\'), 1 => b'a'..=b'z'], 0..24),
        padding in 0..9_usize,
        lengths in any::<[u8; 4]>(),
    ) {
        let padding = "a".repeat(padding);

        fuzz::scan(&[&lengths, padding.as_bytes(), b"\"", &bytes, b"\""].concat());
        fuzz::scan(&[&lengths[..], b"\"", padding.as_bytes(), &bytes, b"\""].concat());
    }
}

/// JSON in every form a writer may choose.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|false",
        r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,3})?",
        text(),
    ];
    let value = leaf.prop_recursive(6, 64, 5, |inner| {
        let element = (space(), inner, space());
        let element = element.prop_map(|(before, value, after)| before + &value + &after);
        let element = element.boxed();
        let member = (space(), text(), space(), element.clone());
        let member = member.prop_map(|(a, key, b, value)| a + &key + &b + ":" + &value);
        prop_oneof![
            vec(element, 1..5).prop_map(|elements| format!("[{}]", elements.join(","))),
            vec(member, 1..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            space().prop_map(|space| format!("[{space}]")),
            space().prop_map(|space| format!("{{{space}}}")),
        ]
    });
    (space(), value, space()).prop_map(|(before, value, after)| before + &value + &after)
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z ]{0,20}",
        r#"[^\x00-\x1f"\\]{0,6}"#,
        r#"\\[bfnrt"/\\]"#,
        r"\\u[0-9a-fA-F]{4}",
        r#"[{}\[\],:]"#,
    ];
    vec(part, 0..5).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

/// One thing that may go wrong with a document.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, u8),
    Replace(Index, u8),
    Remove(Index),
    Truncate(Index),
}

impl Edit {
    fn apply(self, document: &mut Vec<u8>) {
        match self {
            Self::Insert(at, byte) => document.insert(at.index(document.len() + 1), byte),
            _ if document.is_empty() => {}
            Self::Replace(at, byte) => *at.get_mut(document) = byte,
            Self::Remove(at) => {
                document.remove(at.index(document.len()));
            }
            Self::Truncate(at) => document.truncate(at.index(document.len())),
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![
        any::<u8>(),
        proptest::sample::select(&b"{}[]\",:\\ \n0123456789+-.eEtfnu\x80\xbf\xc3\xe2\xf0"[..]),
    ];
    prop_oneof![
        3 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        3 => (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => any::<Index>().prop_map(Edit::Remove),
        1 => any::<Index>().prop_map(Edit::Truncate),
    ]
}

/// Without the white space of JSON; that of Unicode stays.
fn trim(json: &str) -> &str {
    json.trim_matches([' ', '\t', '\n', '\r'])
}

/// The stream in pieces of these lengths, over and over.
fn pieces<'a>(stream: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = stream;
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        let length = rest.len().min(*lengths.next()?);
        (length > 0).then(|| rest.split_off(..length)).flatten()
    })
}
