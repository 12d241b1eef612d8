//! A market for work in one process: one node that mines, four that have it mine for them.
//!
//! ```text
//!   node 1 ──┐             ┌── node 3         each a whole node with the service of
//!            ├── node 0 ───┤                  `examples::job_market`; those outside are
//!   node 2 ──┘   works     └── node 4         driven by RPC
//! ```
//!
//! The worker claims to be able to do more than it can in the time it takes for a job, and has room for
//! two, so every kind of answer comes by soon.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "results are what it is for")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Parser, ValueEnum};
use enode::Enode;
use examples::job_market::messages::{Code, Skills};
use examples::job_market::{Limits, Market, Outcome, Proof, work};
use p2p_server::test_utils::Net;
use rand::RngExt as _;
use rpc::Client;
use service_node::{Node, NodeBuilder};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A market for proofs of work: one worker and four moochers
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Flags {
    /// End when every moocher has a verified result and every kind of answer was seen; exit code 1 if
    /// that takes more than 10 s
    #[arg(long)]
    check: bool,

    /// What carries the connections
    #[arg(long, value_enum, default_value_t = Carrier::Memory)]
    transport: Carrier,
}

#[derive(Clone, Copy, ValueEnum)]
enum Carrier {
    /// A network in memory
    Memory,
    /// TCP on the loopback address
    Tcp,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    // bound: outcomes that are not printed yet; more are left out
    let (tell, outcomes) = mpsc::channel(1000);
    let nodes = start(flags.transport, &tell).await?;
    let result = tokio::select! {
        biased;
        pressed = tokio::signal::ctrl_c() => pressed.context("no Ctrl-C to be had"),
        result = trade(&nodes, outcomes, flags.check) => result,
    };
    for node in nodes.iter().rev() {
        node.stop().await?;
    }
    result
}

// ANCHOR: start
/// What became of something that a node has submitted.
type Told = (usize, Outcome);

/// Starts the worker, node 0, then the moochers, each of which keeps a connection to it.
async fn start(carrier: Carrier, tell: &mpsc::Sender<Told>) -> anyhow::Result<Vec<Node>> {
    let net = Net::new(rand::random());
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..=MOOCHERS {
        let tell = tell.clone();
        let builder = Node::builder().name(format!("node{number}")).service(move |_| {
            let tell = tell.clone();
            Market::new(LIMITS, move |outcome| {
                let _ = tell.try_send((number, outcome)); // left out when it is full
            })
        });
        let builder = match carrier {
            Carrier::Tcp => builder.listen("127.0.0.1:0"),
            Carrier::Memory => in_memory(builder, &net, number)?,
        };
        let builder = match nodes.first() {
            Some(worker) => builder.static_node(enode_of(worker)?),
            None => builder,
        };
        let node = builder.build()?;
        node.start().await?;
        nodes.push(node);
    }
    Ok(nodes)
}
// ANCHOR_END: start

/// On a host of its own in a network in memory.
fn in_memory(builder: NodeBuilder, net: &Net, number: usize) -> anyhow::Result<NodeBuilder> {
    let host = IpAddr::V4(Ipv4Addr::new(10, 1, 0, u8::try_from(number + 1)?));
    let net = net.clone();
    Ok(builder.p2p(move |server| {
        server.listen_on(SocketAddr::new(host, 30303)).transport(net.transport(host))
    }))
}

fn enode_of(node: &Node) -> anyhow::Result<Enode> {
    Ok(node.server()?.enode())
}

// ANCHOR: trade
/// Submits at every tick, prints what comes back, and ends, if it is to be checked, when all was seen.
async fn trade(
    nodes: &[Node],
    mut outcomes: mpsc::Receiver<Told>,
    check: bool,
) -> anyhow::Result<()> {
    let worker = nodes.first().context("no worker")?.service::<Market>()?.worker.clone();
    let moochers = nodes.iter().skip(1).map(Node::attach).collect::<Result<Vec<_>, _>>()?;
    for moocher in &moochers {
        let () = moocher.call("demo_setDifficulty", (0,)).await?; // it only submits
    }

    let deadline = Instant::now() + CHECK;
    let mut seen = Seen::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let told = tokio::select! {
            biased;
            told = outcomes.recv() => told,
            _ = ticks.tick() => {
                ensure!(!check || Instant::now() < deadline, "{}", seen.missing());
                submit_all(&moochers).await;
                continue;
            }
        };
        let (number, outcome) = told.context("nobody tells anything any more")?;
        seen.take_note(number, &outcome)?;
        if let Outcome::Done(proof) = outcome {
            println!("RESULT >> {number}/{proof}");
        }
        if worker.thanks() > 0 {
            seen.codes.insert(Code::Thanks);
        }
        if check && seen.everything() {
            eprintln!(
                "check: each of {MOOCHERS} moochers has a result, and every result was verified"
            );
            eprintln!("check: thanks, busy, too hard, gave up: every status was seen");
            return Ok(());
        }
    }
}
// ANCHOR_END: trade

/// Has every moocher submit something, by RPC. Before the worker is connected there is none.
async fn submit_all(moochers: &[Client]) {
    for moocher in moochers {
        let data: [u8; 32] = rand::random();
        let difficulty = rand::rng().random_range(EASIEST..=HARDEST);
        let arguments = (BASE64_STANDARD.encode(data), difficulty);
        let _: Result<String, _> = moocher.call("demo_submit", arguments).await;
    }
}

/// What has come by so far.
#[derive(Default)]
struct Seen {
    // bound: MOOCHERS
    with_result: BTreeSet<usize>,
    // bound: the four that there are
    codes: BTreeSet<Code>,
}

impl Seen {
    fn take_note(&mut self, number: usize, outcome: &Outcome) -> anyhow::Result<()> {
        match outcome {
            Outcome::Done(proof) => {
                check_again(proof)?;
                self.with_result.insert(number);
            }
            Outcome::Refused(_, code) => drop(self.codes.insert(*code)),
            Outcome::Lost(id) => bail!("node {number} lost {}", const_hex::encode(id)),
        }
        Ok(())
    }

    fn everything(&self) -> bool {
        self.with_result.len() == MOOCHERS && self.codes.len() == 4
    }

    fn missing(&self) -> String {
        format!(
            "not everything was seen within {} s: results of nodes {:?}, status {:?}",
            CHECK.as_secs(),
            self.with_result,
            self.codes
        )
    }
}

/// Does what the moocher must have done already.
fn check_again(proof: &Proof) -> anyhow::Result<()> {
    let right = work::hash(&proof.data, &proof.nonce) == proof.hash;
    ensure!(right && work::meets(&proof.hash, proof.difficulty), "a wrong result: {proof}");
    Ok(())
}

const MOOCHERS: usize = 4;
/// The worker's. What it cannot find within `max_time` it gives up.
const LIMITS: Limits = Limits {
    skills: Skills { difficulty: 24, max_size: 1024 },
    max_jobs: 2,
    max_time: Duration::from_millis(60),
};
/// Found at once.
const EASIEST: u8 = 8;
/// More than the worker takes.
const HARDEST: u8 = 26;
/// From one submission of all moochers to the next.
const EVERY: Duration = Duration::from_millis(40);
/// It takes a second.
const CHECK: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  job_market                     until Ctrl-C, in memory
  job_market --transport tcp     the same over TCP
  job_market --check             until everything was seen";
