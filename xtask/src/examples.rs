//! `cargo xtask examples`: run the chapters and check what each one promises.
//!
//! ```text
//!   names ──▶ registry ──▶ build once ──▶ run each in an empty directory ──▶ rows hold?
//!                                                                            output as ever?
//! ```
//!
//! The rows are those of the tutorial's specification, one file a letter; what they look at is
//! the JSON log that every chapter prints with `--log json`.

mod chapter;
mod chapter_a;
mod chapter_b;
mod chapter_c;
mod chapter_d;
mod human;
mod log;
mod node;
mod placeholders;
pub(crate) mod registry;
mod report;
#[cfg(test)]
mod right_log;
mod runner;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use crate::UsageError;
use crate::examples::report::Report;
use crate::examples::runner::Settings;
use crate::workspace::Workspace;

/// Build and run the chapters, check every promise, print a table
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Chapters: A1, a1, a1_server, A for a letter, wiki_2015; none means all
    names: Vec<String>,

    /// One JSON object a line: a chapter each, then the summary
    #[arg(long)]
    json: bool,

    /// Write tutorial/expected/ anew where the output changed; review the diff
    #[arg(long)]
    bless: bool,

    /// Keep the directories and logs of chapters that pass, too
    #[arg(long)]
    keep: bool,

    /// Seconds a chapter may take, instead of its own limit (10)
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    limit: Option<Duration>,
}

/// Builds, runs, checks, prints.
///
/// # Errors
///
/// An unknown chapter, chapters that do not build, or a machine that does not obey.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let chapters = registry::chosen(&arguments.names)?;
    let metadata = workspace.metadata()?;
    if metadata.package("tutorial").is_none() {
        let root = workspace.root.display();
        return Err(UsageError(format!("{root} has no package tutorial, so no chapters")).into());
    }
    let settings = Settings {
        limit: arguments.limit,
        bless: arguments.bless,
        keep: arguments.keep,
        expected: workspace.root.join("tutorial/expected"),
        logs: metadata.target_directory.join(LOGS).join(std::process::id().to_string()),
    };
    fs::create_dir_all(&settings.logs)?;

    let start = Instant::now();
    let executables = runner::build(workspace, &metadata, &chapters, &settings.logs)?;
    let build = start.elapsed();

    let mut report = Report::start(arguments.json, flags(arguments));
    for chapter in &chapters {
        report.running(chapter);
        match runner::run(chapter, executables.get(chapter.binary), &settings) {
            Ok(outcome) => report.finished(&outcome),
            Err(error) => {
                report.abandon();
                return Err(error);
            }
        }
    }
    // Empty unless something was kept.
    let _ = fs::remove_dir(&settings.logs);
    Ok(if report.close(build) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What has to be said again to get the same run of one chapter.
fn flags(arguments: &Arguments) -> String {
    arguments.limit.map_or_else(String::new, |limit| format!(" --limit {}", limit.as_secs_f64()))
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        _ => Err("expected more than 0 seconds".to_owned()),
    }
}

/// Folder below the target directory.
const LOGS: &str = "examples-logs";

const HELP: &str = "\
Chapters: A1 server, A2 connect, A3 events, A4 message, A5 reply; B1 rpc, B2 method, B3 message;
  C1 stack, C2 nodeinfo, C3 service, C4 full; D1 protocols, D2 multiservice;
  wiki_2015, job_market, first_protocol: whole programs

Examples:
  cargo xtask examples              all of them
  cargo xtask examples A            the chapters of a letter
  cargo xtask examples a3 wiki_2015 two
  cargo xtask examples A4 --keep    and look at its logs
  cargo xtask examples --json       for machines
  cargo xtask examples A4 --bless   accept what it prints now

Exit code: 0 all passed, 1 one failed or does not build, 2 no such chapter, 130 Ctrl-C";
