//! `cargo xtask interop`: talk to the programs of others. The peers and the tests against them
//! are a package of their own, built only when asked for.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// Test against foreign peers: geth, js, geth-rpc, geth-node (package xtask/interop)
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Peers, and flags of the interop package; none means every peer that can be had here
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    names: Vec<String>,
}

/// Runs the package `interop`; its exit code is ours.
///
/// # Errors
///
/// When the workspace has no such package.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if workspace.metadata()?.package(PACKAGE).is_none() {
        bail!("{} has no package {PACKAGE}; it belongs in xtask/interop", workspace.root.display());
    }
    let mut command = workspace.cargo();
    command.args(["run", "--package", PACKAGE, "--"]).args(&arguments.names);
    Ok(ExitCode::from(process::exit_code(&mut command)?))
}

/// The package; `ci` asks whether it is there.
pub(crate) const PACKAGE: &str = "interop";

const HELP: &str = "\
Examples:
  cargo xtask interop           what is present; says what it skips and why
  cargo xtask interop geth      fails if go-ethereum cannot be had
  cargo xtask interop geth-rpc  JSON-RPC: go-ethereum's clients, servers and console
  cargo xtask interop geth-node whole nodes: chapter C4 against go-ethereum's container
  cargo xtask interop geth js   both";
