//! The rows of test T-25 that are about tokens, and what else may be wrong with one.

use proptest::prelude::*;
use sha2::Sha512;

use super::*;

/// The moment of all tests, in seconds since 1970.
const NOW: u64 = 1_700_000_000;

/// `{"alg":"HS256","typ":"JWT"}` and `{"iat":1700000000}`, signed with 00 01 … 1f.
///
/// Made with Python's `hmac`, as are the other tokens written out here.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9.\
                     uAxdaUtr1_HpYPtNDLNlQ_sHMiP5eBV-ra8EjL3ScS8";

/// `{"alg":"HS256"}` and `{"exp":1700000030.5,"iat":1700000000,"sub":"cl"}`.
const SHORT_LIVED: &str = "eyJhbGciOiJIUzI1NiJ9.\
     eyJleHAiOjE3MDAwMDAwMzAuNSwiaWF0IjoxNzAwMDAwMDAwLCJzdWIiOiJjbCJ9.\
     _41rTwBGtUKPmuBE4muYYnH0O0Kz4slgWzQnS4f-ufA";

/// `{"alg":"HS512","typ":"JWT"}` and `{"iat":1700000000}`.
const HS512: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9.\
     VJEPIDbtTKS0K8ut0x8XxmJnjMPkKRfNmaNk22ZqUuT1sAK8R95P9YMAa9arWwJXtPvF5avYJ5n5WC6oXTqYTw";

