//! What connections hold on the heap and how often messages ask for memory: measured by the
//! program `heap`, whose counting allocator would slow down everything measured here.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::{
    measure::Plan,
    report::{Bound, Figure, Quantity},
};

/// What `heap` prints; see there.
#[derive(Deserialize)]
struct Counted {
    connections: usize,
    idle: f64,
    after_message: f64,
    settled: f64,
    per_message: Vec<PerMessage>,
    ipc_server: f64,
    ipc_client: f64,
}

#[derive(Deserialize)]
struct PerMessage {
    payload: usize,
    sent: f64,
    received: f64,
}

/// The heap of connections and the allocations of messages.
///
/// # Errors
///
/// When `heap` does not build or run.
pub(crate) fn figures(plan: &Plan) -> Result<Vec<Figure>> {
    if !HEAP.into_iter().chain(ALLOCATIONS).chain(IPC).any(|name| plan.wants(name)) {
        return Ok(Vec::new());
    }
    eprintln!("measuring heap and allocations");
    let mut command = Command::new(build()?);
    if plan.quick {
        command.arg("--quick");
    }
    let output = command.stderr(Stdio::inherit()).output().context("running heap")?;
    ensure!(output.status.success(), "heap: {}", output.status);
    let counted: Counted =
        serde_json::from_slice(&output.stdout).context("reading heap's output")?;
    let mut rows = rows(&counted);
    rows.retain(|row| plan.wants(row.name()));
    Ok(rows)
}

fn rows(counted: &Counted) -> Vec<Figure> {
    let [idle, after_message, settled] = HEAP;
    let [sent_name, received_name] = ALLOCATIONS;
    let heap = |name: &str, bytes: f64| Figure::new(name, Quantity::counted(bytes / 1e3, "KB"));
    let of = Quantity::counted(counted.connections as f64, "connections measured");
    let mut figures = vec![
        heap(idle, counted.idle).bound(IDLE).aside(of),
        heap(after_message, counted.after_message),
        heap(settled, counted.settled).bound(SETTLED),
    ];
    for PerMessage { payload, sent, received } in &counted.per_message {
        let exactly = |value: f64, most| Quantity::counted(value, "").bound(Bound::AtMost(most));
        figures.push(Figure::new(sent_name, exactly(*sent, 0.0)).payload(*payload));
        let received = Figure::new(received_name, exactly(*received, 1.0));
        figures.push(received.payload(*payload));
    }
    let [server, client] = IPC;
    figures.push(heap(server, counted.ipc_server).bound(IDLE_IPC));
    figures.push(heap(client, counted.ipc_client).bound(IDLE_IPC));
    figures
}

const HEAP: [&str; 3] =
    ["heap, idle connection, one end", "heap, after 100 KiB each way", "heap, 5 s after that"];
const ALLOCATIONS: [&str; 2] = ["allocations, sent", "allocations, received"];
const IPC: [&str; 2] = ["heap, idle ipc connection, server", "heap, idle ipc connection, client"];

/// What an idle connection may hold, and one that carried a large message before, in KB.
const IDLE: Bound = Bound::AtMost(12.0);
const SETTLED: Bound = Bound::AtMost(32.0);

/// What an idle connection of the RPC server may hold, in KB: 16 KiB.
const IDLE_IPC: Bound = Bound::AtMost(16.384);

/// Builds `heap` beside this program and says where it is.
fn build() -> Result<PathBuf> {
    let ourselves = std::env::current_exe().context("where is bench itself?")?;
    let folder = ourselves.parent().context("a program is in a folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "bench", "--bin", "heap"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "heap does not build");
    let heap = folder.join(format!("heap{}", std::env::consts::EXE_SUFFIX));
    ensure!(heap.is_file(), "bench has to be a release build: run it as `cargo xtask bench`");
    Ok(heap)
}
