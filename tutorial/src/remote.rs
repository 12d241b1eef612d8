//! The chapters' doors for other programs: B1 spells one out, B2 and later get them from here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rpc::{Client, ClientError, RpcError, ServerBuilder};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{say, say_members, show_message, wire, within};

/// Where a chapter's socket is: in this folder. On Windows a socket is no file but a named pipe,
/// which takes the folder's name instead.
pub fn socket_in(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        let name = folder.file_name().unwrap_or_default();
        return Path::new(r"\\.\pipe").join(name).with_extension("ipc");
    }
    folder.join("demo.ipc")
}

/// An RPC server as in B1, on this socket, with nothing to call in it and not started yet.
pub fn rpc_server(socket: &Path) -> ServerBuilder {
    rpc::Server::builder().ipc(socket).tap(show_message)
}

/// Makes a call that must be refused, and says how it was.
///
/// # Errors
///
/// When it is not refused, or not answered at all.
pub async fn refused(
    client: &Client,
    method: &str,
    params: impl Serialize,
) -> anyhow::Result<RpcError> {
    let error = error_of(client, method, params).await?;
    say!("RPC error", method = method, code = error.code(), error = error.message());
    Ok(error)
}

/// Makes a call that must be refused, and gives how it was.
///
/// # Errors
///
/// When it is not refused, or not answered at all.
pub async fn error_of(
    client: &Client,
    method: &str,
    params: impl Serialize,
) -> anyhow::Result<RpcError> {
    match within("an answer", client.call::<Value>(method, params)).await? {
        Err(ClientError::Call(error)) => Ok(error),
        Err(error) => Err(error.into()),
        Ok(result) => bail!("{method} was not refused but answered with {result}"),
    }
}

/// Calls a method over HTTP by hand, with these two headers, and gives the status of the answer.
///
/// # Errors
///
/// When there is no answer by the chapter's deadline, or what comes is none.
pub async fn post(
    addr: SocketAddr,
    host: &str,
    content_type: &str,
    method: &str,
) -> anyhow::Result<u16> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let request = head + &body;
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let answer = within("an answer over HTTP", exchange).await??;
    wire::show_http(&request, &answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("no answer of HTTP: {answer}"))
}

/// Says that a peer event came through RPC.
pub fn say_notification(node: &str, event: &Value) {
    say_members(node, "RPC notification", event);
}
