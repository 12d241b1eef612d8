//! Enode URLs that go-ethereum takes, with all their parts, and those it refuses.

use std::net::IpAddr;

use enode::{Enode, Host};
use serde::Deserialize;
use serde_json::Value;

use super::load;

#[test]
fn urls_have_the_parts_that_go_ethereum_finds() {
    let vectors: Vectors = load("enode.json");

    for case in vectors.valid {
        let url = &case.url;
        let parsed = url.parse::<Enode>();
        assert_eq!(parsed.is_ok(), case.error.is_none(), "{url}");
        let Ok(node) = parsed else { continue };

        assert_eq!(const_hex::encode(node.public_key().to_bytes()), case.public_key, "{url}");
        assert_eq!(node.id().to_string(), case.node_id, "{url}");
        assert_eq!(node.ip(), case.ip, "{url}");
        assert_eq!(node.tcp_port(), case.tcp, "{url}");
        assert_eq!(node.udp_port(), case.udp, "{url}");
        assert_eq!(node.host().is_none(), case.incomplete, "{url}");
        let incomplete = node.validate_complete().err().map(|error| error.to_string());
        assert_eq!(incomplete, case.validate_complete_error, "{url}");
        assert_eq!(node.to_string(), case.canonical_url, "{url}");
        assert_eq!(case.canonical_url.parse(), Ok(node), "{url}");
    }
}

#[test]
fn urls_are_refused_unless_ours_says_otherwise() {
    let vectors: Vectors = load("enode.json");

    for case in vectors.invalid {
        let url = &case.url;
        let parsed = url.parse::<Enode>();

        match case.ours.as_deref() {
            None => assert_eq!(parsed.is_ok(), case.error.is_none(), "{url}"),
            Some("valid: a DNS name, kept as hostname") => {
                let node = parsed.unwrap();
                let name = url.split_once('@').and_then(|(_, host)| host.rsplit_once(':')).unwrap();
                assert_eq!(node.host(), Some(&Host::Name(name.0.to_owned())), "{url}");
                assert_eq!((node.ip(), node.tcp_addr()), (None, None), "{url}");
                assert_eq!(node.to_string(), *url);
            }
            Some(other) => panic!("{url}: unknown rule {other:?}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: Value,
    valid: Vec<Valid>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
struct Valid {
    url: String,
    error: Option<String>,
    public_key: String,
    node_id: String,
    ip: Option<IpAddr>,
    tcp: u16,
    udp: u16,
    incomplete: bool,
    canonical_url: String,
    validate_complete_error: Option<String>,
}

#[derive(Deserialize)]
struct Invalid {
    url: String,
    error: Option<String>,
    ours: Option<String>,
}
