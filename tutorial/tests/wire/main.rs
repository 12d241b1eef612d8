//! The bytes in the book are those of a run, and this is where they come from.
//!
//! ```text
//!   a4_message --wire --log json ──▶ frames of each node ──▶ taken apart ──▶ book/src/wire/
//!   b1_rpc     --wire --log json ──▶ RPC messages ─────────▶ broken into lines ──▶ ┘
//! ```
//!
//! Keys and randomness are fixed there, so each run sends the same bytes. When they change on
//! purpose: `BLESS=1 cargo test -p tutorial --test wire`, then review the diff.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod frames;
mod messages;

use std::fs;
use std::path::Path;
use std::process::Command;

use alloy_rlp::{RlpDecodable, RlpEncodable};
use enode::SecretKey;
use p2p_server::protocols::Spec;
use p2p_server::{MsgChannel, message_set};
use serde_json::Value;

use crate::frames::shortened;

#[test]
fn a1_shows_what_becomes_of_a_key() {
    let key = SecretKey::from_bytes(&[0x22; 32]).unwrap();
    let public_key = key.public_key().to_string();

    let mut text = String::from("ANCHOR: enode\n");
    for (name, value) in [
        ("secret key", const_hex::encode(*key.to_bytes())),
        ("public key", public_key.clone()),
        ("node id", key.node_id().to_string()),
        ("enode URL", format!("enode://{}@127.0.0.1:31234?discport=0", shortened(&public_key))),
    ] {
        let mut name = name;
        for part in value.as_bytes().chunks(80) {
            text += &format!("{name:<11} {}\n", str::from_utf8(part).unwrap());
            name = "";
        }
    }
    text += "ANCHOR_END: enode\n";

    compare("a1_server", &text);
}

#[test]
fn a2_shows_handshake_hellos_and_a_refusal() {
    let pieces = ["auth", "ack", "hello_one", "hello_two", "disconnect_two_2"];

    compare("a2_connect", &frames::pieces(&run(env!("CARGO_BIN_EXE_a2_connect")), &pieces, &[]));
}

#[test]
fn a3_shows_a_goodbye() {
    compare(
        "a3_events",
        &frames::pieces(&run(env!("CARGO_BIN_EXE_a3_events")), &["disconnect_two"], &[]),
    );
}

#[test]
fn a4_shows_a_message_in_its_frame() {
    let pieces = ["hello_one", "foo_one_1", "foo_two_1"];

    compare("a4_message", &frames::pieces(&run(env!("CARGO_BIN_EXE_a4_message")), &pieces, &[]));
}

#[test]
fn a5_shows_pings_and_pongs() {
    let pieces = ["foo_one_1", "foo_two_2"];

    compare(
        "a5_reply",
        &frames::pieces(&run(env!("CARGO_BIN_EXE_a5_reply")), &pieces, &["pong", "created"]),
    );
}

#[test]
fn b1_shows_calls_and_their_answers() {
    let lines = run(env!("CARGO_BIN_EXE_b1_rpc"));

    compare("b1_rpc", &messages::pieces(&lines, &["call_1", "call_2"]));
}

#[test]
fn b2_shows_a_node_info_and_errors() {
    let lines = run(env!("CARGO_BIN_EXE_b2_method"));

    compare(
        "b2_method",
        &messages::pieces(&lines, &["call_1", "call_2", "call_4", "call_5", "call_6"]),
    );
}

#[test]
fn b3_shows_an_order_its_notifications_and_the_message_it_became() {
    let lines = run(env!("CARGO_BIN_EXE_b3_message"));
    let messages = messages::pieces(
        &lines,
        &["call_1", "event_add", "call_2", "event_msgsend", "call_3", "call_4"],
    );

    compare("b3_message", &(messages + &frames::pieces(&lines, &["foo_one_1"], &["content"])));
}

