//! Any JSON, spoilt JSON and any bytes, in any pieces: one verdict, and it is that of serde.

use super::*;

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
