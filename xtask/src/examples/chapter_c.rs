//! Chapter C: what each of its four programs must show.
//!
//! Lines that the node itself says are part of a chapter's log, with the node's name in `node`.

use std::path::Path;

use serde_json::{Value, json};

use crate::examples::chapter::{Chapter, HANG_UP_RACE, Row};
use crate::examples::log::{Check, Line, Log};
use crate::examples::node::Node;

/// C1 to C4.
pub(crate) fn chapters() -> Vec<Chapter> {
    vec![
        Chapter::new("C1", "c1_stack", "a node starts, stops, keeps its key", C1),
        Chapter::new("C2", "c2_nodeinfo", "three ways to ask, and one answer", C2),
        Chapter::new("C3", "c3_service", "a service, and who may call it", C3),
        Chapter {
            alternatives: HANG_UP_RACE,
            ..Chapter::new("C4", "c4_full", "a call pings a peer, an event tells", C4)
        },
    ]
}

const C1: &[Row] = &[
    Row::new("C1.1", "the socket opens and closes, told with its path", c1_1_endpoint),
    Row::new("C1.2", "a second start and a second stop are errors", c1_2_twice),
    Row::new("C1.3", "a directory has one node at a time", c1_3_lock),
    Row::new("C1.4", "after a restart the node has the same id", c1_4_key),
];

fn c1_1_endpoint(log: &Log) -> Check {
    let opened = log.said("IPC endpoint opened").exactly(2)?;
    let closed = log.said("IPC endpoint closed").exactly(2)?;
    for (opened, closed) in opened.into_iter().zip(closed) {
        let url = opened.text("url")?;
        opened.ensure(Path::new(url).is_absolute(), "an absolute path", url)?;
        closed.equals("url", &json!(url))?;
        closed.comes_after(opened)?;
        // The program has ended by now.
        closed.ensure(!Path::new(url).exists(), "no socket after the end", url)?;
    }
    Ok(())
}

fn c1_2_twice(log: &Log) -> Check {
    log.said("second start").only()?.equals("error", &json!("node already running"))?;
    let stop = log.said("second stop").only()?;
    stop.equals("error", &json!("node not started"))?;
    stop.comes_after(log.said("node stopped").first()?)
}

fn c1_3_lock(log: &Log) -> Check {
    let line = log.said("second node in the same directory").only()?;
    let error = line.text("error")?;
    let pid = error
        .strip_prefix("datadir already used by another process (pid ")
        .and_then(|rest| rest.strip_suffix(')'));
    let named = pid.is_some_and(|pid| pid.parse::<u32>().is_ok());
    line.ensure(named, "datadir already used by another process (pid N)", error)
}

fn c1_4_key(log: &Log) -> Check {
    let first = Node::named(log, "one")?;
    let again = log.said("after a restart").only()?;
    again.equals("ID", &json!(first.id))?;
    again.comes_after(log.said("node stopped").first()?)
}

const C2: &[Row] = &[
    Row::new("C2.1", "three lines, and every field equal", c2_1_three_ways),
    Row::new("C2.2", "the listening address has the enode's port", c2_2_port),
];

const WAYS: [&str; 3] = [
    "Nodeinfo from p2p.Server",
    "Nodeinfo from IPC via ServiceNode",
    "Nodeinfo from IPC via external call",
];

fn c2_1_three_ways(log: &Log) -> Check {
    let direct = log.said(WAYS[0]).only()?;
    for way in WAYS {
        let line = log.said(way).only()?;
        for field in ["enode", "IP", "ID", "listening address"] {
            line.equals(field, &json!(direct.text(field)?))?;
        }
    }
    Ok(())
}

fn c2_2_port(log: &Log) -> Check {
    for way in WAYS {
        let line = log.said(way).only()?;
        let node = Node::of(line)?;
        line.equals("listening address", &json!(node.address.to_string()))?;
        line.ensure(node.address.port() != 0, "a port other than 0", "port 0")?;
    }
    Ok(())
}

const C3: &[Row] = &[
    Row::new("C3.1", "42 and 84 over IPC and HTTP, 42 over WS", c3_1_numbers),
    Row::new("C3.2", "`bar_double` does not exist over WS", c3_2_refused),
    Row::new("C3.3", "`rpc_modules` tells what each door offers", c3_3_modules),
    Row::new("C3.4", "a strange host is 403, plain text 415", c3_4_http),
];

