//! Keys, the ids made of them, and the distances between ids.

use std::cmp::Ordering;

use enode::{Enode, NodeId, PublicKey, keccak256, log_distance};
use serde::Deserialize;
use serde_json::Value;

use super::{hex, load, secret_key};

#[test]
fn ids_are_made_as_go_ethereum_makes_them() {
    let vectors = Vectors::load();

    for case in vectors.identities {
        let secret = secret_key(&case.private_key);
        let public = secret.public_key();
        let id = secret.node_id();

        let name = &case.private_key;
        assert_eq!(const_hex::encode(secret.to_bytes().as_slice()), case.private_key);
        assert_eq!(const_hex::encode(public.to_bytes()), case.public_key, "{name}");
        assert_eq!(const_hex::encode(public.to_compressed()), case.public_key_compressed, "{name}");
        assert_eq!(id.to_string(), case.node_id, "{name}");
        assert_eq!(id.short(), case.node_id_short, "{name}");
        assert_eq!(const_hex::encode(&id.as_bytes()[12..]), case.ethereum_address, "{name}");
        let overlay = keccak256(public.to_sec1());
        assert_eq!(const_hex::encode(overlay), case.swarm_overlay_address, "{name}");
        assert_eq!(PublicKey::from_bytes(&hex(&case.public_key)), Ok(public), "{name}");
        assert_eq!(PublicKey::from_bytes(&hex(&case.public_key_compressed)), Ok(public), "{name}");

        let node: Enode = case.enode_url.parse().unwrap();
        assert_eq!((node.public_key(), node.id()), (&public, id), "{name}");
        // The file gives the address only here, and one for all.
        let same = Enode::new(public, [127, 0, 0, 1].into(), 30303, 30303);
        assert_eq!(same.to_string(), case.enode_url, "{name}");
    }
}

#[test]
fn distances_are_those_of_go_ethereum() {
    let vectors = Vectors::load();

    for case in vectors.distances {
        let [target, a, b]: [NodeId; 3] =
            [&case.target, &case.a, &case.b].map(|text| text.parse().unwrap());

        let compared = match target.closer(&a, &b) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        };
        assert_eq!(compared, case.distance_compare, "{target}");
        assert_eq!(log_distance(&target, &a), case.log_distance_target_a, "{target} {a}");
        assert_eq!(log_distance(&a, &target), case.log_distance_target_a, "{a} {target}");
        assert_eq!(log_distance(&target, &b), case.log_distance_target_b, "{target} {b}");
    }
}

#[test]
fn texts_are_ids_for_us_when_they_are_for_go_ethereum() {
    let vectors = Vectors::load();

    for case in vectors.text_parsing {
        let parsed = case.text.parse::<NodeId>().ok().map(|id| id.to_string());

        assert_eq!(parsed.is_some(), case.error.is_none(), "{:?}", case.text);
        assert_eq!(parsed, case.node_id, "{:?}", case.text);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: Value,
    identities: Vec<Identity>,
    distances: Vec<Distance>,
    text_parsing: Vec<Text>,
}

impl Vectors {
    fn load() -> Self {
        load("node_id.json")
    }
}

#[derive(Deserialize)]
struct Identity {
    private_key: String,
    public_key: String,
    public_key_compressed: String,
    node_id: String,
    node_id_short: String,
    ethereum_address: String,
    swarm_overlay_address: String,
    enode_url: String,
}

#[derive(Deserialize)]
struct Distance {
    target: String,
    a: String,
    b: String,
    distance_compare: i8,
    log_distance_target_a: u16,
    log_distance_target_b: u16,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    error: Option<String>,
    node_id: Option<String>,
}
