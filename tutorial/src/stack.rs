//! The chapters' service nodes: C1 spells one out, C2 and later get them from here.

use std::path::Path;

use service_node::{Node, NodeBuilder};

use crate::flags::FLAGS;
use crate::{listen_addr, socket_in, wire};

/// A service node as in C1, with its files in this folder, not built yet.
pub fn node(name: &'static str, folder: &Path) -> NodeBuilder {
    let builder = Node::builder().name(name).data_dir(folder).ipc(socket_in(folder));
    let builder = builder.listen(listen_addr().to_string());
    if !FLAGS.wire {
        return builder;
    }
    let builder = builder.rpc(move |rpc| rpc.tap(wire::show_message_of(name)));
    builder.key(wire::fixed_key(name)).p2p(move |server| {
        // The same bytes on every machine.
        wire::tapped(server.name(format!("{name}/wire")), name)
    })
}
