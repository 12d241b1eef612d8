//! The ends of connections that are not counted: this program once more, in a process of its own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// The process with the other ends, and the words that go to it and come from it.
pub(super) struct OtherEnds {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl OtherEnds {
    /// Starts this program once more, with these arguments.
    pub(super) fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("it was piped")?;
        let output = BufReader::new(child.stdout.take().context("it was piped")?);
        Ok(Self { child, input, output })
    }

    /// Says a word to it.
    pub(super) fn say(&mut self, word: &str) -> Result<()> {
        Ok(writeln!(self.input, "{word}")?)
    }

    /// Waits for a word from it. Nothing else runs on this thread meanwhile.
    pub(super) fn wait(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.trim() == word, "the other ends said {line:?} and not {word:?}");
        Ok(())
    }
}

impl Drop for OtherEnds {
    fn drop(&mut self) {
        // Nothing is left to be said; how it ended does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
