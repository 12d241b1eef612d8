//! Logs: the look that people know, and the two forms that programs read.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use service_node::logs::{Format, layer};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

/// What was written.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines that come of this code.
fn written(format: Format, color: bool, say: impl FnOnce()) -> String {
    let paper = Paper::default();
    let subscriber = tracing_subscriber::registry().with(layer(format, color, paper.clone()));
    tracing::subscriber::with_default(subscriber, say);
    let bytes = paper.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn say() {
    let id = "92f6fa82".to_owned() + &"0".repeat(48) + "dc0912ba";
    let _in_peer = tracing::info_span!("peer", id = %id).entered();
    tracing::info!(node = "foo", url = "/a path/demo.ipc", count = 3, up = true, "node started");
}

/// A line without what differs from run to run.
fn timeless(line: &str, time: &str) -> String {
    let at = line.find(time).unwrap_or_else(|| panic!("no time in {line}"));
    let (before, after) = line.split_at(at + time.len());
    let digits = |c: char| c.is_ascii_digit() || "-|:.TZ".contains(c);
    format!("{before}TIME{}", after.trim_start_matches(digits))
}

#[test]
fn people_read_level_time_padded_message_and_short_ids() {
    let line = written(Format::Terminal, false, say);

    assert_eq!(
        timeless(&line, "["),
        "INFO [TIME] node started                             node=foo url=\"/a path/demo.ipc\" count=3 \
         up=true id=92f6fa82…dc0912ba\n"
    );
}

#[test]
fn a_terminal_has_colours_where_they_are_wanted() {
    let line = written(Format::Terminal, true, || tracing::warn!(a = 1, "oh"));

    assert!(line.starts_with("\x1b[33mWARN \x1b[0m["), "{line:?}");
    assert!(line.ends_with(" \x1b[33ma\x1b[0m=1\n"), "{line:?}");
}

#[test]
fn programs_read_pairs() {
    let line = written(Format::Logfmt, false, say);
    let id = "92f6fa82".to_owned() + &"0".repeat(48) + "dc0912ba";

    assert_eq!(
        timeless(&line, "t="),
        format!(
            "t=TIME lvl=info msg=\"node started\" node=foo url=\"/a path/demo.ipc\" count=3 up=true \
             id={id}\n"
        )
    );
}

#[test]
fn programs_read_json_with_numbers_as_numbers() {
    let line = written(Format::Json, false, say);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();

    assert_eq!(value["msg"], "node started");
    assert_eq!(value["lvl"], "info");
    assert_eq!(value["count"], 3);
    assert_eq!(value["up"], true);
    assert_eq!(value["id"].as_str().unwrap().len(), 64);
    assert!(value["t"].as_str().unwrap().ends_with('Z'));
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn no_text_breaks_a_line_or_paints_a_terminal() {
    for format in [Format::Terminal, Format::Logfmt, Format::Json] {
        let line = written(format, false, || tracing::info!(peer = "a\n\x1b[2Jb\r", "came\n\x07"));

        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(!line.trim_end().contains(|c: char| c.is_control()), "{line:?}");
    }
}

#[test]
fn formats_have_names() {
    for format in [Format::Terminal, Format::Logfmt, Format::Json] {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "xml".parse::<Format>().unwrap_err().to_string();
    assert_eq!(error, "no log format \"xml\", want terminal, logfmt or json");
}
