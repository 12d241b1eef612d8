//! A page of metrics, as somebody else reads it.

#![allow(unreachable_pub, reason = "shared by tests only")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use service_node::Node;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::common::within;

/// Asks for a page: status, content type, and text.
pub async fn get(addr: SocketAddr, path: &str, host: &str) -> (u16, String, String) {
    ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

pub async fn ask(addr: SocketAddr, request: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    (status, content_type.unwrap_or_default().to_owned(), body.to_owned())
}

/// A sample: its name, its labels, its value.
type Sample = (String, BTreeMap<String, String>, f64);

/// What a page says.
#[derive(Debug, Default)]
pub struct Page {
    /// The kind of each family.
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Page {
    pub async fn of(node: &Node) -> Self {
        let addr = node.metrics_addr().unwrap();
        let (status, content_type, text) = get(addr, "/metrics", "localhost").await;
        assert_eq!(status, 200);
        assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Self::parse(&text)
    }

    /// Reads every line, as the specification of OpenMetrics has them.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let lines = text.strip_suffix("# EOF\n").expect("an end");
        for line in lines.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                assert!(help.split_once(' ').is_some_and(|(_, text)| !text.is_empty()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect(line);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(page.kinds.insert(name.into(), kind.into()), None, "twice: {line}");
            } else {
                let sample = parse_sample(line);
                assert!(page.kind_of(&sample.0).is_some(), "{line} is of no family");
                page.samples.push(sample);
            }
        }
        let mut seen = BTreeSet::new();
        for (name, labels, _) in &page.samples {
            assert!(seen.insert((name, labels)), "{name} {labels:?} is there twice");
        }
        page
    }

    /// The kind of the family that a sample's name belongs to.
    fn kind_of(&self, sample: &str) -> Option<&str> {
        let family = ["", "_total", "_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let family = sample.strip_suffix(suffix)?;
            self.kinds.get_key_value(family)
        });
        family.map(|(_, kind)| kind.as_str())
    }

    /// The names as a query has them: with `_total` where it is a counter.
    pub fn names(&self) -> BTreeSet<String> {
        let name = |(family, kind): (&String, &String)| match kind.as_str() {
            "counter" => format!("{family}_total"),
            _ => family.clone(),
        };
        self.kinds.iter().map(name).collect()
    }

    /// The sum of the samples with this name and at least these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(key, value)| of.get(*key).is_some_and(|own| own == value))
        };
        let found = self.samples.iter().filter(|(own, of, _)| own == name && has(of));
        found.map(|(_, _, value)| value).sum()
    }
}

pub fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn parse_sample(line: &str) -> Sample {
    let name_len = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(name_len);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (key, after) = rest.split_once("=\"").expect(line);
            assert!(is_name(key), "{line}");
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().expect(line) {
                    (at, '"') => break at,
                    (_, '\\') => value.push(chars.next().expect(line).1),
                    (_, c) => value.push(c),
                }
            };
            assert_eq!(labels.insert(key.to_owned(), value), None, "{line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect(line);
    }
    let value = rest.strip_prefix(' ').expect(line).parse().expect(line);
    (name.to_owned(), labels, value)
}
