//! Counts what a connection holds on the heap, and how often a message asks for memory.
//!
//! ```text
//!   this program, counted                      a second one, not counted
//!   one server ◀── 100 connections, TCP ──▶    100 servers
//!     heap before, with, after a message, 5 s later
//!   RPC server or clients ◀── local sockets ──▶ RPC clients or server
//!     heap before, with, each having carried one call
//! ```
//!
//! The other ends are in a process of their own, so what is counted belongs to one end of each
//! connection and to nothing else. The five seconds pass on tokio's clock at once.
//!
//! Prints one JSON document; `bench` runs this and puts it into its table.

#![allow(clippy::print_stdout, reason = "a program may print")]

mod ipc;
mod others;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use enode::{Enode, SecretKey};
use futures_util::FutureExt as _;
use p2p_server::{Capability, MsgChannel, Peer, Protocol, ProtocolError, Server, protocol_fn};
use rlpx::{
    Role, Secrets,
    frame::MAX_SIZE,
    snappy::Scratch,
    stream::{Reader, Writer},
};
use serde::Serialize;
use tokio::{
    sync::{mpsc, watch},
    task::yield_now,
    time::{self, timeout},
};

use self::others::OtherEnds;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // One thread, so that nothing is under way while the heap is read.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words.as_slice() {
        ["connect", node, count] => runtime.block_on(other_ends(&node.parse()?, count.parse()?)),
        ["call", path, count] => runtime.block_on(ipc::call(path, count.parse()?)),
        ["serve", path] => runtime.block_on(ipc::serve(path)),
        [] | ["--quick"] => {
            let connections = if words.is_empty() { 100 } else { 10 };
            let counted = count(&runtime, connections)?;
            println!("{}", serde_json::to_string(&counted)?);
            Ok(())
        }
        _ => bail!("usage: heap [--quick]; it is part of `cargo xtask bench`"),
    }
}

/// Everything that is printed. Bytes of one end of a connection.
#[derive(Serialize)]
struct Counted {
    connections: usize,
    /// When all hellos are done and nothing was sent.
    idle: f64,
    /// When a message of 100 KiB went each way, at once.
    after_message: f64,
    /// Five seconds later.
    settled: f64,
    per_message: Vec<PerMessage>,
    /// A local socket of the RPC server after one call, the server's end.
    ipc_server: f64,
    /// The same, the client's end.
    ipc_client: f64,
}

/// How often memory was asked for.
#[derive(Serialize)]
struct PerMessage {
    payload: usize,
    sent: f64,
    received: f64,
}

fn count(runtime: &tokio::runtime::Runtime, connections: usize) -> Result<Counted> {
    let _profiler = dhat::Profiler::builder().testing().trim_backtraces(Some(4)).build();
    // First, while nothing else runs: the counter is the whole process's.
    let per_message =
        [64, 1 << 10, 32 << 10, 1 << 20].map(allocations).into_iter().collect::<Result<_>>()?;
    let of_each = |bytes: usize| bytes as f64 / connections as f64;
    let ipc_server = of_each(runtime.block_on(ipc::server_ends(connections))?);
    let ipc_client = of_each(runtime.block_on(ipc::client_ends(connections))?);
    // Last, because it stops the clock.
    let [idle, after_message, settled] = runtime.block_on(connected(connections))?.map(of_each);
    Ok(Counted { connections, idle, after_message, settled, per_message, ipc_server, ipc_client })
}

/// The heap of all connections: idle, right after a message each way, and five seconds later.
async fn connected(connections: usize) -> Result<[usize; 3]> {
    // bound: a word from each connection for each of the two steps
    let (tell, mut told) = mpsc::channel(2 * connections);
    let server = Server::builder(SecretKey::random())
        .listen("127.0.0.1:0")
        .max_peers(2 * connections)
        .max_pending(2 * connections)
        .protocol(answering(tell))
        .start()
        .await?;
    let mut wait_for_all = async || {
        for _ in 0..connections {
            timeout(PATIENCE, told.recv()).await.context("a connection is missing")?;
        }
        settle().await;
        anyhow::Ok(heap())
    };
    let before = heap();

    let (node, count) = (server.enode().to_string(), connections.to_string());
    let mut others = OtherEnds::start(&["connect", &node, &count])?;
    let idle = wait_for_all().await?;
    others.say("send")?;
    let after_message = wait_for_all().await?;
    others.wait("received")?;

    time::pause();
    time::advance(Duration::from_secs(5)).await;
    settle().await;
    let settled = heap();
    ensure!(server.peer_count() == connections, "a connection was lost");
    Ok([idle, after_message, settled].map(|bytes| bytes.saturating_sub(before)))
}

