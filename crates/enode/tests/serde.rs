//! Enodes, records and ids as strings of JSON.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use enode::{Enode, NodeId, NodeRecord, RecordBuilder, SecretKey, record::entry};
use serde_json::{from_value, json, to_value};

#[test]
fn each_is_the_string_that_it_prints_as() {
    let node = Enode::from(&record());
    let id = node.id();

    assert_eq!(to_value(&node).unwrap(), json!(node.to_string()));
    assert_eq!(to_value(record()).unwrap(), json!(record().to_string()));
    assert_eq!(to_value(id).unwrap(), json!(id.to_string()));
    assert_eq!(from_value::<Enode>(json!(node.to_string())).unwrap(), node);
    assert_eq!(from_value::<NodeRecord>(json!(record().to_string())).unwrap(), record());
    assert_eq!(from_value::<NodeId>(json!(id.to_string())).unwrap(), id);
}

#[test]
fn an_enode_is_read_from_whatever_names_a_node() {
    let node = Enode::from(&record());
    let bare = const_hex::encode(node.public_key().to_bytes());

    assert_eq!(from_value::<Enode>(json!(record().to_string())).unwrap(), node);
    let incomplete = Enode::incomplete(*node.public_key());
    assert_eq!(from_value::<Enode>(json!(bare)).unwrap(), incomplete);
}

#[test]
fn an_error_carries_the_reason() {
    let error = from_value::<Enode>(json!("http://foo")).unwrap_err();

    assert_eq!(error.to_string(), "invalid URL scheme, want \"enode\"");
    assert!(from_value::<Enode>(json!(7)).is_err());
    assert!(from_value::<NodeRecord>(json!("enr:AAAA")).is_err());
}

fn record() -> NodeRecord {
    let builder = RecordBuilder::new().entry(&entry::Ip([1, 2, 3, 4].into()));
    builder.entry(&entry::Tcp(5)).sign(&SecretKey::from_bytes(&[1; 32]).unwrap()).unwrap()
}
