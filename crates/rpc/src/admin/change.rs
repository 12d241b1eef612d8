//! The calls that change something, and their lines in the log (R-11).
//!
//! ```text
//!   call ──▶ the server runs? ──▶ arguments ──▶ effect ──▶ log: method, caller, node, outcome
//!                   no ───────────── wrong ───── refused ───▲
//! ```

use std::{
    future::{Ready, ready},
    time::Duration,
};

use enode::NodeId;
use p2p_server::{AddPeerError, BanTarget, Server};

use super::{argument, not_started, running};
use crate::{Context, Result, RpcError};

/// A method that changes something at once, given a text that says what it is about.
pub(super) fn method(
    name: &'static str,
    server: &Server,
    change: fn(&Server, &str, &mut Option<NodeId>) -> Result<bool>,
) -> impl Fn(Context, String) -> Ready<Result<bool>> + use<> {
    let server = server.clone();
    move |context: Context, text: String| {
        ready(logged(name, &context, |about| {
            running(&server)?;
            change(&server, &text, about)
        }))
    }
}

/// Keeps a connection to a node.
pub(super) fn add_peer(server: &Server, text: &str, about: &mut Option<NodeId>) -> Result<bool> {
    let node = argument::node(text)?;
    *about = Some(node.id());
    server.add_peer(node).map_err(refused)?;
    Ok(true)
}

/// Admits a node beyond the limits.
pub(super) fn trust(server: &Server, text: &str, about: &mut Option<NodeId>) -> Result<bool> {
    let id = argument::node(text)?.id();
    *about = Some(id);
    server.add_trusted(id).map_err(refused)?;
    Ok(true)
}

/// Takes the trust back.
pub(super) fn distrust(server: &Server, text: &str, about: &mut Option<NodeId>) -> Result<bool> {
    let id = argument::node(text)?.id();
    *about = Some(id);
    server.remove_trusted(id).map_err(|_| not_started())?;
    Ok(true)
}

/// Lifts a ban.
pub(super) fn unban(server: &Server, text: &str, about: &mut Option<NodeId>) -> Result<bool> {
    let target = argument::target(text)?;
    *about = node_of(target);
    server.unban(target).map_err(|_| not_started())
}

/// The method that bans, for a number of seconds.
pub(super) fn ban(server: &Server) -> impl Fn(Context, String, u64) -> Ready<Result<bool>> + use<> {
    let server = server.clone();
    move |context: Context, text: String, seconds: u64| {
        ready(logged("banPeer", &context, |about| {
            running(&server)?;
            let target = argument::target(&text)?;
            *about = node_of(target);
            if seconds == 0 {
                let text = "invalid argument 1: a ban lasts at least a second";
                return Err(RpcError::invalid_params(text));
            }
            server.ban(target, Duration::from_secs(seconds)).map_err(|_| not_started())?;
            Ok(true)
        }))
    }
}

/// The method that lets a node go. It is answered when the node has left the peers, as go-ethereum's
/// is, or after [`REMOVAL`]: a protocol that takes its time holds up nobody else for longer.
pub(super) fn remove_peer(
    server: &Server,
) -> impl Fn(Context, String) -> futures_util::future::BoxFuture<'static, Result<bool>> + use<> {
    let server = server.clone();
    move |context: Context, text: String| {
        let begun = logged("removePeer", &context, |about| {
            running(&server)?;
            let id = argument::node(&text)?.id();
            *about = Some(id);
            server.remove_peer(id).map_err(|_| not_started())
        });
        Box::pin(async move {
            let _ = tokio::time::timeout(REMOVAL, begun?).await;
            Ok(true)
        })
    }
}

/// Runs a change and logs what came of it. The change says which node it is about, once it knows.
fn logged<T>(
    method: &'static str,
    context: &Context,
    change: impl FnOnce(&mut Option<NodeId>) -> Result<T>,
) -> Result<T> {
    let mut about = None;
    let outcome = change(&mut about);
    let peer = about.map(|id| id.short());
    tracing::info!(
        method = format_args!("admin_{method}"),
        caller = %context.caller(),
        peer,
        outcome = if outcome.is_ok() { "done" } else { "refused" },
        "admin call"
    );
    outcome
}

fn refused(error: AddPeerError) -> RpcError {
    match error {
        AddPeerError::Stopped(_) => not_started(),
        error => RpcError::other(error),
    }
}

fn node_of(target: BanTarget) -> Option<NodeId> {
    match target {
        BanTarget::Node(id) => Some(id),
        BanTarget::Net(_) => None,
    }
}

/// As long as a server takes to stop with the slowest of its peers.
const REMOVAL: Duration = Duration::from_secs(5);
