//! Why a node is not dialed.
//!
//! The texts of the rules that it has are go-ethereum's.
//!
//! Spec: ethereum/go-ethereum:p2p/dial.go, `checkDial`.

/// Why a node is not dialed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckError {
    /// It is our own node.
    #[error("is self")]
    IsSelf,
    /// It has an address and no TCP port.
    #[error("node does not provide TCP port")]
    NoPort,
    /// Its address is not the address of one host: multicast or unspecified.
    #[error("node does not provide a host's address")]
    BadAddress,
    /// An attempt is under way.
    #[error("already dialing")]
    AlreadyDialing,
    /// It is a peer.
    #[error("already connected")]
    AlreadyConnected,
    /// It has dialed us and is about to be admitted.
    #[error("peer has pending inbound connection")]
    PendingInbound,
    /// Its address is in none of the networks that we dial.
    #[error("not contained in netrestrict list")]
    NetRestrict,
    /// It was dialed a moment ago, or asked to be left alone.
    #[error("recently dialed")]
    RecentlyDialed,
    /// It will be dialed without being offered again.
    #[error("already waiting to be dialed")]
    Waiting,
    /// Enough peers that we dialed are in its network.
    #[error("too many outbound connections into this network")]
    CrowdedNetwork,
    /// Too many candidates wait for a slot.
    #[error("queue of dial candidates is full")]
    QueueFull,
}

/// Why a node cannot be kept connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AddStaticError {
    /// It is our own node.
    #[error("is self")]
    Own,
    /// The list is full.
    #[error("too many static nodes, the limit is {limit}")]
    TooMany {
        /// How many are kept at most.
        limit: usize,
    },
}
