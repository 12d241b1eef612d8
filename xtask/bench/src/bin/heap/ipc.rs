//! Idle connections over a local socket, of the RPC server and of its clients.

use anyhow::{Context as _, Result};
use rpc::{Client, Context, Module, Server};
use tokio::{sync::mpsc, time::timeout};

use super::{OtherEnds, PATIENCE, heap, settle};

/// The heap of so many connections' ends in the server.
pub(super) async fn server_ends(connections: usize) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let path = text(folder.path().join("ipc"))?;
    // bound: a word from each connection
    let (tell, mut told) = mpsc::channel(connections);
    let server = Server::builder().module(module(tell)).ipc(&path).start().await?;
    settle().await;
    let before = heap();

    let _others = OtherEnds::start(&["call", &path, &connections.to_string()])?;
    for _ in 0..connections {
        timeout(PATIENCE, told.recv()).await.context("a connection is missing")?;
    }
    settle().await;
    let with = heap();
    server.stop().await;
    Ok(with.saturating_sub(before))
}

/// The heap of so many connections' ends in as many clients.
pub(super) async fn client_ends(connections: usize) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let path = text(folder.path().join("ipc"))?;
    let mut others = OtherEnds::start(&["serve", &path])?;
    others.wait(LISTENING)?;
    let before = heap();

    let clients = clients(&path, connections).await?;
    settle().await;
    let with = heap();
    drop(clients);
    Ok(with.saturating_sub(before))
}

/// The other end of [`server_ends`].
pub(super) async fn call(path: &str, connections: usize) -> Result<()> {
    let _clients = clients(path, connections).await?;
    // Until the counting process ends this one.
    std::future::pending().await
}

/// The other end of [`client_ends`].
#[allow(clippy::print_stdout, reason = "this is how it says that it is ready")]
pub(super) async fn serve(path: &str) -> Result<()> {
    // bound: nobody listens, and what is too much is left out
    let (tell, _told) = mpsc::channel(1);
    let _server = Server::builder().module(module(tell)).ipc(path).start().await?;
    println!("{LISTENING}");
    std::future::pending().await
}

async fn clients(path: &str, connections: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let client = Client::connect(path).await?;
        let () = client.call("heap_here", ()).await?;
        clients.push(client);
    }
    Ok(clients)
}

/// The method by which a client says that it is there.
fn module(tell: mpsc::Sender<()>) -> Module {
    Module::new("heap").method("here", move |_: Context| {
        let _ = tell.try_send(());
        async { rpc::Result::Ok(()) }
    })
}

fn text(path: std::path::PathBuf) -> Result<String> {
    path.into_os_string().into_string().ok().context("a path that is text")
}

const LISTENING: &str = "listening";
