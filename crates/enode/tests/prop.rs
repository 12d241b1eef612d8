//! Properties that hold for all inputs: round trips, no panic, and no change goes unnoticed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use enode::{
    Enode, NodeId, NodeRecord, PublicKey, RecordBuilder, SecretKey, UnverifiedRecord, log_distance,
    record::entry, rlp,
};
use proptest::{collection::vec, option, prelude::*};

proptest! {
    #[test]
    fn an_id_is_read_back_from_its_text(bytes: [u8; 32]) {
        let id = NodeId::new(bytes);

        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(format!("0x{id}").to_lowercase().parse(), Ok(id));
        prop_assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn distance_is_symmetric_and_agrees_with_closer(target: [u8; 32], a: [u8; 32], b: [u8; 32]) {
        let [target, a, b] = [target, a, b].map(NodeId::new);

        prop_assert_eq!(log_distance(&target, &a), log_distance(&a, &target));
        prop_assert_eq!(target.closer(&a, &b), target.closer(&b, &a).reverse());
        if log_distance(&target, &a) < log_distance(&target, &b) {
            prop_assert!(target.closer(&a, &b).is_lt());
        }
    }

    #[test]
    fn a_key_is_read_back_from_every_form(key in secret_key()) {
        let public = key.public_key();

        prop_assert_eq!(PublicKey::from_bytes(&public.to_bytes()), Ok(public));
        prop_assert_eq!(PublicKey::from_bytes(&public.to_sec1()), Ok(public));
        prop_assert_eq!(PublicKey::from_bytes(&public.to_compressed()), Ok(public));
        prop_assert_eq!(SecretKey::from_bytes(&key.to_bytes()).unwrap().public_key(), public);
    }

    #[test]
    fn a_signature_recovers_its_signer_and_no_flipped_bit_does(
        key in secret_key(), hash: [u8; 32], bit in 0_usize..520,
    ) {
        let signature = key.sign_recoverable(&hash);
        prop_assert_eq!(PublicKey::recover(&hash, &signature), Ok(key.public_key()));

        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(PublicKey::recover(&hash, &flipped), Ok(key.public_key()));
    }

    #[test]
    fn a_url_is_read_back_as_the_node_it_was_printed_from(node in node()) {
        prop_assert_eq!(node.to_string().parse(), Ok(node.clone()));
        prop_assert_eq!(Enode::parse_any(&node.to_string()), Ok(node));
    }

    #[test]
    fn a_url_that_is_taken_prints_in_a_form_that_stays(text in near_url()) {
        if let Ok(node) = text.parse::<Enode>() {
            prop_assert_eq!(node.to_string().parse(), Ok(node));
        }
    }

    #[test]
    fn a_record_is_read_back_from_bytes_and_text(record in record()) {
        let unverified = UnverifiedRecord::decode_exact(record.as_bytes()).unwrap();

        prop_assert_eq!(unverified.seq(), record.seq());
        prop_assert_eq!(unverified.verify(), Ok(record.clone()));
        prop_assert_eq!(record.to_string().parse(), Ok(record.clone()));
        prop_assert_eq!(alloy_rlp::encode(&record), record.as_bytes());
        let copy = record.entries().try_fold(
            RecordBuilder::new().seq(record.seq()),
            |builder, (key, value)| builder.raw(key, value),
        );
        prop_assert_eq!(copy.unwrap().next_seq(), Some(record.seq()));
    }

    #[test]
    fn a_record_with_any_byte_changed_is_refused(
        record in record(), index: prop::sample::Index, change in 1_u8..,
    ) {
        let mut bytes = record.as_bytes().to_vec();
        let index = index.index(bytes.len());
        bytes[index] ^= change;

        prop_assert!(NodeRecord::decode_exact(&bytes).is_err());
    }

    #[test]
    fn a_record_with_a_byte_more_or_less_is_refused(
        record in record(), index: prop::sample::Index, added: u8,
    ) {
        let bytes = record.as_bytes();
        let (start, end) = bytes.split_at(index.index(bytes.len()));

        prop_assert!(NodeRecord::decode_exact(&[start, &[added], end].concat()).is_err());
        prop_assert!(NodeRecord::decode_exact(&[start, &end[1..]].concat()).is_err());
        prop_assert!(NodeRecord::decode_exact(start).is_err());
    }

    #[test]
    fn an_entry_cannot_be_moved_under_another_signature(a in record(), b in record()) {
        let content = |record: &NodeRecord| {
            let mut fields = rlp::ListReader::exact(record.as_bytes()).unwrap();
            fields.next_bytes().unwrap();
            fields.rest().to_vec()
        };
        prop_assume!(content(&a) != content(&b));
        let fields = [alloy_rlp::encode(a.signature()), content(&b)].concat();

        let mut mixed = Vec::new();
        alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut mixed);
        mixed.extend(fields);

        prop_assert!(NodeRecord::decode_exact(&mixed).is_err());
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..400)) {
        parse_everything(&bytes);
    }

    #[test]
    fn no_list_makes_a_parser_panic(bytes in near_rlp()) {
        parse_everything(&bytes);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,300}") {
        parse_text(&text);
    }

    #[test]
    fn what_is_split_is_what_was_there(bytes in near_rlp()) {
        if let Ok((item, rest)) = rlp::split_raw(&bytes) {
            prop_assert_eq!([item.encoded, rest].concat(), &bytes[..]);
            prop_assert!(item.encoded.ends_with(item.payload));
        }
        let strict = rlp::split(&bytes);
        prop_assert!(strict.is_err() || strict == rlp::split_raw(&bytes));
    }

    #[test]
    fn an_encoded_value_is_split_as_it_was_encoded(value in vec(any::<u8>(), 0..300), rest: u8) {
        let mut input = alloy_rlp::encode(&value[..]);
        input.push(rest);

        let (item, tail) = rlp::split(&input).unwrap();

        prop_assert_eq!(item.bytes(), Ok(&value[..]));
        prop_assert_eq!(tail, [rest]);
    }
}

