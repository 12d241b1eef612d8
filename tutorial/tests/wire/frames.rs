//! Packets and frames between nodes, taken apart: names, fields, encryption.

use alloy_rlp::{Decodable as _, Header, RlpDecodable};
use serde_json::Value;

/// What a chapter's nodes send, taken apart: these pieces, each between anchors of its name.
/// `fields` are those of the protocol's message.
///
/// Where the bodies of both sides return, who hangs up first differs from run to run: do not want
/// that disconnect.
pub(crate) fn pieces(lines: &[Value], wanted: &[&str], fields: &[&str]) -> String {
    let mut text = String::new();
    // Node two is called, by one node after the other.
    let (callers, two) = (connections(lines, false), connections(lines, true));
    for (index, (caller, two)) in callers.into_iter().zip(two).enumerate() {
        let suffix = if index == 0 { String::new() } else { format!("_{}", index + 1) };
        let context = Context::of(&caller, &two, fields);
        for turn in 0..caller.len().max(two.len()) {
            for piece in [caller.get(turn), two.get(turn)].into_iter().flatten() {
                let name = format!("{}{suffix}", piece.name(turn));
                if wanted.contains(&name.as_str()) {
                    text += &super::anchored(&name, &piece.text(&context));
                }
            }
        }
    }
    text
}

/// What has to be known of a connection to read a piece of it.
struct Context<'a> {
    caller: String,
    /// Whether messages after the hellos are compressed.
    snappy: bool,
    /// As `foo/42`; empty if there is none.
    protocol: String,
    /// The names of the fields of its message.
    fields: &'a [&'a str],
}

impl<'a> Context<'a> {
    fn of(caller: &[Piece], two: &[Piece], fields: &'a [&'a str]) -> Self {
        let hello = |pieces: &[Piece]| pieces.iter().find(|piece| piece.is_hello()).map(Hello::of);
        let (hello, answer) = (hello(caller), hello(two));
        let snappy = hello.is_some() && answer.is_some();
        let protocol = hello.and_then(|hello| hello.capabilities.into_iter().next());
        Self {
            caller: caller[0].node.clone(),
            snappy,
            protocol: protocol.map_or_else(String::new, |it| format!("{}/{}", it.name, it.version)),
            fields,
        }
    }
}

#[derive(RlpDecodable)]
struct Hello {
    _version: u64,
    _name: String,
    capabilities: Vec<Capability>,
    _port: u64,
    _key: [u8; 64],
}

#[derive(RlpDecodable)]
struct Capability {
    name: String,
    version: u64,
}

impl Hello {
    fn of(piece: &Piece) -> Self {
        Self::decode(&mut piece.payload.as_deref().unwrap()).unwrap()
    }
}

/// What node two sent, or what those that call it sent, connection by connection.
fn connections(lines: &[Value], by_two: bool) -> Vec<Vec<Piece>> {
    let sent =
        lines.iter().filter(|line| line["message"] == "sent" && (line["node"] == "two") == by_two);
    let mut connections: Vec<Vec<Piece>> = Vec::new();
    for piece in sent.map(Piece::of) {
        if piece.payload.is_none() {
            connections.push(Vec::new());
        }
        connections.last_mut().expect("the handshake comes first").push(piece);
    }
    connections
}

