//! RLP as go-ethereum decodes it: each type with the decoder that our crates use for it.

use alloy_rlp::{RlpDecodable, RlpEncodable, encode};
use bytes::Bytes;
use enode::rlp::{self, Error, Item, Kind, ListReader, decode_exact};
use serde::Deserialize;
use serde_json::Value;

use super::{hex, load};

#[test]
fn values_decode_as_in_go_ethereum_or_are_refused() {
    for case in load::<Vectors>("rlp.json").decode {
        let name = format!("{} as {}", case.rlp, case.kind);
        let decoded = decode(&case.kind, &hex(&case.rlp));

        match case.error {
            Some(_) => assert!(decoded.is_err(), "{name}: {decoded:?} was accepted"),
            None => assert_eq!(decoded, Ok(case.value.unwrap()), "{name}"),
        }
    }
}

#[test]
fn values_encode_as_in_go_ethereum() {
    for case in load::<Vectors>("rlp.json").encode {
        let encoded = encode_described(&case.value);

        assert_eq!(case.error, None, "{}: we can encode this", case.value);
        if let Some(bytes) = &case.rlp {
            assert_eq!(const_hex::encode(&encoded), *bytes, "{}", case.value);
        } else {
            let first_16 = case.rlp_first_16.unwrap();
            assert_eq!(const_hex::encode(&encoded[..16]), first_16, "{}", case.value);
        }
        assert_eq!(encoded.len(), case.rlp_len.unwrap_or(encoded.len()), "{}", case.value);
    }
}

#[test]
fn input_splits_into_first_value_and_rest() {
    for case in load::<Vectors>("rlp.json").split {
        let input = hex(&case.rlp);

        let split = rlp::split(&input);
        assert_eq!(split.is_ok(), case.error.is_none(), "{}: {split:?}", case.rlp);
        if let Ok((item, rest)) = split {
            assert_eq!(Some(const_hex::encode(item.payload)), case.content, "{}", case.rlp);
            assert_eq!(Some(const_hex::encode(rest)), case.rest, "{}", case.rlp);
            assert_eq!(Some(format!("{:?}", item.kind)), case.kind, "{}", case.rlp);
            assert_eq!([item.encoded, rest].concat(), input, "{}", case.rlp);
        }

        let count = rlp::count(&input).ok();
        assert_eq!(count, case.values_at_top_level, "{}", case.rlp);
        assert_eq!(count.is_none(), case.count_error.is_some(), "{}", case.rlp);
    }
}

/// Decodes the whole of `input` as the named type and prints it as the file does.
fn decode(kind: &str, input: &[u8]) -> Result<String, Error> {
    match kind {
        "uint8" => decode_exact::<u8>(input).map(|value| value.to_string()),
        "uint16" => decode_exact::<u16>(input).map(|value| value.to_string()),
        "uint32" => decode_exact::<u32>(input).map(|value| value.to_string()),
        "uint64" => decode_exact::<u64>(input).map(|value| value.to_string()),
        "bigint" => whole(input)?.integer().map(decimal),
        "bool" => decode_exact::<bool>(input).map(|value| value.to_string()),
        "bytes" | "string" => decode_exact::<Bytes>(input).map(const_hex::encode),
        "bytes1" => decode_exact::<[u8; 1]>(input).map(const_hex::encode),
        "bytes4" => decode_exact::<[u8; 4]>(input).map(const_hex::encode),
        "uints" => decode_exact::<Vec<u64>>(input).map(|values| list(&values)),
        "uints3" => decode_exact::<Three>(input).map(|three| list(&[three.a, three.b, three.c])),
        "strings" => decode_exact::<Vec<Bytes>>(input).map(|texts| list(&quoted(&texts))),
        "two" => decode_exact::<Two>(input).map(|two| two.to_string()),
        "tail" => tail(input),
        "nest" => decode_exact::<Nest>(input).map(|nest| nest.to_string()),
        "raw" => raw(input),
        "withraw" => with_raw(input),
        "opt" => optional(input),
        "any" => any(&whole(input)?, 0),
        other => panic!("unknown type {other:?}"),
    }
}

fn tail(input: &[u8]) -> Result<String, Error> {
    let mut fields = ListReader::exact(input)?;
    let first: u64 = fields.next()?;
    let mut tail: Vec<u64> = Vec::new();
    while let Some(next) = fields.next_optional()? {
        tail.push(next);
    }
    Ok(format!("[{first} tail={}]", list(&tail)))
}

fn raw(input: &[u8]) -> Result<String, Error> {
    match rlp::split_raw(input)? {
        (item, []) => Ok(const_hex::encode(item.encoded)),
        _ => Err(Error::UnexpectedLength),
    }
}

fn with_raw(input: &[u8]) -> Result<String, Error> {
    let mut fields = ListReader::exact(input)?;
    let first: u64 = fields.next()?;
    let second = fields.next_raw()?;
    fields.finish()?;
    Ok(format!("[{first} {}]", const_hex::encode(second)))
}

