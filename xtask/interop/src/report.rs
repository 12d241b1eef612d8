//! The results: a line for each scenario as it ends, the closing line, and the page for the book.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    program::{Absence, Kind, Suite, workspace},
    scenario::Dialer,
};

/// What came of one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// What was done.
    pub(crate) name: &'static str,
    /// Which side opened the connection.
    pub(crate) dialer: Dialer,
    /// A remark worth a place in the table, or what went wrong.
    pub(crate) result: Result<String, String>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Everything about one foreign peer.
#[derive(Debug)]
pub(crate) struct Section {
    kind: Kind,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Ran { versions: String, outcomes: Vec<Outcome> },
    Skipped { absence: Absence, scenarios: usize },
}

impl Section {
    /// A peer that ran.
    pub(crate) fn ran(kind: Kind, versions: String, outcomes: Vec<Outcome>) -> Self {
        Self { kind, content: Content::Ran { versions, outcomes } }
    }

    /// A peer that could have run and does not: one failure, said in the form of any other.
    pub(crate) fn broken(kind: Kind, error: &anyhow::Error) -> Self {
        let result = Err(format!("{error:#}"));
        let name = "the program builds and starts";
        let outcome = Outcome { name, dialer: Dialer::They, result, took: Duration::ZERO };
        print_outcome(&outcome);
        Self::ran(kind, String::new(), vec![outcome])
    }

    /// A peer that this machine cannot run, and how many scenarios that leaves out.
    pub(crate) fn skipped(kind: Kind, absence: Absence, scenarios: usize) -> Self {
        Self { kind, content: Content::Skipped { absence, scenarios } }
    }
}

/// All sections, in the order of the run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
}

#[expect(clippy::print_stdout, reason = "the table is this program's output")]
impl Report {
    /// Announces the next peer.
    pub(crate) fn begin(&self, kind: Kind) {
        println!("{kind}");
    }

    /// Takes the results of a peer.
    pub(crate) fn end(&mut self, section: Section) {
        if let Content::Skipped { absence, .. } = &section.content {
            println!("  skipped: {}", absence.0);
        }
        println!();
        self.sections.push(section);
    }

    /// Prints `N passed, N failed, N skipped`, after the names of what failed.
    pub(crate) fn print_closing_line(&self) {
        for (kind, outcome) in self.outcomes() {
            if outcome.result.is_err() {
                println!("failed: {kind}: {} ({})", outcome.name, outcome.dialer);
            }
        }
        let passed = self.outcomes().filter(|(_, outcome)| outcome.result.is_ok()).count();
        println!("{passed} passed, {} failed, {} skipped", self.failed(), self.skipped());
    }

    /// How many scenarios failed.
    pub(crate) fn failed(&self) -> usize {
        self.outcomes().filter(|(_, outcome)| outcome.result.is_err()).count()
    }

    /// Whether a peer could not be run.
    pub(crate) fn skipped_a_peer(&self) -> bool {
        self.skipped() > 0
    }

    /// Whether every known peer ran and passed every scenario.
    pub(crate) fn is_complete(&self) -> bool {
        self.sections.len() == Kind::ALL.len() && self.skipped() == 0 && self.failed() == 0
    }

    /// Writes the table that the book includes.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn write_page(&self) -> Result<()> {
        let path = workspace().join(PAGE);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, self.page()).with_context(|| format!("writing {PAGE}"))?;
        println!("wrote {PAGE}");
        Ok(())
    }

    /// The table without times, so that the file changes only when a result or a version does.
    fn page(&self) -> String {
        let mut page = String::from(HEAD);
        for section in &self.sections {
            if let Content::Ran { versions, outcomes } = &section.content {
                let _ = write!(page, "\n### {versions}\n\n");
                let who = heading(section.kind);
                let _ = writeln!(page, "| scenario | {who} | result | remark |\n|---|---|---|---|");
                for outcome in outcomes {
                    let (result, remark) = match &outcome.result {
                        Ok(remark) => ("pass", remark),
                        Err(error) => ("FAIL", error),
                    };
                    let (name, dialer) = (outcome.name, outcome.dialer);
                    let _ = writeln!(page, "| {name} | {dialer} | {result} | {remark} |");
                }
            }
        }
        page
    }

    fn skipped(&self) -> usize {
        let skipped = |section: &Section| match section.content {
            Content::Skipped { scenarios, .. } => scenarios,
            Content::Ran { .. } => 0,
        };
        self.sections.iter().map(skipped).sum()
    }

    fn outcomes(&self) -> impl Iterator<Item = (Kind, &Outcome)> {
        self.sections.iter().flat_map(|section| {
            let outcomes = match &section.content {
                Content::Ran { outcomes, .. } => outcomes.as_slice(),
                Content::Skipped { .. } => &[],
            };
            outcomes.iter().map(|outcome| (section.kind, outcome))
        })
    }
}

/// Prints which implementation the next lines are about.
#[expect(clippy::print_stdout, reason = "the table is this program's output")]
pub(crate) fn print_versions(kind: Kind, versions: &str) {
    let who = heading(kind);
    println!("  {versions}");
    println!("  {:<44} {who:<11} {:<6} {:>8}", "scenario", "result", "time");
}

/// Which of two sides it is that the table tells apart.
fn heading(kind: Kind) -> &'static str {
    if kind.suite() == Suite::Rpc { "who calls" } else { "who dials" }
}

/// Prints the line of a scenario that has just ended.
#[expect(clippy::print_stdout, reason = "the table is this program's output")]
pub(crate) fn print_outcome(outcome: &Outcome) {
    let Outcome { name, dialer, result, took } = outcome;
    let word = if result.is_ok() { "pass" } else { "FAIL" };
    let (Ok(remark) | Err(remark)) = result;
    let remark = remark.replace('\n', "\n    ");
    println!("  {name:<44} {dialer:<11} {word:<6} {:>6} ms  {remark}", took.as_millis());
}

const PAGE: &str = "tutorial/book/src/interop-results.md";

const HEAD: &str = "\
<!-- Written by `cargo xtask interop --write`, and only by a run in which every peer was there and
     every scenario passed. Included by the page about interoperability. -->
";

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(result: Result<String, String>) -> Outcome {
        let took = Duration::from_millis(1);
        Outcome { name: "hello", dialer: Dialer::We, result, took }
    }

    #[test]
    fn failures_and_skips_are_counted_apart() {
        let mut report = Report::default();
        let mixed = vec![outcome(Ok(String::new())), outcome(Err("no".into()))];
        report.end(Section::ran(Kind::Geth, "v1".into(), mixed));
        report.end(Section::skipped(Kind::Js, Absence("no node".into()), 7));

        assert_eq!((report.failed(), report.skipped()), (1, 7));
        assert!(report.skipped_a_peer());
        assert!(!report.is_complete());
    }

    #[test]
    fn a_peer_that_does_not_build_is_a_failure_and_no_skip() {
        let mut report = Report::default();
        report.end(Section::broken(Kind::Js, &anyhow::anyhow!("no such file")));

        assert_eq!((report.failed(), report.skipped()), (1, 0));
    }

    #[test]
    fn the_page_has_a_row_for_every_scenario() {
        let mut report = Report::default();
        report.end(Section::ran(Kind::Geth, "v1".into(), vec![outcome(Ok("fine".into()))]));

        let page = report.page();

        assert!(page.contains("### v1"), "{page}");
        assert!(page.contains("| hello | we | pass | fine |"), "{page}");
    }
}
