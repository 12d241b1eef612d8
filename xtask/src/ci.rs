//! `cargo xtask ci`: everything that must hold before a merge, in the order of what it costs.
//!
//! The same command runs at home and in the continuous integration. Flags of the compiler are
//! the same in every step but `doc`, whose own variable touches documentation only: a change of
//! `RUSTFLAGS` between two steps would build all dependencies again. Warnings are errors through
//! clippy, which sees every target with every feature, and crates that have default features without
//! them, too.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use crate::terminal::{Colours, seconds};
use crate::workspace::{Metadata, Package, Workspace};
use crate::{interop, process};

/// Format, lints, features, docs, tidy, examples, book, foreign peers
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Leave out the book and the foreign peers
    #[arg(long)]
    fast: bool,

    /// Show the steps and do nothing
    #[arg(long)]
    list: bool,
}

/// Runs the steps until one fails.
///
/// # Errors
///
/// When cargo cannot be started, or the user wants to go.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let steps = steps(&workspace.metadata()?, arguments.fast);
    if arguments.list {
        steps.iter().for_each(|step| println!("{:<10}{}", step.name, step.what()));
        return Ok(ExitCode::SUCCESS);
    }

    let colours = Colours::of_stdout();
    let mut times = Vec::new();
    let mut failed = None;
    for step in &steps {
        println!("{}", colours.bold(&format!("== {}: {}", step.name, step.what())));
        let start = Instant::now();
        let passed = step.run(workspace)?;
        times.push(start.elapsed());
        if !passed {
            failed = Some(step);
            break;
        }
    }
    print_summary(&steps, &times, failed);
    Ok(if failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One thing that must succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    name: &'static str,
    /// Set for this step alone.
    environment: &'static [(&'static str, &'static str)],
    /// What cargo is given.
    arguments: Vec<String>,
    /// Packages that its output must not list.
    absent: Vec<String>,
    /// Why it is left out, if it is.
    skipped: Option<&'static str>,
}

impl Step {
    fn new(name: &'static str, arguments: &str) -> Self {
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        Self { name, environment: &[], arguments, absent: Vec::new(), skipped: None }
    }

    /// The line that a user types to run it alone.
    fn command(&self) -> String {
        let variables = self.environment.iter().map(|(name, value)| format!("{name}={value:?} "));
        format!("{}cargo {}", variables.collect::<String>(), self.arguments.join(" "))
    }

    fn what(&self) -> String {
        let mut command = self.command();
        if !self.absent.is_empty() {
            command.push_str(&format!("  (has no {})", self.absent.join(", no ")));
        }
        self.skipped.map_or(command, |reason| format!("skipped, {reason}"))
    }

    fn run(&self, workspace: &Workspace) -> anyhow::Result<bool> {
        if self.skipped.is_some() {
            return Ok(true);
        }
        let mut command = self.process(workspace)?;
        command.envs(self.environment.iter().copied());
        if self.absent.is_empty() {
            return process::succeeds(&mut command);
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.context("cannot start cargo")?;
        let present = self.present(&String::from_utf8_lossy(&output.stdout));
        if let Some(package) = present {
            println!("{package} is there and must not be; which feature brings it in?");
        }
        Ok(output.status.success() && present.is_none())
    }

    /// The first package listed that must not be; a line begins with a name.
    fn present(&self, listed: &str) -> Option<&str> {
        let mut names = listed.lines().filter_map(|line| line.split(' ').next());
        let found = names.find_map(|name| self.absent.iter().find(|absent| *absent == name));
        found.map(String::as_str)
    }

    /// Our own commands are this very program; going through cargo would only ask whether it is
    /// up to date.
    fn process(&self, workspace: &Workspace) -> anyhow::Result<Command> {
        let ["xtask", arguments @ ..] =
            &self.arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
        else {
            let mut command = workspace.cargo();
            command.args(&self.arguments);
            return Ok(command);
        };
        let ourselves = std::env::current_exe().context("where is xtask itself?")?;
        let mut command = Command::new(ourselves);
        command.arg("--root").arg(&workspace.root).args(arguments);
        Ok(command)
    }
}

fn steps(metadata: &Metadata, fast: bool) -> Vec<Step> {
    let mut steps = vec![
        Step::new("fmt", "fmt --all --check"),
        Step::new("tidy", "xtask tidy"),
        Step::new("clippy", "clippy --workspace --all-targets --all-features -- -D warnings"),
    ];
    steps.extend(feature_tests(metadata));
    steps.extend(without_defaults(metadata));
    steps.push(Step {
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        ..Step::new("doc", "doc --workspace --no-deps --all-features")
    });
    steps.push(Step::new("examples", "xtask examples"));
    steps.push(Step {
        skipped: fast.then_some("as asked with --fast"),
        ..Step::new("book", "xtask book")
    });
    let absent = metadata.package(interop::PACKAGE).is_none();
    steps.push(Step {
        skipped: match fast {
            true => Some("as asked with --fast"),
            false => absent.then_some("there is no package interop in this workspace"),
        },
        ..Step::new("interop", "xtask interop")
    });
    steps
}

/// The tests of the workspace run with default features; here are the crates that have others.
fn feature_tests(metadata: &Metadata) -> Vec<Step> {
    let others = |package: &Package| -> Vec<String> {
        let features = package.features.iter();
        features.filter(|feature| !package.defaults.contains(feature)).cloned().collect()
    };
    let with_others = crates(metadata).map(|package| (package, others(package)));
    with_others
        .filter(|(_, others)| !others.is_empty())
        .map(|(package, others)| {
            let features = others.join(",");
            Step::new("features", &format!("test --package {} --features {features}", package.name))
        })
        .collect()
}

/// What a crate has by default can be left out: it builds and passes its tests, and the crates of
/// ours that were only needed for that are gone.
fn without_defaults(metadata: &Metadata) -> Vec<Step> {
    let with_defaults = crates(metadata).filter(|package| !package.defaults.is_empty());
    with_defaults
        .flat_map(|Package { name, optional, .. }| {
            let step = |arguments: &str| Step::new("bare", &arguments.replace("NAME", name));
            let mut steps = vec![
                step("clippy --package NAME --all-targets --no-default-features -- -D warnings"),
                step("test --package NAME --no-default-features"),
            ];
            if !optional.is_empty() {
                let tree = "tree --package NAME --edges normal --no-default-features --prefix none";
                steps.push(Step { absent: optional.clone(), ..step(tree) });
            }
            steps
        })
        .collect()
}

fn crates(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|package| package.manifest.starts_with("crates/"))
}

