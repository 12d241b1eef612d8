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
fn c1_each_lie_is_found_by_its_row() {
    let running = "node already running";
    for (row, change) in [
        ("C1.1", remove("IPC endpoint opened")),
        ("C1.1", remove("IPC endpoint closed")),
        ("C1.1", change_all_urls("demo.ipc")),
        // Any file that is still there will do.
        ("C1.1", change_all_urls(env!("CARGO_MANIFEST_DIR"))),
        ("C1.1", set("IPC endpoint closed", "url", json!("/nowhere/other.ipc"))),
        ("C1.1", set_last("IPC endpoint opened", "url", json!("/nowhere/other.ipc"))),
        ("C1.1", move_to_end("IPC endpoint opened")),
        ("C1.2", remove("start refused")),
        ("C1.2", set("start refused", "error", json!("server already running"))),
        ("C1.2", move_to_end("start refused")),
        ("C1.2", remove("stop refused")),
        ("C1.2", set("stop refused", "error", json!(running))),
        ("C1.2", move_to_end("stop refused")),
        ("C1.2", twice("node started")),
        ("C1.2", remove("node stopped")),
        ("C1.2", twice("node stopped")),
        ("C1.3", remove("second node refused")),
        ("C1.3", set("second node refused", "error", json!(running))),
        ("C1.3", move_to_end("second node refused")),
        ("C1.4", remove("server started")),
        ("C1.4", set("server started", "ID", json!(Peer::TWO.id()))),
        ("C1.4", replace_last_server(started(&Peer::TWO, "one", 30_912))),
        ("C1.4", replace_last_server(started(&Peer::ONE, "one", 0))),
        ("C1.4", move_to_end("node stopped")),
    ] {
        must_fail("C1", row, c1(), change);
    }
}

#[test]
fn c2_each_lie_is_found_by_its_row() {
    let (direct, external) = ("Nodeinfo from p2p.Server", "Nodeinfo from IPC via external call");
    for (row, change) in [
        ("C2.1", remove(direct)),
        ("C2.1", remove("Nodeinfo from IPC via ServiceNode")),
        ("C2.1", twice(external)),
        ("C2.1", set(external, "enode", json!(Peer::ONE.enode(1)))),
        ("C2.1", set(external, "ID", json!(Peer::TWO.id()))),
        ("C2.1", set(external, "IP", json!("::"))),
        ("C2.1", set(external, "listening address", json!("127.0.0.1:1"))),
        ("C2.1", unset(direct, "IP")),
        ("C2.1", set(direct, "ID", json!(Peer::TWO.id()))),
        ("C2.2", set(direct, "listening address", json!("127.0.0.1:1"))),
        ("C2.2", set(direct, "enode", json!(Peer::ONE.enode(0)))),
    ] {
        must_fail("C2", row, c2(), change);
    }

    let mut silent = c2();
    for line in &mut silent {
        line["enode"] = json!(Peer::ONE.enode(0));
        line["listening address"] = json!("127.0.0.1:0");
    }
    assert_eq!(failing("C2", &silent), ["C2.2"]);
}

#[test]
fn c3_each_lie_is_found_by_its_row() {
    let fails = "WS (double expected fail)";
    for (row, change) in [
        ("C3.1", set("IPC", "getnumber", json!(43))),
        ("C3.1", set_last("IPC", "double", json!("84"))),
        ("C3.1", swap_first_two("HTTP")),
        ("C3.1", remove("HTTP")),
        ("C3.1", remove("WS")),
        ("C3.1", twice("WS")),
        ("C3.2", remove(fails)),
        ("C3.2", set(fails, "code", json!(-32_000))),
        ("C3.2", set(fails, "error", json!("Method not found"))),
        ("C3.3", remove("modules")),
        ("C3.3", modules("WS", &["bar", "foo", "rpc", "web3"])),
        ("C3.3", modules("WS", &["baz", "foo", "rpc", "web3"])),
        ("C3.3", modules("WS", &["foo", "rpc"])),
        ("C3.3", modules("HTTP", &["admin", "bar", "foo", "rpc", "web3"])),
        ("C3.3", modules("IPC", &["bar", "foo", "rpc", "web3"])),
        ("C3.4", remove("HTTP request")),
        ("C3.4", set("HTTP request", "status", json!(403))),
        ("C3.4", set_last("HTTP request", "status", json!(200))),
        ("C3.4", set_last("HTTP request", "content type", json!("text/html"))),
        ("C3.4", remove("RPC error")),
        ("C3.4", set("RPC error", "code", json!(-32_000))),
        ("C3.4", set("RPC error", "error", json!("no \"anything\" subscription"))),
    ] {
        must_fail("C3", row, c3(), change);
    }
}

#[test]
fn c4_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("C4.1", remove("servicenode #1 before ping")),
        ("C4.1", set("servicenode #1 before ping", "node", json!("two"))),
        ("C4.1", set("servicenode #2 before ping", "pongcount", json!(1))),
        ("C4.2", remove("sent ping")),
        ("C4.2", twice("sent ping")),
        ("C4.2", swap_first_two("sent ping")),
        ("C4.2", set_last("sent ping", "node", json!("one"))),
        ("C4.3", change_event("msgsend", "msg_size", json!(4))),
        ("C4.3", change_event("msgsend", "msg_code", json!(16))),
        ("C4.3", change_event("msgrecv", "protocol", json!("foo"))),
        ("C4.3", change_event("msgrecv", "peer", json!(Peer::ONE.id()))),
        ("C4.3", change_event("msgrecv", "type", json!("msgsend"))),
        ("C4.3", change_event("msgrecv", "node", json!("two"))),
        ("C4.4", change_event("add", "peer", json!(Peer::ONE.id()))),
        ("C4.4", change_event("drop", "type", json!("add"))),
        ("C4.4", change_event("drop", "peer", json!(Peer::ONE.id()))),
        ("C4.4", move_event_to_end("msgrecv")),
        ("C4.4", move_event_to_end("drop")),
        ("C4.4", set("servicenode #1 after ping", "pongcount", json!(6))),
        ("C4.4", set("servicenode #2 after ping", "pongcount", json!(4))),
        ("C4.4", set("servicenode #2 after ping", "node", json!("one"))),
        ("C4.5", remove("RPC error")),
        ("C4.5", set("RPC error", "code", json!(-32_602))),
        ("C4.5", set("RPC error", "error", json!("unknown service"))),
    ] {
        must_fail("C4", row, c4(), change);
    }
}

