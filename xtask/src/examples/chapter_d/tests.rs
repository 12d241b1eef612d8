//! A right log of each chapter passes; broken in one place, the row that speaks of that place
//! fails.

use serde_json::{Value, json};

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
fn d1_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("D1.1", remove("received message")),
        ("D1.1", twice("received message")),
        ("D1.1", set("sending message", "V", json!(43))),
        ("D1.1", set("sending message", "V", json!("42"))),
        ("D1.1", set("received message", "V", json!(0))),
        ("D1.1", unset("received message", "V")),
        ("D1.1", set("received message", "peer", json!(Peer::ONE.shown()))),
        ("D1.1", set("received message", "node", json!("two"))),
        ("D1.1", at(&["sending message", "two"], "peer", json!(Peer::FIVE.shown()))),
        ("D1.2", change_event("msgrecv", "type", json!("msgsend"))),
        ("D1.2", change_event("msgrecv", "peer", json!(Peer::ONE.id()))),
        ("D1.2", change_event("msgrecv", "protocol", json!("foo"))),
        ("D1.2", change_event("msgrecv", "msg_code", json!(16))),
        ("D1.2", change_event("msgrecv", "msg_size", json!(7))),
        ("D1.2", change_event("msgrecv", "msg_size", json!("2"))),
    ] {
        must_fail("D1", row, d1(), change);
    }
}

#[test]
fn d1_a_peer_that_gets_away_with_it_is_found() {
    let dropped = "misbehaving peer dropped";
    for node in ["three", "four", "five"] {
        for change in [
            at(&[dropped, node], "message", json!("peer dropped")),
            at(&[dropped, node], "did", json!("nothing")),
            at(&[dropped, node], "reason", json!(8)),
            at(&[dropped, node], "text", json!("client quitting")),
            at(&[dropped, node], "error", json!("protocol returned")),
            at(&["server started", node], "node", json!("six")),
            at(&["drop", node], "type", json!("add")),
            at(&["drop", node], "error", json!("client quitting")),
            at(&["drop", node], "peer", json!(Peer::ONE.id())),
        ] {
            must_fail("D1", "D1.3", d1(), change);
        }
    }
    for peer in [Peer::THREE, Peer::FOUR, Peer::FIVE] {
        for change in [
            at(&["drop", "two", &peer.id()], "error", json!("client quitting")),
            at(&["drop", "two", &peer.id()], "peer", json!(Peer::ONE.id())),
            taken(&peer),
        ] {
            must_fail("D1", "D1.3", d1(), change);
        }
    }
    // Too large is not a breach of the base layer's rules, and a bad code is no error of types.
    must_fail("D1", "D1.3", d1(), at(&[dropped, "four"], "reason", json!(2)));
    must_fail("D1", "D1.3", d1(), at(&[dropped, "three"], "reason", json!(16)));
    must_fail("D1", "D1.3", d1(), at(&["msgrecv", &Peer::FIVE.id()], "msg_size", json!(2)));
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

#[test]
fn d1_lines_of_different_nodes_may_change_places() {
    let mut lines = d1();
    let three = Peer::THREE.id();
    let ends = |line: &Value| line["type"] == "drop";
    let at_two = lines.iter().position(|line| ends(line) && line["peer"] == json!(three)).unwrap();
    let at_three = lines.iter().position(|line| ends(line) && line["node"] == "three").unwrap();
    lines.swap(at_two, at_three);

    assert_eq!(failing("D1", &lines), Vec::<&str>::new());
}

/// Sets a field of the first line that has all these values somewhere.
fn at(values: &[&str], field: &'static str, value: Value) -> Change {
    let values: Vec<_> = values.iter().map(|value| json!(value)).collect();
    Box::new(move |lines| {
        let has = |line: &&mut Value, wanted: &Value| {
            line.as_object().unwrap().values().any(|value| value == wanted)
        };
        let mut found = lines.iter_mut().filter(|line| values.iter().all(|value| has(line, value)));
        found.next().unwrap()[field] = value.clone();
    })
}

/// Node two takes a message from this peer, one more than it may.
fn taken(peer: &Peer) -> Change {
    let line = said(message_event("two", &Peer::TWO, peer, "msgrecv", 2));
    Box::new(move |lines| lines.push(line.clone()))
}

// What the program says when all is well

fn right_logs() -> [(&'static str, Vec<Value>); 2] {
    [("D1", d1()), ("D2", d2())]
}

fn d1() -> Vec<Value> {
    let (one, two) = (Peer::ONE, Peer::TWO);
    let mut lines = vec![
        started(&one, "one", 0),
        started(&two, "two", 30_912),
        event("one", &one, &two, "add", json!({})),
        message_event("one", &one, &two, "msgsend", 2),
        message_event("one", &one, &two, "msgrecv", 2),
        talk("received message", "one", &two),
        talk("sending message", "one", &two),
        talk("sending message", "two", &one),
        talk("received message", "two", &one),
        event("two", &two, &one, "add", json!({})),
        message_event("two", &two, &one, "msgsend", 2),
        message_event("two", &two, &one, "msgrecv", 2),
        event("two", &two, &one, "drop", json!({"error": "client quitting"})),
    ];
    let (breach, subprotocol) = ("breach of protocol", "subprotocol error");
    for (node, peer, what, reason, text, error) in [
        ("three", Peer::THREE, "a code beyond the length", 2, breach, "msg code out of range: 17"),
        (
            "four",
            Peer::FOUR,
            "a message too large",
            16,
            subprotocol,
            "1025 bytes are over the limit of 1024",
        ),
        (
            "five",
            Peer::FIVE,
            "a message of another kind",
            16,
            subprotocol,
            "invalid message (RLP error): 0 err=unexpected string",
        ),
    ] {
        lines.push(started(&peer, node, 0));
        lines.push(event("two", &two, &peer, "add", json!({})));
        lines.push(talk("sending message", "two", &peer));
        lines.push(message_event("two", &two, &peer, "msgsend", 2));
        if node == "five" {
            lines.push(message_event("two", &two, &peer, "msgrecv", 7));
        }
        lines.push(event("two", &two, &peer, "drop", json!({"error": error})));
        lines.push(event(node, &peer, &two, "add", json!({})));
        lines.push(event(node, &peer, &two, "drop", json!({"error": text})));
        lines.push(json!({
            "message": "misbehaving peer dropped", "node": node, "did": what, "reason": reason,
            "text": text, "error": error,
        }));
    }
    lines.into_iter().map(said).collect()
}

fn talk(message: &str, node: &str, other: &Peer) -> Value {
    json!({"message": message, "node": node, "peer": other.shown(), "V": 42})
}

fn message_event(node: &str, own: &Peer, other: &Peer, kind: &str, size: u8) -> Value {
    let more = json!({"protocol": "fooping", "msg_code": 0, "msg_size": size});
    event(node, own, other, kind, more)
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
