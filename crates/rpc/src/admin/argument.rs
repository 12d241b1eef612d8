//! Nodes and networks as callers name them.
//!
//! ```text
//!   "enode://…@1.2.3.4:30303"   "enr:…"      a node
//!   "85b1f0…5508"   "0x85b1f0…5508"          its id
//!   "10.0.0.0/8"   "10.0.0.1"                a network, an address
//! ```

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use enode::{Enode, NodeId};
use p2p_server::BanTarget;

use crate::{Result, RpcError};

/// The node that a text names in full.
pub(super) fn node(text: &str) -> Result<Enode> {
    Enode::parse_any(text).map_err(|cause| RpcError::other(format!("invalid enode: {cause}")))
}

/// The id of the node that a text names, in full or by its id.
pub(super) fn id(text: &str) -> Result<NodeId> {
    if is_node(text) {
        return Ok(node(text)?.id());
    }
    text.parse().map_err(invalid)
}

/// Who is to be banned.
pub(super) fn target(text: &str) -> Result<BanTarget> {
    if is_node(text) {
        return Ok(node(text)?.id().into());
    }
    text.parse().map_err(invalid)
}

fn is_node(text: &str) -> bool {
    text.starts_with("enode:") || text.starts_with("enr:")
}

fn invalid(cause: impl std::fmt::Display) -> RpcError {
    RpcError::invalid_params(format!("invalid argument 0: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use enode::{RecordBuilder, SecretKey};

    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[0x22; 32]).unwrap()
    }

    #[test]
    fn a_node_is_named_by_its_url_or_its_record() {
        let url = Enode::new(key().public_key(), [127, 0, 0, 1].into(), 30303, 0);
        let record = RecordBuilder::new().sign(&key()).unwrap().to_string();

        assert_eq!(node(&url.to_string()), Ok(url.clone()));
        assert_eq!(node(&record).map(|node| node.id()), Ok(url.id()));
        assert_eq!(id(&url.to_string()), Ok(url.id()));
        assert_eq!(id(&record), Ok(url.id()));
        assert_eq!(target(&url.to_string()), Ok(url.id().into()));
    }

    #[test]
    fn an_id_may_have_a_prefix() {
        let expected = key().public_key().node_id();

        for text in [expected.to_string(), format!("0x{expected}")] {
            assert_eq!(id(&text), Ok(expected), "{text}");
            assert_eq!(target(&text), Ok(BanTarget::Node(expected)), "{text}");
            assert!(node(&text).is_err(), "{text}: an id alone cannot be dialed");
        }
    }

    #[test]
    fn a_network_and_an_address_can_be_banned() {
        let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));

        assert_eq!(target("10.0.0.1"), Ok(address.into()));
        assert_eq!(target("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_names_nobody_is_refused_in_the_words_of_go_ethereum() {
        let short_key = "enode://abcd@127.0.0.1:30303";
        let bad_key = format!("enode://{}@127.0.0.1:30303", "00".repeat(64));
        let no_port =
            format!("enode://{}@127.0.0.1", const_hex::encode(key().public_key().to_bytes()));
        for (text, cause) in [
            ("enode://zz", "does not contain node ID"),
            ("", "missing 'enr:' prefix for base64-encoded record"),
            ("http://example.org", "missing 'enr:' prefix for base64-encoded record"),
            (short_key, "invalid public key (wrong length, want 128 hex chars)"),
            (&bad_key, "invalid public key (invalid secp256k1 public key)"),
            (&no_port, "invalid port"),
        ] {
            let expected = RpcError::new(-32_000, format!("invalid enode: {cause}"));
            assert_eq!(node(text), Err(expected.clone()), "{text}");
            if is_node(text) {
                assert_eq!(id(text), Err(expected.clone()), "{text}");
                assert_eq!(target(text), Err(expected), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_id_is_an_invalid_argument() {
        for text in ["", "x", "0x", "85b1", "10.0.0.1", "0x0x11"] {
            let error = id(text).unwrap_err();
            assert_eq!(error.code(), -32_602, "{text}");
            assert!(error.message().starts_with("invalid argument 0: "), "{text}: {error}");
        }
        for text in ["", "x", "10.0.0.0/33", "::/129"] {
            assert_eq!(target(text).unwrap_err().code(), -32_602, "{text}");
        }
    }
}
