//! The list of scenarios, and running it.
//!
//! Every scenario starts its own foreign process and its own server, so none depends on another and
//! any can run alone. What each side must report is compared on both sides.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use futures_util::future::BoxFuture;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    container,
    foreign::ForeignPeer,
    jsonrpc,
    program::{Kind, Program, Suite},
    report::{Outcome, Section, print_outcome, print_versions},
};

mod disconnect;
mod hello;
mod identity;
mod messages;
mod ping;

/// Which side opens the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialer {
    /// Ours.
    We,
    /// The foreign peer.
    They,
}

impl fmt::Display for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::We => "we",
            Self::They => "they",
        })
    }
}

/// One scenario. The text it returns is a remark for the table, often empty.
struct Scenario {
    name: &'static str,
    /// `None` means all kinds.
    only: Option<Kind>,
    /// Takes long and waits most of it, so it runs beside the others.
    slow: bool,
    dialers: &'static [Dialer],
    run: fn(Program, Dialer) -> BoxFuture<'static, Result<String>>,
}

/// All scenarios, in the order of the report.
const SCENARIOS: &[Scenario] = &[
    Scenario::both("handshake and hello", |p, d| Box::pin(hello::hello(p, d))),
    Scenario::both("messages to them, echoed", |p, d| Box::pin(messages::to_them(p, d))),
    Scenario::both("messages from them, echoed", |p, d| Box::pin(messages::from_them(p, d))),
    Scenario::both("messages both ways at once", |p, d| Box::pin(messages::both_ways(p, d))),
    Scenario::both("our ping, their pong", |p, d| Box::pin(ping::our_ping(p, d))),
    Scenario::both("their ping, our pong", |p, d| Box::pin(ping::their_ping(p, d))),
    Scenario::both("our own ping after 15 s", |p, d| Box::pin(ping::our_timer(p, d))).slow(),
    Scenario::both("their own ping after 15 s", |p, d| Box::pin(ping::their_timer(p, d))).slow(),
    Scenario::both("we disconnect with a reason", |p, d| Box::pin(disconnect::by_us(p, d))),
    Scenario::both("they disconnect with a reason", |p, d| Box::pin(disconnect::by_them(p, d))),
    Scenario::both("each older form of disconnect, to them", |p, d| {
        Box::pin(disconnect::forms_to_them(p, d))
    }),
    Scenario::both("each older form of disconnect, from them", |p, d| {
        Box::pin(disconnect::forms_from_them(p, d))
    })
    .only(Kind::Geth),
    Scenario::both("no capability in common", |p, d| Box::pin(hello::nothing_shared(p, d))),
    Scenario::both("wrong key dialed", |p, d| Box::pin(identity::wrong_key_dialed(p, d))),
    Scenario::both("another's key in our hello", |p, d| {
        Box::pin(identity::wrong_hello_to_them(p, d))
    }),
    Scenario::both("another's key in their hello", |p, d| {
        Box::pin(identity::wrong_hello_from_them(p, d))
    }),
];

impl Scenario {
    const fn both(
        name: &'static str,
        run: fn(Program, Dialer) -> BoxFuture<'static, Result<String>>,
    ) -> Self {
        Self { name, only: None, slow: false, dialers: &[Dialer::We, Dialer::They], run }
    }

    const fn only(mut self, kind: Kind) -> Self {
        self.only = Some(kind);
        self
    }

    const fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    fn applies_to(&self, kind: Kind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }

    fn with(&'static self, program: &Program, dialer: Dialer) -> Run {
        let (name, slow) = (self.name, self.slow);
        Run { name, dialer, slow, work: (self.run)(program.clone(), dialer) }
    }
}

/// A scenario that is about to run.
pub(crate) struct Run {
    /// What is done.
    pub(crate) name: &'static str,
    /// Which side opens the connection.
    pub(crate) dialer: Dialer,
    /// Takes long and waits most of it, so it runs beside the others.
    pub(crate) slow: bool,
    /// The doing; its text is a remark for the table, often empty.
    pub(crate) work: BoxFuture<'static, Result<String>>,
}

impl Run {
    /// Runs it once, within the limit.
    fn start(self) -> JoinHandle<Outcome> {
        let Self { name, dialer, work, .. } = self;
        tokio::spawn(async move {
            let start = Instant::now();
            let result = match timeout(LIMIT, work).await {
                Ok(Ok(remark)) => Ok(remark),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err(format!("not finished within {} s", LIMIT.as_secs())),
            };
            Outcome { name, dialer, result, took: start.elapsed() }
        })
    }
}

/// How many scenarios there are for a peer.
pub(crate) fn count(kind: Kind) -> usize {
    match kind.suite() {
        Suite::Rpc => jsonrpc::count(kind),
        Suite::Node => container::count(),
        Suite::P2p => {
            let of_this_kind = SCENARIOS.iter().filter(|scenario| scenario.applies_to(kind));
            of_this_kind.map(|scenario| scenario.dialers.len()).sum()
        }
    }
}

/// Runs all scenarios whose name contains `only`.
///
/// # Errors
///
/// When the program does not even say its version. A scenario that fails is in the section.
pub(crate) async fn run_all(program: &Program, only: Option<&str>) -> Result<Section> {
    let kind = program.kind;
    let (versions, runs) = match kind.suite() {
        Suite::Rpc => (jsonrpc::versions(program).await?, jsonrpc::runs(program)),
        Suite::Node => (container::versions(program).await?, container::runs(program)),
        Suite::P2p => {
            let peer = ForeignPeer::start(program, &["--listen", LOOPBACK]).await?;
            (peer.versions(), runs(program))
        }
    };
    print_versions(kind, &versions);
    let chosen = runs.into_iter().filter(|run| only.is_none_or(|part| run.name.contains(part)));
    let (slow, quick): (Vec<_>, Vec<_>) = chosen.partition(|run| run.slow);
    let slow: Vec<_> = slow.into_iter().map(Run::start).collect();
    let mut outcomes = Vec::new();
    for run in quick {
        outcomes.push(finish(run.start()).await?);
    }
    for running in slow {
        outcomes.push(finish(running).await?);
    }
    Ok(Section::ran(kind, versions, outcomes))
}

/// What there is to run against a peer of devp2p.
fn runs(program: &Program) -> Vec<Run> {
    let scenarios = SCENARIOS.iter().filter(|scenario| scenario.applies_to(program.kind));
    scenarios
        .flat_map(|scenario| scenario.dialers.iter().map(|dialer| scenario.with(program, *dialer)))
        .collect()
}

async fn finish(running: JoinHandle<Outcome>) -> Result<Outcome> {
    let outcome = running.await.context("a scenario panicked")?;
    print_outcome(&outcome);
    Ok(outcome)
}

/// Fails with both values unless they are equal.
///
/// # Errors
///
/// When they differ.
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, got: T, expected: T) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    bail!("{what}: expected {expected:?}, got {got:?}")
}

/// Where everything listens.
const LOOPBACK: &str = "127.0.0.1:0";
/// For one scenario, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(60);
