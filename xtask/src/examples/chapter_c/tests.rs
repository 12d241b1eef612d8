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
fn c1_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("C1.1", remove("IPC endpoint opened")),
        ("C1.1", remove("IPC endpoint closed")),
        ("C1.1", set("IPC endpoint opened", "url", json!("demo.ipc"))),
        ("C1.1", set_last("IPC endpoint closed", "url", json!("/nowhere/else.ipc"))),
        ("C1.1", change_all("IPC endpoint opened", "url", json!(env!("CARGO_MANIFEST_DIR")))),
        ("C1.1", move_to_end("IPC endpoint opened")),
        ("C1.2", remove("second start")),
        ("C1.2", set("second start", "error", json!("node not started"))),
        ("C1.2", twice("second stop")),
        ("C1.2", set("second stop", "error", json!("node already running"))),
        ("C1.3", remove("second node in the same directory")),
        ("C1.3", lock("datadir already used by another process")),
        ("C1.3", lock("datadir already used by another process (pid me)")),
        ("C1.4", remove("after a restart")),
        ("C1.4", set("after a restart", "ID", json!(Peer::TWO.id()))),
        ("C1.4", remove("server started")),
    ] {
        must_fail("C1", row, c1(), change);
    }
}

#[test]
fn c2_each_lie_is_found_by_its_row() {
    let last = "Nodeinfo from IPC via external call";
    for (row, change) in [
        ("C2.1", remove(last)),
        ("C2.1", twice(last)),
        ("C2.1", set(last, "enode", json!(Peer::TWO.enode(30_912)))),
        ("C2.1", set(last, "IP", json!("::"))),
        ("C2.1", set(last, "ID", json!(Peer::TWO.id()))),
        ("C2.1", unset(last, "listening address")),
        ("C2.2", set("Nodeinfo from p2p.Server", "listening address", json!("127.0.0.1:1"))),
        ("C2.2", set("Nodeinfo from p2p.Server", "enode", json!(Peer::ONE.enode(0)))),
    ] {
        must_fail("C2", row, c2(), change);
    }
}

#[test]
fn c3_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("C3.1", set("IPC", "getnumber", json!(41))),
        ("C3.1", set("HTTP", "getnumber", json!("42"))),
        ("C3.1", set_last("HTTP", "double", json!(42))),
        ("C3.1", remove("WS")),
        ("C3.2", set("WS (double expected fail)", "code", json!(-32_600))),
        ("C3.2", set("WS (double expected fail)", "error", json!("no"))),
        ("C3.3", set("modules", "modules", json!(["foo", "bar", "rpc", "web3"]))),
        ("C3.3", set_last("modules", "modules", json!(["foo", "bar", "rpc", "web3"]))),
        ("C3.3", set_last("modules", "modules", json!(["foo", "rpc"]))),
        ("C3.4", set("HTTP request", "status", json!(403))),
        ("C3.4", set_last("HTTP request", "status", json!(200))),
        ("C3.4", remove("HTTP request")),
        ("C3.4", set("RPC error", "error", json!("no"))),
    ] {
        must_fail("C3", row, c3(), change);
    }
}

#[test]
fn c4_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("C4.1", set("servicenode #1 before ping", "pongcount", json!(1))),
        ("C4.1", remove("servicenode #2 before ping")),
        ("C4.2", remove("sent ping")),
        ("C4.2", set("sent ping", "count", json!(2))),
        ("C4.2", set_last("sent ping", "node", json!("one"))),
        ("C4.2", set("sent ping", "peer", json!(Peer::ONE.id()))),
        ("C4.3", change_event("msgsend", "protocol", json!("foo"))),
        ("C4.3", change_event("msgrecv", "msg_size", json!(4))),
        ("C4.3", change_event("msgrecv", "type", json!("msgsend"))),
        ("C4.3", change_event("msgsend", "node", json!("two"))),
        ("C4.4", set("servicenode #1 after ping", "pongcount", json!(3))),
        ("C4.4", set("servicenode #2 after ping", "pongcount", json!(4))),
        ("C4.4", change_event("drop", "type", json!("add"))),
        ("C4.4", move_event_to_end("drop")),
        ("C4.5", set("RPC error", "error", json!("no peer"))),
        ("C4.5", set("RPC error", "code", json!(-32_602))),
    ] {
        must_fail("C4", row, c4(), change);
    }
}

