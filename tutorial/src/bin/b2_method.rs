//! B2: ask a node who it is from outside.
//!
//! New here: methods about something that lives, chosen one by one.
//! Run: `cargo run --bin b2_method`

use anyhow::ensure;
use enode::Enode;
use p2p_server::{AddPeerError, NodeInfo, PeerInfo, Server, Stopped};
use rpc::{Client, Module, code};
use tutorial::{refused, say, within};

// ANCHOR: methods
async fn node_info(server: Server) -> rpc::Result<NodeInfo> {
    Ok(server.node_info())
}

async fn peers_info(server: Server) -> rpc::Result<Vec<PeerInfo>> {
    Ok(server.peers_info())
}

async fn peer_count(server: Server) -> rpc::Result<usize> {
    Ok(server.peer_count())
}

/// True means that a connection will be kept from now on, not that there is one.
async fn add_peer(server: Server, node: Enode) -> Result<bool, AddPeerError> {
    server.add_peer(node)?;
    Ok(true)
}

/// True means that it is gone.
async fn remove_peer(server: Server, node: Enode) -> Result<bool, Stopped> {
    server.remove_peer(node.id())?.await;
    Ok(true)
}
// ANCHOR_END: methods

// ANCHOR: api
/// What may be asked of a server from outside. What is not in this list cannot be called, whatever
/// the server can do.
fn server_api(server: &Server) -> Module {
    Module::new("foo")
        .method_of(server, "nodeInfo", node_info)
        .method_of(server, "peersInfo", peers_info)
        .method_of(server, "peerCount", peer_count)
        .method_of(server, "addPeer", add_peer)
        .method_of(server, "removePeer", remove_peer)
}
// ANCHOR_END: api

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    // The server of A1, and beside it the RPC server of B1.
    let listen_addr = tutorial::listen_addr();
    let one = tutorial::server("one").listen_on(listen_addr).max_peers(0).start().await?;
    let folder = tempfile::tempdir()?;
    let socket = tutorial::socket_in(folder.path());
    let rpc = tutorial::rpc_server(&socket).module(server_api(&one)).start().await?;
    let client = Client::connect(&socket).await?;
    // ANCHOR_END: start

    // ANCHOR: info
    // From outside: JSON, read back into the type that it was made from.
    let info: NodeInfo = within("an answer", client.call("foo_nodeInfo", ())).await??;
    say!("one", "server started", enode = info.enode, name = info.name, ID = info.id, IP = info.ip);
    // From inside, as in A1. It is the same.
    let own = one.node_info();
    say!("one", "asked directly", enode = own.enode, name = own.name, ID = own.id, IP = own.ip);
    ensure!(info == own, "RPC tells of another node");
    // ANCHOR_END: info

    // ANCHOR: peers
    let count: usize = within("an answer", client.call("foo_peerCount", ())).await??;
    let peers: Vec<PeerInfo> = within("an answer", client.call("foo_peersInfo", ())).await??;
    say!("RPC return value", count = count, peers = peers);
    ensure!(count == 0 && peers.is_empty(), "a server without room has a peer");
    // ANCHOR_END: peers

    // ANCHOR: refused
    // Three ways to fail: no such method, no such argument, and the method's own error.
    let stop = refused(&client, "foo_stop", ()).await?;
    ensure!(stop.code() == code::METHOD_NOT_FOUND && one.is_running(), "anybody can stop it");
    let nonsense = refused(&client, "foo_addPeer", ("the one over there",)).await?;
    ensure!(nonsense.code() == code::INVALID_PARAMS, "any text is an enode");
    let itself = refused(&client, "foo_addPeer", (one.enode(),)).await?;
    ensure!(itself.code() == code::SERVER, "a node can be its own peer");
    // ANCHOR_END: refused

    rpc.stop().await;
    one.stop().await;
    Ok(())
}
