//! `cargo xtask book`: build the book. The builder is a package outside the workspace, so that
//! nobody who runs a chapter compiles it.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::workspace::Workspace;
use crate::{process, tidy};

/// Check the book's includes and build it into target/book
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {}

/// Refuses a book with holes, then builds it.
///
/// # Errors
///
/// When there is no book, or its builder does not compile.
pub(crate) fn run(workspace: &Workspace, _: &Arguments) -> anyhow::Result<ExitCode> {
    if !workspace.root.join(BOOK).join("book.toml").is_file() {
        bail!("no {BOOK}/book.toml in {}", workspace.root.display());
    }
    let holes = tidy::check_book(workspace)?;
    if !holes.is_empty() {
        holes.iter().for_each(|hole| println!("{hole}"));
        bail!("the book would have holes; put the {} right and build again", holes.len());
    }

    let output = workspace.metadata()?.target_directory.join("book");
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--locked", "--manifest-path", BUILDER, "--", BOOK]);
    command.arg(&output);
    let code = process::exit_code(&mut command)?;
    if code == 0 {
        println!("open {}", output.join("index.html").display());
    }
    Ok(ExitCode::from(code))
}

const BOOK: &str = "tutorial/book";
const BUILDER: &str = "xtask/book/Cargo.toml";

const HELP: &str = "\
The first time this compiles the book builder, about a minute.

Example:
  cargo xtask book    and open target/book/index.html";