fn c3_1_numbers(log: &Log) -> Check {
    for door in ["IPC", "HTTP"] {
        let lines = log.said(door).exactly(2)?;
        lines[0].equals("getnumber", &json!(42))?;
        lines[1].equals("double", &json!(84))?;
    }
    log.said("WS").only()?.equals("getnumber", &json!(42))
}

fn c3_2_refused(log: &Log) -> Check {
    let line = log.said("WS (double expected fail)").only()?;
    line.equals("code", &json!(-32_601))?;
    line.equals("error", &json!("the method bar_double does not exist/is not available"))
}

fn c3_3_modules(log: &Log) -> Check {
    for (door, there, not_there) in [
        ("IPC", &["admin", "foo", "bar", "rpc", "web3"][..], &["baz"][..]),
        ("WS", &["foo", "web3", "rpc"], &["bar", "admin", "baz"]),
    ] {
        let line = log.said("modules").with("door", &json!(door)).only()?;
        let modules = line.list("modules")?;
        for (names, wanted) in [(there, true), (not_there, false)] {
            for name in names {
                let offered = modules.contains(&json!(name));
                let word = if wanted { "with" } else { "without" };
                let got = Value::from(modules.to_vec()).to_string();
                line.ensure(offered == wanted, &format!("modules {word} {name}"), &got)?;
            }
        }
    }
    Ok(())
}

fn c3_4_http(log: &Log) -> Check {
    for (host, content_type, status) in [
        ("localhost", "application/json", 200),
        ("evil.example", "application/json", 403),
        ("localhost", "text/plain", 415),
    ] {
        let requests = log.said("HTTP request").with("host", &json!(host));
        let line = requests.with("content type", &json!(content_type)).only()?;
        line.equals("status", &json!(status))?;
    }
    let line = log.said("RPC error").with("method", &json!("foo_subscribe")).only()?;
    line.equals("code", &json!(-32_601))?;
    line.equals("error", &json!("notifications not supported"))
}

const C4: &[Row] = &[
    Row::new("C4.1", "before: no pongs", c4_1_before),
    Row::new("C4.2", "4 pings from one, 2 from two", c4_2_pings),
    Row::new("C4.3", "6 messages each way at each side", c4_3_messages),
    Row::new("C4.4", "after: both drop; 4 pongs at one, 2 at two", c4_4_after),
    Row::new("C4.5", "quitting nobody is `unknown peer`", c4_5_unknown),
];

fn c4_1_before(log: &Log) -> Check {
    for node in ["#1", "#2"] {
        let line = log.said(&format!("servicenode {node} before ping")).only()?;
        line.equals("pongcount", &json!(0))?;
    }
    Ok(())
}

fn c4_2_pings(log: &Log) -> Check {
    for (node, other, count) in [("one", "two", 4), ("two", "one", 2)] {
        let pings = log.said("sent ping").by(node).exactly(count)?;
        for (at, line) in pings.into_iter().enumerate() {
            line.equals("count", &json!(at + 1))?;
            line.equals("peer", &json!(Node::named(log, other)?.id))?;
        }
    }
    Ok(())
}

fn c4_3_messages(log: &Log) -> Check {
    for (node, other) in [("one", "two"), ("two", "one")] {
        for kind in ["msgsend", "msgrecv"] {
            let events = log.said("received peerevent").by(node).with("type", &json!(kind));
            for event in events.exactly(6)? {
                event.equals("protocol", &json!("fooping"))?;
                event.equals("msg_code", &json!(0))?;
                event.equals("msg_size", &json!(3))?;
                event.equals("peer", &json!(Node::named(log, other)?.id))?;
            }
        }
    }
    Ok(())
}

fn c4_4_after(log: &Log) -> Check {
    for (node, side, pongs) in [("#1", "one", 4), ("#2", "two", 2)] {
        let after = log.said(&format!("servicenode {node} after ping")).only()?;
        after.equals("pongcount", &json!(pongs))?;
        let events = log.said("received peerevent").by(side);
        let dropped: &Line = events.with("type", &json!("drop")).only()?;
        after.comes_after(dropped)?;
        dropped.comes_after(log.said("sent ping").last()?)?;
    }
    Ok(())
}

fn c4_5_unknown(log: &Log) -> Check {
    let line = log.said("RPC error").with("method", &json!("foo_quit")).only()?;
    line.equals("code", &json!(-32_000))?;
    line.equals("error", &json!("unknown peer"))
}

#[cfg(test)]
mod tests;
