//! C2: ask a node who it is, in three ways.
//!
//! New here: a client without a socket, and the methods that every service node has.
//! Run: `cargo run --bin c2_nodeinfo`

use anyhow::ensure;
use p2p_server::NodeInfo;
use rpc::Client;
use tutorial::{value, within};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    // The node of C1.
    let folder = tempfile::tempdir()?;
    let socket = tutorial::socket_in(folder.path());
    let node = tutorial::node("one").data_dir(folder.path()).ipc(&socket).build()?;
    within("the start", node.start()).await??;
    // ANCHOR_END: start

    // ANCHOR: server
    // First way: no RPC at all. Whoever has the node has its p2p server.
    let direct = node.server()?.node_info();
    say_info("Nodeinfo from p2p.Server", &direct);
    // ANCHOR_END: server

    // ANCHOR: in_process
    // Second way: a client in this process. Its calls are the text of B1, through a pipe in memory.
    let client = node.attach()?;
    let in_process: NodeInfo = within("an answer", client.call("admin_nodeInfo", ())).await??;
    say_info("Nodeinfo from IPC via ServiceNode", &in_process);
    // ANCHOR_END: in_process

    // ANCHOR: socket
    // Third way: a client that knows the path of the socket and nothing else of us.
    let client = Client::connect(&socket).await?;
    let external: NodeInfo = within("an answer", client.call("admin_nodeInfo", ())).await??;
    say_info("Nodeinfo from IPC via external call", &external);
    // ANCHOR_END: socket

    // ANCHOR: equal
    ensure!(direct == in_process && in_process == external, "three answers are not one");
    ensure!(direct.ports.listener != 0, "it listens nowhere");
    // ANCHOR_END: equal

    within("the stop", node.stop()).await??;
    Ok(())
}

// ANCHOR: say
/// Says who a node is, according to one of the three.
fn say_info(message: &str, info: &NodeInfo) {
    let fields = [
        ("enode", value(&info.enode)),
        ("IP", value(&info.ip)),
        ("ID", value(&info.id)),
        ("listening address", value(&info.listen_addr)),
    ];
    tutorial::say(Some("one"), message, fields.into());
}
// ANCHOR_END: say