fn secret() -> JwtSecret {
    JwtSecret::from_bytes(&std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

/// The text of the answer to requests with these headers, or nothing if they are let in.
fn refusal(headers: &[&str], now: u64) -> Option<String> {
    let values = headers.iter().map(|value| value.as_bytes());
    secret().verify(values, now).err().map(|error| error.to_string())
}

fn refusal_of(token: &str) -> Option<String> {
    refusal(&[&format!("Bearer {token}")], NOW)
}

/// A token with this header and these claims, signed as the algorithm asks for.
fn token(header: &str, claims: &str) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let signature = if header.contains("HS512") {
        let mac = Hmac::<Sha512>::new_from_slice(secret().bytes()).unwrap();
        mac.chain_update(&signed).finalize().into_bytes().to_vec()
    } else if header.contains("RS256") {
        vec![0x5a; 256]
    } else if header.contains("none") {
        Vec::new()
    } else {
        secret().signature(signed.as_bytes()).to_vec()
    };
    format!("{signed}.{}", encode(&signature))
}

fn with_claims(claims: &str) -> String {
    token(r#"{"alg":"HS256","typ":"JWT"}"#, claims)
}

#[test]
fn a_token_is_what_another_program_makes_of_the_same_secret() {
    assert_eq!(secret().token(NOW), TOKEN);
    assert_eq!(with_claims(r#"{"iat":1700000000}"#), TOKEN);
    assert_eq!(token(r#"{"alg":"HS512","typ":"JWT"}"#, r#"{"iat":1700000000}"#), HS512);
    assert_eq!(refusal_of(TOKEN), None);
    assert_eq!(refusal_of(SHORT_LIVED), None);
}

#[test]
fn every_algorithm_with_every_time_and_number_of_headers_has_its_answer() {
    let algorithms = [
        ("HS256", None),
        ("none", Some("signing method none is invalid")),
        ("HS512", Some("signing method HS512 is invalid")),
        ("RS256", Some("signing method RS256 is invalid")),
    ];
    let times = [
        (r#"{"iat":1700000000}"#, None),
        (r#"{"iat":1699999939}"#, Some("stale token")),
        (r#"{"iat":1700000061}"#, Some("future token")),
        ("{}", Some("missing issued-at")),
    ];
    for (algorithm, bad_algorithm) in algorithms {
        for (claims, bad_time) in times {
            let token = token(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), claims);
            let header = format!("Bearer {token}");

            let one = refusal(&[&header], NOW);
            let two = refusal(&[&header, &header], NOW);

            assert_eq!(one.as_deref(), bad_algorithm.or(bad_time), "{algorithm} {claims}");
            assert_eq!(two.as_deref(), Some("more than one authorization header"));
        }
    }
    assert_eq!(refusal(&[], NOW).as_deref(), Some("missing token"));
}

#[test]
fn a_token_is_good_for_a_minute_before_and_after_it_was_made() {
    for (now, expected) in [
        (0, Some("future token")),
        (NOW - 61, Some("future token")),
        (NOW - 60, None),
        (NOW + 60, None),
        (NOW + 61, Some("stale token")),
        (u64::MAX, Some("stale token")),
    ] {
        assert_eq!(refusal(&[&format!("Bearer {TOKEN}")], now).as_deref(), expected, "{now}");
    }
}

#[test]
fn times_in_a_token_are_honoured() {
    for (claims, expected) in [
        // From the second of `exp` on, as in go-ethereum.
        (r#"{"iat":1700000000,"exp":1700000001}"#, None),
        (r#"{"iat":1700000000,"exp":1700000000}"#, Some("token is expired")),
        (r#"{"iat":1700000000,"exp":1700000000.9}"#, Some("token is expired")),
        (r#"{"exp":1}"#, Some("token is expired")),
        (r#"{"iat":1,"exp":1}"#, Some("token is expired")),
        (r#"{"iat":1700000000,"exp":null,"nbf":null}"#, None),
        (r#"{"iat":1700000000,"nbf":1700000060}"#, None),
        (r#"{"iat":1700000000,"nbf":1700000061}"#, Some("token is not valid yet")),
        (r#"{"iat":1700000060.9}"#, None),
        (r#"{"iat":1699999940.5}"#, None),
        (r#"{"iat":1.7e9}"#, None),
        (r#"{"iat":-1700000000}"#, Some("stale token")),
        (r#"{"iat":18446744073709551615}"#, Some("future token")),
        (r#"{"iat":1e300}"#, Some("future token")),
        (r#"{"iat":-1e300}"#, Some("stale token")),
        (r#"{"iat":null}"#, Some("missing issued-at")),
        (r#"{"IAT":1700000000}"#, Some("missing issued-at")),
        (r#"{"iat":1e999}"#, Some("token claims are malformed")),
        (r#"{"iat":"1700000000"}"#, Some("token claims are malformed")),
        (r#"{"iat":1700000000,"exp":true}"#, Some("token claims are malformed")),
        (r#"{"iat":1700000000,"nbf":[]}"#, Some("token claims are malformed")),
        ("[1700000000]", Some("token claims are malformed")),
        ("1700000000", Some("token claims are malformed")),
        (r#"{"iat":1700000000} "#, None),
        (r#"{"iat":1700000000}}"#, Some("token claims are malformed")),
        ("", Some("token claims are malformed")),
        (r#"{"iat":1700000000,"iss":7,"aud":{"x":[]}}"#, None),
    ] {
        assert_eq!(refusal_of(&with_claims(claims)).as_deref(), expected, "{claims}");
    }
}

#[test]
fn only_hs256_spelt_so_is_an_algorithm() {
    for (header, expected) in [
        (r#"{"alg":"HS256"}"#, None),
        (r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#, None),
        (r#"{"alg":"None"}"#, Some("signing method (alg) is unavailable.")),
        (r#"{"alg":"hs256"}"#, Some("signing method (alg) is unavailable.")),
        (r#"{"alg":"HS256 "}"#, Some("signing method (alg) is unavailable.")),
        (r#"{"alg":"\u001b[2J"}"#, Some("signing method (alg) is unavailable.")),
        (r#"{"alg":""}"#, Some("signing method (alg) is unavailable.")),
        (r#"{"alg":"EdDSA"}"#, Some("signing method EdDSA is invalid")),
        (r#"{"alg":"HS256","alg":"HS384"}"#, Some("signing method HS384 is invalid")),
        (r#"{"alg":["HS256"]}"#, Some("signing method (alg) is unspecified.")),
        (r#"{"alg":null}"#, Some("signing method (alg) is unspecified.")),
        (r#"{"typ":"JWT"}"#, Some("signing method (alg) is unspecified.")),
        (r#"["HS256"]"#, Some("token header is malformed")),
        (r#"{"alg":"HS256""#, Some("token header is malformed")),
        ("", Some("token header is malformed")),
    ] {
        let token = token(header, r#"{"iat":1700000000}"#);

        assert_eq!(refusal_of(&token).as_deref(), expected, "{header}");
    }
}

#[test]
fn a_token_without_signature_is_refused_whatever_it_claims() {
    let (signed, signature) = TOKEN.rsplit_once('.').unwrap();
    let padded = format!("{signature}=");
    let longer = format!("{signature}AAAA");
    // The last character of 43 stands for four bits; its other two must be zero.
    let sloppy = format!("{}9", &signature[..42]);
    for signature in ["", &signature[..42], &signature[..40], &padded, &longer, &sloppy, "+/+/"] {
        let refusal = refusal_of(&format!("{signed}.{signature}"));

        assert_eq!(refusal.as_deref(), Some("signature is invalid"), "{signature}");
    }
    let other = JwtSecret::from_bytes(&[7; 32]).token(NOW);
    assert_eq!(refusal_of(&other).as_deref(), Some("signature is invalid"));
}

#[test]
fn claims_are_not_believed_before_the_signature() {
    let (signed, _) = with_claims(r#"{"iat":1}"#).rsplit_once('.').map(owned).unwrap();
    assert_eq!(refusal_of(&format!("{signed}.AAAA")).as_deref(), Some("signature is invalid"));

    let (header, _) = TOKEN.split_once('.').unwrap();
    let no_json = format!("{header}.!!!.AAAA");
    assert_eq!(refusal_of(&no_json).as_deref(), Some("signature is invalid"));
}

fn owned((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

#[test]
fn a_header_is_bearer_one_space_and_a_token() {
    for (header, expected) in [
        (format!("Bearer {TOKEN}"), None),
        (format!("bearer {TOKEN}"), None),
        (format!("BEARER {TOKEN}"), None),
        (TOKEN.to_owned(), Some("missing token")),
        (format!("Bearer:{TOKEN}"), Some("missing token")),
        (format!("Bearer: {TOKEN}"), Some("missing token")),
        (format!("Bearer\t{TOKEN}"), Some("missing token")),
        (format!(" Bearer {TOKEN}"), Some("missing token")),
        ("Basic dXNlcjpwYXNz".to_owned(), Some("missing token")),
        ("Bearer".to_owned(), Some("missing token")),
        ("Bearer ".to_owned(), Some("missing token")),
        (String::new(), Some("missing token")),
        (format!("Bearer  {TOKEN}"), Some("token header is malformed")),
        (format!("Bearer \t{TOKEN}"), Some("token header is malformed")),
        (format!("Bearer {TOKEN} "), Some("signature is invalid")),
        (format!("Bearer {TOKEN}\n"), Some("signature is invalid")),
    ] {
        assert_eq!(refusal(&[&header], NOW).as_deref(), expected, "{header:?}");
    }
    assert_eq!(
        refusal(&["", "Bearer "], NOW).as_deref(),
        Some("more than one authorization header")
    );
}

#[test]
fn a_token_has_three_segments() {
    for token in [".", "a", "a.b", "a.b.c.d", "....", &format!("{TOKEN}."), &format!(".{TOKEN}")] {
        let expected = "token contains an invalid number of segments";

        assert_eq!(refusal_of(token).as_deref(), Some(expected), "{token}");
    }
    assert_eq!(refusal_of("..").as_deref(), Some("token header is malformed"));
}

#[test]
fn a_token_over_4_kib_is_not_looked_at() {
    let empty = r#"{"iat":1700000000,"x":""}"#;
    let of_length = |length: usize| {
        let filler = "x".repeat(length - empty.len());
        with_claims(&empty.replace(r#""""#, &format!("\"{filler}\"")))
    };
    // 36 bytes of header, 43 of signature, two dots, and four for each three of claims.
    let longest = of_length(3011);
    let longer = of_length(3012);

    assert_eq!((longest.len(), longer.len()), (4096, 4097));
    assert_eq!(refusal_of(&longest), None);
    let expected = "token of 4097 bytes is over the limit of 4096";
    assert_eq!(refusal_of(&longer).as_deref(), Some(expected));
}

#[test]
fn a_secret_is_64_hex_digits_and_never_printed() {
    let digits = const_hex::encode(secret().bytes());
    for text in [digits.clone(), format!("0x{digits}"), format!(" \n0X{digits}\r\n")] {
        let read = JwtSecret::from_hex(&text).unwrap();

        assert_eq!(read.token(NOW), TOKEN);
        assert_eq!(format!("{read:?}"), "JwtSecret(..)");
    }
    for text in ["", "0x", &digits[1..], &format!("{digits}0"), &digits.replace('0', "g")] {
        let error = JwtSecret::from_hex(text).unwrap_err();

        assert_eq!(error.to_string(), "invalid JWT secret");
    }
}

#[test]
fn a_token_with_any_one_byte_changed_is_refused() {
    for at in 0..TOKEN.len() {
        for to in 0..=u8::MAX {
            let mut token = TOKEN.as_bytes().to_vec();
            token[at] = to;
            let verified = secret().verify([&[BEARER, &token].concat()[..]], NOW);

            assert_eq!(verified.is_ok(), token == TOKEN.as_bytes(), "byte {at} is {to:#04x}");
        }
    }
}

proptest! {
    #[test]
    fn a_token_is_good_at_any_time_with_its_secret_and_no_other(
        secret in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
        now in 0..=u64::MAX >> 11,
    ) {
        let header = format!("Bearer {}", JwtSecret::from_bytes(&secret).token(now));

        prop_assert_eq!(JwtSecret::from_bytes(&secret).verify([header.as_bytes()], now), Ok(()));
        prop_assume!(secret != other);
        let refused = JwtSecret::from_bytes(&other).verify([header.as_bytes()], now);
        prop_assert_eq!(refused, Err(TokenError::Signature));
    }

    #[test]
    fn a_token_cut_short_is_refused(length in 0..TOKEN.len()) {
        prop_assert!(refusal_of(&TOKEN[..length]).is_some());
    }

    #[test]
    fn random_bytes_never_panic(value in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(secret().verify([&value[..]], NOW).is_err());
        prop_assert!(secret().verify([&[BEARER, &value].concat()[..]], NOW).is_err());
    }

    #[test]
    fn random_json_in_a_signed_token_never_panics(
        header in "\\{(\"alg\":\"HS256\")?[\\[\\]{}\":,0-9a-z]{0,30}\\}",
        claims in "\\{(\"iat\":)?[\\[\\]{}\":,0-9eE.a-z-]{0,30}\\}",
    ) {
        let _ = refusal_of(&token(&header, &claims));
        let _ = refusal_of(&with_claims(&claims));
    }
}