// What the programs say when all is well

fn right_logs() -> [(&'static str, Vec<Value>); 4] {
    [("C1", c1()), ("C2", c2()), ("C3", c3()), ("C4", c4())]
}

fn c1() -> Vec<Value> {
    let life = |message: &str| said(json!({"message": message, "node": "one"}));
    let socket = |message: &str| {
        said(json!({"message": message, "node": "one", "url": "/nowhere/demo.ipc"}))
    };
    let refused = |message: &str, error: &str| said(json!({"message": message, "error": error}));
    vec![
        socket("IPC endpoint opened"),
        life("node started"),
        said(started(&Peer::ONE, "one", 30_911)),
        refused("start refused", "node already running"),
        refused("second node refused", "datadir already used by another process (pid 7)"),
        socket("IPC endpoint closed"),
        life("node stopped"),
        refused("stop refused", "node not started"),
        socket("IPC endpoint opened"),
        life("node started"),
        said(started(&Peer::ONE, "one", 30_912)),
        socket("IPC endpoint closed"),
        life("node stopped"),
    ]
}

fn c2() -> Vec<Value> {
    let messages = [
        "Nodeinfo from p2p.Server",
        "Nodeinfo from IPC via ServiceNode",
        "Nodeinfo from IPC via external call",
    ];
    let lines = messages.map(|message| {
        let mut line = started(&Peer::ONE, "one", 30_911);
        line["message"] = json!(message);
        line["listening address"] = json!("127.0.0.1:30911");
        said(line)
    });
    lines.to_vec()
}

fn c3() -> Vec<Value> {
    let modules =
        |way: &str, names: &[&str]| json!({"message": "modules", "way": way, "names": names});
    let http = |host: &str, content_type: &str, status: u16| {
        json!({
            "message": "HTTP request", "host": host, "content type": content_type,
            "status": status,
        })
    };
    let lines = vec![
        json!({"message": "IPC", "getnumber": 42}),
        json!({"message": "IPC", "double": 84}),
        json!({"message": "HTTP", "getnumber": 42}),
        json!({"message": "HTTP", "double": 84}),
        json!({"message": "WS", "getnumber": 42}),
        json!({
            "message": "WS (double expected fail)", "code": -32_601,
            "error": "the method bar_double does not exist/is not available",
        }),
        modules("IPC", &["admin", "bar", "foo", "net", "rpc", "web3"]),
        modules("HTTP", &["bar", "foo", "net", "rpc", "web3"]),
        modules("WS", &["foo", "net", "rpc", "web3"]),
        http("localhost", "application/json", 200),
        http("evil.example", "application/json", 403),
        http("localhost", "text/plain", 415),
        json!({
            "message": "RPC error", "method": "foo_subscribe", "code": -32_601,
            "error": "notifications not supported",
        }),
    ];
    lines.into_iter().map(said).collect()
}

fn c4() -> Vec<Value> {
    let (one, two) = (Peer::ONE, Peer::TWO);
    let count = |number: u8, when: &str, node: &str, pongs: u8| {
        let message = format!("servicenode #{number} {when} ping");
        json!({"message": message, "node": node, "pongcount": pongs})
    };
    let mut lines = vec![
        started(&one, "one", 0),
        started(&two, "two", 30_912),
        count(1, "before", "one", 0),
        count(2, "before", "two", 0),
    ];
    for (node, own, other, pings) in [("one", &one, &two, 4), ("two", &two, &one, 2)] {
        lines.push(event(node, own, other, "add", json!({})));
        for sent in 1..=pings {
            lines.push(json!({"message": "sent ping", "node": node, "count": sent}));
        }
        for kind in ["msgsend", "msgrecv"] {
            let mut of_message = of_message(3);
            of_message["protocol"] = json!("fooping");
            let event = event(node, own, other, kind, of_message);
            lines.extend(std::iter::repeat_n(event, 6));
        }
    }
    lines.push(event("one", &one, &two, "drop", json!({"error": "protocol returned"})));
    lines.push(event("two", &two, &one, "drop", json!({"error": "client quitting"})));
    lines.push(count(1, "after", "one", 4));
    lines.push(count(2, "after", "two", 2));
    lines.push(json!({
        "message": "RPC error", "method": "foo_quit", "code": -32_000, "error": "unknown peer",
    }));
    lines.into_iter().map(said).collect()
}

fn change_all_urls(url: &'static str) -> Change {
    Box::new(move |lines| {
        for line in lines.iter_mut().filter(|line| line["url"].is_string()) {
            line["url"] = json!(url);
        }
    })
}

fn replace_last_server(with: Value) -> Change {
    Box::new(move |lines| {
        let line = lines.iter_mut().rfind(|line| line["message"] == "server started").unwrap();
        *line = said(with.clone());
    })
}

fn modules(way: &'static str, names: &'static [&'static str]) -> Change {
    Box::new(move |lines| {
        lines.iter_mut().find(|line| line["way"] == way).unwrap()["names"] = json!(names);
    })
}