fn lock(text: &'static str) -> Change {
    set("second node in the same directory", "error", json!(text))
}

// What the programs say when all is well

fn right_logs() -> [(&'static str, Vec<Value>); 4] {
    [("C1", c1()), ("C2", c2()), ("C3", c3()), ("C4", c4())]
}

fn c1() -> Vec<Value> {
    let endpoint = |what: &str| json!({"message": what, "node": "one", "url": "/nowhere/d.ipc"});
    let error = |message: &str, error: &str| json!({"message": message, "error": error});
    let in_use = "datadir already used by another process (pid 17)";
    let lines = [
        endpoint("IPC endpoint opened"),
        started(&Peer::ONE, "one", 30_911),
        error("second start", "node already running"),
        error("second node in the same directory", in_use),
        endpoint("IPC endpoint closed"),
        json!({"message": "node stopped", "node": "one"}),
        error("second stop", "node not started"),
        endpoint("IPC endpoint opened"),
        json!({"message": "after a restart", "node": "one", "ID": Peer::ONE.id()}),
        endpoint("IPC endpoint closed"),
    ];
    lines.map(said).to_vec()
}

fn c2() -> Vec<Value> {
    let line = |message: &str| {
        said(json!({
            "message": message, "enode": Peer::ONE.enode(30_911), "IP": "127.0.0.1",
            "ID": Peer::ONE.id(), "listening address": "127.0.0.1:30911",
        }))
    };
    super::WAYS.map(line).to_vec()
}

fn c3() -> Vec<Value> {
    let request = |host: &str, content_type: &str, status: u16| {
        json!({"message": "HTTP request", "host": host, "content type": content_type,
               "status": status})
    };
    let modules = |door: &str, modules: &[&str]| json!({"message": "modules", "door": door, "modules": modules});
    let error = |message: &str, method: &str, error: &str| json!({"message": message, "method": method, "code": -32_601, "error": error});
    let no_double = "the method bar_double does not exist/is not available";
    let lines = [
        json!({"message": "IPC", "getnumber": 42}),
        json!({"message": "IPC", "double": 84}),
        json!({"message": "HTTP", "getnumber": 42}),
        json!({"message": "HTTP", "double": 84}),
        json!({"message": "WS", "getnumber": 42}),
        error("WS (double expected fail)", "bar_double", no_double),
        modules("IPC", &["admin", "bar", "foo", "net", "rpc", "web3"]),
        modules("HTTP", &["bar", "foo", "net", "rpc", "web3"]),
        modules("WS", &["foo", "net", "rpc", "web3"]),
        request("localhost", "application/json", 200),
        request("evil.example", "application/json", 403),
        request("localhost", "text/plain", 415),
        error("RPC error", "foo_subscribe", "notifications not supported"),
    ];
    lines.map(said).to_vec()
}

fn c4() -> Vec<Value> {
    let sides = [("one", Peer::ONE, Peer::TWO, 4), ("two", Peer::TWO, Peer::ONE, 2)];
    let count = |node: u8, when: &str, count: u8| json!({"message": format!("servicenode #{node} {when} ping"), "pongcount": count});
    let mut lines = vec![
        started(&Peer::ONE, "one", 30_911),
        started(&Peer::TWO, "two", 30_912),
        count(1, "before", 0),
        count(2, "before", 0),
    ];
    for (node, _, other, pings) in &sides {
        for count in 1..=*pings {
            let peer = other.id();
            lines.push(json!({"message": "sent ping", "node": node, "count": count, "peer": peer}));
        }
    }
    let more = json!({"protocol": "fooping", "msg_code": 0, "msg_size": 3});
    for (node, own, other, _) in &sides {
        for kind in ["msgsend", "msgrecv"] {
            lines.extend((0..6).map(|_| event(node, own, other, kind, more.clone())));
        }
        lines.push(event(node, own, other, "drop", json!({"error": "client quitting"})));
    }
    lines.push(count(1, "after", 4));
    lines.push(count(2, "after", 2));
    lines.push(json!({"message": "RPC error", "method": "foo_quit", "code": -32_000,
                      "error": "unknown peer"}));
    lines.into_iter().map(said).collect()
}
