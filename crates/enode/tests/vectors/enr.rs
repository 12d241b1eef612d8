//! Signed records: made anew byte for byte, parsed, and refused; and the sequence number rule.

use std::net::{IpAddr, Ipv4Addr};

use enode::{
    Enode, NodeRecord, PublicKey, RecordBuilder, keccak256,
    record::{Entry, entry},
    rlp::ListReader,
};
use serde::Deserialize;
use serde_json::Value;

use super::{hex, load, secret_key};

#[test]
fn the_same_content_gives_the_same_record() {
    for case in Vectors::load().records {
        let mut builder = RecordBuilder::new().seq(case.seq.parse().unwrap());
        for pair in &case.pairs {
            builder = builder.raw(&pair.key, &hex(&pair.value_rlp)).unwrap();
        }

        let record = builder.sign(&secret_key(&case.private_key)).unwrap();

        assert_eq!(const_hex::encode(record.as_bytes()), case.rlp, "{}", case.name);
        assert_eq!(const_hex::encode(record.signature()), case.signature, "{}", case.name);
        assert_eq!(record.to_string(), case.text, "{}", case.name);
        check_values(&record, &case);
    }
}

#[test]
fn records_and_texts_are_read_back() {
    for case in Vectors::load().records {
        let record = NodeRecord::decode_exact(&hex(&case.rlp)).unwrap();

        assert_eq!(case.text.parse(), Ok(record.clone()), "{}", case.name);
        assert_eq!(record.as_bytes().len(), case.size, "{}", case.name);
        assert_eq!(const_hex::encode(record.signature()), case.signature, "{}", case.name);
        check_values(&record, &case);
        check_signed_content(&record, &case);
    }
}

#[test]
fn texts_are_records_for_us_when_they_are_for_go_ethereum() {
    for case in Vectors::load().parse_cases {
        let parsed = case.text.parse::<NodeRecord>();

        assert_eq!(parsed.is_ok(), case.error.is_none(), "{}: {parsed:?}", case.name);
        assert_eq!(Enode::parse_any(&case.text).is_ok(), case.error.is_none(), "{}", case.name);
        let Ok(record) = parsed else { continue };
        let text = case.text.replace(['\r', '\n'], "");
        // The last digit may carry bits beyond the last byte, which nobody reads.
        let same = |text: &str| text.split_at(text.len() - 1).0.to_owned();
        assert_eq!(same(&record.to_string()), same(&text), "{}", case.name);
    }
}

#[test]
fn the_published_record_is_reproduced() {
    let case = Vectors::load().published_eip778;
    let key = secret_key(&case.private_key);

    let record: NodeRecord = case.text.parse().unwrap();
    let Ok(ip) = case.ip.parse::<Ipv4Addr>() else { panic!("{}: not IPv4", case.ip) };
    let mut ours = RecordBuilder::new().seq(case.seq.parse().unwrap()).entry(&entry::Ip(ip));
    if case.tcp != 0 {
        ours = ours.entry(&entry::Tcp(case.tcp));
    }
    if case.udp != 0 {
        ours = ours.entry(&entry::Udp(case.udp));
    }
    let ours = ours.sign(&key).unwrap();

    assert_eq!(record.node_id().to_string(), case.node_id);
    assert_eq!(record.public_key(), &key.public_key());
    assert_eq!(record.seq().to_string(), case.seq);
    assert_eq!(record.ip(), Some(ip.into()));
    assert_eq!((record.tcp_port(), record.udp_port()), (case.tcp, case.udp));
    assert_eq!(ours.to_string(), case.text);
}

#[test]
fn a_change_of_a_signed_record_counts_once() {
    let rule = Vectors::load().sequence_rule;
    let key = secret_key(&"01".repeat(32));

    let first = RecordBuilder::new().entry(&entry::Udp(1)).sign(&key).unwrap();
    let changed = first.edit().entry(&entry::Udp(2)).entry(&entry::Tcp(3));
    let again = changed.clone().sign(&key).unwrap();
    let once_more = again.edit().entry(&entry::Udp(4)).sign(&key).unwrap();

    assert_eq!(first.seq(), rule.after_first_sign);
    assert_eq!(changed.next_seq(), Some(rule.after_two_changes_of_a_signed_record));
    assert_eq!(again.seq(), rule.after_signing_again);
    assert_eq!(once_more.seq(), rule.after_one_more_change_and_sign);
}

