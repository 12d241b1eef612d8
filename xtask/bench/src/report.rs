//! The figures, and how they are printed: one table for people, one JSON document for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{machine::Machine, measure::Summary};

/// The payloads that everything is measured with, in bytes.
pub(crate) const SIZES: [(&str, usize); 4] =
    [("64 B", 64), ("1 KiB", 1 << 10), ("32 KiB", 32 << 10), ("1 MiB", 1 << 20)];

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    name: String,
    /// Size of one message's payload, in bytes, where there are messages.
    payload: Option<usize>,
    #[serde(flatten)]
    main: Quantity,
    /// The same measurement seen from other sides.
    aside: Vec<Quantity>,
}

impl Figure {
    pub(crate) fn new(name: &str, main: Quantity) -> Self {
        Self { name: name.to_owned(), payload: None, main, aside: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn payload(self, size: usize) -> Self {
        Self { payload: Some(size), ..self }
    }

    pub(crate) fn aside(mut self, quantity: Quantity) -> Self {
        self.aside.push(quantity);
        self
    }

    /// What `--check` demands of the main quantity.
    pub(crate) fn bound(self, bound: Bound) -> Self {
        Self { main: self.main.bound(bound), ..self }
    }

    /// What is on the wrong side of its bound, in words.
    pub(crate) fn complaints(&self) -> impl Iterator<Item = String> {
        let quantities = std::iter::once(&self.main).chain(&self.aside);
        quantities.filter(|quantity| !quantity.holds()).map(|quantity| {
            let bound = quantity.bound.map_or_else(String::new, |bound| bound.to_string());
            let payload =
                self.payload.map_or_else(String::new, |size| format!(", {}", label(size)));
            format!("{}{payload}: {}, and it should be {bound}", self.name, quantity.text())
        })
    }

    fn cells(&self) -> [String; 6] {
        let Quantity { value, spread, unit, .. } = &self.main;
        let aside: Vec<String> = self.aside.iter().map(Quantity::text).collect();
        [
            self.name.clone(),
            self.payload.map(label).unwrap_or_default(),
            number(*value),
            (*unit).to_owned(),
            spread.map(percent).unwrap_or_default(),
            aside.join(", "),
        ]
    }
}

/// A number with its unit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Quantity {
    value: f64,
    /// In per cent of the value; absent where the value was counted rather than timed.
    spread: Option<f64>,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<Bound>,
}

impl Quantity {
    /// The median of what was timed.
    pub(crate) fn new(summary: Summary, unit: &'static str) -> Self {
        let Summary { median, spread } = summary;
        Self { value: median, spread: Some(spread), unit, bound: None }
    }

    /// What was counted and is the same each time.
    pub(crate) fn counted(value: f64, unit: &'static str) -> Self {
        Self { value, spread: None, unit, bound: None }
    }

    /// Without the spread, where it says no more than another one in the same row.
    pub(crate) fn without_spread(self) -> Self {
        Self { spread: None, ..self }
    }

    /// What `--check` demands of it.
    pub(crate) fn bound(self, bound: Bound) -> Self {
        Self { bound: Some(bound), ..self }
    }

    fn holds(&self) -> bool {
        match self.bound {
            None => true,
            Some(Bound::AtLeast(least)) => self.value >= least,
            Some(Bound::AtMost(most)) => self.value <= most,
        }
    }

    fn text(&self) -> String {
        let spread = self.spread.map_or_else(String::new, |spread| format!(" {}", percent(spread)));
        let space = if self.unit.starts_with('/') { "" } else { " " };
        format!("{}{space}{}{spread}", number(self.value), self.unit)
    }
}

/// What a value must not cross.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {}", number(*least)),
            Self::AtMost(most) => write!(f, "at most {}", number(*most)),
        }
    }
}

/// Everything about one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) command: String,
    pub(crate) rounds: usize,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// The table, under the line that says where it comes from.
    pub(crate) fn table(&self) -> String {
        let head =
            ["figure", "payload", "median", "unit", "spread", "beside it"].map(str::to_owned);
        let rows: Vec<[String; 6]> =
            std::iter::once(head).chain(self.figures.iter().map(Figure::cells)).collect();
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; 6] = std::array::from_fn(width);

        let Self { machine, command, rounds, .. } = self;
        let mut text = format!("{machine}\n{command}    median of {rounds} rounds\n\n");
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let right = matches!(column, 1 | 2 | 4);
                let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                let _ = write!(line, "{before}{cell}{after}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push_str(LEGEND);
        text
    }

    /// What is on the wrong side of its bound, in words.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.figures.iter().flat_map(Figure::complaints).collect()
    }
}

/// A size in the largest unit that divides it.
fn label(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        _ if size >= 1 << 10 && size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

/// Three digits that mean something, and no more behind the point than that takes.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        ..0.005 => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.find('.').map_or((plain.as_str(), ""), |at| plain.split_at(at));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

fn percent(spread: f64) -> String {
    format!("±{spread:.1} %")
}

const LEGEND: &str = "
spread: half the distance between the quartiles, in per cent of the median.
µs: CPU time; codec and handshake of one side, all else of both ends and all their tasks.
×: how much longer a codec without tricks, or jsonrpsee, takes for the same, in the same rounds.
/s: by the clock on the wall, so less on a machine that has other work.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(value: f64) -> Quantity {
        Quantity::new(Summary { median: value, spread: 1.0 }, "µs")
    }

    #[test]
    fn numbers_have_three_digits_that_mean_something() {
        let texts = [0.0, 1.0, 1.234, 12.34, 123.4, 1_234.0, 1_234_567.0].map(number);

        assert_eq!(texts, ["0", "1.00", "1.23", "12.3", "123", "1,234", "1,234,567"]);
    }

    #[test]
    fn a_value_on_the_wrong_side_of_its_bound_is_a_complaint() {
        let low = Figure::new("codec", quantity(5.0).bound(Bound::AtLeast(6.0))).payload(1024);
        let high = Figure::new("heap", quantity(7.0).bound(Bound::AtMost(6.0)));
        let fine = Figure::new("fine", quantity(6.0).bound(Bound::AtLeast(6.0)));

        let complaints: Vec<_> = [low, high, fine].iter().flat_map(Figure::complaints).collect();

        assert_eq!(
            complaints,
            [
                "codec, 1 KiB: 5.00 µs ±1.0 %, and it should be at least 6.00",
                "heap: 7.00 µs ±1.0 %, and it should be at most 6.00",
            ]
        );
    }

    #[test]
    fn not_a_number_is_no_pass() {
        assert!(!quantity(f64::NAN).bound(Bound::AtLeast(1.0)).holds());
        assert!(!quantity(f64::NAN).bound(Bound::AtMost(1.0)).holds());
    }

    #[test]
    fn columns_line_up() {
        let report = Report {
            machine: Machine::unknown(),
            command: "cargo xtask bench".to_owned(),
            rounds: 5,
            figures: vec![
                Figure::new("a", quantity(1.0)).payload(64),
                Figure::new("long name", quantity(1000.0)),
            ],
        };

        let table = report.table();

        let ends: Vec<_> = table.lines().skip(3).take(3).map(|line| line.find("µs")).collect();
        assert_eq!(ends[1], ends[2], "{table}");
    }
}
