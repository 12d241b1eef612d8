//! Calls of the JSON-RPC stack, client and server in this process: what one costs both.
//!
//! ```text
//!   ours        in process   IPC   WS   HTTP     one call at a time,
//!   jsonrpsee                      WS   HTTP     64 in flight, 1,000 in a batch
//! ```
//!
//! All ways with one load are measured in turns. Client, server and callers are tasks on one thread;
//! what is counted is the CPU time of the process, with the system's part of it and that of threads
//! that a library keeps. The method adds two numbers. The yardstick is jsonrpsee's own client and
//! server over a WebSocket, and over HTTP for HTTP.

mod ours;
mod theirs;

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::{
    clock,
    codec::micros,
    measure::{Plan, Summary, round_robin},
    report::{Bound, Figure, Quantity},
};

/// Each way under each load.
///
/// # Errors
///
/// When a connection does not come up, or a call fails.
pub(crate) fn figures(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for load in Load::ALL {
        let wanted = |way: &Way| plan.begin(&name(*way, load));
        let wanted: Vec<Way> = Way::ALL.into_iter().filter(wanted).collect();
        if !wanted.is_empty() {
            figures.extend(compare(plan, &wanted, load)?);
        }
    }
    Ok(figures)
}

/// Whose client and server, and what is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    OursInProcess,
    OursIpc,
    OursWs,
    OursHttp,
    TheirsWs,
    TheirsHttp,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::OursInProcess,
        Self::OursIpc,
        Self::OursWs,
        Self::OursHttp,
        Self::TheirsWs,
        Self::TheirsHttp,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::OursInProcess => "rpc, in process",
            Self::OursIpc => "rpc, ipc",
            Self::OursWs => "rpc, ws",
            Self::OursHttp => "rpc, http",
            Self::TheirsWs => "jsonrpsee, ws",
            Self::TheirsHttp => "jsonrpsee, http",
        }
    }

    /// What it is compared with, and how that is called in the table.
    fn yardstick(self) -> Option<(Self, &'static str)> {
        match self {
            Self::OursInProcess | Self::OursIpc | Self::OursWs => {
                Some((Self::TheirsWs, "× jsonrpsee, ws"))
            }
            Self::OursHttp => Some((Self::TheirsHttp, "× jsonrpsee, http")),
            Self::TheirsWs | Self::TheirsHttp => None,
        }
    }

    /// How much cheaper than the yardstick it has to be (`performance.md` of the specification, 4).
    fn bound(self, load: Load) -> Option<Bound> {
        match (self, load) {
            (Self::OursIpc, Load::OneAtATime) => Some(Bound::AtLeast(2.5)),
            (Self::OursIpc, Load::InFlight) => Some(Bound::AtLeast(5.0)),
            (Self::OursWs | Self::OursHttp, Load::OneAtATime | Load::InFlight) => {
                Some(Bound::AtLeast(0.95))
            }
            _ => None,
        }
    }
}

/// How calls come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    OneAtATime,
    InFlight,
    Batch,
}

impl Load {
    const ALL: [Self; 3] = [Self::OneAtATime, Self::InFlight, Self::Batch];

    fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one at a time",
            Self::InFlight => "64 in flight",
            Self::Batch => "batch of 1,000",
        }
    }

    fn callers(self) -> usize {
        match self {
            Self::OneAtATime | Self::Batch => 1,
            Self::InFlight => IN_FLIGHT,
        }
    }

    /// How many calls a round makes, so that it takes some tens of milliseconds.
    fn calls(self, plan: &Plan) -> usize {
        match self {
            Self::OneAtATime => plan.batch(512),
            Self::InFlight => plan.batch(32) * IN_FLIGHT,
            Self::Batch => BATCH,
        }
    }
}

fn name(way: Way, load: Load) -> String {
    format!("{}, {}", way.name(), load.name())
}

