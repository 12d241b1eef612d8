//! Whole nodes: our container and go-ethereum's, each with the foo service of chapter C4, driven by RPC
//! and by nothing else.
//!
//! ```text
//!   their client ── IPC, HTTP, WS ──▶ our node  ◀── fooping/666 ──▶ their node ◀── IPC, HTTP, WS ── our client
//! ```
//!
//! A scenario runs over every transport, each time with nodes of its own; once with our node dialing,
//! once with theirs.

mod admin;
mod c4;
mod driver;
mod life;
mod pair;

use anyhow::Result;
use futures_util::future::BoxFuture;

use self::pair::{Pair, their_node};
use crate::{
    program::Program,
    scenario::{Dialer, Run},
    transport::{Transport, over_each},
};

/// What one run of a scenario is given.
#[derive(Debug, Clone)]
struct Setting {
    program: Program,
    dialer: Dialer,
    over: Transport,
}

/// One scenario. The text it returns is a remark on its transport, often empty.
struct Scenario {
    name: &'static str,
    over: &'static [Transport],
    run: fn(Setting) -> BoxFuture<'static, Result<String>>,
}

/// All scenarios, in the order of the report.
const SCENARIOS: &[Scenario] = &[
    Scenario::new("the service without a peer", |s| Box::pin(c4::alone(s))),
    Scenario::new("C4: four pings and two, quit, drop", |s| Box::pin(c4::together(s))),
    Scenario::new("admin of both, about each other", |s| Box::pin(admin::agreement(s))),
    Scenario::new("admin_addPeer and admin_removePeer", |s| Box::pin(admin::removal(s))),
    // Who has gone cannot be asked over a connection that has gone with it, so one transport is enough.
    Scenario::new("the dialed node stops and comes again", |s| Box::pin(life::restart(s)))
        .over(&[Transport::Ipc]),
];

impl Scenario {
    const fn new(
        name: &'static str,
        run: fn(Setting) -> BoxFuture<'static, Result<String>>,
    ) -> Self {
        Self { name, over: Transport::ALL, run }
    }

    const fn over(mut self, transports: &'static [Transport]) -> Self {
        self.over = transports;
        self
    }

    async fn run_over_each(&self, program: Program, dialer: Dialer) -> Result<String> {
        let setting = |over| Setting { program: program.clone(), dialer, over };
        over_each(self.over, |over| (self.run)(setting(over))).await
    }
}

/// How many scenarios there are.
pub(crate) fn count() -> usize {
    SCENARIOS.len() * DIALERS.len()
}

/// What there is to run.
pub(crate) fn runs(program: &Program) -> Vec<Run> {
    let run = |scenario: &'static Scenario, dialer| {
        let work = Box::pin(scenario.run_over_each(program.clone(), dialer));
        Run { name: scenario.name, dialer, slow: false, work }
    };
    let both = |scenario| DIALERS.into_iter().map(move |dialer| run(scenario, dialer));
    SCENARIOS.iter().flat_map(both).collect()
}

/// Implementation, version and runtime of their node.
///
/// # Errors
///
/// When it does not start.
pub(crate) async fn versions(program: &Program) -> Result<String> {
    let folder = tempfile::tempdir()?;
    Ok(their_node(program, folder.path()).await?.versions())
}

const DIALERS: [Dialer; 2] = [Dialer::We, Dialer::They];
