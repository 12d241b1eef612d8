//! go-ethereum's console on our node: `geth attach --exec`.
//!
//! It exits with 0 whatever the script did, so what counts is what it printed.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use super::{
    Setting,
    node::{Friend, Node, OUR_NAME},
};
use crate::{program::Program, scenario::same};

/// The object as the console shows it, and as JSON.
pub(super) async fn node_info(setting: Setting) -> Result<String> {
    let node = Node::start().await?;
    let info = node.p2p().node_info();
    let shown = evaluate(&setting, &node, "admin.nodeInfo").await?;
    for part in [&info.id, &info.name, &info.enode, &info.enr, &info.listen_addr] {
        ensure!(shown.contains(&format!("{part:?}")), "expected {part:?} in\n{shown}");
    }
    let value = evaluate_as_json(&setting, &node, "admin.nodeInfo").await?;
    same("admin.nodeInfo", value, serde_json::to_value(info)?)?;
    Ok(String::new())
}

/// With nobody, and with one peer.
pub(super) async fn peers(setting: Setting) -> Result<String> {
    let node = Node::start().await?;
    same("admin.peers of nobody", evaluate(&setting, &node, "admin.peers").await?, "[]".into())?;
    let friend = Friend::of(&node).await?;
    let peers = serde_json::to_value(node.p2p().peers_info())?;
    let value = evaluate_as_json(&setting, &node, "admin.peers").await?;
    same("admin.peers", value, peers)?;
    friend.leave().await;
    Ok(String::new())
}

/// A number, which travels in hexadecimal.
pub(super) async fn peer_count(setting: Setting) -> Result<String> {
    let node = Node::start().await?;
    let friend = Friend::of(&node).await?;
    same("net.peerCount", evaluate(&setting, &node, "net.peerCount").await?, "1".into())?;
    friend.leave().await;
    Ok(String::new())
}

/// The console's name for `web3_clientVersion`.
pub(super) async fn client_version(setting: Setting) -> Result<String> {
    let node = Node::start().await?;
    let shown = evaluate(&setting, &node, "web3.version.node").await?;
    same("web3.version.node", shown, format!("{OUR_NAME:?}"))?;
    Ok(String::new())
}

/// Our text is what the script fails with.
pub(super) async fn error(setting: Setting) -> Result<String> {
    let node = Node::start().await?;
    let shown = evaluate(&setting, &node, "admin.addPeer('enode://nobody')").await?;
    ensure!(shown.contains("invalid enode: "), "expected our error in {shown:?}");
    Ok(String::new())
}

/// Name, version and runtime, as the program tells them.
///
/// # Errors
///
/// When it does not start or tells nothing.
pub(super) async fn versions(program: &Program) -> Result<String> {
    let said = run(Command::new(executable(program)?).arg("version")).await?;
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    let version = line("Version: ").with_context(|| format!("no version in {said:?}"))?;
    Ok(format!("geth attach {version} ({})", line("Go Version: ").unwrap_or("?")))
}

async fn evaluate_as_json(setting: &Setting, node: &Node, script: &str) -> Result<Value> {
    let shown = evaluate(setting, node, &format!("JSON.stringify({script})")).await?;
    // The console shows a text in quotes.
    let text: String = serde_json::from_str(&shown).with_context(|| format!("no text: {shown}"))?;
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// What the console prints for a script.
async fn evaluate(setting: &Setting, node: &Node, script: &str) -> Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(executable(&setting.program)?);
    command.arg("attach").arg("--datadir").arg(home.path()).args(["--exec", script]);
    run(command.arg(node.url(setting.over)?).env("HOME", home.path())).await
}

async fn run(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(WAIT, command.output()).await.context("geth did not end in time")??;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "geth failed ({}): {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn executable(program: &Program) -> Result<&std::path::Path> {
    program.command.first().map(AsRef::as_ref).context("empty command")
}

/// Enough for a loaded machine.
const WAIT: Duration = Duration::from_secs(15);
