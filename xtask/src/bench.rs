//! `cargo xtask bench`: measure. The tooling is a package of its own, built only when asked for.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// Measure and print one table (package xtask/bench)
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Compare with the recorded floor and fail below it
    #[arg(long)]
    check: bool,

    /// Anything else is passed on
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the package `bench`; its exit code is ours.
///
/// # Errors
///
/// When the workspace has no such package.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if workspace.metadata()?.package(PACKAGE).is_none() {
        bail!("{} has no package {PACKAGE}; it belongs in xtask/bench", workspace.root.display());
    }
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--package", PACKAGE, "--"]);
    if arguments.check {
        command.arg("--check");
    }
    command.args(&arguments.rest);
    Ok(ExitCode::from(process::exit_code(&mut command)?))
}

const PACKAGE: &str = "bench";

const HELP: &str = "\
Options that are passed on:
  --filter TEXT   only figures whose name contains this: codec, \"server, one way\", \"rpc, ipc\"
  --rounds N      rounds that each figure is the median of
  --quick         few rounds and small batches, for a look
  --json          JSON instead of the table
  --write         write the table into the book, too

Examples:
  cargo xtask bench                    all figures; takes minutes, on a machine with nothing else to do
  cargo xtask bench --quick            the same in seconds, less exactly
  cargo xtask bench --filter codec     one group
  cargo xtask bench --check            and fail where a ratio or a count is below its floor";
