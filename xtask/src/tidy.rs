//! `cargo xtask tidy`: what must hold and no compiler checks.
//!
//! ```text
//!   git ls-files ─┐
//!   cargo metadata├──▶ Tree ──▶ one function a rule ──▶ path:line: what is wrong, and the way out
//!   cargo tree    ┘
//! ```
//!
//! Each rule is a function from a [`Tree`] to findings, so that a test shows each refusal on a
//! tree made up for it.

mod book;
mod bounds;
mod c_code;
mod chapters;
mod core_modules;
mod layers;
mod machine_paths;
mod module_comments;
mod readme;
mod sleeps;
mod source;
mod top_level;
mod tree;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::terminal::Colours;
use crate::tidy::tree::{Finding, Tree};
use crate::workspace::Workspace;

/// Check layers, bounds, comments, sleeps, the book's includes
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Rules to check (layers, bounds, ...); none means all
    rules: Vec<String>,

    /// One JSON object a finding
    #[arg(long)]
    json: bool,
}

/// Checks the tree and prints what it found.
///
/// # Errors
///
/// An unknown rule, or when git or cargo cannot be asked.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let rules = chosen(&arguments.rules)?;
    let tree = Tree::load(workspace)?;
    let mut findings: Vec<_> = rules.iter().flat_map(|rule| (rule.check)(&tree)).collect();
    findings.sort();

    for finding in &findings {
        if arguments.json {
            let Finding { path, line, text } = finding;
            println!("{}", json!({"path": path, "line": line, "text": text}));
        } else {
            println!("{finding}");
        }
    }
    if !arguments.json {
        print_summary(findings.len(), rules.len(), tree.paths().count());
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with the book's includes and links, before it is built.
///
/// # Errors
///
/// When git or cargo cannot be asked.
pub(crate) fn check_book(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let tree = Tree::load(workspace)?;
    Ok(book::check(&tree).iter().map(ToString::to_string).collect())
}

struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Rule>> {
    let known = || RULES.map(|rule| rule.name).join(", ");
    if let Some(name) = names.iter().find(|name| !RULES.iter().any(|rule| rule.name == **name)) {
        return Err(crate::UsageError(format!("no rule {name}; there are {}", known())).into());
    }
    let wanted = |rule: &&Rule| names.is_empty() || names.iter().any(|name| name == rule.name);
    Ok(RULES.iter().filter(wanted).collect())
}

fn print_summary(findings: usize, rules: usize, files: usize) {
    let colours = Colours::of_stdout();
    let what = match findings {
        0 => colours.green("nothing found"),
        1 => colours.red("1 finding"),
        _ => colours.red(&format!("{findings} findings")),
    };
    println!("tidy: {what} ({rules} rules, {files} files)");
}

const RULES: [Rule; 11] = [
    Rule { name: "layers", check: layers::check },
    Rule { name: "comments", check: module_comments::check },
    Rule { name: "core", check: core_modules::check },
    Rule { name: "bounds", check: bounds::check },
    Rule { name: "sleeps", check: sleeps::check },
    Rule { name: "book", check: book::check },
    Rule { name: "top-level", check: top_level::check },
    Rule { name: "readme", check: readme::check },
    Rule { name: "c-code", check: c_code::check },
    Rule { name: "machine-paths", check: machine_paths::check },
    Rule { name: "chapters", check: chapters::check },
];

const HELP: &str = "\
Rules:
  layers         every crate names its layer, and depends on lower ones only
  comments       every file begins with a module comment
  core           core modules do no I/O and read no clock
  bounds         every queue and map of a crate has a `// bound:` comment
  sleeps         no sleep in chapters, examples and tests
  book           every code block is an include, every include and link exists
  top-level      nothing but the agreed entries at the top
  readme         README.md names exactly the crates there are, each has its own
  c-code         nothing compiles C
  machine-paths  no path of somebody's machine
  chapters       every chapter has its rows and its expected output

Examples:
  cargo xtask tidy
  cargo xtask tidy layers bounds";