/// A packet of the handshake, or a frame.
struct Piece {
    node: String,
    code: u64,
    /// None for a packet of the handshake.
    payload: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Piece {
    fn of(line: &Value) -> Self {
        let bytes = |name: &str| const_hex::decode(line[name].as_str().unwrap()).unwrap();
        let is_frame = line["kind"] == "frame";
        Self {
            node: line["node"].as_str().unwrap().to_owned(),
            code: if is_frame { line["code"].as_u64().unwrap() } else { 0 },
            payload: is_frame.then(|| bytes("payload")),
            bytes: bytes("bytes"),
        }
    }

    fn is_hello(&self) -> bool {
        self.payload.is_some() && self.code == HELLO
    }

    /// `auth_one`, `hello_two`, `foo_one_3`.
    fn name(&self, turn: usize) -> String {
        match (&self.payload, self.code) {
            (None, _) if self.node == "two" => "ack".to_owned(),
            (None, _) => "auth".to_owned(),
            (_, HELLO) => format!("hello_{}", self.node),
            (_, DISCONNECT) => format!("disconnect_{}", self.node),
            // After handshake and hello.
            _ => format!("foo_{}_{}", self.node, turn - 1),
        }
    }

    fn text(&self, context: &Context<'_>) -> String {
        let other = if self.node == "two" { &context.caller } else { "two" };
        let mut text = format!("{} ──▶ {other}   ", self.node);
        match &self.payload {
            None => self.packet(&mut text, other),
            Some(payload) => self.frame(&mut text, payload, context),
        }
        text
    }

    /// Size, one-time key, initialisation vector, content and tag.
    fn packet(&self, text: &mut String, other: &str) {
        let bytes = &self.bytes;
        let (kind, content) = match other {
            "two" => ("auth", "signature, public key, nonce, version, padding"),
            _ => ("ack", "one-time public key, nonce, version, padding"),
        };
        *text += &format!("{kind}, {} bytes\n", bytes.len());
        let end = bytes.len() - 32;
        let inside = end - 83;
        row(text, "packet", &bytes[..2], &format!("how much follows, {}", bytes.len() - 2));
        row(text, "", &bytes[2..67], "a public key for this packet only, 65 bytes");
        row(text, "", &bytes[67..83], "initialisation vector");
        row(
            text,
            "",
            &bytes[83..end],
            &format!("encrypted to {other}'s public key, {inside} bytes:"),
        );
        row(text, "", &[], content);
        row(text, "", &bytes[end..], "tag, 32 bytes");
    }

    /// The message as it is, as it is compressed, and as it travels.
    fn frame(&self, text: &mut String, payload: &[u8], context: &Context<'_>) {
        *text += &match self.code {
            HELLO => "hello\n".to_owned(),
            DISCONNECT => "disconnect\n".to_owned(),
            code => format!("code {} of {}\n", code - PROTOCOLS, context.protocol),
        };
        let code = alloy_rlp::encode(self.code);
        row(text, "message", &code, &format!("the code, {}", self.code));
        let names: &[&str] = match self.code {
            HELLO => {
                &["version", "name", "capabilities", "port, not in use any more", "public key"]
            }
            DISCONNECT => &["reason"],
            _ => context.fields,
        };
        items(text, "payload", payload, 0, names);

        let mut content = payload.to_vec();
        if context.snappy && !self.is_hello() {
            content = snap::raw::Encoder::new().compress_vec(payload).unwrap();
            row(text, "compressed", &content, &format!("{} bytes", content.len()));
        }
        let size = code.len() + content.len();
        let bytes = &self.bytes;
        let end = bytes.len() - 16;
        assert_eq!(end - 32, size.next_multiple_of(16), "header, tag, body, tag");
        row(text, "frame", &bytes[..16], &format!("header: size {size}, encrypted"));
        row(text, "", &bytes[16..32], "tag");
        row(text, "", &bytes[32..end], &format!("{size} bytes, padded to {}, encrypted", end - 32));
        row(text, "", &bytes[end..], "tag");
    }
}

/// A payload by itself; `names` are those of its fields.
pub(crate) fn payload(payload: &[u8], names: &[&str]) -> String {
    let mut text = String::new();
    items(&mut text, "payload", payload, 0, names);
    text
}

/// An RLP item and, below it, what is in it; `names` are those of the fields of a message.
fn items(text: &mut String, label: &str, mut rest: &[u8], depth: usize, names: &[&str]) {
    let mut index = 0;
    while !rest.is_empty() {
        let whole = rest;
        let header = Header::decode(&mut rest).unwrap();
        let (content, after) = rest.split_at(header.payload_length);
        let prefix = const_hex::encode(&whole[..whole.len() - rest.len()]);
        let shown = if header.list { String::new() } else { const_hex::encode(content) };
        let hex = [prefix, shortened(&shown)].join(" ");

        let name = names.get(index).filter(|_| depth == 1).copied().unwrap_or_default();
        let label = if index == 0 { label } else { "" };
        let hex = format!("{}{}", "  ".repeat(depth), hex.trim());
        *text += &format!("  {label:<11} {hex:<36} {}\n", note(name, header.list, content));
        if header.list {
            items(text, "", content, depth + 1, names);
        }
        rest = after;
        index += 1;
    }
}

/// What an item is: its name, and what it says.
fn note(name: &str, list: bool, content: &[u8]) -> String {
    let value = match content {
        [] if list => "an empty list".to_owned(),
        _ if list => format!("a list, {}", bytes(content.len())),
        [] => "0".to_owned(),
        [number] => number.to_string(),
        _ if content.iter().all(u8::is_ascii_graphic) => {
            format!("{:?}", str::from_utf8(content).unwrap())
        }
        _ => bytes(content.len()),
    };
    if name.is_empty() { value } else { format!("{name}: {value}") }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

fn row(text: &mut String, label: &str, bytes: &[u8], note: &str) {
    *text += &format!("  {label:<11} {:<36} {note}\n", shortened(&const_hex::encode(bytes)));
}

/// Sixteen bytes are shown whole.
pub(crate) fn shortened(hex: &str) -> String {
    match hex.len() {
        ..=32 => hex.to_owned(),
        length => format!("{}…{}", &hex[..20], &hex[length - 8..]),
    }
}

const HELLO: u64 = 0;
const DISCONNECT: u64 = 1;
/// The first code that is not the base protocol's.
const PROTOCOLS: u64 = 16;
