//! The chapters' service nodes: C1 spells one out, C2 and later get them from here.

use service_node::{Node, NodeBuilder};

use crate::flags::FLAGS;
use crate::{listen_addr, wire};

/// A service node as in C1, without a data directory, not started yet.
pub fn node(name: &'static str) -> NodeBuilder {
    let builder = Node::builder().name(name).listen(listen_addr().to_string());
    if !FLAGS.wire {
        return builder;
    }
    let builder = builder.rpc(move |rpc| rpc.tap(wire::show_message_of(name)));
    builder.key(wire::fixed_key(name)).p2p(move |server| {
        // The same bytes on every machine.
        wire::tapped(server.name(format!("{name}/wire")), name)
    })
}
