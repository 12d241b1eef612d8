//! A right log of each chapter passes; broken in one place, the row that speaks of that place
//! fails.

use serde_json::{Value, json};

use super::*;
use crate::examples::right_log::*;

#[test]
fn right_logs_pass_every_row() {
    all_pass(&right_logs());
}

#[test]
fn every_row_fails_on_a_log_without_its_lines() {
    nothing_passes_on_nothing(&right_logs());
}

#[test]
fn a1_each_lie_is_found_by_its_row() {
    let key = "cd".repeat(64);
    for (row, change) in [
        ("A1.1", remove("server started")),
        ("A1.1", unset("server started", "enode")),
        ("A1.1", unset("server started", "name")),
        ("A1.1", unset("server started", "ID")),
        ("A1.1", unset("server started", "IP")),
        ("A1.1", twice("server started")),
        ("A1.2", set("server started", "ID", json!("00".repeat(32)))),
        ("A1.2", set("server started", "ID", json!(format!("0x{}", Peer::ONE.id())))),
        ("A1.2", set("server started", "enode", json!(format!("enode://{key}@127.0.0.1:4000")))),
        ("A1.2", set("server started", "enode", json!("enode://1234@127.0.0.1:4000"))),
        ("A1.3", set("server started", "name", json!("foo/v42/linux"))),
        ("A1.3", set("server started", "name", json!("foo/v41/linux/rust1.95.0"))),
        ("A1.3", set("server started", "name", json!("foo/v42/linux/go1.19"))),
        ("A1.3", set("server started", "IP", json!("::"))),
        ("A1.3", set("server started", "enode", json!(Peer::ONE.enode(0)))),
        ("A1.3", swap_first_two("port answers")),
        ("A1.3", remove("port answers")),
        ("A1.3", set("port answers", "open", json!("true"))),
        ("A1.4", remove("second server refused")),
        ("A1.4", set("second server refused", "error", json!("address in use"))),
        ("A1.4", remove("call on the stopped server")),
        ("A1.4", set("call on the stopped server", "error", json!("no peers"))),
    ] {
        must_fail("A1", row, a1(), change);
    }
}

#[test]
fn a2_each_lie_is_found_by_its_row() {
    let one = Peer::ONE;
    let two = Peer::TWO;
    for (row, change) in [
        ("A2.1", remove("after add")),
        ("A2.1", set("after add", "node one peers", json!([]))),
        ("A2.1", set("after add", "node one peers", json!([two.entry(), two.entry()]))),
        ("A2.1", set("after add", "node one peers", json!([one.entry()]))),
        ("A2.1", set("after add", "node two peers", json!([two.entry()]))),
        ("A2.1", set("after add", "node two peers", json!({}))),
        ("A2.1", change_entry("node one peers", "remote", json!("127.0.0.1:1"))),
        ("A2.1", remove("server started")),
        ("A2.2", change_entry("node one peers", "inbound", json!(true))),
        ("A2.2", change_entry("node one peers", "static", json!(false))),
        ("A2.2", change_entry("node two peers", "inbound", json!(false))),
        ("A2.3", remove("connection refused")),
        ("A2.3", set("connection refused", "reason", json!(5))),
        ("A2.3", set("connection refused", "reason", json!("4"))),
        ("A2.3", set("connection refused", "text", json!("useless peer"))),
        ("A2.3", set("connection refused", "peers one", json!([two.entry()]))),
        ("A2.3", set("connection refused", "peers two", json!([one.entry()]))),
        ("A2.3", set("connection refused", "events", json!(1))),
    ] {
        must_fail("A2", row, a2(), change);
    }
}

