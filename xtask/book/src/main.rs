//! Builds a book: `book SOURCE OUTPUT`, called by `cargo xtask book`.
//!
//! The same builder as the mdbook program, as a library, so that nothing has to be installed.

#![allow(clippy::print_stderr, reason = "a program that says what is wrong")]

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use mdbook_driver::MDBook;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, output] = &arguments[..] else {
        bail!("usage: book SOURCE OUTPUT; `cargo xtask book` calls it so");
    };
    build(source, output)
}

/// Builds the pages of `source` into `output`, which is emptied first.
fn build(source: &Path, output: &Path) -> anyhow::Result<()> {
    let mut book = MDBook::load(source).with_context(|| format!("in {}", source.display()))?;
    book.config.build.build_dir = output.to_owned();
    // A missing page is a mistake, not a request to make an empty one.
    book.config.build.create_missing = false;
    // The buttons of a playground would send code to somebody's server.
    book.config.set("output.html.playground.runnable", false)?;
    book.build()
}