fn print_summary(steps: &[Step], times: &[Duration], failed: Option<&Step>) {
    let colours = Colours::of_stdout();
    println!();
    for (index, step) in steps.iter().enumerate() {
        let time = times.get(index).map_or_else(String::new, |time| seconds(*time));
        let result = match times.get(index) {
            None => "not run",
            _ if failed == Some(step) => "FAIL",
            _ if step.skipped.is_some() => "skipped",
            _ => "PASS",
        };
        let padded = format!("{result:<8}");
        let result = match result {
            "FAIL" => colours.red(&padded),
            "PASS" => colours.green(&padded),
            _ => padded,
        };
        println!("{:<10}{result}{time:>9}  {}", step.name, step.what());
    }
    let total = seconds(times.iter().sum());
    match failed {
        None => println!("\nci: {} in {total}", colours.green("all steps passed")),
        Some(step) => {
            println!("\nci: {} after {total}; again with:", colours.red("failed"));
            println!("  {}", step.command());
        }
    }
}

const HELP: &str = "\
The tests of the workspace are `cargo test --workspace`, which .ci/run runs before this.

Examples:
  cargo xtask ci --fast    while working
  cargo xtask ci           before a merge
  cargo xtask ci --list    what it would run";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_with_features_are_tested_with_them() {
        let commands: Vec<_> = steps(&metadata(), false).iter().map(Step::command).collect();

        assert!(commands.contains(&"cargo test --package rlpx --features legacy".to_owned()));
        assert!(!commands.iter().any(|command| command.contains("--package enode")));
        assert!(!commands.iter().any(|command| command.contains("--package tutorial")));
    }

    #[test]
    fn crates_with_default_features_are_tried_without_them() {
        let commands: Vec<_> = steps(&metadata(), true).iter().map(Step::what).collect();

        let expected = [
            "cargo clippy --package rpc --all-targets --no-default-features -- -D warnings",
            "cargo test --package rpc --no-default-features",
            "cargo tree --package rpc --edges normal --no-default-features --prefix none  \
             (has no enode, no p2p-server)",
        ];
        let bare = commands.iter().filter(|command| command.contains("--no-default-features"));
        assert_eq!(bare.collect::<Vec<_>>(), expected);
        assert!(!commands.contains(&"cargo test --package rpc --features admin".to_owned()));
    }

    #[test]
    fn a_package_that_must_not_be_there_is_found_by_its_whole_name() {
        let step = Step { absent: vec!["p2p-server".to_owned()], ..Step::new("bare", "tree") };

        let listed = "rpc v0.1.0 (/r/crates/rpc)\np2p-server v0.1.0 (/r/p2p) (*)\n";
        assert_eq!(step.present(listed), Some("p2p-server"));
        assert_eq!(step.present("rpc v0.1.0 (/p2p-server)\np2p-server-macros v1.0.0\n"), None);
        assert_eq!(step.present(""), None);
    }

    #[test]
    fn the_compilers_flags_are_the_same_in_every_step() {
        for step in steps(&metadata(), false) {
            let names: Vec<_> = step.environment.iter().map(|(name, _)| *name).collect();

            assert!(names.is_empty() || names == ["RUSTDOCFLAGS"], "{step:?}");
        }
    }

    #[test]
    fn what_is_slow_or_absent_is_skipped_with_a_reason() {
        let skipped = |metadata: &Metadata, fast| -> Vec<_> {
            let steps = steps(metadata, fast);
            steps.iter().filter(|step| step.skipped.is_some()).map(|step| step.name).collect()
        };
        let mut with_peers = metadata();
        with_peers.packages.push(package("interop", "xtask/interop/Cargo.toml", &[]));

        assert_eq!(skipped(&metadata(), false), ["interop"]);
        assert_eq!(skipped(&with_peers, false), Vec::<&str>::new());
        assert_eq!(skipped(&with_peers, true), ["book", "interop"]);
    }

    fn metadata() -> Metadata {
        let packages = vec![
            package("enode", "crates/enode/Cargo.toml", &[]),
            package("rlpx", "crates/rlpx/Cargo.toml", &["legacy"]),
            Package {
                defaults: vec!["admin".to_owned()],
                optional: vec!["enode".to_owned(), "p2p-server".to_owned()],
                ..package("rpc", "crates/rpc/Cargo.toml", &["admin"])
            },
            package("tutorial", "tutorial/Cargo.toml", &["extra"]),
        ];
        Metadata { packages, ..Metadata::default() }
    }

    fn package(name: &str, manifest: &str, features: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: manifest.to_owned(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
            ..Package::default()
        }
    }
}
