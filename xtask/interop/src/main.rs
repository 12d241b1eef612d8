//! `cargo xtask interop [geth] [js] [geth-rpc] [geth-node]`: our servers and clients against other people's.
//!
//! Our own tests prove that two of ours understand each other. This proves that we understand the
//! network: each foreign implementation is built as it is released, wrapped in a small program of
//! ours that reports what it saw, and both sides of every step are compared.
//!
//! ```text
//!   main ─▶ program  finds and builds the foreign peers, or says what is missing
//!        ─▶ scenario runs the list: who dials, what happens, what each side must report
//!             ├─ ours       our p2p-server, with the test protocol foo/42
//!             ├─ bare       one rlpx connection of ours, where a server is too well-behaved
//!             ├─ jsonrpc    our JSON-RPC server and client, and what is done with them
//!             ├─ container  our node with a service, and what is done with it
//!             └─ foreign    the other implementation as a child process, JSON lines both ways
//!        ─▶ report   the table, the closing line, the page of the book
//! ```
//!
//! A peer that this machine cannot run is skipped with the reason; only a peer that was asked for by
//! name must be there.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser as _;

mod bare;
mod container;
mod foo;
mod foreign;
mod jsonrpc;
mod ours;
mod program;
mod report;
mod scenario;
mod transport;

use program::{Absence, Kind};
use report::{Report, Section};

/// Runs our servers and clients against other implementations and compares what both sides saw.
#[derive(Debug, clap::Parser)]
#[command(name = "interop")]
struct Arguments {
    /// The peers to run against; all that this machine can run, if none is named.
    peers: Vec<Kind>,
    /// Write the table to the book's interoperability page.
    #[arg(long)]
    write: bool,
    /// Only the scenarios whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Behave as if the tool chains of these peers were missing.
    #[arg(long, hide = true, env = "INTEROP_ABSENT", value_delimiter = ',')]
    absent: Vec<Kind>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted: Vec<Kind> = match arguments.peers.as_slice() {
        [] => Kind::ALL.to_vec(),
        named => {
            Kind::ALL.into_iter().filter(|kind| named.contains(&kind.asked_for_as())).collect()
        }
    };
    let mut report = Report::default();
    for kind in wanted {
        report.begin(kind);
        let section = check(kind, &arguments).await;
        report.end(section.unwrap_or_else(|error| Section::broken(kind, &error)));
    }
    report.print_closing_line();
    if arguments.write {
        ensure!(report.is_complete(), "the page is written from a complete run only");
        report.write_page()?;
    }
    let missing_by_name = !arguments.peers.is_empty() && report.skipped_a_peer();
    Ok(if report.failed() > 0 || missing_by_name { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Everything about one foreign peer.
///
/// # Errors
///
/// When the peer's tools and modules are here and our program does not build or does not start.
async fn check(kind: Kind, arguments: &Arguments) -> Result<Section> {
    let prepared = if arguments.absent.contains(&kind.asked_for_as()) {
        Err(Absence("told to behave as if it were absent".into()))
    } else {
        kind.prepare(!arguments.peers.is_empty()).await?
    };
    let program = match prepared {
        Ok(program) => program,
        Err(absence) => return Ok(Section::skipped(kind, absence, scenario::count(kind))),
    };
    scenario::run_all(&program, arguments.only.as_deref()).await
}
