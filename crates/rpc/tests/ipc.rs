//! The socket: whose it is, when it goes, and what may come over it.

#![cfg(unix)]

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use common::{soon, wire::Wire};
use rpc::{Client, ClientError, Module, Server, StartError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

fn hello() -> Module {
    Module::new("foo").method("hello", || async { rpc::Result::Ok("hi") })
}

async fn serve(path: &Path) -> Result<Server, StartError> {
    Server::builder().module(hello()).ipc(path).start().await
}

async fn answers(path: &Path) -> Result<String, ClientError> {
    Client::connect(path.to_str().expect("a text")).await?.call("foo_hello", ()).await
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_gone_after_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/er/rpc.ipc");

    let server = serve(&path).await.expect("it starts");

    assert_eq!(server.ipc_path(), Some(&*path));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("deep/er")) & !0o751, 0, "no more than 0751");
    assert_eq!(answers(&path).await.expect("an answer"), "hi");
    soon("the end", server.stop()).await;
    assert!(!path.exists());
    assert!(matches!(answers(&path).await, Err(ClientError::Connect { .. })));
}

#[tokio::test]
async fn the_socket_is_gone_when_the_last_handle_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let server = serve(&path).await.expect("it starts");
    let mut wire = Wire::stream(UnixStream::connect(&path).await.expect("it answers"));
    common::expect_silence(&mut wire).await;

    drop(server);

    assert_eq!(soon("the end", wire.receive()).await, None);
    let gone = async {
        while path.exists() {
            tokio::task::yield_now().await
        }
    };
    soon("the file to go", gone).await;
}

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    // Its file stays when a listener is closed.
    drop(UnixListener::bind(&path).expect("it binds"));
    assert!(path.exists());

    let server = serve(&path).await.expect("it starts");

    assert_eq!(answers(&path).await.expect("an answer"), "hi");
    server.stop().await;
}

#[tokio::test]
async fn a_socket_in_use_is_left_to_its_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let first = serve(&path).await.expect("it starts");

    let error = serve(&path).await.expect_err("in use");

    assert!(matches!(error, StartError::IpcInUse { .. }), "{error}");
    assert!(error.to_string().contains("another server answers on"), "{error}");
    assert_eq!(answers(&path).await.expect("an answer"), "hi");
    first.stop().await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious");
    fs::write(&path, "text").expect("written");

    let error = serve(&path).await.expect_err("no socket");

    assert!(matches!(error, StartError::IpcNotSocket { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("it is there"), b"text");
}

#[tokio::test]
async fn a_server_that_stops_leaves_a_file_that_took_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let server = serve(&path).await.expect("it starts");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "text").expect("written");

    server.stop().await;

    assert_eq!(fs::read(&path).expect("it is there"), b"text");
}

#[tokio::test]
async fn a_path_that_no_address_has_room_for_is_refused_with_its_length() {
    let path = Path::new("/tmp").join("x".repeat(120));

    let error = serve(&path).await.expect_err("too long");

    assert!(error.to_string().contains("has 125 bytes, over the limit of 10"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_start_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");

    let builder = Server::builder().module(Module::new("foo")).ipc(&path);
    let error = builder.start().await.expect_err("an empty module");

    assert_eq!(error.to_string(), "namespace foo has no methods; Module::allow_empty lets it pass");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_client_that_has_closed_its_half_still_gets_its_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let server = serve(&path).await.expect("it starts");
    let mut connection = UnixStream::connect(&path).await.expect("it answers");

    connection.write_all(br#"{"id":1,"method":"foo_hello"}"#).await.expect("written");
    connection.shutdown().await.expect("half closed");

    let mut got = String::new();
    soon("the answer", connection.read_to_string(&mut got)).await.expect("text");
    assert_eq!(got, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"hi\"}\n");
    server.stop().await;
}

/// R-05: the limit of connections.
#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_there_is_room_again_when_one_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let limits = rpc::Limits { ipc_connections: 2, ..rpc::Limits::default() };
    let builder = Server::builder().module(hello()).ipc(&path).limits(limits);
    let server = builder.start().await.expect("it starts");
    let open = || async { Wire::stream(UnixStream::connect(&path).await.expect("it answers")) };
    let (mut one, mut two) = (open().await, open().await);
    for wire in [&mut one, &mut two] {
        common::expect_silence(wire).await;
    }

    let mut three = open().await;

    assert_eq!(soon("the end", three.receive()).await, None);
    drop(one);
    loop {
        let mut next = open().await;
        let sent = next.try_send(r#"{"id":1,"method":"foo_hello"}"#).await;
        if sent && soon("an answer", next.receive()).await.is_some() {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_closes_its_connections_and_ends_subscriptions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rpc.ipc");
    let endless = Module::new("foo").subscription("never", || async {
        rpc::Result::Ok(futures_util::stream::pending::<u64>())
    });
    let server = Server::builder().module(endless).ipc(&path).start().await.expect("it starts");
    let client = Client::connect(path.to_str().expect("text")).await.expect("connected");
    let mut subscription =
        client.subscribe::<u64>("foo", ("never",)).await.expect("a subscription");

    tokio::join!(soon("the end", server.stop()), soon("the end", server.stop()));

    let end = soon("the end", subscription.next()).await.expect("a reason");
    assert!(matches!(end, Err(ClientError::Closed { .. })), "{end:?}");
    assert!(subscription.next().await.is_none());
    assert!(matches!(client.call::<u64>("foo_x", ()).await, Err(ClientError::Connect { .. })));
}