#[test]
fn a3_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("A3.1", swap_first_two("received peerevent")),
        ("A3.1", set("received peerevent", "type", json!("msgrecv"))),
        ("A3.1", set("received peerevent", "peer", json!(Peer::ONE.id()))),
        ("A3.1", remove("received peerevent")),
        ("A3.2", set("after add", "node one peers", json!([]))),
        ("A3.2", unset("after add", "node one peers")),
        ("A3.3", set_last("received peerevent", "type", json!("add"))),
        ("A3.3", set_last("received peerevent", "peer", json!(Peer::ONE.id()))),
        ("A3.3", move_to_end("after add")),
    ] {
        must_fail("A3", row, a3(), change);
    }
}

#[test]
fn a4_each_lie_is_found_by_its_row() {
    let message =
        |code: u8, size: u8, text: &str| json!({"code": code, "size": size, "text": text});
    for (row, change) in [
        ("A4.1", remove("sending message")),
        ("A4.1", set("sending message", "msg", json!("foobaz"))),
        ("A4.1", set("sending message", "peer", json!("Peer 0000000000000000 127.0.0.1:1"))),
        ("A4.1", set("sending message", "peer", json!(Peer::TWO.id()))),
        ("A4.1", remove("received message")),
        ("A4.1", set("received message", "msg", message(1, 7, "foobar"))),
        ("A4.1", set("received message", "msg", message(0, 6, "foobar"))),
        ("A4.1", set("received message", "msg", message(0, 7, "foo"))),
        ("A4.2", change_event("msgrecv", "peer", json!(Peer::ONE.id()))),
        ("A4.2", change_event("msgrecv", "protocol", json!("bar"))),
        ("A4.2", change_event("msgrecv", "msg_code", json!(16))),
        ("A4.2", change_event("msgrecv", "msg_size", json!(8))),
        ("A4.2", change_event("msgrecv", "local", json!("127.0.0.1:9"))),
        ("A4.2", change_event("msgrecv", "remote", json!("127.0.0.1:9"))),
        ("A4.2", change_event("msgrecv", "remote", json!("nowhere"))),
        ("A4.3", change_event("msgsend", "type", json!("msgrecv"))),
        ("A4.3", move_event_to_end("msgsend")),
        ("A4.3", move_event_to_end("add")),
        ("A4.4", change_event("drop", "type", json!("add"))),
        ("A4.4", change_event("drop", "error", json!("useless peer"))),
        ("A4.4", change_all("received peerevent", "error", json!(QUITTING))),
    ] {
        must_fail("A4", row, a4(), change);
    }
}

#[test]
fn a4_one_side_may_report_that_the_other_quits() {
    for which in 0..2 {
        let mut lines = a4();
        let drops = lines.iter_mut().filter(|line| line["type"] == "drop");
        drops.skip(which).take(1).for_each(|drop| drop["error"] = json!(QUITTING));

        assert_eq!(failing("A4", &lines), Vec::<&str>::new(), "side {which}");
    }
}

#[test]
fn a5_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("A5.1", remove("sending ping")),
        ("A5.1", remove("sent pong")),
        ("A5.1", twice("received pong")),
        ("A5.1", move_to_end("received ping")),
        ("A5.1", set("received pong", "peer", json!("Peer 0000000000000000 127.0.0.1:1"))),
        ("A5.2", change_event("msgsend", "type", json!("msgrecv"))),
        ("A5.2", change_event("msgrecv", "msg_size", json!(2))),
        ("A5.2", change_event("msgrecv", "msg_code", json!(1))),
        ("A5.2", change_event("msgsend", "protocol", json!("bar"))),
        ("A5.3", remove("protocol returned")),
        ("A5.3", set("protocol returned", "result", json!("subprotocol error"))),
        ("A5.3", change_event("drop", "type", json!("add"))),
        ("A5.3", change_event("drop", "peer", json!("00".repeat(32)))),
    ] {
        must_fail("A5", row, a5(), change);
    }
}

#[test]
fn nodes_may_speak_in_any_order() {
    for (name, lines) in [("A4", a4()), ("A5", a5())] {
        let (two, mut rest): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line["node"] == "two");
        rest.extend(two);

        assert_eq!(failing(name, &rest), Vec::<&str>::new(), "{name}");
    }
}