/// The counted end: says that it is there, answers one message with as large a one, says so too.
fn answering(tell: mpsc::Sender<()>) -> impl Protocol {
    protocol(move |peer: Peer, mut messages: MsgChannel| {
        let tell = tell.clone();
        async move {
            let _ = tell.send(()).await;
            let message = messages.recv().await?;
            messages.send_raw(0, message.payload).await?;
            messages.flush().await?;
            let _ = tell.send(()).await;
            peer.on_disconnect().await;
            Ok(())
        }
    })
}

/// The uncounted ends: each a server that connects, sends when it is told, and waits for the answer.
async fn other_ends(node: &Enode, count: usize) -> Result<()> {
    let (go, gone) = watch::channel(false);
    // bound: a word from each connection
    let (tell, mut told) = mpsc::channel(count);
    let mut servers = Vec::new();
    for _ in 0..count {
        let server = Server::builder(SecretKey::random())
            .max_peers(1)
            .static_node(node.clone())
            .protocol(asking(gone.clone(), tell.clone()))
            .start()
            .await?;
        servers.push(server);
    }
    // A thread for the words, so that the connections go on meanwhile.
    let told_to_send = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().is_some());
    ensure!(told_to_send.await?, "nobody is there to say when");
    go.send_replace(true);
    for _ in 0..count {
        told.recv().await.context("a connection is missing")?;
    }
    println!("received");
    // Until the counting process ends this one.
    std::future::pending().await
}

fn asking(go: watch::Receiver<bool>, tell: mpsc::Sender<()>) -> impl Protocol {
    protocol(move |peer: Peer, mut messages: MsgChannel| {
        let (mut go, tell) = (go.clone(), tell.clone());
        async move {
            go.wait_for(|go| *go).await.map_err(ProtocolError::other)?;
            messages.send_raw(0, random(MESSAGE).into()).await?;
            messages.recv().await?;
            let _ = tell.send(()).await;
            peer.on_disconnect().await;
            Ok(())
        }
    })
}

/// The protocol of both ends.
fn protocol<F, R>(body: F) -> impl Protocol
where
    F: Fn(Peer, MsgChannel) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ProtocolError>> + Send + 'static,
{
    protocol_fn(Capability::new("heap", 1), 1, body)
}

/// What a message of this size asks for at each end, once the buffers have grown to the traffic.
fn allocations(payload: usize) -> Result<PerMessage> {
    let bytes: Bytes = random(payload).into();
    let secrets = |role| Secrets::derive(role, &[7; 32], &[1; 32], &[2; 32], b"auth", b"ack");
    let (near, far) = tokio::io::duplex(2 * payload + 1024);
    let mut writer = Writer::new(near, secrets(Role::Initiator).into_halves().0);
    let mut reader = Reader::new(far, secrets(Role::Recipient).into_halves().1);
    let mut scratch = Scratch::new();
    reader.set_max_frame(MAX_SIZE);
    reader.set_snappy(true);
    writer.set_snappy(true);

    let mut sums = [0; 2];
    for turn in 0..WARM_UP + TURNS {
        let before = blocks();
        writer.push(16, &bytes, &mut scratch)?;
        let pushed = blocks();
        writer.flush().now_or_never().context("the pipe has room")??;
        let sent = blocks();
        let message = reader.read().now_or_never().context("it has arrived")??;
        let received = blocks();
        ensure!(message.is_some_and(|message| message.payload == bytes), "another message");
        if turn >= WARM_UP {
            sums[0] += pushed - before;
            sums[1] += received - sent;
        }
    }
    let [sent, received] = sums.map(|sum| sum as f64 / TURNS as f64);
    Ok(PerMessage { payload, sent, received })
}

/// Lets every task come to rest, without letting time pass.
async fn settle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

fn random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes[..]);
    bytes
}

fn heap() -> usize {
    dhat::HeapStats::get().curr_bytes
}

fn blocks() -> u64 {
    dhat::HeapStats::get().total_blocks
}

/// The message that goes each way, in bytes.
const MESSAGE: usize = 100 << 10;
/// How long a connection may take for a step; the counting allocator is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// Exchanges until the buffers have grown, and exchanges that are counted.
const WARM_UP: usize = 32;
const TURNS: usize = 32;