#[tokio::test]
async fn d1_shows_a_typed_message_in_two_forms_and_three_that_are_none() {
    message_set! {
        enum Foo {
            Msg(FooMsg) = 0,
        }
    }
    let (typed, mut plain) = MsgChannel::pair();
    let typed = Spec::<Foo>::new("fooping", 42).wrapped(true).over(typed);
    typed.send(FooMsg { v: 42 }).await.unwrap();
    let message = plain.recv().await.unwrap();
    let wrapped = frames::payload(&message.payload, &["context", "payload"]);

    let pieces = [
        "foo_one_1",
        "foo_three_1_2",
        "disconnect_two_2",
        "foo_four_1_3",
        "foo_five_1_4",
        "disconnect_two_4",
    ];

    let lines = run(env!("CARGO_BIN_EXE_d1_protocols"));

    let text = frames::pieces(&lines, &pieces, &["V"]);
    compare("d1_protocols", &(text + &anchored("wrapped", &wrapped)));
}

/// What the nodes of D1 say.
#[derive(RlpEncodable, RlpDecodable)]
struct FooMsg {
    v: u64,
}

#[test]
fn c2_shows_one_answer_by_two_ways() {
    let lines = run(env!("CARGO_BIN_EXE_c2_nodeinfo"));

    compare("c2_nodeinfo", &messages::pieces(&lines, &["inproc_1", "call_1"]));
}

#[test]
fn c3_shows_lists_and_what_is_not_in_them() {
    let lines = run(env!("CARGO_BIN_EXE_c3_service"));
    let pieces = [
        "call_2",
        "http_2",
        "ws_2",
        "call_3",
        "ws_3",
        "request_1",
        "request_2",
        "request_3",
        "http_4",
    ];

    compare("c3_service", &messages::pieces(&lines, &pieces));
}

#[test]
fn c4_shows_an_order_the_ping_it_became_and_the_pong() {
    let lines = run(env!("CARGO_BIN_EXE_c4_full"));
    let pieces = [
        "inproc_2",
        "inproc_3",
        "event_add",
        "inproc_4",
        "event_msgsend",
        "event_msgrecv",
        "inproc_8",
        "inproc_two_5",
        "inproc_9",
        "inproc_10",
    ];
    let messages = messages::pieces(&lines, &pieces);

    compare("c4_full", &(messages + &pings_and_pongs(&lines)));
}

/// A ping of node one and a pong of node two. Their frames differ from run to run, as the two nodes
/// do not wait for each other; the payloads do not.
fn pings_and_pongs(lines: &[Value]) -> String {
    let sent = |name: &str, node: &str, payload: &str| {
        let was_sent = |line: &Value| {
            line["message"] == "sent" && line["node"] == node && line["payload"] == payload
        };
        assert!(lines.iter().any(was_sent), "{node} has not sent {payload}");
        let bytes = const_hex::decode(payload).unwrap();
        anchored(name, &frames::payload(&bytes, &["pong", "created"]))
    };
    sent("ping", "one", "c280c0") + &sent("pong", "two", "c201c0")
}

/// Compares with the file in the book, or writes it.
fn compare(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/wire");
    let path = folder.join(name).with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(folder).unwrap();
        fs::write(path, text).unwrap();
        return;
    }

    let expected = fs::read_to_string(&path).unwrap_or_default();

    let difference = expected.lines().zip(text.lines()).find(|(old, new)| old != new);
    assert_eq!(difference, None, "{name}; if it is meant: BLESS=1 cargo test --test wire");
    assert_eq!(expected.len(), text.len(), "{name}");
}

/// What a chapter says when it shows the wire, line by line.
fn run(chapter: &str) -> Vec<Value> {
    let output = Command::new(chapter).args(["--wire", "--log", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A piece that a page includes by its name.
fn anchored(name: &str, text: &str) -> String {
    format!("ANCHOR: {name}\n{text}ANCHOR_END: {name}\n\n")
}
