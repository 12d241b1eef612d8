//! The table, for people or for machines.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use crate::examples::chapter::Chapter;
use crate::examples::runner::{Fault, Outcome};
use crate::terminal::{Colours, seconds};

/// Prints results as they come.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    terminal: bool,
    colours: Colours,
    /// What to add to a command that runs a chapter again.
    flags: String,
    passed: usize,
    failed: usize,
    time: Duration,
}

impl Report {
    /// Starts the table.
    pub(crate) fn start(json: bool, flags: String) -> Self {
        let terminal = io::stdout().is_terminal() && !json;
        let colours = Colours::of_stdout();
        if !json {
            let head = row("chapter", "what it proves", &format!("{:<6}", "result"), "time");
            println!("{}", colours.bold(&head));
        }
        Self { json, terminal, colours, flags, passed: 0, failed: 0, time: Duration::ZERO }
    }

    /// Shows what runs now, where a line can be overwritten.
    pub(crate) fn running(&self, chapter: &Chapter) {
        if self.terminal {
            print!("{}", row(&chapter.label(), chapter.proves, "...   ", ""));
            let _ = io::stdout().flush();
        }
    }

    /// Takes back what [`running`](Self::running) showed, before an error is printed.
    pub(crate) fn abandon(&self) {
        if self.terminal {
            println!();
        }
    }

    /// Adds a row.
    pub(crate) fn finished(&mut self, outcome: &Outcome) {
        let passed = outcome.faults.is_empty();
        if passed {
            self.passed += 1
        } else {
            self.failed += 1
        }
        self.time += outcome.time;
        if self.json {
            println!("{}", self.as_json(outcome));
            return;
        }
        let chapter = &outcome.chapter;
        let word = if passed { self.colours.green("PASS  ") } else { self.colours.red("FAIL  ") };
        let back = if self.terminal { "\r\x1b[K" } else { "" };
        println!("{back}{}", row(&chapter.label(), chapter.proves, &word, &seconds(outcome.time)));
        if outcome.blessed {
            println!("  wrote    tutorial/expected/{}.txt", chapter.binary);
        }
        if let [fault, others @ ..] = &outcome.faults[..] {
            self.explain(outcome, fault, others);
        } else {
            outcome.kept.iter().for_each(|path| println!("  kept     {}", path.display()));
        }
        let _ = io::stdout().flush();
    }

    /// Closes the table; true if all passed.
    pub(crate) fn close(self, build: Duration) -> bool {
        if self.json {
            let summary = json!({
                "passed": self.passed,
                "failed": self.failed,
                "seconds": self.time.as_secs_f64(),
                "build_seconds": build.as_secs_f64(),
            });
            println!("{summary}");
        } else {
            let closing = format!("{} passed, {} failed", self.passed, self.failed);
            let paint = if self.failed == 0 { Colours::green } else { Colours::red };
            println!("\nran {}  (build {})", seconds(self.time), seconds(build));
            println!("{}", paint(self.colours, &closing));
        }
        self.failed == 0
    }

    fn explain(&self, outcome: &Outcome, fault: &Fault, others: &[Fault]) {
        println!("  {}  {}", self.colours.bold(&format!("{:<7}", fault.row)), fault.rule);
        println!("  expected {}", fault.mismatch.expected);
        println!("  got      {}", fault.mismatch.got);
        for other in others {
            println!("  also     {}: {}", other.row, other.rule);
        }
        for path in &outcome.kept {
            println!("  log      {}", path.display());
        }
        println!("  again    {}", self.again(&outcome.chapter));
    }

    fn again(&self, chapter: &Chapter) -> String {
        format!("cargo xtask examples {}{}", chapter.name, self.flags)
    }

    fn as_json(&self, outcome: &Outcome) -> Value {
        let faults = outcome.faults.iter().map(|fault| {
            json!({
                "row": fault.row,
                "rule": fault.rule,
                "expected": fault.mismatch.expected,
                "got": fault.mismatch.got,
            })
        });
        json!({
            "chapter": outcome.chapter.name,
            "binary": outcome.chapter.binary,
            "result": if outcome.faults.is_empty() { "pass" } else { "fail" },
            "seconds": outcome.time.as_secs_f64(),
            "faults": faults.collect::<Vec<_>>(),
            "kept": outcome.kept.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            "again": self.again(&outcome.chapter),
        })
    }
}

/// One row: under 80 columns, times flush right. The result comes padded, as colour has no width.
fn row(label: &str, proves: &str, result: &str, time: &str) -> String {
    format!("{label:<19}{proves:<39}{result}{time:>10}")
}