fn compare(plan: &Plan, wanted: &[Way], load: Load) -> Result<Vec<Figure>> {
    let runtime = Builder::new_current_thread().enable_all().build().context("a runtime")?;
    let measured = |way: &Way| {
        wanted.contains(way)
            || wanted.iter().any(|other| other.yardstick().is_some_and(|(stick, _)| stick == *way))
    };
    let ways: Vec<Way> = Way::ALL.into_iter().filter(measured).collect();
    let ends = ways.iter().map(|way| runtime.block_on(Ends::connect(*way)));
    let ends = ends.map(|ends| ends.map(Arc::new)).collect::<Result<Vec<_>>>()?;

    let calls = load.calls(plan);
    let mut candidates: Vec<Box<dyn FnMut() -> Result<f64> + '_>> = Vec::new();
    for ends in &ends {
        let runtime = &runtime;
        candidates.push(Box::new(move || run(runtime, ends, load, calls)));
    }
    let results = round_robin(plan.rounds, &mut candidates).into_iter();
    let results = results.map(|costs| costs.into_iter().collect::<Result<Vec<f64>>>());
    let results = results.collect::<Result<Vec<_>>>().context(load.name())?;

    let costs = |way: Way| ways.iter().position(|other| *other == way).map(|at| &results[at][..]);
    let figure = |way: &Way| figure(*way, load, costs(*way)?, &costs);
    Ok(wanted.iter().filter_map(figure).collect())
}

fn figure<'c>(
    way: Way,
    load: Load,
    ours: &[f64],
    costs: &impl Fn(Way) -> Option<&'c [f64]>,
) -> Option<Figure> {
    let cost = Summary::of(ours.iter().copied());
    // One thread, so what a call costs is also what a second is divided by.
    let rate = Quantity::counted(1e6 / cost.median, "calls/s");
    let mut figure = Figure::new(&name(way, load), Quantity::new(cost, "µs"));
    if let Some((stick, unit)) = way.yardstick() {
        let ratio = Quantity::new(Summary::of_ratios(costs(stick)?, ours), unit);
        figure = figure.aside(match way.bound(load) {
            Some(bound) => ratio.bound(bound),
            None => ratio,
        });
    }
    Some(figure.aside(rate))
}

/// A client and the server it calls.
enum Ends {
    Ours(ours::Ends),
    Theirs(theirs::Ends),
}

impl Ends {
    async fn connect(way: Way) -> Result<Self> {
        Ok(match way {
            Way::OursInProcess => Self::Ours(ours::Ends::in_process().await?),
            Way::OursIpc => Self::Ours(ours::Ends::ipc().await?),
            Way::OursWs => Self::Ours(ours::Ends::ws().await?),
            Way::OursHttp => Self::Ours(ours::Ends::http().await?),
            Way::TheirsWs => Self::Theirs(theirs::Ends::ws().await?),
            Way::TheirsHttp => Self::Theirs(theirs::Ends::http().await?),
        })
    }

    async fn one_by_one(&self, calls: usize) -> Result<()> {
        for number in 0..calls as u64 {
            let sum = match self {
                Self::Ours(ends) => ends.add(number, 1).await?,
                Self::Theirs(ends) => ends.add(number, 1).await?,
            };
            ensure!(sum == number + 1, "{number} + 1 is not {sum}");
        }
        Ok(())
    }

    async fn in_one_batch(&self, calls: usize) -> Result<()> {
        let answered = match self {
            Self::Ours(ends) => ends.batch(calls).await?,
            Self::Theirs(ends) => ends.batch(calls).await?,
        };
        ensure!(answered == calls, "{answered} answers to {calls} calls");
        Ok(())
    }
}

/// What one of so many calls costs, in microseconds.
fn run(runtime: &Runtime, ends: &Arc<Ends>, load: Load, calls: usize) -> Result<f64> {
    let before = clock::process();
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for _ in 0..load.callers() {
            let (ends, calls) = (Arc::clone(ends), calls / load.callers());
            callers.spawn(async move {
                match load {
                    Load::OneAtATime | Load::InFlight => ends.one_by_one(calls).await,
                    Load::Batch => ends.in_one_batch(calls).await,
                }
            });
        }
        callers.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    Ok(micros(clock::process().saturating_sub(before), calls))
}

const IN_FLIGHT: usize = 64;
const BATCH: usize = 1_000;

/// The method that both servers have: `a + b`.
const METHOD: &str = "bench_add";
