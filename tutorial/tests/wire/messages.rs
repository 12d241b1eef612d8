//! The text of RPC messages, as it was but for what differs from run to run, broken into lines.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a chapter's client and server say: calls with their answers by their ids, and notifications
/// by the event they tell of, each between anchors of its name.
pub(crate) fn pieces(lines: &[Value], wanted: &[&str]) -> String {
    let mut pieces: BTreeMap<String, String> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["message"] == "RPC message") {
        let text = line["text"].as_str().unwrap();
        let message: Value = serde_json::from_str(text).unwrap();
        let arrow =
            if line["from"] == "client" { "client ──▶ " } else { "client ◀── " };
        *pieces.entry(name(&message)).or_default() += &broken(arrow, &settled(text));
    }
    wanted.iter().map(|name| super::anchored(name, &pieces[*name])).collect()
}

fn name(message: &Value) -> String {
    match &message["id"] {
        Value::Null => {
            format!("event_{}", message["params"]["result"]["type"].as_str().unwrap())
        }
        id => format!("call_{id}"),
    }
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
