//! Colours, and when not to use them.
//!
//! `NO_COLOR` wins over `CLICOLOR_FORCE`, which wins over what the stream is: the order that
//! cargo and clap follow, so one setting means the same in all of them.

use std::env;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

/// Paints words, or does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colours {
    on: bool,
}

impl Colours {
    /// For what goes to stdout.
    pub(crate) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    /// For what goes to stderr.
    pub(crate) fn of_stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint(text, "32")
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint(text, "31")
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn of(is_terminal: bool) -> Self {
        let variable = |name: &str| env::var(name).ok();
        Self { on: wanted(variable, is_terminal) }
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `12.3 s`, the form of every time we print.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.2} s", time.as_secs_f64())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn wanted(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") {
        return true;
    }
    is_terminal && variable("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_no_colours_unless_they_are_forced() {
        assert!(!wanted(|_| None, false));
        assert!(wanted(|_| None, true));
        assert!(wanted(only("CLICOLOR_FORCE", "1"), false));
        assert!(!wanted(only("CLICOLOR_FORCE", "0"), false));
        assert!(!wanted(only("NO_COLOR", "1"), true));
        assert!(wanted(only("NO_COLOR", ""), true));
        assert!(!wanted(only("TERM", "dumb"), true));
    }

    #[test]
    fn no_color_wins_over_force() {
        assert!(!wanted(|_| Some("1".to_owned()), true));
    }

    #[test]
    fn times_have_three_digits() {
        assert_eq!(seconds(Duration::from_millis(114)), "0.11 s");
        assert_eq!(seconds(Duration::from_millis(41_234)), "41.2 s");
    }

    fn only(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| (asked == name).then(|| value.to_owned())
    }
}
