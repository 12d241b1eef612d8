//! A1: start a server, see who it is, stop it.
//!
//! New here: a key, a server made from it, and what the server knows of itself.
//! Run: `cargo run --bin a1_server`

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use enode::{SecretKey, keccak256};
use p2p_server::Server;
use tokio::net::TcpStream;
use tutorial::{say, within};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Flags and logs. Every chapter begins so.
    tutorial::init();

    // ANCHOR: key
    // A node is its key: whoever has the key is the node, wherever it runs.
    let key = SecretKey::random();
    let public_key = key.public_key();
    // ANCHOR_END: key

    // ANCHOR: start
    // The builder collects settings; `start` opens the port and sets the server running.
    let server = Server::builder(key)
        .name(tutorial::client_name("foo", "42"))
        .listen_on(tutorial::listen_addr())
        .max_peers(0)
        .start()
        .await?;
    // ANCHOR_END: start

    // ANCHOR: info
    // What the server tells of itself. The port is the one that the system chose.
    let info = server.node_info();
    say!("one", "server started", enode = info.enode, name = info.name, ID = info.id, IP = info.ip);
    // ANCHOR_END: info

    // ANCHOR: prove
    // The node id is no second key: it is the hash of the public key in the enode.
    ensure!(server.enode().public_key() == &public_key, "the enode carries another key");
    ensure!(*server.id().as_bytes() == keccak256(public_key.to_bytes()), "the id is no hash");
    // ANCHOR_END: prove

    // ANCHOR: port
    // Anybody can connect now...
    let address = server.listen_addr().context("the server does not listen")?;
    let open = answers(address).await?;
    say!("one", "port answers", open = open);
    ensure!(open, "nobody answers at {address}");
    // ANCHOR_END: port

    // ANCHOR: second
    // ...and nobody else can have the port. The error says which one, and what is wrong with it.
    let second = Server::builder(SecretKey::random()).listen_on(address).start().await;
    let Err(error) = second else { bail!("two servers listen on {address}") };
    say!("second server refused", error = error.to_string());
    // ANCHOR_END: second

    // ANCHOR: stop
    // When `stop` returns, the port is closed and no task is left.
    server.stop().await;
    let open = answers(address).await?;
    say!("one", "port answers", open = open);
    ensure!(!open, "somebody still answers at {address}");
    // ANCHOR_END: stop

    // ANCHOR: late
    // The handle is still here and may be asked; what needs a running server says that it is not.
    let late = server.remove_peer(server.id());
    let Err(error) = late else { bail!("a stopped server takes orders") };
    say!("one", "call on the stopped server", error = error.to_string());
    // ANCHOR_END: late
    Ok(())
}

/// Whether somebody accepts TCP connections at this address.
async fn answers(address: SocketAddr) -> anyhow::Result<bool> {
    Ok(within("an answer from the port", TcpStream::connect(address)).await?.is_ok())
}
