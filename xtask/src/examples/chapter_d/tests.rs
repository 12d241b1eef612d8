//! A right log of each chapter passes; broken in one place, the row that speaks of that place
//! fails.

use serde_json::{Value, json};

use crate::examples::right_log::*;

#[test]
fn right_logs_pass_every_row() {
    for (name, lines) in right_logs() {
        assert_eq!(failing(name, &lines), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn every_row_fails_on_a_log_without_its_lines() {
    for (name, _) in right_logs() {
        let nothing = [json!({"message": "x"})].map(said).to_vec();

        let rows: Vec<_> = find(name).rows.iter().map(|row| row.name).collect();

        assert_eq!(failing(name, &nothing), rows, "{name}");
    }
}

#[test]
fn d1_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("D1.1", remove("sending message")),
        ("D1.1", set("sending message", "V", json!(41))),
        ("D1.1", set("sending message", "peer", json!(Peer::ONE.shown()))),
        ("D1.1", twice("received message")),
        ("D1.1", set("received message", "V", json!("42"))),
        ("D1.1", set_last("received message", "node", json!("one"))),
        ("D1.2", change_event("msgrecv", "protocol", json!("foo"))),
        ("D1.2", change_event("msgrecv", "msg_code", json!(16))),
        ("D1.2", change_event("msgrecv", "msg_size", json!(3))),
        ("D1.2", change_event("msgrecv", "type", json!("msgsend"))),
        ("D1.3", remove("dropped a peer")),
        ("D1.3", twice("dropped a peer")),
        ("D1.3", set("dropped a peer", "reason", json!(16))),
        ("D1.3", set_last("dropped a peer", "reason", json!(2))),
        ("D1.3", set_last("dropped a peer", "text", json!("breach of protocol"))),
    ] {
        must_fail("D1", row, d1(), change);
    }
}

#[test]
fn d2_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("D2.1", remove("get")),
        ("D2.1", set("get", "result", json!(0))),
        ("D2.1", set("get", "sharedvalue", json!("42"))),
        ("D2.2", set("same service twice", "error", json!("duplicate service: BarService"))),
        ("D2.3", set("reverse order", "error", json!("duplicate service: FooService"))),
        ("D2.3", remove("node started")),
        ("D2.4", swap_first_two("starting")),
        ("D2.4", swap_first_two("stopping")),
        ("D2.4", remove("stopping")),
        ("D2.4", twice("starting")),
    ] {
        must_fail("D2", row, d2(), change);
    }
}

// What the programs say when all is well

fn right_logs() -> [(&'static str, Vec<Value>); 2] {
    [("D1", d1()), ("D2", d2())]
}

fn d1() -> Vec<Value> {
    let mut lines = vec![started(&Peer::ONE, "one", 0), started(&Peer::TWO, "two", 30_912)];
    let more = json!({"protocol": "fooping", "msg_code": 0, "msg_size": 2});
    for (node, own, other) in [("one", Peer::ONE, Peer::TWO), ("two", Peer::TWO, Peer::ONE)] {
        for message in ["sending message", "received message"] {
            let peer = other.shown();
            lines.push(json!({"message": message, "node": node, "peer": peer, "V": 42}));
        }
        lines.push(event(node, &own, &other, "msgrecv", more.clone()));
    }
    for (sends, reason, text) in [
        ("a code beyond the length", 2, "breach of protocol"),
        ("2,000 bytes", 16, "subprotocol error"),
        ("bytes that are no list", 16, "subprotocol error"),
    ] {
        lines.push(json!({"message": "dropped a peer", "node": "two", "sends": sends,
                          "reason": reason, "text": text}));
    }
    lines.into_iter().map(said).collect()
}

fn d2() -> Vec<Value> {
    let unknown = "service BarService: not built: unknown service: FooService";
    let lines = [
        json!({"message": "starting", "service": "foo"}),
        json!({"message": "starting", "service": "bar"}),
        json!({"message": "node started", "node": "one"}),
        json!({"message": "get", "result": 42, "sharedvalue": 42}),
        json!({"message": "stopping", "service": "bar"}),
        json!({"message": "stopping", "service": "foo"}),
        json!({"message": "same service twice", "error": "duplicate service: FooService"}),
        json!({"message": "reverse order", "error": unknown}),
    ];
    lines.map(said).to_vec()
}
