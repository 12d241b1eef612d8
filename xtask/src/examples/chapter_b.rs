//! Chapter B: what each of its three programs must show.
//!
//! What came through RPC is told from what was asked for directly by the message of its line.

use std::path::Path;

use serde_json::{Value, json};

use crate::examples::chapter::{Chapter, Row};
use crate::examples::log::{Check, Line, Log};
use crate::examples::node::Node;

/// B1 to B3.
pub(crate) fn chapters() -> Vec<Chapter> {
    vec![
        Chapter::new("B1", "b1_rpc", "a method answers on a socket", B1),
        Chapter::new("B2", "b2_method", "a server is asked who it is, by RPC", B2),
        Chapter::new("B3", "b3_message", "an RPC call becomes a message", B3),
    ]
}

const B1: &[Row] = &[
    Row::new("B1.1", "the call returns `foobar`", b1_1_return_value),
    Row::new("B1.2", "a wrong name is -32601, with Go's text", b1_2_wrong_names),
    Row::new("B1.3", "the socket file is gone after exit", b1_3_socket_file),
];

fn b1_1_return_value(log: &Log) -> Check {
    log.said("RPC return value").only()?.equals("reply", &json!("foobar"))
}

fn b1_2_wrong_names(log: &Log) -> Check {
    for method in ["foo_HelloWorld", "foo_nope"] {
        let text = format!("the method {method} does not exist/is not available");
        refused(log, method, -32_601, &text)?;
    }
    Ok(())
}

fn b1_3_socket_file(log: &Log) -> Check {
    let started = log.said("RPC server started").only()?;
    let files = log.said("socket file").exactly(2)?;
    files[0].equals("there", &json!(true))?;
    files[1].equals("there", &json!(false))?;
    files[1].comes_after(log.said("RPC return value").only()?)?;
    // The program has ended by now.
    let socket = started.text("socket")?;
    started.ensure(!Path::new(socket).exists(), "no file after exit", socket)
}

const B2: &[Row] = &[
    Row::new("B2.1", "`server started` by RPC as asked directly", b2_1_node_info),
    Row::new("B2.2", "`foo_peerCount` returns 0", b2_2_peer_count),
];

fn b2_1_node_info(log: &Log) -> Check {
    let by_rpc = log.said("server started").only()?;
    let directly = log.said("asked directly").only()?;
    for field in ["enode", "name", "ID", "IP"] {
        by_rpc.equals(field, &json!(directly.text(field)?))?;
    }
    let node = Node::of(by_rpc)?;
    let got = format!("an enode at {}", node.address);
    by_rpc.ensure(node.address.port() != 0, "an enode with a port other than 0", &got)
}

fn b2_2_peer_count(log: &Log) -> Check {
    let line = log.said("RPC return value").only()?;
    line.equals("count", &json!(0))?;
    line.equals("peers", &json!([]))
}

const B3: &[Row] = &[
    Row::new("B3.1", "`foo_sendMsg`: null, then `Already sent`", b3_1_return_values),
    Row::new("B3.2", "one sends `foobar` and two receives it", b3_2_message),
    Row::new("B3.3", "by RPC: the `msgsend` of one, 8 bytes to two", b3_3_notification),
    Row::new("B3.4", "at two: a `msgrecv` of 8 bytes", b3_4_local_event),
];

fn b3_1_return_values(log: &Log) -> Check {
    let first = log.said("RPC return value").only()?;
    first.equals("reply", &Value::Null)?;
    let second = refused(log, "foo_sendMsg", -32_000, "Already sent")?;
    second.comes_after(first)
}

fn b3_2_message(log: &Log) -> Check {
    let msg = json!({"content": "foobar"});
    for (message, side, other) in
        [("sending message", "one", "two"), ("received message", "two", "one")]
    {
        let line = log.said(message).only()?;
        line.equals("node", &json!(side))?;
        line.equals("msg", &msg)?;
        Node::named(log, other)?.is_shown_in(line)?;
    }
    Ok(())
}

fn b3_3_notification(log: &Log) -> Check {
    let two = Node::named(log, "two")?;
    let notifications = log.said("RPC notification").by("one");
    notifications.first()?.equals("type", &json!("add"))?;
    let sent = notifications.with("type", &json!("msgsend")).only()?;
    sent.equals("peer", &json!(two.id))?;
    sent.equals("protocol", &json!("foo"))?;
    sent.equals("msg_code", &json!(0))?;
    sent.equals("msg_size", &json!(8))?;
    sent.equals("remote", &json!(two.address.to_string()))?;
    sent.text("local").map(drop)
}

fn b3_4_local_event(log: &Log) -> Check {
    let events = log.said("received peerevent").by("two").with("type", &json!("msgrecv"));
    let received = events.only()?;
    received.equals("peer", &json!(Node::named(log, "one")?.id))?;
    received.equals("protocol", &json!("foo"))?;
    received.equals("msg_code", &json!(0))?;
    received.equals("msg_size", &json!(8))
}

/// The one line that says how a call of this method was refused.
fn refused<'a>(log: &'a Log, method: &str, code: i32, text: &str) -> Check<&'a Line> {
    let line = log.said("RPC error").with("method", &json!(method)).only()?;
    line.equals("code", &json!(code))?;
    line.equals("error", &json!(text))?;
    Ok(line)
}

#[cfg(test)]
mod tests;
