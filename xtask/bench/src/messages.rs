//! Messages over loopback TCP, both ends in this process: how many a second, and what they cost.
//!
//! ```text
//!   stream   Writer ─▶ socket ─▶ Reader                                rlpx alone
//!   server   send_raw ─▶ queue ─▶ writer ─▶ socket ─▶ reader ─▶ queue ─▶ recv
//! ```
//!
//! One way, one end sends; both ways, each end sends as much. Senders never wait for an answer, so
//! messages gather into batches as they do under load. The rate is that of the clock on the wall
//! and depends on how many cores are free; the CPU time is that of both ends and all their tasks.
//! Payloads are random and compression is on, as between two real peers.

mod server;
mod stream;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use self::{server::Servers, stream::Streams};
use crate::{
    clock,
    codec::{micros, random},
    measure::{Plan, Summary, round_robin},
    report::{Figure, Quantity, SIZES},
};

/// Both layers at each size, one way and both ways.
///
/// # Errors
///
/// When a connection over loopback does not come up.
pub(crate) fn figures(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (label, size) in SIZES {
        let wanted: Vec<Kind> =
            Kind::ALL.into_iter().filter(|kind| plan.begin(&kind.title(label))).collect();
        if !wanted.is_empty() {
            figures.extend(compare(plan, &wanted, size)?);
        }
    }
    Ok(figures)
}

/// What is measured in turns.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Stream { both_ways: bool },
    Server { both_ways: bool },
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::Stream { both_ways: false },
        Self::Stream { both_ways: true },
        Self::Server { both_ways: false },
        Self::Server { both_ways: true },
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Stream { both_ways: false } => "stream, one way",
            Self::Stream { both_ways: true } => "stream, both ways",
            Self::Server { both_ways: false } => "server, one way",
            Self::Server { both_ways: true } => "server, both ways",
        }
    }

    fn title(self, label: &str) -> String {
        format!("{}, {label}", self.name())
    }

    fn both_ways(self) -> bool {
        let (Self::Stream { both_ways } | Self::Server { both_ways }) = self;
        both_ways
    }
}

fn compare(plan: &Plan, kinds: &[Kind], size: usize) -> Result<Vec<Figure>> {
    let runtime = runtime()?;
    // A tenth of a second or less, and at least a few of the largest.
    let count = plan.batch((24 << 20) / (size + 1024)).max(2);
    let batch = Batch { payload: random(size).into(), count };
    let mut runs = Vec::new();
    for kind in kinds {
        runs.push(match kind {
            Kind::Stream { .. } => Ends::Streams(Box::new(runtime.block_on(Streams::connect())?)),
            Kind::Server { .. } => Ends::Servers(runtime.block_on(Servers::connect())?),
        });
    }
    let mut candidates: Vec<Box<dyn FnMut() -> Result<Cost> + '_>> = Vec::new();
    for (kind, ends) in kinds.iter().zip(&mut runs) {
        let (runtime, batch) = (&runtime, &batch);
        candidates.push(Box::new(move || {
            Cost::of(|| match ends {
                Ends::Streams(streams) => runtime.block_on(streams.run(batch, kind.both_ways())),
                Ends::Servers(servers) => runtime.block_on(servers.run(batch, kind.both_ways())),
            })
        }));
    }
    let results = round_robin(plan.rounds, &mut candidates);
    let results = kinds.iter().zip(results);
    results.map(|(kind, costs)| figure(*kind, &batch, costs)).collect()
}

fn figure(kind: Kind, batch: &Batch, costs: Vec<Result<Cost>>) -> Result<Figure> {
    let costs = costs.into_iter().collect::<Result<Vec<Cost>>>().context(kind.name())?;
    let (size, count) = (batch.payload.len(), if kind.both_ways() { 2 } else { 1 } * batch.count);
    let cpu = Summary::of(costs.iter().map(|cost| micros(cost.cpu, count)));
    let rate = Summary::of(costs.iter().map(|cost| count as f64 / cost.wall.as_secs_f64()));
    let megabytes = Summary { median: rate.median * size as f64 / 1e6, ..rate };
    Ok(Figure::new(kind.name(), Quantity::new(cpu, "µs"))
        .payload(size)
        .aside(Quantity::new(rate, "messages/s"))
        .aside(Quantity::new(megabytes, "MB/s").without_spread()))
}

/// The two ends of a connection.
enum Ends {
    Streams(Box<Streams>),
    Servers(Servers),
}

/// What each sender sends.
struct Batch {
    payload: Bytes,
    count: usize,
}

/// What a run took.
struct Cost {
    wall: Duration,
    /// Of all threads of this process.
    cpu: Duration,
}

impl Cost {
    fn of(run: impl FnOnce() -> Result<()>) -> Result<Self> {
        let (wall, cpu) = (Instant::now(), clock::process());
        run()?;
        Ok(Self { wall: wall.elapsed(), cpu: clock::process().saturating_sub(cpu) })
    }
}

/// As many threads as there are tasks at work, if the machine has the cores.
fn runtime() -> Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread().worker_threads(cores.min(4)).enable_all().build();
    runtime.context("starting the threads")
}

/// How long a connection may take to come up.
const SET_UP: Duration = Duration::from_secs(10);