/// Everything the file says about the entries of a record.
#[track_caller]
fn check_values(record: &NodeRecord, case: &Record) {
    let name = &case.name;
    let pairs: Vec<_> = case
        .pairs
        .iter()
        .map(|pair| (pair.key.as_bytes().to_vec(), hex(&pair.value_rlp)))
        .collect();
    let entries: Vec<_> =
        record.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(entries, pairs, "{name}");
    for pair in &case.pairs {
        assert_eq!(record.raw(&pair.key), Some(&*hex(&pair.value_rlp)), "{name}");
    }
    assert_eq!(record.seq().to_string(), case.seq, "{name}");
    assert_eq!(record.node_id().to_string(), case.node_id, "{name}");
    assert_eq!(PublicKey::from_bytes(&hex(&case.public_key)), Ok(*record.public_key()), "{name}");

    // The program behind the file prefers IPv4 always and reads no IPv6 ports.
    let ip = record.entry().map(|entry::Ip(ip)| IpAddr::from(ip));
    let ip = ip.or_else(|| record.entry().map(|entry::Ip6(ip)| IpAddr::from(ip)));
    assert_eq!(ip, case.ip, "{name}");
    assert_eq!(record.entry().map_or(0, |entry::Tcp(port)| port), case.tcp, "{name}");
    assert_eq!(record.entry().map_or(0, |entry::Udp(port)| port), case.udp, "{name}");
    let node = match ip {
        Some(ip) => Enode::new(*record.public_key(), ip, case.tcp, case.udp),
        None => Enode::incomplete(*record.public_key()),
    };
    assert_eq!(node.to_string(), case.enode_url, "{name}");
    let six = record.entry::<entry::Ip6>().is_some();
    let ports_six =
        [entry::Tcp6::KEY, entry::Udp6::KEY].iter().any(|key| record.raw(key).is_some());
    if record.ip() == ip && !(six && ports_six && ip.is_some_and(|ip| ip.is_ipv6())) {
        assert_eq!(Enode::from(record), node, "{name}");
    } else {
        assert!(six, "{name}: only an IPv6 address makes a difference");
    }
}

/// The signed part is the record without its signature, and the signature is over its hash.
#[track_caller]
fn check_signed_content(record: &NodeRecord, case: &Record) {
    let bytes = hex(&case.signed_content_rlp);
    let signature = hex(&case.signature).try_into().unwrap();
    assert_eq!(record.public_key().verify(&keccak256(&bytes), &signature), Ok(()), "{}", case.name);

    let content = ListReader::exact(&bytes).unwrap();
    let mut whole = ListReader::exact(record.as_bytes()).unwrap();
    whole.next_bytes().unwrap();
    assert_eq!(whole.rest(), content.rest(), "{}", case.name);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: Value,
    records: Vec<Record>,
    parse_cases: Vec<Text>,
    published_eip778: Published,
    sequence_rule: SequenceRule,
}

impl Vectors {
    fn load() -> Self {
        load("enr.json")
    }
}

#[derive(Deserialize)]
struct Record {
    name: String,
    private_key: String,
    public_key: String,
    node_id: String,
    enode_url: String,
    seq: String,
    pairs: Vec<Pair>,
    rlp: String,
    signed_content_rlp: String,
    signature: String,
    size: usize,
    text: String,
    ip: Option<IpAddr>,
    tcp: u16,
    udp: u16,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    value_rlp: String,
}

#[derive(Deserialize)]
struct Text {
    name: String,
    text: String,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Published {
    private_key: String,
    node_id: String,
    seq: String,
    ip: String,
    tcp: u16,
    udp: u16,
    text: String,
}

#[derive(Deserialize)]
struct SequenceRule {
    after_first_sign: u64,
    after_two_changes_of_a_signed_record: u64,
    after_signing_again: u64,
    after_one_more_change_and_sign: u64,
}
