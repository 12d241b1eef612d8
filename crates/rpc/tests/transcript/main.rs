//! Conversations recorded with a go-ethereum node, held again with ours.
//!
//! The vector says in its `about` how they are compared; what it says is done here by rule, whatever
//! sections and exchanges there are:
//!
//! ```text
//!   client                       written at once; consecutive ones are a burst
//!   server  bytes, ours          a line that must come, in any order among the answers of a burst, in
//!                                order among the values of a subscription
//!           none_within_seconds  nothing comes before the answer to what is sent next
//!           closed               the end of the stream
//! ```
//!
//! Recorded over a socket, they are held in process and over IPC, and over WebSocket and HTTP as far as
//! these can carry them.

#![allow(clippy::print_stdout, reason = "whoever looks for a fault wants to know where")]

#[path = "../common/mod.rs"]
mod common;
mod nodes;

use std::net::SocketAddr;

use common::{
    Expectations, expect_silence, receive_expected, service, soon,
    wire::{Transport, Wire},
};
use nodes::{Described, Nodes};
use rpc::Server;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
struct Transcript {
    about: About,
    sections: Vec<Section>,
}

#[derive(Debug, Deserialize)]
struct About {
    node: Described,
    second_node: Described,
}

/// What was said on one connection.
#[derive(Debug, Deserialize)]
struct Section {
    title: String,
    exchange: Vec<Entry>,
}

impl Section {
    /// Whether the transport can carry it: over a stream everything can be said, in a frame one message,
    /// and in a request one call whose answer is all that comes.
    fn is_for(&self, transport: Transport) -> bool {
        let bursts = bursts(&self.exchange);
        let is_message = |bytes: &&str| {
            let mut requests = Expectations::new(|_| {});
            requests.request(bytes);
            requests.is_between_messages() && serde_json::from_str::<Value>(bytes).is_ok()
        };
        let is_answered_at_once = |(burst, _): &(Vec<&str>, _)| {
            burst.len() == 1 && !burst.iter().any(|bytes| bytes.contains("subscribe\""))
        };
        let fits_frames = || bursts.iter().flat_map(|(burst, _)| burst).all(is_message);
        let fits_requests = || bursts.iter().all(is_answered_at_once);
        (!transport.is_framed() || fits_frames()) && (transport.is_two_way() || fits_requests())
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "direction", rename_all = "lowercase")]
enum Entry {
    Client { bytes: String },
    Server(Answer),
}

#[derive(Debug, Deserialize)]
struct Answer {
    bytes: Option<String>,
    none_within_seconds: Option<f64>,
    closed: Option<bool>,
    ours: Option<String>,
}

/// What an entry asks for.
enum Kind<'a> {
    Line(&'a str),
    Nothing,
    /// Nothing, or what is expected later.
    MaybeLater,
    End,
}

impl Answer {
    fn kind(&self) -> Kind<'_> {
        let is_json = |text: &&str| serde_json::from_str::<Value>(text).is_ok();
        // What is no JSON there is a remark.
        if let Some(line) = self.ours.as_deref().filter(is_json).or(self.bytes.as_deref()) {
            return Kind::Line(line);
        }
        match (self.none_within_seconds, self.closed, &self.ours) {
            (Some(_), _, None) => Kind::Nothing,
            (Some(_), _, Some(_remark)) => Kind::MaybeLater,
            (None, Some(true), _) => Kind::End,
            (None, ..) => panic!("an entry that says nothing: {self:?}"),
        }
    }
}

#[tokio::test]
async fn recorded_conversations_are_held_on_every_transport_that_can_carry_them() {
    let text = include_str!("../vectors/rpc_ipc_transcript.json");
    let Transcript { about, sections } = serde_json::from_str(text).expect("a transcript");
    assert!(!sections.is_empty());

    for &transport in Transport::ALL {
        // A node remembers whom it dialed, so each transport gets new ones.
        let nodes = Nodes::start(&about.node, &about.second_node).await;
        let builder = Server::builder().modules(nodes.modules.clone());
        let (server, _folder) = service::started(builder).await;
        for section in sections.iter().filter(|section| section.is_for(transport)) {
            println!("{transport:?}: {}", section.title);
            hold(&server, transport, &nodes, section).await;
        }
        server.stop().await;
        nodes.stop().await;
    }
}

