//! C1: a node that keeps its key, and starts and stops as a whole.
//!
//! New here: the service node, its data directory, and the lock on it.
//! Run: `cargo run --bin c1_stack`

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use p2p_server::Server;
use service_node::{BuildError, Node};
use tutorial::{listen_addr, say, within};

// ANCHOR: stack
/// A service node with nothing of its own in it. All that it keeps is in this folder.
fn stack(folder: &Path) -> Result<Node, BuildError> {
    Node::builder()
        .name("one")
        .data_dir(folder)
        .ipc("demo.ipc") // a plain name: in the data directory
        .listen(listen_addr().to_string())
        .build()
}
// ANCHOR_END: stack

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    let folder = tempfile::tempdir()?;
    let node = stack(folder.path())?;
    ensure!(files(folder.path())?.is_empty(), "a node that was only built has made a file");
    within("the start", node.start()).await??;
    let (id, socket) = (say_started(&node)?.id(), node.ipc_path().context("no socket")?);
    say!("one", "files", there = files(folder.path())?);
    ensure!(socket == folder.path().join("demo.ipc"), "the socket is at {}", socket.display());
    // ANCHOR_END: start

    // ANCHOR: twice
    // A node that runs cannot be started, and nothing happens to it.
    let error = node.start().await.err().context("started twice")?;
    say!("one", "start refused", error = error.to_string());
    ensure!(node.is_running() && node.server()?.id() == id, "it is not what it was");
    // ANCHOR_END: twice

    // ANCHOR: lock
    // Nor can a second node have the same files. It could not even be told from the first.
    let second = stack(folder.path())?;
    let error = second.start().await.err().context("two nodes with one key")?;
    say!("one", "second node refused", error = error.to_string());
    ensure!(!second.is_running() && socket.exists(), "the first has lost its socket");
    // ANCHOR_END: lock

    // ANCHOR: stop
    within("the stop", node.stop()).await??;
    say!("one", "files", there = files(folder.path())?);
    ensure!(!socket.exists(), "the socket is still at {}", socket.display());
    let error = node.stop().await.err().context("stopped twice")?;
    say!("one", "stop refused", error = error.to_string());
    // ANCHOR_END: stop

    // ANCHOR: again
    // The files are free, and whoever opens them is the node whose key they hold.
    within("the start", second.start()).await??;
    ensure!(say_started(&second)?.id() == id, "another node in the same folder");
    within("the stop", second.stop()).await??;
    // ANCHOR_END: again
    Ok(())
}

/// Says who a node is, as A1 does.
fn say_started(node: &Node) -> anyhow::Result<Server> {
    let server = node.server()?;
    tutorial::say_started(node.name(), &server);
    Ok(server)
}

// ANCHOR: files
/// What is in a folder and in the folders in it.
fn files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let inside = files(&entry.path())?.into_iter();
            names.extend(inside.map(|file| format!("{name}/{file}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
// ANCHOR_END: files
