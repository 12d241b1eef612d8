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
fn b1_each_lie_is_found_by_its_row() {
    for (row, change) in [
        ("B1.1", remove("RPC return value")),
        ("B1.1", twice("RPC return value")),
        ("B1.1", set("RPC return value", "reply", json!("foobaz"))),
        ("B1.2", remove("RPC error")),
        ("B1.2", twice("RPC error")),
        ("B1.2", set("RPC error", "method", json!("foo_helloWorld"))),
        ("B1.2", set("RPC error", "code", json!(-32_600))),
        ("B1.2", set("RPC error", "code", json!("-32601"))),
        ("B1.2", set("RPC error", "error", json!("Method not found"))),
        ("B1.2", set_last("RPC error", "code", json!(-32_000))),
        ("B1.3", remove("RPC server started")),
        ("B1.3", remove("socket file")),
        ("B1.3", set_last("socket file", "there", json!(true))),
        ("B1.3", swap_first_two("socket file")),
        ("B1.3", move_to_end("RPC return value")),
        // Any file that is still there will do.
        ("B1.3", set("RPC server started", "socket", json!(env!("CARGO_MANIFEST_DIR")))),
    ] {
        must_fail("B1", row, b1(), change);
    }
}

#[test]
fn b2_each_lie_is_found_by_its_row() {
    let two = Peer::TWO;
    for (row, change) in [
        ("B2.1", remove("server started")),
        ("B2.1", twice("server started")),
        ("B2.1", remove("asked directly")),
        ("B2.1", set("server started", "enode", json!(two.enode(30_911)))),
        ("B2.1", set("server started", "name", json!("foo/v43/linux/rust1.95.0"))),
        ("B2.1", set("server started", "ID", json!(two.id()))),
        ("B2.1", set("asked directly", "IP", json!("::"))),
        ("B2.1", unset("asked directly", "IP")),
        ("B2.1", change_all_enodes(Peer::ONE.enode(0))),
        ("B2.2", remove("RPC return value")),
        ("B2.2", set("RPC return value", "count", json!(1))),
        ("B2.2", set("RPC return value", "count", json!("0"))),
        ("B2.2", set("RPC return value", "peers", json!([two.entry()]))),
    ] {
        must_fail("B2", row, b2(), change);
    }
}

#[test]
fn b3_each_lie_is_found_by_its_row() {
    let other = json!({"content": "foobaz"});
    for (row, change) in [
        ("B3.1", set("RPC return value", "reply", json!(true))),
        ("B3.1", unset("RPC return value", "reply")),
        ("B3.1", remove("RPC error")),
        ("B3.1", set("RPC error", "code", json!(-32_603))),
        ("B3.1", set("RPC error", "error", json!("already sent"))),
        ("B3.1", move_to_end("RPC return value")),
        ("B3.2", remove("sending message")),
        ("B3.2", set("sending message", "node", json!("two"))),
        ("B3.2", set("sending message", "msg", other.clone())),
        ("B3.2", set("sending message", "peer", json!(Peer::ONE.shown()))),
        ("B3.2", remove("received message")),
        ("B3.2", twice("received message")),
        ("B3.2", set("received message", "msg", other)),
        ("B3.3", remove("RPC notification")),
        ("B3.3", swap_first_two("RPC notification")),
        ("B3.3", set_last("RPC notification", "node", json!("two"))),
        ("B3.3", set_last("RPC notification", "type", json!("msgrecv"))),
        ("B3.3", set_last("RPC notification", "peer", json!(Peer::ONE.id()))),
        ("B3.3", set_last("RPC notification", "protocol", json!("bar"))),
        ("B3.3", set_last("RPC notification", "msg_code", json!(16))),
        ("B3.3", set_last("RPC notification", "msg_size", json!(7))),
        ("B3.3", set_last("RPC notification", "remote", json!("127.0.0.1:1"))),
        ("B3.4", set_last("received peerevent", "type", json!("msgsend"))),
        ("B3.4", set_last("received peerevent", "node", json!("one"))),
        ("B3.4", set_last("received peerevent", "peer", json!(Peer::TWO.id()))),
        ("B3.4", set_last("received peerevent", "protocol", json!("bar"))),
        ("B3.4", set_last("received peerevent", "msg_code", json!(16))),
        ("B3.4", set_last("received peerevent", "msg_size", json!(7))),
    ] {
        must_fail("B3", row, b3(), change);
    }
}

#[test]
fn b3_the_answer_and_the_notification_may_come_in_either_order() {
    let mut lines = b3();
    let at = lines.iter().position(|line| line["message"] == "RPC return value").unwrap();
    lines.swap(at, at + 1);

    assert_eq!(failing("B3", &lines), Vec::<&str>::new());
}

// What the programs say when all is well

fn right_logs() -> [(&'static str, Vec<Value>); 3] {
    [("B1", b1()), ("B2", b2()), ("B3", b3())]
}

fn b1() -> Vec<Value> {
    let wrong = ["foo_HelloWorld", "foo_nope"].map(|method| {
        let text = format!("the method {method} does not exist/is not available");
        json!({"message": "RPC error", "method": method, "code": -32_601, "error": text})
    });
    let mut lines = vec![
        json!({"message": "RPC server started", "socket": "/nowhere/demo.ipc"}),
        json!({"message": "socket file", "there": true}),
        json!({"message": "RPC return value", "reply": "foobar"}),
    ];
    lines.extend(wrong);
    lines.push(json!({"message": "socket file", "there": false}));
    lines.into_iter().map(said).collect()
}

fn b2() -> Vec<Value> {
    let by_rpc = started(&Peer::ONE, "one", 30_911);
    let mut directly = by_rpc.clone();
    directly["message"] = json!("asked directly");
    let peers = json!({"message": "RPC return value", "count": 0, "peers": []});
    vec![by_rpc, directly, peers].into_iter().map(said).collect()
}

fn b3() -> Vec<Value> {
    let (one, two) = (Peer::ONE, Peer::TWO);
    let by_rpc = |kind, more| {
        let mut event = event("one", &one, &two, kind, more);
        event["message"] = json!("RPC notification");
        event
    };
    let talk = |message: &str, node: &str, other: &Peer| {
        let msg = json!({"content": "foobar"});
        json!({"message": message, "node": node, "peer": other.shown(), "msg": msg})
    };
    let lines = vec![
        started(&one, "one", 0),
        started(&two, "two", 30_912),
        by_rpc("add", json!({})),
        event("two", &two, &one, "add", json!({})),
        talk("sending message", "one", &two),
        json!({"message": "RPC return value", "reply": null}),
        by_rpc("msgsend", of_message(8)),
        talk("received message", "two", &one),
        event("two", &two, &one, "msgrecv", of_message(8)),
        json!({
            "message": "RPC error", "method": "foo_sendMsg", "code": -32_000,
            "error": "Already sent",
        }),
    ];
    lines.into_iter().map(said).collect()
}

fn change_all_enodes(enode: String) -> Change {
    Box::new(move |lines| {
        for line in lines.iter_mut().filter(|line| line["enode"].is_string()) {
            line["enode"] = json!(enode);
        }
    })
}