// What the programs say when all is well

fn right_logs() -> [(&'static str, Vec<Value>); 5] {
    [("A1", a1()), ("A2", a2()), ("A3", a3()), ("A4", a4()), ("A5", a5())]
}

fn a1() -> Vec<Value> {
    vec![
        started(&Peer::ONE, "one", 30911),
        json!({"message": "port answers", "open": true}),
        json!({
            "message": "second server refused",
            "error": "cannot listen on 127.0.0.1:30911: address in use",
        }),
        json!({"message": "port answers", "open": false}),
        json!({"message": "call on the stopped server", "error": "server stopped"}),
    ]
    .into_iter()
    .map(said)
    .collect()
}

fn a2() -> Vec<Value> {
    vec![
        started(&Peer::ONE, "one", 0),
        started(&Peer::TWO, "two", 30912),
        json!({
            "message": "after add",
            "node one peers": [Peer::TWO.entry()],
            "node two peers": [Peer::ONE.entry()],
        }),
        json!({
            "message": "connection refused", "reason": 4, "text": "too many peers",
            "peers one": [], "peers two": [], "events": 0,
        }),
    ]
    .into_iter()
    .map(said)
    .collect()
}

fn a3() -> Vec<Value> {
    let event = |kind: &str| json!({"message": "received peerevent", "node": "one", "type": kind, "peer": Peer::TWO.id()});
    vec![
        started(&Peer::ONE, "one", 0),
        started(&Peer::TWO, "two", 30912),
        event("add"),
        json!({"message": "after add", "node one peers": [Peer::TWO.entry()]}),
        event("drop"),
    ]
    .into_iter()
    .map(said)
    .collect()
}

fn a4() -> Vec<Value> {
    let mut lines = vec![started(&Peer::ONE, "one", 0), started(&Peer::TWO, "two", 30912)];
    let received = json!({"code": 0, "size": 7, "text": "foobar"});
    for (node, own, other) in [("one", Peer::ONE, Peer::TWO), ("two", Peer::TWO, Peer::ONE)] {
        let protocol = |message: &str, msg: Value| json!({"message": message, "node": node, "peer": other.shown(), "msg": msg});
        lines.push(event(node, &own, &other, "add", json!({})));
        lines.push(protocol("sending message", json!("foobar")));
        lines.push(event(node, &own, &other, "msgsend", of_message(7)));
        lines.push(protocol("received message", received.clone()));
        lines.push(event(node, &own, &other, "msgrecv", of_message(7)));
        lines.push(event(node, &own, &other, "drop", json!({"error": RETURNED})));
    }
    lines.into_iter().map(said).collect()
}

fn a5() -> Vec<Value> {
    let mut lines = vec![started(&Peer::ONE, "one", 0), started(&Peer::TWO, "two", 30912)];
    for (node, own, other) in [("one", Peer::ONE, Peer::TWO), ("two", Peer::TWO, Peer::ONE)] {
        lines.push(event(node, &own, &other, "add", json!({})));
        for (message, kind) in [
            ("sending ping", "msgsend"),
            ("received ping", "msgrecv"),
            ("sent pong", "msgsend"),
            ("received pong", "msgrecv"),
        ] {
            lines.push(event(node, &own, &other, kind, of_message(3)));
            lines.push(json!({"message": message, "node": node, "peer": other.shown()}));
        }
        lines.push(json!({"message": "protocol returned", "node": node, "result": "ok"}));
        lines.push(event(node, &own, &other, "drop", json!({"error": RETURNED})));
    }
    lines.into_iter().map(said).collect()
}

/// In the peer listed in a field of `after add`.
fn change_entry(list: &'static str, field: &'static str, value: Value) -> Change {
    Box::new(move |lines| {
        let at = position(lines, "after add");
        lines[at][list][0][field] = value.clone();
    })
}
