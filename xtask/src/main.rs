//! `cargo xtask`: everything this repository does to itself, one command a file.
//!
//! ```text
//!   cargo xtask examples   run the chapters, check what each one promises
//!               tidy       check what the compiler cannot: layers, bounds, comments, book
//!               book       build the book
//!               bench      measure
//!               interop    talk to the programs of others
//!               ci         all of it, as the continuous integration does
//! ```
//!
//! Exit code 0 means that everything asked for holds, 1 that something does not, 2 that the
//! question was wrong, 130 that Ctrl-C ended it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what this program is for"
)]

mod bench;
mod book;
mod ci;
mod examples;
mod interop;
mod keccak;
mod process;
mod terminal;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::process::Interrupted;
use crate::terminal::Colours;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::watch_for_ctrl_c();

    match run(arguments) {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    about = "Runs, checks and builds this repository",
    after_help = "Examples:\n  \
        cargo xtask examples          run every chapter and check it\n  \
        cargo xtask examples A3       run one\n  \
        cargo xtask tidy              check layers, bounds, comments and the book's includes\n  \
        cargo xtask ci                everything that must hold before a merge"
)]
struct Arguments {
    /// Workspace to work on, if not the one this command was started in
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Examples(examples::Arguments),
    Tidy(tidy::Arguments),
    Book(book::Arguments),
    Bench(bench::Arguments),
    Interop(interop::Arguments),
    Ci(ci::Arguments),
}

/// The caller asked for something that does not exist: exit code 2, as for a wrong flag.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find(arguments.root)?;
    match arguments.command {
        Command::Examples(arguments) => examples::run(&workspace, &arguments),
        Command::Tidy(arguments) => tidy::run(&workspace, &arguments),
        Command::Book(arguments) => book::run(&workspace, &arguments),
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Interop(arguments) => interop::run(&workspace, &arguments),
        Command::Ci(arguments) => ci::run(&workspace, &arguments),
    }
}

fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        eprintln!("interrupted");
        return ExitCode::from(INTERRUPTED);
    }
    eprintln!("{} {error:#}", Colours::of_stderr().red("error:"));
    if error.is::<UsageError>() { ExitCode::from(WRONG_QUESTION) } else { ExitCode::FAILURE }
}

/// What clap exits with for a wrong flag.
const WRONG_QUESTION: u8 = 2;

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
