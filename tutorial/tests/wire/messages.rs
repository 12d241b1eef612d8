//! The text of RPC messages, as it was but for what differs from run to run, broken into lines.
//!
//! ```text
//!   call_2          the second call over IPC, and its answer; all others by what they came over:
//!   http_2          HTTP, ws_2 WebSocket, inproc_2 in process
//!   inproc_two_2    that of node two, where node one has clients, too
//!   event_add       a notification, by the event it tells of; event_two_add
//!   request_3       the third request written by hand, with its head
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

/// What a chapter's client and server say: calls with their answers by their ids, and notifications
/// by the event they tell of, each between anchors of its name.
pub(crate) fn pieces(lines: &[Value], wanted: &[&str]) -> String {
    let mut pieces: BTreeMap<String, String> = BTreeMap::new();
    let mut requests = 0;
    for line in lines {
        let from_client = line["from"] == "client";
        let arrow = if from_client { "client ──▶ " } else { "client ◀── " };
        let text = || line["text"].as_str().unwrap();
        match line["message"].as_str().unwrap() {
            "RPC message" => {
                let text = broken(arrow, &settled(text()));
                let piece = pieces.entry(name(line)).or_default();
                // Of several events of one type the first is enough.
                if !piece.contains(arrow) {
                    *piece += &text;
                }
            }
            "HTTP message" => {
                requests += usize::from(from_client);
                *pieces.entry(format!("request_{requests}")).or_default() += &raw(arrow, text());
            }
            _ => {}
        }
    }
    wanted.iter().map(|name| super::anchored(name, &pieces[*name])).collect()
}

fn name(line: &Value) -> String {
    let message: Value = serde_json::from_str(line["text"].as_str().unwrap()).unwrap();
    let node = if line["node"] == "two" { "two_" } else { "" };
    let over = match line["over"].as_str().unwrap() {
        "ipc" => "call",
        other => other,
    };
    match &message["id"] {
        Value::Null => {
            format!("event_{node}{}", message["params"]["result"]["type"].as_str().unwrap())
        }
        id => format!("{over}_{node}{id}"),
    }
}

/// A request or an answer of HTTP, head and all, line by line.
fn raw(arrow: &str, text: &str) -> String {
    let mut begin = arrow.to_owned();
    let mut out = String::new();
    for line in text.lines() {
        let line = if line.starts_with("date: ") { "date: [NOW]" } else { line };
        out += format!("{begin}{line}").trim_end();
        out += "\n";
        begin = " ".repeat(arrow.chars().count());
    }
    out
}

/// Keys and ids in short; in brackets what is another one in each run.
fn settled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_port = ["127.0.0.1:", "\"listener\":"].iter().any(|before| out.ends_with(before));
        match word {
            _ if is_number && is_port => out += "[PORT]",
            _ if out.ends_with("enr:") => out += "[RECORD]",
            // A subscription's id: without leading zeros, so of any length.
            _ if word.starts_with("0x") => out += "0x[RANDOM]",
            _ if word.len() >= 64 => out += &format!("{}…{}", &word[..8], &word[word.len() - 8..]),
            _ => out += word,
        }
        let mut after = after.chars();
        out.extend(after.next());
        rest = after.as_str();
    }
    out
}

/// The text behind an arrow, and below it what does not fit, broken at commas.
fn broken(arrow: &str, text: &str) -> String {
    let mut lines = vec![arrow.to_owned()];
    for part in text.split_inclusive(',') {
        if lines.last().unwrap().chars().count() + part.chars().count() > WIDTH {
            lines.push(" ".repeat(arrow.chars().count() + 1));
        }
        *lines.last_mut().unwrap() += part;
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

const WIDTH: usize = 92;