async fn hold(server: &Server, transport: Transport, nodes: &Nodes, section: &Section) {
    let mut wire = Wire::open(server, transport).await;
    let mut bystander = Wire::open(server, transport).await;
    let mut expected = Expectations::new(normalise);
    let mut is_open = true;
    for (burst, answers) in bursts(&section.exchange) {
        for bytes in burst {
            wire.send(&expected.request(&nodes.placed(bytes))).await;
        }
        let mut is_silent = false;
        for answer in answers {
            match answer.kind() {
                Kind::Line(line) => expected.add(line),
                Kind::Nothing => is_silent = true,
                Kind::MaybeLater => {}
                Kind::End => is_open = false,
            }
        }
        receive_expected(&mut wire, &mut expected).await;
        // A number on its own is complete where messages have frames.
        if is_silent && (!transport.is_framed() || expected.is_between_messages()) {
            expect_nothing(&mut wire, &expected, &mut bystander).await;
        }
    }
    if is_open {
        expect_nothing(&mut wire, &expected, &mut bystander).await;
    } else {
        assert_eq!(soon("the end", wire.receive()).await, None, "the connection is closed");
    }
}

/// What is sent together, and what comes of it.
fn bursts(exchange: &[Entry]) -> Vec<(Vec<&str>, Vec<&Answer>)> {
    let mut bursts: Vec<(Vec<&str>, Vec<&Answer>)> = Vec::new();
    for entry in exchange {
        match (entry, bursts.last_mut()) {
            (Entry::Client { bytes }, Some((burst, answers))) if answers.is_empty() => {
                burst.push(bytes)
            }
            (Entry::Client { bytes }, _) => bursts.push((vec![bytes], Vec::new())),
            (Entry::Server(answer), Some((_, answers))) => answers.push(answer),
            (Entry::Server(answer), None) => bursts.push((Vec::new(), vec![answer])),
        }
    }
    bursts
}

/// Nothing more comes. Where a message has been begun a call of ours would become a part of it; then
/// the server answers others first, and has had its turn.
async fn expect_nothing(wire: &mut Wire, expected: &Expectations, bystander: &mut Wire) {
    if expected.is_between_messages() {
        expect_silence(wire).await;
        return;
    }
    for _ in 0..3 {
        expect_silence(bystander).await;
    }
    assert!(wire.is_silent(), "something came before the message was complete");
}

/// Replaces what differs from run to run: addresses and ports, node records, and of a node's name the
/// platform.
fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(members) => {
            for (name, value) in members {
                if let ("listener" | "discovery", Some(1..)) = (name.as_str(), value.as_u64()) {
                    *value = json!("[PORT]");
                }
                normalise(value);
            }
        }
        Value::String(text) => {
            if let Some(normal) = normal(text) {
                *text = normal;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with what differs left out, if it is one of those that have such a part.
fn normal(text: &str) -> Option<String> {
    if text.parse::<SocketAddr>().is_ok() {
        return Some("[ADDRESS]".to_owned());
    }
    if text.parse::<enode::NodeRecord>().is_ok() {
        return Some("[RECORD]".to_owned());
    }
    if text.starts_with("enode://") {
        let (key, place) = text.split_once('@')?;
        let discport = place.split_once('?').map_or("", |(_, query)| query);
        return Some(format!("{key}@[ADDRESS]?{discport}"));
    }
    // name/v1.0/platform/compiler
    let mut parts = text.split('/');
    let (name, version, _platform) = (parts.next()?, parts.next()?, parts.next()?);
    version.starts_with('v').then(|| format!("{name}/{version}/[PLATFORM]"))
}
