//! How deep a value may be, and how large; and what is remembered of one.

use super::*;

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
