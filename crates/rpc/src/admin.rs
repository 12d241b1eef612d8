//! The namespaces `admin` and `net` over a [`p2p_server::Server`].
//!
//! ```text
//!                       ┌─ admin ── what the server knows ◀── peers, dials, traffic, bans
//!   Server ─▶ AdminApi ─┼─ net      what changes it ─▶ add, remove, trust, ban ─▶ log
//!                       └─ web3     peerEvents ◀────── events, as fast as the caller reads
//! ```
//!
//! A server itself is never offered, only what is in these tables: whoever hands a whole object to
//! his callers lets them stop it.
//!
//! | `admin_…` | arguments | result |
//! |---|---|---|
//! | `nodeInfo` | | [`NodeInfo`](p2p_server::NodeInfo) |
//! | `peers` | | [`PeerInfo`](p2p_server::PeerInfo) of each peer, sorted by id |
//! | `datadir` | | an absolute path; empty when the program keeps no data |
//! | `addPeer`, `addTrustedPeer` | node | true: it will be dialed, or is trusted; what comes of it is for `dialStatus` and `peerEvents` |
//! | `removePeer`, `removeTrustedPeer` | node | true |
//! | `subscribe` | `"peerEvents"` | each [`PeerEvent`](p2p_server::PeerEvent) from now on |
//! | `dialStatus` | node or id | see below; null when nothing is known |
//! | `peerStats` | node or id | see below |
//! | `banPeer` | node, id, address or network; seconds | true; whoever is banned and connected is told "disconnect requested" |
//! | `unban` | the same as was banned | whether there was a ban |
//! | `bans` | | `[{target, until}]`, nodes first |
//!
//! | `net_…` | arguments | result |
//! |---|---|---|
//! | `listening` | | whether others can connect |
//! | `peerCount` | | how many peers, as a hexadecimal number: `"0x0"` |
//!
//! A *node* is an enode URL or a node record, an *id* 64 hexadecimal digits with or without `0x`, a
//! *network* like `10.0.0.0/8`. Times are RFC 3339, in UTC.
//!
//! ```text
//!   dialStatus   {id, static, trusted, connected, dialing, attempts,
//!                 last: {time, stage, error or null} or null, next: time or null}
//!   peerStats    {id, ingressBytes, egressBytes, messages: {"foo/42": {in, out}},
//!                 queued, rttMillis or null, connectedSeconds}
//! ```
//!
//! | error −32000 | when |
//! |---|---|
//! | `invalid enode: …` | the text names no node |
//! | `node not started` | the server has stopped; nothing of `admin` but `datadir` is answered then |
//! | `peer not found` | `peerStats` of a node that is no peer |
//! | `is self`, `too many nodes, the limit is 1024` | a node that cannot be added |
//!
//! A subscriber of `peerEvents` who does not read holds up nobody: the server keeps 4,096 message
//! events for him and then counts them, as `{"type":"lagged","missed":N}`, and after 65,536 unread
//! arrivals and departures says `{"type":"overrun"}` and no more.
//!
//! Every call that changes something is logged with its caller and whether it was carried out, and of
//! what it was given with nothing but the node's id (R-11).
//!
//! Spec: ethereum/go-ethereum:node/api.go, `adminAPI`. `dialStatus`, `peerStats` and the bans are
//! ours; listeners cannot be started and stopped from here.

mod argument;
mod change;
mod show;
mod time;

use std::{
    future::{Ready, ready},
    path::PathBuf,
};

use p2p_server::Server;

use crate::{Module, Result, RpcError, web3::web3};

/// The namespaces `admin`, `net` and `web3` of a program with a p2p server.
///
/// Holds a handle to the server, as do the modules: it runs until it is stopped, or these are gone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::admin::AdminApi;
///
/// let p2p = p2p_server::Server::builder(enode::SecretKey::random()).name("foo/v1").start().await?;
/// let server = rpc::Server::builder().modules(AdminApi::new(p2p.clone())).start().await?;
///
/// let client = server.attach();
///
/// assert_eq!(client.call::<String>("web3_clientVersion", ()).await?, "foo/v1");
/// assert_eq!(client.call::<String>("net_peerCount", ()).await?, "0x0");
/// server.stop().await;
/// p2p.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AdminApi {
    server: Server,
    datadir: PathBuf,
}

impl AdminApi {
    /// The namespaces over this server.
    pub fn new(server: Server) -> Self {
        Self { server, datadir: PathBuf::new() }
    }

    /// Where the program keeps its data, for `admin_datadir`; a relative path is made absolute. By
    /// default it keeps none.
    #[must_use]
    pub fn datadir(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.datadir = std::path::absolute(&path).unwrap_or(path);
        self
    }

    /// The namespace `admin`: everything about the server's peers, and power over them.
    pub fn admin(&self) -> Module {
        let server = &self.server;
        let datadir = self.datadir.to_string_lossy().into_owned();
        let events = server.clone();
        Module::new("admin")
            .method("nodeInfo", read(server, |server| server.node_info()))
            .method("peers", read(server, |server| server.peers_info()))
            .method("datadir", move || ready(Result::Ok(datadir.clone())))
            .method("addPeer", change::method("addPeer", server, change::add_peer))
            .method("removePeer", change::remove_peer(server))
            .method("addTrustedPeer", change::method("addTrustedPeer", server, change::trust))
            .method(
                "removeTrustedPeer",
                change::method("removeTrustedPeer", server, change::distrust),
            )
            .subscription("peerEvents", move || ready(running(&events).map(|()| events.events())))
            .method("dialStatus", read_of(server, show::dial_status))
            .method("peerStats", read_of(server, show::peer_stats))
            .method("banPeer", change::ban(server))
            .method("unban", change::method("unban", server, change::unban))
            .method("bans", read(server, show::bans))
    }

    /// The namespace `net`: two questions that give nothing away.
    pub fn net(&self) -> Module {
        let (listening, peer_count) = (self.server.clone(), self.server.clone());
        Module::new("net")
            .method("listening", move || {
                ready(Result::Ok(listening.is_running() && listening.listen_addr().is_some()))
            })
            .method("peerCount", move || {
                ready(Result::Ok(format!("{:#x}", peer_count.peer_count())))
            })
    }

    /// The namespace [`web3`] under the server's name.
    pub fn web3(&self) -> Module {
        web3(self.server.node_info().name)
    }

    /// All three, in this order.
    pub fn modules(&self) -> Vec<Module> {
        vec![self.admin(), self.net(), self.web3()]
    }
}

impl IntoIterator for AdminApi {
    type Item = Module;
    type IntoIter = std::vec::IntoIter<Module>;

    fn into_iter(self) -> Self::IntoIter {
        self.modules().into_iter()
    }
}

/// A method without arguments that only looks.
fn read<T>(server: &Server, look: fn(&Server) -> T) -> impl Fn() -> Ready<Result<T>> + use<T> {
    let server = server.clone();
    move || ready(running(&server).map(|()| look(&server)))
}

/// A method that only looks, at what the text is about.
fn read_of<T>(
    server: &Server,
    look: fn(&Server, &str) -> Result<T>,
) -> impl Fn(String) -> Ready<Result<T>> + use<T> {
    let server = server.clone();
    move |text: String| ready(running(&server).and_then(|()| look(&server, &text)))
}

/// Whether there is a server to talk about.
fn running(server: &Server) -> Result<()> {
    if server.is_running() { Ok(()) } else { Err(not_started()) }
}

/// Source: ethereum/go-ethereum:node/errors.go, `ErrNodeStopped`.
fn not_started() -> RpcError {
    RpcError::other("node not started")
}
