//! The chapters' service nodes: C1 spells one out, C2 and later get them from here.

use anyhow::Context as _;
use enode::NodeId;
use serde_json::Value;
use service_node::{Node, NodeBuilder};

use crate::flags::FLAGS;
use crate::{listen_addr, say_started, show_message, wire};

/// A service node as in C1, without a data directory, not started yet.
pub fn node(name: &'static str) -> NodeBuilder {
    let builder = Node::builder().name(name).listen(listen_addr().to_string());
    if !FLAGS.wire {
        return builder;
    }
    let builder = builder.key(wire::fixed_key(name)).rpc(|rpc| rpc.tap(show_message));
    builder.p2p(move |server| wire::tapped(server.name(format!("{name}/wire")), name))
}

/// Says who a service node is, as A1 does.
///
/// # Errors
///
/// When it does not run.
pub fn say_node(node: &Node) -> anyhow::Result<()> {
    say_started(node.name(), &node.server()?);
    Ok(())
}

/// The peer that an event in JSON is about.
///
/// # Errors
///
/// When it is about none.
pub fn peer_of(event: &Value) -> anyhow::Result<NodeId> {
    let peer = event["peer"].as_str().context("an event without a peer")?;
    Ok(peer.parse()?)
}
