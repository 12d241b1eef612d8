//! B1: call a method from another program.
//!
//! New here: a method with a name, a server that answers on a socket, a client that asks.
//! Run: `cargo run --bin b1_rpc`

use anyhow::{bail, ensure};
use rpc::{Client, ClientError, Module, Server, code};
use tutorial::{say, within};

// ANCHOR: method
/// What can be asked. It takes no arguments.
async fn hello_world() -> rpc::Result<&'static str> {
    Ok("foobar")
}
// ANCHOR_END: method

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    // A socket is a file, so it needs a folder; this one goes away at the end, whatever happens.
    let folder = tempfile::tempdir()?;
    let socket = tutorial::socket_in(folder.path());
    // The method gets its name here: `foo_helloWorld`. Nothing else can be called.
    let module = Module::new("foo").method("helloWorld", hello_world);
    let builder = Server::builder().module(module).ipc(&socket);
    let server = builder.tap(tutorial::show_message).start().await?;
    say!("RPC server started", socket = socket);
    say!("socket file", there = socket.exists());
    ensure!(socket.exists(), "there is no socket at {}", socket.display());
    // ANCHOR_END: start

    // ANCHOR: call
    // The client could be another program, in another language. It knows the path and no more.
    let client = Client::connect(&socket).await?;
    let reply: String = within("an answer", client.call("foo_helloWorld", ())).await??;
    say!("RPC return value", reply = reply);
    ensure!(reply == "foobar", "somebody else answers");
    // ANCHOR_END: call

    // ANCHOR: wrong
    // Names are taken as they are written. What has none is not there.
    for method in ["foo_HelloWorld", "foo_nope"] {
        let answer = within("an answer", client.call::<String>(method, ())).await?;
        let Err(ClientError::Call(error)) = answer else { bail!("{method}: {answer:?}") };
        say!("RPC error", method = method, code = error.code(), error = error.message());
        ensure!(error.code() == code::METHOD_NOT_FOUND, "refused, but for another reason");
    }
    // ANCHOR_END: wrong

    // ANCHOR: stop
    // When `stop` returns, every connection has ended and the file is gone.
    server.stop().await;
    say!("socket file", there = socket.exists());
    ensure!(!socket.exists(), "the socket is still at {}", socket.display());
    // ANCHOR_END: stop
    Ok(())
}
