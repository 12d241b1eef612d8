//! C1: a service node, without any service.
//!
//! New here: the container. It starts and stops what the chapters before put together by hand, and
//! it has a directory.
//! Run: `cargo run --bin c1_stack`

use anyhow::ensure;
use service_node::{BuildError, Node};
use tutorial::{say, say_node};

// ANCHOR: build
/// A node whose files are in this folder. Building it opens nothing and makes no file.
fn node_in(folder: &std::path::Path) -> Result<Node, BuildError> {
    Node::builder()
        // Its own directory is <folder>/one, and this is also what it calls itself to others.
        .name("one")
        .data_dir(folder)
        .listen(tutorial::listen_addr().to_string())
        // A plain name: the socket is in the folder.
        .ipc(".demo.ipc")
        .build()
}
// ANCHOR_END: build

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();
    let folder = tempfile::tempdir()?;

    // ANCHOR: start
    let node = node_in(folder.path())?;
    node.start().await?;
    say_node(&node)?;
    let id = node.server()?.id();
    // ANCHOR_END: start

    // ANCHOR: twice
    let Err(error) = node.start().await else { anyhow::bail!("it started twice") };
    say!("one", "second start", error = error.to_string());
    ensure!(error.to_string() == "node already running", "refused for another reason");
    // ANCHOR_END: twice

    // ANCHOR: second
    // Another node, and the same directory. The lock says who has it.
    let second = node_in(folder.path())?;
    let Err(error) = second.start().await else { anyhow::bail!("two nodes in one directory") };
    say!("one", "second node in the same directory", error = error.to_string());
    let expected = format!("datadir already used by another process (pid {})", std::process::id());
    ensure!(error.to_string() == expected, "refused for another reason");
    // ANCHOR_END: second

    // ANCHOR: stop
    node.stop().await?;
    let Err(error) = node.stop().await else { anyhow::bail!("it stopped twice") };
    say!("one", "second stop", error = error.to_string());
    ensure!(error.to_string() == "node not started", "refused for another reason");
    // ANCHOR_END: stop

    // ANCHOR: again
    // Now the directory is free, and in it is the key that the first node made.
    second.start().await?;
    let same = second.server()?.id() == id;
    say!("one", "after a restart", ID = second.server()?.id().to_string(), same = same);
    ensure!(same, "a new node with an old directory is somebody else");
    second.stop().await?;
    // ANCHOR_END: again
    Ok(())
}
