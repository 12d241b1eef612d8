//! JSON-RPC: our server under go-ethereum's clients, and our client on go-ethereum's servers.
//!
//! ```text
//!   they call   their client, two releases ─┐  IPC   ┌─▶ Node: our rpc server over a p2p server
//!               geth attach --exec … ───────┼─ HTTP ─┤
//!   we call     our client ─────────────────┘  WS    └─▶ their server, two releases
//! ```
//!
//! A scenario runs over every transport that can carry it, each time with processes, servers and
//! connections of its own. It is one row of the table; what fails names the transport.

mod answer;
mod caller;
mod console;
mod node;
mod service;
mod they_call;
mod we_call;

use anyhow::Result;
use futures_util::future::BoxFuture;

pub(crate) use self::{answer::Answer, caller::Caller};
use crate::{
    foreign::ForeignPeer,
    program::{Kind, Program},
    scenario::{Dialer, Run},
    transport::{Transport, over_each},
};

/// What one run of a scenario is given.
#[derive(Debug, Clone)]
struct Setting {
    program: Program,
    over: Transport,
}

impl Setting {
    /// Whether the other side is the release of 2019.
    fn is_old(&self) -> bool {
        self.program.kind == Kind::GethRpcOld
    }
}

/// One scenario. The text it returns is a remark on its transport, often empty.
struct Scenario {
    name: &'static str,
    caller: Dialer,
    over: &'static [Transport],
    only: Option<Kind>,
    run: fn(Setting) -> BoxFuture<'static, Result<String>>,
}

/// All scenarios, in the order of the report.
const SCENARIOS: &[Scenario] = &[
    Scenario::they("calls and results", |s| Box::pin(they_call::calls(s))),
    Scenario::they("answers of admin, in their own types", |s| Box::pin(they_call::admin(s))),
    Scenario::they("errors with code, text and data", |s| Box::pin(they_call::errors(s))),
    Scenario::they("a handler that panics", |s| Box::pin(they_call::crash(s))),
    Scenario::they("a notification", |s| Box::pin(they_call::notification(s))),
    Scenario::they("a batch", |s| Box::pin(they_call::batch(s))),
    Scenario::they("a batch over the limit", |s| Box::pin(they_call::large_batch(s)))
        .only(Kind::GethRpc),
    Scenario::they("1,000 calls at once", |s| Box::pin(they_call::concurrent(s))),
    Scenario::they("large arguments and answers", |s| Box::pin(they_call::large(s))),
    Scenario::they("a call given up", |s| Box::pin(they_call::given_up(s))),
    Scenario::they("a subscription and its end", |s| Box::pin(they_call::subscription(s))),
    Scenario::they("peerEvents of a connect and a drop", |s| Box::pin(they_call::peer_events(s)))
        .over(Transport::BOTH_WAYS),
    Scenario::they("calls back to the caller", |s| Box::pin(they_call::reverse(s))),
    Scenario::they("a token for what is not for everybody", |s| Box::pin(they_call::token(s)))
        .only(Kind::GethRpc)
        .over(&[Transport::Http, Transport::Ws]),
    Scenario::they("the server stops and comes again", |s| Box::pin(they_call::restart(s))),
    Scenario::we("calls and results", |s| Box::pin(we_call::calls(s))),
    Scenario::we("errors with code, text and data", |s| Box::pin(we_call::errors(s))),
    Scenario::we("a handler that panics", |s| Box::pin(we_call::crash(s))),
    Scenario::we("a notification", |s| Box::pin(we_call::notification(s))),
    Scenario::we("a batch", |s| Box::pin(we_call::batch(s))),
    Scenario::we("a batch over the limit", |s| Box::pin(we_call::large_batch(s))),
    Scenario::we("1,000 calls at once", |s| Box::pin(we_call::concurrent(s))),
    Scenario::we("large arguments and answers", |s| Box::pin(we_call::large(s))),
    Scenario::we("a call given up", |s| Box::pin(we_call::given_up(s))),
    Scenario::we("a subscription and its end", |s| Box::pin(we_call::subscription(s))),
    Scenario::we("calls back to the caller", |s| Box::pin(we_call::reverse(s))),
    Scenario::we("the server stops and comes again", |s| Box::pin(we_call::restart(s))),
    Scenario::console("admin.nodeInfo", |s| Box::pin(console::node_info(s))),
    Scenario::console("admin.peers", |s| Box::pin(console::peers(s))),
    Scenario::console("net.peerCount", |s| Box::pin(console::peer_count(s))),
    Scenario::console("web3.version.node", |s| Box::pin(console::client_version(s))),
    Scenario::console("an error of ours in a script", |s| Box::pin(console::error(s))),
];

impl Scenario {
    const fn new(
        name: &'static str,
        caller: Dialer,
        run: fn(Setting) -> BoxFuture<'static, Result<String>>,
    ) -> Self {
        Self { name, caller, over: Transport::ALL, only: None, run }
    }

    const fn they(
        name: &'static str,
        run: fn(Setting) -> BoxFuture<'static, Result<String>>,
    ) -> Self {
        Self::new(name, Dialer::They, run)
    }

    const fn we(
        name: &'static str,
        run: fn(Setting) -> BoxFuture<'static, Result<String>>,
    ) -> Self {
        Self::new(name, Dialer::We, run)
    }

    const fn console(
        name: &'static str,
        run: fn(Setting) -> BoxFuture<'static, Result<String>>,
    ) -> Self {
        Self::they(name, run).only(Kind::GethConsole)
    }

    const fn only(mut self, kind: Kind) -> Self {
        self.only = Some(kind);
        self
    }

    const fn over(mut self, transports: &'static [Transport]) -> Self {
        self.over = transports;
        self
    }

    fn applies_to(&self, kind: Kind) -> bool {
        // What is for the console is for nothing else, and the other way round.
        self.only.map_or(kind != Kind::GethConsole, |only| only == kind)
    }

    /// Runs it over every transport.
    async fn run_over_each(&self, program: Program) -> Result<String> {
        over_each(self.over, |over| (self.run)(Setting { program: program.clone(), over })).await
    }
}

/// How many scenarios there are for a peer.
pub(crate) fn count(kind: Kind) -> usize {
    SCENARIOS.iter().filter(|scenario| scenario.applies_to(kind)).count()
}

/// What there is to run against a peer.
pub(crate) fn runs(program: &Program) -> Vec<Run> {
    let scenarios = SCENARIOS.iter().filter(|scenario| scenario.applies_to(program.kind));
    let run = |scenario: &'static Scenario| {
        let work = Box::pin(scenario.run_over_each(program.clone()));
        Run { name: scenario.name, dialer: scenario.caller, slow: false, work }
    };
    scenarios.map(run).collect()
}

/// Implementation, version and runtime of a peer.
///
/// # Errors
///
/// When the program does not start.
pub(crate) async fn versions(program: &Program) -> Result<String> {
    match program.kind {
        Kind::GethConsole => console::versions(program).await,
        _ => Ok(ForeignPeer::start(program, &[]).await?.versions()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_has_scenarios_of_its_own() {
        let names = |kind: Kind| -> Vec<_> {
            let scenarios = SCENARIOS.iter().filter(|scenario| scenario.applies_to(kind));
            scenarios.map(|scenario| scenario.name).collect()
        };

        assert!(names(Kind::GethConsole).contains(&"admin.nodeInfo"));
        assert!(!names(Kind::GethConsole).contains(&"a batch"));
        assert!(!names(Kind::GethRpc).contains(&"admin.nodeInfo"));
        assert!(names(Kind::GethRpcOld).contains(&"a batch"));
    }
}
