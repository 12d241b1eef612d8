//! Node records beyond the vectors: every reason to refuse one, and what its entries amount to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy_rlp::{Decodable as _, Encodable as _, Header};
use enode::{
    NodeRecord, PublicKey, RecordBuilder, RecordError, SecretKey, UnverifiedRecord, keccak256,
    record::entry, rlp,
};

#[test]
fn each_malformed_record_is_refused_for_its_reason() {
    let check = |fields: &[&[u8]], error: RecordError| {
        assert_eq!(NodeRecord::decode_exact(&list(fields)), Err(error), "{fields:02x?}");
    };
    let signature = &text(&[0; 64])[..];

    check(&[], RecordError::TooFewElements);
    check(&[signature], RecordError::TooFewElements);
    check(&[signature, b"\x01", b"\x82id"], RecordError::IncompletePair);
    check(&[signature, b"\x01", b"a", b"\x01", b"a", b"\x01"], RecordError::DuplicateKey);
    check(&[signature, b"\x01", b"b", b"\x01", b"a", b"\x01"], RecordError::NotSorted);
    check(&[signature, b"\x01", b"\x82aa", b"\x01", b"a", b"\x01"], RecordError::NotSorted);
    check(&[signature, b"\x00"], rlp::Error::LeadingZero.into());
    check(&[signature, b"\x89\x01\0\0\0\0\0\0\0\0"], rlp::Error::Overflow.into());
    check(&[signature, b"\xc0"], rlp::Error::UnexpectedList.into());
    check(&[b"\xc0", b"\x01"], rlp::Error::UnexpectedList.into());
    check(&[signature, b"\x01", b"\xc0", b"\x01"], rlp::Error::UnexpectedList.into());
    check(&[signature, b"\x01", b"a", b"\x83ab"], rlp::Error::InputTooShort.into());
}

#[test]
fn only_one_canonical_list_is_a_record() {
    let record = signed();
    let bytes = record.as_bytes();

    let trailing = NodeRecord::decode_exact(&[bytes, &[0]].concat());
    let string = NodeRecord::decode_exact(&text(bytes));
    let truncated = NodeRecord::decode_exact(&bytes[..bytes.len() - 1]);

    assert_eq!(trailing, Err(rlp::Error::UnexpectedLength.into()));
    assert_eq!(string, Err(rlp::Error::UnexpectedString.into()));
    assert_eq!(truncated, Err(rlp::Error::InputTooShort.into()));
    assert_eq!(NodeRecord::decode_exact(&[]), Err(rlp::Error::InputTooShort.into()));
}

#[test]
fn a_record_has_300_bytes_at_most() {
    let with_padding = |length: usize| {
        RecordBuilder::new().raw("pad", &text(&vec![b'x'; length])).unwrap().sign(&key())
    };
    let largest = with_padding(174).unwrap();

    assert_eq!(largest.as_bytes().len(), NodeRecord::MAX_SIZE);
    assert_eq!(largest.to_string().parse(), Ok(largest));
    assert_eq!(with_padding(175), Err(RecordError::TooBig));

    let padding = text(&[b'x'; 175]);
    let forged =
        sign_fields(&[b"\x80", ID, V4, b"\x83pad", &padding, SECP256K1, &compressed(&key())]);
    assert_eq!(NodeRecord::decode_exact(&forged), Err(RecordError::TooBig));
}

#[test]
fn a_record_that_the_scheme_does_not_cover_has_no_valid_signature() {
    let key_entry = compressed(&key());
    for scheme in
        [&[][..], &[ID, b"\x82v5"], &[ID, b"\x84null"], &[ID, b"\xc3\x82v4"], &[ID, b"\x80"]]
    {
        let fields = [&[&b"\x01"[..]], scheme, &[SECP256K1, &key_entry]].concat();

        let decoded = NodeRecord::decode_exact(&sign_fields(&fields));
        assert_eq!(decoded, Err(RecordError::Signature), "{scheme:02x?}");
    }
}

