//! `cargo xtask bench`: how fast and how small, in one table.
//!
//! ```text
//!   main ─▶ codec      a frame, beside a plain codec    in turns, median of the ratios  [measure]
//!        ─▶ handshake  both sides, in memory
//!        ─▶ messages   over loopback TCP: rlpx alone, and the whole server
//!        ─▶ rpc        calls, one at a time, 64 in flight, in a batch; beside jsonrpsee
//!        ─▶ memory     heap of a connection, allocations of a message   a program of its own
//!        ─▶ report     one table, or JSON; what is below its floor
//! ```
//!
//! Figures in microseconds and messages belong to the machine they were taken on. What can be
//! compared from one machine to the next, and what `--check` looks at, are ratios and counts.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program may print")]

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use crate::{machine::Machine, measure::Plan, report::Report};

mod clock;
mod codec;
mod handshake;
mod machine;
mod measure;
mod memory;
mod messages;
mod plain;
mod report;
mod rpc;

/// Measures codec, handshake, messages, RPC calls and memory, and prints one table
#[derive(Debug, clap::Parser)]
#[command(name = "bench", after_help = HELP)]
struct Arguments {
    /// Only figures whose name contains this: "codec", "server, one way", "64 B", "rpc, ipc"
    #[arg(long)]
    filter: Option<String>,

    /// Rounds that each figure is the median of
    #[arg(long, default_value_t = ROUNDS)]
    rounds: usize,

    /// Few rounds and small batches, for a look; in seconds instead of minutes
    #[arg(long)]
    quick: bool,

    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,

    /// Fail if a ratio or a count is on the wrong side of its bound
    #[arg(long)]
    check: bool,

    /// Write the table to the book's performance page too
    #[arg(long)]
    write: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(arguments.rounds > 0, "a median takes at least one round");
    ensure!(
        !arguments.write || (arguments.filter.is_none() && !arguments.quick),
        "the page is written from a complete run only: leave out --filter and --quick"
    );
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build, whose figures mean nothing; run `cargo xtask bench`");
    }
    let report = measure(&arguments)?;
    ensure!(!report.figures.is_empty(), "no figure's name contains the filter");

    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    if arguments.write {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
        fs::create_dir_all(page.parent().context("a file is in a folder")?)?;
        fs::write(&page, report.table()).with_context(|| format!("writing {PAGE}"))?;
        eprintln!("wrote {PAGE}");
    }
    let complaints = report.complaints();
    if arguments.check {
        complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
        eprintln!("check: {}", if complaints.is_empty() { "passed" } else { "FAILED" });
    }
    let failed = arguments.check && !complaints.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let quick = arguments.quick;
    let rounds = if quick { arguments.rounds.min(QUICK_ROUNDS) } else { arguments.rounds };
    let plan = Plan { rounds, filter: arguments.filter.clone(), quick };
    let machine = Machine::this();
    let mut figures = codec::figures(&plan);
    figures.extend(handshake::figures(&plan));
    figures.extend(messages::figures(&plan)?);
    figures.extend(rpc::figures(&plan)?);
    figures.extend(memory::figures(&plan)?);
    Ok(Report { machine, command: command(), rounds, figures })
}

/// What a reader types to get the same.
fn command() -> String {
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--write");
    let quoted = arguments.map(|argument| match argument.contains([' ', ',']) {
        true => format!("\"{argument}\""),
        false => argument,
    });
    let words: Vec<String> = ["cargo xtask bench".to_owned()].into_iter().chain(quoted).collect();
    words.join(" ")
}

/// An odd number above thirty, so that a median is one of the rounds.
const ROUNDS: usize = 41;
const QUICK_ROUNDS: usize = 7;
const PAGE: &str = "tutorial/book/src/figures/bench.txt";

const HELP: &str = "\
Run it as `cargo xtask bench`, on a machine with nothing else to do.

Examples:
  cargo xtask bench                            everything; some minutes
  cargo xtask bench --quick                    a first look
  cargo xtask bench --filter \"codec, write\"    one group
  cargo xtask bench --filter codec --check     is the codec faster than a plain one?
  cargo xtask bench --write                    and write the table into the book";
