//! The time of a line, in UTC.

use std::fmt;

use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

/// A moment in RFC 3339, `2026-11-21T01:32:23.973Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment(String);

impl Moment {
    pub(super) fn now() -> Self {
        let mut text = String::new();
        // A String takes whatever is written to it.
        let _ = SystemTime.format_time(&mut Writer::new(&mut text));
        Self::of(&text)
    }

    /// The library's text with its microseconds cut to milliseconds.
    fn of(text: &str) -> Self {
        Self(text.get(..MILLIS).map_or_else(|| text.to_owned(), |start| format!("{start}Z")))
    }

    /// go-ethereum's form for people, `11-21|01:32:23.973`.
    pub(super) fn short(&self) -> String {
        let part = |range| self.0.get(range).unwrap_or_default();
        format!("{}|{}", part(5..10), part(11..MILLIS))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The length of `2026-11-21T01:32:23.973`.
const MILLIS: usize = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_both_forms() {
        let moment = Moment::of("2026-11-21T01:32:23.073999Z");

        assert_eq!(moment.to_string(), "2026-11-21T01:32:23.073Z");
        assert_eq!(moment.short(), "11-21|01:32:23.073");
    }

    #[test]
    fn the_library_writes_what_is_expected_of_it() {
        let now = Moment::now();

        let shape: String =
            now.0.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    }
}