#[test]
fn a_record_needs_a_compressed_key_on_the_curve() {
    let with_key =
        |key: &[u8]| NodeRecord::decode_exact(&sign_fields(&[b"\x01", ID, V4, SECP256K1, key]));
    let public = key().public_key();
    let no_point = [&[2][..], &[0; 31], &[5]].concat();

    assert!(with_key(&text(&public.to_compressed())).is_ok());
    assert_eq!(with_key(&text(&public.to_compressed()[..32])), Err(RecordError::PublicKey));
    assert_eq!(with_key(&text(&public.to_sec1())), Err(RecordError::PublicKey));
    assert_eq!(with_key(&text(&public.to_bytes())), Err(RecordError::PublicKey));
    assert_eq!(with_key(&text(&no_point)), Err(RecordError::PublicKey));
    assert_eq!(with_key(&text(&[0; 33])), Err(RecordError::PublicKey));
    assert_eq!(with_key(b"\xc0"), Err(RecordError::PublicKey));
    let missing = NodeRecord::decode_exact(&sign_fields(&[b"\x01", ID, V4]));
    assert_eq!(missing, Err(RecordError::MissingKey { key: "secp256k1" }));
}

#[test]
fn a_signature_of_another_form_or_another_key_is_refused() {
    let record = signed();
    let good = record.signature().to_vec();
    let other = SecretKey::from_bytes(&[2; 32]).unwrap();
    let of_other = other.sign(&keccak256(list(&[content_of(&record)])));

    let with = |signature: &[u8]| {
        NodeRecord::decode_exact(&list(&[&text(signature), content_of(&record)]))
    };

    assert_eq!(with(&good), Ok(record.clone()));
    assert_eq!(with(&of_other), Err(RecordError::Signature));
    assert_eq!(with(&high_s(&good)), Err(RecordError::Signature));
    assert_eq!(with(&good[..63]), Err(RecordError::Signature));
    assert_eq!(with(&[&good[..], &[0]].concat()), Err(RecordError::Signature));
    assert_eq!(with(&[]), Err(RecordError::Signature));
    assert_eq!(with(&[0; 64]), Err(RecordError::Signature));
}

