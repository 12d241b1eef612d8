//! How a line looks: for people on stderr, for programs on stdout.
//!
//! ```text
//!   people    INFO server started node=one enode=enode://…        -v: with time, spans and target
//!   json      {"level":"INFO","message":"server started","demolog":"*","node":"one",…}
//!   logfmt    level=INFO message="server started" demolog=* node=one …
//! ```

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format as Layout, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, layer};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, prelude::*};

use crate::flags::Format;

/// Sets the log up for this program.
pub(crate) fn install(machines: Format, verbose: bool) {
    let usual = if verbose { "trace" } else { "warn,demo=info,service_node=info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let people = People { verbose, colour: io::stderr().is_terminal() && !no_color };
    let machines = (machines != Format::Terminal)
        .then(|| layer().with_writer(io::stdout).event_format(Machines(machines)));
    tracing_subscriber::registry()
        .with(filter)
        .with(layer().with_writer(io::stderr).event_format(people))
        .with(machines)
        .init();
}

struct People {
    verbose: bool,
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for People
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.verbose && event.metadata().target() != DEMO {
            return Layout::default().format_event(context, writer, event);
        }
        if self.verbose {
            SystemTime.format_time(&mut writer)?;
            writer.write_str("  ")?;
        }
        let level = *event.metadata().level();
        writeln!(writer, "{}", Line::of(event).for_people(level, self.colour))
    }
}

struct Machines(Format);

impl<S, N> FormatEvent<S, N> for Machines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::of(event);
        if event.metadata().target().starts_with(NODE) {
            line.fields.insert(0, (MARK.to_owned(), json!("*")));
        }
        let head = [("level", event.metadata().level().as_str()), ("message", &line.message)];
        let head = head.map(|(name, value)| (name.to_owned(), json!(value)));
        let members = head.into_iter().chain(line.fields);
        if self.0 == Format::Json {
            let members: Vec<_> =
                members.map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            return writeln!(writer, "{{{}}}", members.join(","));
        }
        let pairs: Vec<_> = members
            .map(|(name, value)| format!("{}={}", name.replace(' ', "_"), shown(&value)))
            .collect();
        writeln!(writer, "{}", pairs.join(" "))
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: Vec<(String, Value)>,
}

impl Line {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        event.record(&mut line);
        line
    }

    /// Without the mark, which is for programs.
    fn for_people(&self, level: Level, colour: bool) -> String {
        let (on, off) = if colour { (colour_of(level), "\x1b[0m") } else { ("", "") };
        let mut text = format!("{on}{level}{off} {}", self.message);
        for (name, value) in self.fields.iter().filter(|(name, _)| name != MARK) {
            let name = shown(&json!(name));
            let _ = write!(text, " {on}{name}{off}={}", shown(value));
        }
        text
    }

    fn add(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name().to_owned(), value));
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        // See `say`.
        match serde_json::from_str::<Vec<(String, Value)>>(value) {
            Ok(fields) if field.name() == "fields" => self.fields.extend(fields),
            _ => self.add(field, json!(value)),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.add(field, json!(text)),
        }
    }
}

/// A text as it is, where nobody can mistake its end; anything else as JSON.
fn shown(value: &Value) -> String {
    let plain = |text: &&str| {
        let one_word = !text.contains(|c: char| c.is_whitespace() || "=\"".contains(c));
        !text.is_empty() && one_word || is_object(text)
    };
    value.as_str().filter(plain).map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a text is a JSON object, which ends where its brace is closed.
fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[36m",
    }
}

/// The target of what chapters say, as opposed to the layers below them.
const DEMO: &str = "demo";

/// The target of what a service node says itself, which is part of a chapter from C on.
const NODE: &str = "service_node";

/// The field that their lines can be grepped by.
const MARK: &str = "demolog";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_text_unquoted_where_its_end_is_clear() {
        for (value, expected) in [
            (json!("enode://ab@127.0.0.1:0?discport"), "enode://ab@127.0.0.1:0?discport"),
            (json!("too many peers"), "\"too many peers\""),
            (json!("a=b"), "\"a=b\""),
            (json!("\""), "\"\\\"\""),
            (json!("{\"id\": 1}"), "{\"id\": 1}"),
            (json!("{\"id\": 1"), "\"{\\\"id\\\": 1\""),
            (json!(""), "\"\""),
            (json!(7), "7"),
            (json!([{"id": "ab"}]), "[{\"id\":\"ab\"}]"),
        ] {
            assert_eq!(shown(&value), expected);
        }
    }

    #[test]
    fn people_do_not_see_the_mark_and_see_colours_only_on_a_terminal() {
        let fields = vec![(MARK.to_owned(), json!("*")), ("a peer".to_owned(), json!("one"))];
        let line = Line { message: "after add".to_owned(), fields };

        assert_eq!(line.for_people(Level::INFO, false), "INFO after add \"a peer\"=one");
        assert_eq!(
            line.for_people(Level::INFO, true),
            "\x1b[32mINFO\x1b[0m after add \x1b[32m\"a peer\"\x1b[0m=one"
        );
    }
}
