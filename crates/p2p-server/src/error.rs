//! What can go wrong when a server is started or used.

use std::{io, net::SocketAddr};

use crate::Capability;

/// Why a server did not start. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A protocol's name is empty, longer than 32 bytes or not printable ASCII.
    #[error("protocols: {name:?} is no capability name, want 1 to 32 printable ASCII characters")]
    ProtocolName {
        /// The name.
        name: String,
    },
    /// Two protocols have the same name and version.
    #[error("protocols: {0} is registered twice")]
    DuplicateProtocol(Capability),
    /// The protocols have more message codes together than there are.
    #[error("protocols: the message codes of all protocols together overflow")]
    ProtocolLengths,
    /// More capabilities than a hello may list, or a hello over 2,048 bytes.
    #[error("name and protocols make a hello of {size} bytes, over the limit of 2048")]
    HelloTooLong {
        /// What the hello would take, in bytes.
        size: usize,
    },
    /// The address to listen on is none.
    #[error("listen: {text:?} is no address, want IP:PORT such as 127.0.0.1:0")]
    ListenAddr {
        /// What was given.
        text: String,
    },
    /// The listener could not be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A time limit is zero.
    #[error("{field}: must be longer than zero")]
    ZeroTime {
        /// The field.
        field: &'static str,
    },
    /// A number is zero where it must not be.
    #[error("{field}: must be at least {least}")]
    TooSmall {
        /// The field.
        field: &'static str,
        /// The smallest value that works.
        least: usize,
    },
    /// A static node cannot be kept.
    #[error("static_nodes: {node}: {cause}")]
    StaticNode {
        /// The node.
        node: String,
        /// What is wrong with it.
        cause: String,
    },
    /// More trusted nodes than there is room for.
    #[error("trusted_nodes: more than 1024")]
    TooManyTrusted,
    /// The node record cannot hold what the protocols add to it.
    #[error("record: {0}")]
    Record(#[from] enode::RecordError),
}

/// The server is not running any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("server stopped")]
pub struct Stopped;

/// Why a node could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddPeerError {
    /// The server is not running any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The node is this one.
    #[error("is self")]
    Own,
    /// No more can be kept.
    #[error("too many nodes, the limit is {limit}")]
    TooMany {
        /// How many are kept at most.
        limit: usize,
    },
}
