//! A line, in one of three forms.

use std::fmt::{self, Write as _};

use serde_json::Value;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::LookupSpan,
};

use super::{
    Format,
    fields::{AsJson, Fields, kept},
    time::Moment,
};

/// Writes events as lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) format: Format,
    pub(super) color: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
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
        let mut read = Fields::default();
        event.record(&mut read);
        // What the event says comes first, then where it happened, the innermost place first.
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<AsJson>>() {
                read.fields.extend(kept(&fields.fields));
            }
        }
        let line = Line { level: *event.metadata().level(), moment: Moment::now(), read };
        writeln!(writer, "{}", line.text(self.format, self.color))
    }
}

/// What there is to write.
#[derive(Debug)]
struct Line {
    level: Level,
    moment: Moment,
    read: Fields,
}

impl Line {
    fn text(&self, format: Format, color: bool) -> String {
        match format {
            Format::Terminal => self.for_people(color),
            Format::Logfmt => self.logfmt(),
            Format::Json => self.json(),
        }
    }

    fn for_people(&self, color: bool) -> String {
        let (on, off) = if color { (color_of(self.level), "\x1b[0m") } else { ("", "") };
        let mut text = format!(
            "{on}{:<5}{off}[{}] {}",
            self.level.as_str(),
            self.moment.short(),
            self.message()
        );
        if !self.read.fields.is_empty() {
            let width = self.read.message.chars().count();
            text.extend(std::iter::repeat_n(' ', COLUMNS.saturating_sub(width)));
        }
        for (name, value) in &self.read.fields {
            let value = value.as_str().map_or_else(|| value.to_string(), shortened);
            // A String takes whatever is written to it.
            let _ = write!(text, " {on}{name}{off}={}", quoted(&value));
        }
        text
    }

    fn logfmt(&self) -> String {
        let level = self.level.as_str().to_ascii_lowercase();
        let mut text = format!("t={} lvl={level} msg={}", self.moment, quoted(&self.read.message));
        for (name, value) in &self.read.fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(text, " {name}={}", quoted(&value));
        }
        text
    }

    fn json(&self) -> String {
        let head = [
            ("t", Value::from(self.moment.to_string())),
            ("lvl", self.level.as_str().to_ascii_lowercase().into()),
            ("msg", self.read.message.as_str().into()),
        ];
        let fields = self.read.fields.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let mut members: Vec<(&str, Value)> = Vec::new();
        for (name, value) in head.into_iter().chain(fields) {
            // The event's own field counts, if a span has one of the same name.
            if members.iter().all(|(taken, _)| *taken != name) {
                members.push((name, value));
            }
        }
        let members = members.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// A message is constant, but it may be somebody else's.
    fn message(&self) -> String {
        self.read.message.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
    }
}

/// A value as it is, if nobody can mistake its end; otherwise in quotes.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '=' && c != '"');
    if plain { text.to_owned() } else { format!("{text:?}") }
}

/// Keys and ids with their middle left out, wherever they stand in the text.
fn shortened(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        if digits >= LONG {
            let (id, after) = rest.split_at(digits);
            let _ = write!(short, "{}…{}", &id[..KEPT], &id[digits - KEPT..]);
            rest = after;
            continue;
        }
        let next = rest.chars().next().map_or(0, char::len_utf8).max(digits);
        short.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    short
}

/// go-ethereum's colours.
fn color_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[36m",
        Level::TRACE => "\x1b[34m",
    }
}

/// Source: ethereum/go-ethereum:log/format.go, `termMsgJust`.
const COLUMNS: usize = 40;
/// So many hexadecimal digits are an id or a key.
const LONG: usize = 64;
/// So many of them are left at each end.
const KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_wherever_they_stand() {
        let (id, key) = ("92f6fa82".to_owned() + &"0".repeat(48) + "dc0912ba", "ab".repeat(64));

        assert_eq!(shortened(&id), "92f6fa82…dc0912ba");
        assert_eq!(
            shortened(&format!("enode://{key}@127.0.0.1:1?discport=0")),
            "enode://abababab…abababab@127.0.0.1:1?discport=0"
        );
        for other in ["", "é…", "beef", "127.0.0.1:30303", &"z".repeat(64)] {
            assert_eq!(shortened(other), other);
        }
    }

    #[test]
    fn values_are_quoted_where_their_end_is_not_clear() {
        for (value, expected) in [
            ("plain", "plain"),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("", "\"\""),
            ("\"", "\"\\\"\""),
            ("a\nb", "\"a\\nb\""),
            ("\x1b[31m", "\"\\u{1b}[31m\""),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