fn parse_everything(bytes: &[u8]) {
    let _ = PublicKey::from_bytes(bytes);
    let _ = NodeRecord::decode_exact(bytes);
    let _ = rlp::count(bytes);
    if let Ok(mut fields) = rlp::ListReader::exact(bytes) {
        let _ = fields.clone().next::<u64>();
        let _ = fields.clone().next_optional::<bool>();
        let _ = fields.clone().next_list().and_then(rlp::ListReader::skip_rest);
        let _ = fields.next_bytes();
        let _ = fields.skip_rest();
    }
    if let Ok(fixed) = bytes.try_into() {
        let _ = SecretKey::from_bytes(fixed);
    }
    if let Some((signature, hash)) = bytes.split_first_chunk::<65>() {
        let _ = hash.first_chunk().map(|hash| PublicKey::recover(hash, signature));
    }
    parse_text(&String::from_utf8_lossy(bytes));
}

fn parse_text(text: &str) {
    let _ = text.parse::<Enode>();
    let _ = format!("enode://{text}").parse::<Enode>();
    let _ = Enode::parse_any(text);
    let _ = text.parse::<NodeRecord>();
    let _ = format!("enr:{text}").parse::<NodeRecord>();
    let _ = text.parse::<NodeId>();
    let _ = SecretKey::from_hex(text);
}

fn secret_key() -> impl Strategy<Value = SecretKey> {
    any::<[u8; 32]>().prop_filter_map("no scalar", |bytes| SecretKey::from_bytes(&bytes).ok())
}

fn node() -> impl Strategy<Value = Enode> {
    let host = prop_oneof![
        any::<IpAddr>().prop_map(|ip| ip.to_string()),
        "([a-z0-9_]([A-Za-z0-9-]{0,10}[a-z0-9])?\\.){0,4}[a-z]{2,8}\\.?",
    ];
    (secret_key(), option::of(host), any::<u16>(), any::<u16>()).prop_map(
        |(key, host, tcp, udp)| {
            let node = Enode::incomplete(key.public_key());
            match host {
                Some(host) => node.with_host(&host).unwrap().with_ports(tcp, udp),
                None => node,
            }
        },
    )
}

/// Texts that are almost, and sometimes quite, enode URLs.
fn near_url() -> impl Strategy<Value = String> {
    (secret_key(), "[@:/?#\\[\\]0-9a-fx.%-]{0,12}", "[:?=&disport0-9/#]{0,16}").prop_map(
        |(key, host, tail)| {
            let key = const_hex::encode(key.public_key().to_bytes());
            format!("enode://{key}@{host}:30303{tail}")
        },
    )
}

fn record() -> impl Strategy<Value = NodeRecord> {
    let extra = vec(("[a-z]{1,12}", vec(any::<u8>(), 0..20)), 0..4);
    let ports = (option::of(any::<u16>()), option::of(any::<u16>()));
    (secret_key(), any::<u64>(), any::<[u8; 4]>(), ports, extra).prop_map(
        |(key, seq, ip, (tcp, udp), extra)| {
            let mut builder = RecordBuilder::new().seq(seq).entry(&entry::Ip(ip.into()));
            if let Some(port) = tcp {
                builder = builder.entry(&entry::Tcp(port));
            }
            if let Some(port) = udp {
                builder = builder.entry(&entry::Udp(port));
            }
            for (key, value) in extra {
                builder = builder.raw(key, &alloy_rlp::encode(&value[..])).unwrap();
            }
            builder.sign(&key).unwrap()
        },
    )
}

/// Bytes with many headers in them.
fn near_rlp() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        0x80_u8..=0x84,
        0xc0_u8..=0xc8,
        Just(0xb8_u8),
        Just(0xf8_u8),
        Just(0x00_u8),
    ];
    vec(byte, 0..100)
}
