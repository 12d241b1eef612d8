//! The chapters' doors for other programs: B1 spells one out, B2 and later get them from here.

use std::path::{Path, PathBuf};

use anyhow::bail;
use rpc::{Client, ClientError, RpcError, ServerBuilder};
use serde::Serialize;
use serde_json::Value;

use crate::{say, say_members, show_message, within};

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
    let error = match within("an answer", client.call::<Value>(method, params)).await? {
        Err(ClientError::Call(error)) => error,
        Err(error) => return Err(error.into()),
        Ok(result) => bail!("{method} was not refused but answered with {result}"),
    };
    say!("RPC error", method = method, code = error.code(), error = error.message());
    Ok(error)
}

/// Says that a peer event came through RPC.
pub fn say_notification(node: &str, event: &Value) {
    say_members(node, "RPC notification", event);
}
