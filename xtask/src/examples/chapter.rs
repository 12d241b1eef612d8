//! What a chapter is to the checker: a program, a time limit and the rows that must hold.

use std::time::Duration;

use crate::examples::log::{Check, Log};

/// One program and what it promises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chapter {
    /// `A1`; for a whole program its own name.
    pub(crate) name: &'static str,
    /// The package that it is a binary of.
    pub(crate) package: &'static str,
    /// The binary, which also names its expected output.
    pub(crate) binary: &'static str,
    /// What it shows, in at most 38 letters.
    pub(crate) proves: &'static str,
    /// Arguments it is started with.
    pub(crate) arguments: &'static [&'static str],
    /// How long it may take.
    pub(crate) limit: Duration,
    /// Rows of the specification, in its order.
    pub(crate) rows: &'static [Row],
    /// Texts that a row allows to stand for each other in the human log: the second is read as
    /// the first.
    pub(crate) alternatives: &'static [(&'static str, &'static str)],
}

/// One MUST row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// `A1.2`.
    pub(crate) name: &'static str,
    /// The rule, in a few words.
    pub(crate) rule: &'static str,
    pub(crate) check: fn(&Log) -> Check,
}

impl Row {
    pub(crate) const fn new(
        name: &'static str,
        rule: &'static str,
        check: fn(&Log) -> Check,
    ) -> Self {
        Self { name, rule, check }
    }
}

impl Chapter {
    /// A chapter of the tutorial.
    pub(crate) const fn new(
        name: &'static str,
        binary: &'static str,
        proves: &'static str,
        rows: &'static [Row],
    ) -> Self {
        Self {
            name,
            package: "tutorial",
            binary,
            proves,
            arguments: &["--log", "json"],
            limit: Duration::from_secs(10),
            rows,
            alternatives: &[],
        }
    }

    /// `A1 server`: how the table calls it.
    pub(crate) fn label(&self) -> String {
        let (letter, subject) = self.binary.split_once('_').unwrap_or((self.binary, ""));
        if letter.eq_ignore_ascii_case(self.name) {
            format!("{} {}", self.name, subject.replace('_', " "))
        } else {
            self.name.to_owned()
        }
    }

    /// Whether it speaks JSON, and so has rows.
    pub(crate) fn has_log(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// Which of the two bodies returns first is open, and with it who reports which error.
pub(crate) const HANG_UP_RACE: &[(&str, &str)] = &[("protocol returned", "client quitting")];