fn optional(input: &[u8]) -> Result<String, Error> {
    let mut fields = ListReader::exact(input)?;
    let (first, second): (u64, u64) = (fields.next()?, fields.next()?);
    let last = fields.next_item()?;
    fields.finish()?;
    let last = match last.payload {
        [] => "nil".to_owned(),
        _ => decode_exact::<Two>(last.encoded)?.to_string(),
    };
    Ok(format!("[{first} {second} {last}]"))
}

/// A value of any shape; none of our own types is nested deeper than this allows.
fn any(item: &Item<'_>, depth: usize) -> Result<String, Error> {
    if item.kind != Kind::List {
        return Ok(format!("0x{}", const_hex::encode(item.bytes()?)));
    }
    if depth == 16 {
        return Err(Error::Custom("nested too deep"));
    }
    let mut fields = item.list()?;
    let mut values = Vec::new();
    while !fields.is_empty() {
        values.push(any(&fields.next_item()?, depth + 1)?);
    }
    Ok(list(&values))
}

/// The item that is the whole of `input`.
fn whole(input: &[u8]) -> Result<Item<'_>, Error> {
    match rlp::split(input)? {
        (item, []) => Ok(item),
        _ => Err(Error::UnexpectedLength),
    }
}

#[derive(RlpDecodable, RlpEncodable)]
struct Two {
    a: u64,
    b: u64,
}

impl std::fmt::Display for Two {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} {}]", self.a, self.b)
    }
}

#[derive(RlpDecodable)]
struct Three {
    a: u64,
    b: u64,
    c: u64,
}

#[derive(RlpDecodable)]
struct Nest {
    text: Bytes,
    parts: Vec<Bytes>,
    two: Two,
}

impl std::fmt::Display for Nest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(const_hex::encode).collect();
        let text = String::from_utf8_lossy(&self.text);
        write!(f, "[{text:?} {} {}]", list(&parts), self.two)
    }
}

/// Names from the wire may be any bytes; these are quoted as Go quotes them.
fn quoted(texts: &[Bytes]) -> Vec<String> {
    texts.iter().map(|text| format!("{:?}", String::from_utf8_lossy(text))).collect()
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    format!("[{}]", values.join(" "))
}

/// Prints big-endian bytes as a decimal number, digit by digit.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            let sum = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(sum % 10).unwrap();
            carry = sum / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

/// Encodes what the words of the file describe.
fn encode_described(value: &str) -> Vec<u8> {
    let (what, rest) = value.split_once(' ').unwrap();
    let words: Vec<&str> = rest.split(' ').collect();
    match (what, &*words) {
        ("integer", [number]) => encode_integer(number),
        ("bool", [value]) => encode(value.parse::<bool>().unwrap()),
        ("empty", ["string"]) => encode(""),
        ("empty", ["list"]) => encode(Vec::<u64>::new()),
        ("byte", ["string", digits]) => encode(&*hex(digits)),
        ("byte", ["string", "of", count, "times", digit]) => {
            encode(&*hex(digit).repeat(count.parse().unwrap()))
        }
        ("list", ["of", count, "zeros"]) => encode(vec![0_u64; count.parse().unwrap()]),
        ("list", ["of", count, "times", word, ..]) => {
            encode(vec![word.to_owned(); count.parse().unwrap()])
        }
        ("list", _) => encode(rest.trim_matches(['[', ']']).split(", ").collect::<Vec<_>>()),
        ("struct", _) => {
            let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
            let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
            match *numbers {
                [a, b] if !rest.contains("tail") => encode(Two { a, b }),
                _ => encode(numbers),
            }
        }
        _ => panic!("unknown description {value:?}"),
    }
}

/// Encodes a number of any size: as `u64` where it fits, as its significant bytes otherwise.
fn encode_integer(number: &str) -> Vec<u8> {
    let number = match number.strip_prefix("0x") {
        Some(digits) if digits.len() > 16 => {
            let padded = format!("{}{digits}", if digits.len() % 2 == 0 { "" } else { "0" });
            return encode(&*hex(&padded));
        }
        Some(digits) => u64::from_str_radix(digits, 16),
        None => number.parse(),
    };
    encode(number.unwrap())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: Value,
    decode: Vec<Decode>,
    encode: Vec<Encode>,
    split: Vec<Split>,
}

#[derive(Deserialize)]
struct Decode {
    rlp: String,
    #[serde(rename = "type")]
    kind: String,
    value: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Encode {
    value: String,
    error: Option<String>,
    rlp: Option<String>,
    rlp_first_16: Option<String>,
    rlp_len: Option<usize>,
}

#[derive(Deserialize)]
struct Split {
    rlp: String,
    error: Option<String>,
    kind: Option<String>,
    content: Option<String>,
    rest: Option<String>,
    values_at_top_level: Option<usize>,
    count_error: Option<String>,
}
