//! C2: ask a node about itself, on three ways.
//!
//! New here: the methods that every service node has, and a client in the same process.
//! Run: `cargo run --bin c2_nodeinfo`

use anyhow::{Context as _, ensure};
use p2p_server::NodeInfo;
use rpc::Client;
use tutorial::within;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();
    let folder = tempfile::tempdir()?;
    let node = tutorial::node("one").data_dir(folder.path()).ipc(".demo.ipc").build()?;
    node.start().await?;

    // ANCHOR: direct
    // The shortest way: the program holds the node, and the node holds the server.
    let direct = node.server()?.node_info();
    show("Nodeinfo from p2p.Server", &direct);
    // ANCHOR_END: direct

    // ANCHOR: attached
    // As a client, but without leaving the process: a pipe in memory takes the socket's place.
    let attached = node.attach()?;
    let by_rpc: NodeInfo = within("an answer", attached.call("admin_nodeInfo", ())).await??;
    show("Nodeinfo from IPC via ServiceNode", &by_rpc);
    // ANCHOR_END: attached

    // ANCHOR: external
    // As any other program would: through the socket.
    let socket = node.ipc_path().context("a node with a folder has a socket")?;
    let external = Client::connect(&socket).await?;
    let by_socket: NodeInfo = within("an answer", external.call("admin_nodeInfo", ())).await??;
    show("Nodeinfo from IPC via external call", &by_socket);
    // ANCHOR_END: external

    // ANCHOR: equal
    ensure!(direct == by_rpc && direct == by_socket, "three ways, and not one node");
    ensure!(direct.ports.listener != 0, "a node that listens has a port");
    // The socket's end is the proof that the third way led through it.
    node.stop().await?;
    ensure!(!socket.exists(), "the socket outlived its node");
    let refused = within("a refusal", external.call::<NodeInfo>("admin_nodeInfo", ())).await?;
    ensure!(refused.is_err(), "somebody else answered");
    // ANCHOR_END: equal
    Ok(())
}

// ANCHOR: show
/// Says what a node told about itself; the message says on which way.
fn show(message: &str, info: &NodeInfo) {
    let fields = [
        ("enode", tutorial::value(&info.enode)),
        ("IP", tutorial::value(&info.ip)),
        ("ID", tutorial::value(&info.id)),
        ("listening address", tutorial::value(&info.listen_addr)),
    ];
    tutorial::say(Some("one"), message, fields.into());
}
// ANCHOR_END: show
