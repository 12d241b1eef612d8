//! What a node tells of itself and of its peers: the JSON of `admin_nodeInfo` and `admin_peers`.
//!
//! Members, their order and their forms are go-ethereum's, because tools read them. A client reads
//! them back into the same types; members that it does not know are no error.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Capability;

/// What a server knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The node id, 64 hex digits.
    pub id: String,
    /// The client name.
    pub name: String,
    /// The enode URL; `discport=0` as long as no discovery listens.
    pub enode: String,
    /// The signed node record, `enr:…`.
    pub enr: String,
    /// The address others should use.
    pub ip: IpAddr,
    /// The ports others should use.
    pub ports: Ports,
    /// Where the server listens; empty when it does not.
    #[serde(rename = "listenAddr")]
    pub listen_addr: String,
    /// For each protocol name what it tells of itself, `"unknown"` if nothing.
    pub protocols: BTreeMap<String, Value>,
}

/// The ports of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ports {
    /// The UDP port of discovery, 0 if there is none.
    pub discovery: u16,
    /// The TCP port of the listener, 0 if there is none.
    pub listener: u16,
}

/// What a server knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The peer's signed record, if we have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enr: Option<String>,
    /// How we know the peer; for an inbound one this holds its source address and is not dialable.
    pub enode: String,
    /// The node id, 64 hex digits.
    pub id: String,
    /// The client name it gave.
    pub name: String,
    /// What it offered, sorted: `["foo/42"]`.
    pub caps: Vec<Capability>,
    /// The connection.
    pub network: NetworkInfo,
    /// For each protocol that runs what it tells of this peer: `"unknown"` if it tells nothing,
    /// `"handshake"` if not yet.
    pub protocols: BTreeMap<String, Value>,
}

/// A peer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkInfo {
    /// Our end.
    #[serde(rename = "localAddress")]
    pub local_address: SocketAddr,
    /// The peer's end.
    #[serde(rename = "remoteAddress")]
    pub remote_address: SocketAddr,
    /// Whether the peer connected to us.
    pub inbound: bool,
    /// Whether it is admitted beyond the limits.
    pub trusted: bool,
    /// Whether we keep a connection to it.
    #[serde(rename = "static")]
    pub is_static: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infos_are_read_from_the_json_they_are_written_as() {
        let node = r#"{"id":"ab","name":"n","enode":"enode://ab","enr":"enr:x","ip":"::1","ports":{"discovery":0,"listener":7},"listenAddr":"[::1]:7","protocols":{"foo":"unknown"}}"#;
        let peer = r#"{"enode":"enode://ab","id":"ab","name":"n","caps":["foo/42"],"network":{"localAddress":"[::1]:1","remoteAddress":"[::1]:2","inbound":true,"trusted":false,"static":true},"protocols":{"foo":{"head":1}}}"#;

        let read: NodeInfo = serde_json::from_str(node).expect("a node's info");
        assert_eq!(serde_json::to_string(&read).expect("plain data"), node);
        let read: PeerInfo = serde_json::from_str(peer).expect("a peer's info");
        assert_eq!(read.enr, None);
        assert_eq!(serde_json::to_string(&read).expect("plain data"), peer);
    }

    #[test]
    fn a_member_of_a_later_version_is_no_error() {
        let ports = serde_json::from_str::<Ports>(r#"{"discovery":1,"listener":2,"quic":3}"#);

        assert_eq!(ports.expect("the members it knows"), Ports { discovery: 1, listener: 2 });
    }
}
