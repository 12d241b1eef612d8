//! The chapters' nodes: A1 spells one out, A2 and later get them from here.

use anyhow::Context as _;
use enode::SecretKey;
use p2p_server::{Peer, PeerEvent, PeerEvents, Server, ServerBuilder};
use serde_json::{Value, json};

use crate::flags::FLAGS;
use crate::{listen_addr, say, wire, within};

/// A server as in A1, with a random key and room for one peer, not started yet.
///
/// Node two listens; the others only dial.
pub fn server(node: &'static str) -> ServerBuilder {
    let key = if FLAGS.wire { wire::fixed_key(node) } else { SecretKey::random() };
    let builder = Server::builder(key).max_peers(1);
    let builder = match node {
        "two" => builder.name(client_name("bar", "666")).listen_on(listen_addr()),
        _ => builder.name(client_name("foo", "42")),
    };
    if FLAGS.wire { wire::tapped(builder, node) } else { builder }
}

/// A client name in the form that is usual in the network: `foo/v42/linux/rust1.95.0`.
pub fn client_name(name: &str, version: &str) -> String {
    if FLAGS.wire {
        return format!("{name}/v{version}/wire"); // the same bytes on every machine
    }
    format!("{name}/v{version}/{}/rust{}", std::env::consts::OS, env!("RUSTC_VERSION"))
}

/// Says who a node is, as A1 does.
pub fn say_started(node: &str, server: &Server) {
    let info = server.node_info();
    say!(node, "server started", enode = info.enode, name = info.name, ID = info.id, IP = info.ip);
}

/// Waits until a server has so many peers.
///
/// # Errors
///
/// When it has not by the chapter's deadline, or stops.
pub async fn wait_for_peer_count(server: &Server, count: usize) -> anyhow::Result<()> {
    // Subscribed before the first look, so that no change falls between the two.
    let mut events = server.events();
    while server.peer_count() != count {
        let what = format!("the peers of {} to be {count}", server.node_info().name);
        within(&what, events.next()).await?.context("the server stopped")?;
    }
    Ok(())
}

/// The next event of a subscription, as A3 waits for it.
///
/// # Errors
///
/// When there is none by the chapter's deadline, or the server stops.
pub async fn next_event(events: &mut PeerEvents) -> anyhow::Result<PeerEvent> {
    within("a peer event", events.next()).await?.context("the server stopped")
}

/// Peers as a line of the log shows them.
pub fn peer_list(peers: &[Peer]) -> Value {
    let peers = peers.iter().map(|peer| {
        json!({
            "id": peer.id().to_string(),
            "remote": peer.remote_addr(),
            "inbound": peer.inbound(),
            "static": peer.is_static(),
        })
    });
    peers.collect()
}