#[test]
fn texts_say_what_go_ethereum_says() {
    for (error, text) in [
        (RecordError::Prefix, "missing 'enr:' prefix for base64-encoded record"),
        (RecordError::TooBig, "record bigger than 300 bytes"),
        (RecordError::TooFewElements, "record contains less than two list elements"),
        (RecordError::IncompletePair, "record contains incomplete k/v pair"),
        (RecordError::DuplicateKey, "record contains duplicate key"),
        (RecordError::NotSorted, "record key/value pairs are not sorted by key"),
        (RecordError::MissingKey { key: "secp256k1" }, "missing ENR key \"secp256k1\""),
        (RecordError::PublicKey, "invalid public key"),
        (RecordError::Signature, "invalid signature on node record"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn the_text_form_is_unpadded_url_safe_base64() {
    let record = signed();
    let text = record.to_string();
    let parse = |text: &str| text.parse::<NodeRecord>();
    let (start, end) = text.split_at(40);

    assert_eq!(parse(&format!("{start}\r\n{end}\n")), Ok(record));
    assert_eq!(parse(&text[4..]), Err(RecordError::Prefix));
    assert_eq!(parse(&format!("\n{text}")), Err(RecordError::Prefix));
    assert_eq!(parse(&text.replacen("enr:", "ENR:", 1)), Err(RecordError::Prefix));
    assert_eq!(parse(&format!("{text}=")), Err(RecordError::Base64));
    assert_eq!(parse(&format!("{start} {end}")), Err(RecordError::Base64));
    assert_eq!(parse(&format!("{start}+{end}")), Err(RecordError::Base64));
    assert_eq!(parse("enr:"), Err(rlp::Error::InputTooShort.into()));
    assert_eq!(parse(&format!("enr:{}", "A".repeat(1025))), Err(RecordError::TooBig));
}

#[test]
fn a_malformed_entry_reads_as_absent_and_the_rest_is_good() {
    for port in [&b"\x83\x01\0\0"[..], b"\x00", b"\xc0", b"\x81\x05", b"\x82\x00\x05"] {
        let ip = text(&[1, 2, 3, 4]);
        let key_entry = compressed(&key());
        let fields =
            [&b"\x01"[..], ID, V4, b"\x82ip", &ip, SECP256K1, &key_entry, b"\x83tcp", port];

        let record = NodeRecord::decode_exact(&sign_fields(&fields)).unwrap();

        assert_eq!(record.entry::<entry::Tcp>(), None, "{port:02x?}");
        assert_eq!(record.raw("tcp"), Some(port));
        assert_eq!((record.tcp_port(), record.tcp_endpoint()), (0, None));
        assert_eq!(record.ip(), Some([1, 2, 3, 4].into()));
        // A later version carries it on as it is.
        assert_eq!(record.edit().sign(&key()).unwrap().raw("tcp"), Some(port));
    }
    for ip in [&b"\x83\x01\x02\x03"[..], b"\x80", b"\xc4\x01\x02\x03\x04"] {
        let record = RecordBuilder::new().raw("ip", ip).unwrap().sign(&key()).unwrap();
        assert_eq!(record.ip(), None);
    }
}

#[test]
fn the_more_global_address_is_preferred_and_ipv4_when_equal() {
    // In ascending order: unspecified, loopback, link-local, private, global.
    let four = ["0.0.0.0", "127.0.0.1", "169.254.1.1", "192.168.1.1", "1.2.3.4"];
    let six = ["::", "::1", "fe80::1", "fd00::1", "2001:db8::1"];
    for (i, four) in four.iter().enumerate() {
        for (j, six) in six.iter().enumerate() {
            let expected = if j > i { six } else { four };

            let record = with_addresses(Some(four), Some(six));
            assert_eq!(record.ip(), Some(expected.parse().unwrap()), "{four} {six}");
        }
    }
}

#[test]
fn a_multicast_address_is_none() {
    assert_eq!(with_addresses(Some("224.0.0.1"), None).ip(), None);
    assert_eq!(with_addresses(None, Some("ff02::1")).ip(), None);
    assert_eq!(with_addresses(None, Some("::ffff:224.0.0.1")).ip(), None);
    let other = with_addresses(Some("224.0.0.1"), Some("::1"));
    assert_eq!(other.ip(), Some("::1".parse().unwrap()));
}

#[test]
fn ipv6_has_ports_of_its_own_or_those_of_ipv4() {
    let base = with_addresses(None, Some("2001:db8::1"));
    let ports = |record: &NodeRecord| (record.tcp_port(), record.udp_port());

    assert_eq!(ports(&base), (1, 2));
    let own = base.edit().entry(&entry::Tcp6(3)).entry(&entry::Udp6(4)).sign(&key()).unwrap();
    assert_eq!(ports(&own), (3, 4));
    assert_eq!(own.tcp_endpoint(), Some("[2001:db8::1]:3".parse().unwrap()));
    assert_eq!(own.udp_endpoint(), Some("[2001:db8::1]:4".parse().unwrap()));
    let mapped = own.edit().entry(&entry::Ip6("::ffff:1.2.3.4".parse().unwrap()));
    let mapped = mapped.sign(&key()).unwrap();
    assert_eq!((mapped.ip(), ports(&mapped)), (Some([1, 2, 3, 4].into()), (1, 2)));
}

#[test]
fn an_unspecified_address_or_port_0_is_no_endpoint() {
    let unspecified = with_addresses(Some("0.0.0.0"), None);
    assert_eq!((unspecified.tcp_endpoint(), unspecified.udp_endpoint()), (None, None));

    let good = with_addresses(Some("1.2.3.4"), None);
    assert_eq!(good.tcp_endpoint(), Some("1.2.3.4:1".parse().unwrap()));
    assert_eq!(good.udp_endpoint(), Some("1.2.3.4:2".parse().unwrap()));
    let closed = good.edit().entry(&entry::Tcp(0)).remove("udp").sign(&key()).unwrap();
    assert_eq!((closed.tcp_endpoint(), closed.udp_endpoint()), (None, None));
}

#[test]
fn an_edited_record_has_the_next_number_and_keeps_what_was_not_changed() {
    let record = signed();

    let edited = record.edit().entry(&entry::Tcp(9)).remove("udp").remove("nothing");
    let edited = edited.sign(&key()).unwrap();

    assert_eq!(edited.seq(), record.seq() + 1);
    assert_eq!(edited.entry(), Some(entry::Tcp(9)));
    assert_eq!(edited.raw("udp"), None);
    assert_eq!(edited.raw("ip"), record.raw("ip"));
    assert_ne!(edited, record);
}

#[test]
fn the_last_sequence_number_has_no_successor() {
    let last = RecordBuilder::new().seq(u64::MAX).sign(&key()).unwrap();

    assert_eq!(last.seq(), u64::MAX);
    assert_eq!(last.edit().next_seq(), None);
    assert_eq!(last.edit().sign(&key()), Err(RecordError::SequenceExhausted));
}

#[test]
fn signing_writes_scheme_and_key_over_what_was_there() {
    let record = RecordBuilder::new()
        .entry(&entry::Id(bytes::Bytes::from_static(b"v9")))
        .entry(&entry::Secp256k1(SecretKey::random().public_key()))
        .sign(&key())
        .unwrap();

    assert_eq!(record.entry(), Some(entry::Id::V4));
    assert_eq!(record.entry(), Some(entry::Secp256k1(key().public_key())));
    assert_eq!(NodeRecord::decode_exact(record.as_bytes()), Ok(record));
}

#[test]
fn a_raw_value_is_exactly_one_rlp_value() {
    let builder = RecordBuilder::new();

    for value in [&b""[..], b"\x01\x02", b"\x82a", b"\x81\x05", b"\xb8\x01a"] {
        let refused = builder.clone().raw("key", value);
        assert!(matches!(refused, Err(RecordError::Rlp(_))), "{value:02x?}");
    }
    for value in [&b"\x01"[..], b"\x80", b"\xc0", b"\xc3\x01\x82a"] {
        assert!(builder.clone().raw("key", value).is_ok(), "{value:02x?}");
    }
}

#[test]
fn a_record_is_read_from_inside_a_larger_message() {
    let record = signed();
    let mut message = Vec::new();
    record.encode(&mut message);
    assert_eq!(message.len(), record.length());
    message.extend([7, 8]);

    let mut rest = &message[..];
    let unverified = UnverifiedRecord::decode(&mut rest).unwrap();

    assert_eq!((unverified.seq(), rest), (record.seq(), &[7, 8][..]));
    assert_eq!(unverified.verify(), Ok(record));
    let malformed = UnverifiedRecord::decode(&mut &list(&[])[..]);
    assert_eq!(malformed, Err(rlp::Error::Custom("malformed node record")));
}

#[test]
fn debug_names_the_node_and_its_endpoint() {
    let record = with_addresses(Some("1.2.3.4"), None);

    let printed = format!("{record:?}");

    let id = key().node_id().short();
    let expected =
        format!("NodeRecord {{ node_id: {id}…, seq: 0, ip: Some(1.2.3.4), tcp: 1, udp: 2, .. }}");
    assert_eq!(printed, expected);
}

fn with_addresses(four: Option<&str>, six: Option<&str>) -> NodeRecord {
    let mut builder = RecordBuilder::new().entry(&entry::Tcp(1)).entry(&entry::Udp(2));
    if let Some(ip) = four {
        builder = builder.entry(&entry::Ip(ip.parse().unwrap()));
    }
    if let Some(ip) = six {
        builder = builder.entry(&entry::Ip6(ip.parse().unwrap()));
    }
    builder.sign(&key()).unwrap()
}

fn signed() -> NodeRecord {
    with_addresses(Some("127.0.0.1"), None)
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

/// Signs fields that the builder would not put together.
fn sign_fields(fields: &[&[u8]]) -> Vec<u8> {
    let signature = text(&key().sign(&keccak256(list(fields))));
    list(&[&[&signature[..]], fields].concat())
}

fn list(fields: &[&[u8]]) -> Vec<u8> {
    let payload = fields.concat();
    let mut list = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut list);
    [list, payload].concat()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(bytes)
}

fn compressed(key: &SecretKey) -> Vec<u8> {
    let public: PublicKey = key.public_key();
    text(&public.to_compressed())
}

/// The signed part of a record, without list header.
fn content_of(record: &NodeRecord) -> &[u8] {
    let mut fields = rlp::ListReader::exact(record.as_bytes()).unwrap();
    fields.next_bytes().unwrap();
    fields.rest()
}

/// The other signature of the same key and hash, r ‖ n - s, which no devp2p program accepts.
fn high_s(signature: &[u8]) -> Vec<u8> {
    let order: [u8; 32] = const_hex::decode_to_array(GROUP_ORDER).unwrap();
    let mut high = signature.to_vec();
    let mut borrow = false;
    for (digit, order) in high[32..].iter_mut().zip(order).rev() {
        let (partial, first) = order.overflowing_sub(*digit);
        let (total, second) = partial.overflowing_sub(u8::from(borrow));
        (*digit, borrow) = (total, first || second);
    }
    high
}

/// The order n of the group. Source: SEC 2, 2.4.1.
const GROUP_ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// Encoded keys and values that these tests put together by hand.
const ID: &[u8] = b"\x82id";
const V4: &[u8] = b"\x82v4";
const SECP256K1: &[u8] = b"\x89secp256k1";
