//! What a node tells of itself and of its peers: the JSON of `admin_nodeInfo` and `admin_peers`.
//!
//! Members, their order and their forms are go-ethereum's, because tools read them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;
use serde_json::Value;

use crate::Capability;

/// What a server knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ports {
    /// The UDP port of discovery, 0 if there is none.
    pub discovery: u16,
    /// The TCP port of the listener, 0 if there is none.
    pub listener: u16,
}

/// What a server knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
