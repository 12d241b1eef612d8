//! Chapter C: what each of its four programs must show.
//!
//! Some of it the service node says itself: what it opens and closes, and that it starts and stops.

use std::path::Path;

use serde_json::json;

use crate::examples::chapter::{Chapter, HANG_UP_RACE, Row};
use crate::examples::log::{Check, Line, Log, Said};
use crate::examples::node::Node;

/// C1 to C4.
pub(crate) fn chapters() -> Vec<Chapter> {
    vec![
        Chapter::new("C1", "c1_stack", "a node keeps its key and its files", C1),
        Chapter::new("C2", "c2_nodeinfo", "three ways to ask, one answer", C2),
        Chapter::new("C3", "c3_service", "each way in has its own list", C3),
        Chapter {
            alternatives: HANG_UP_RACE,
            ..Chapter::new("C4", "c4_full", "pings by order, pongs counted", C4)
        },
    ]
}

const C1: &[Row] = &[
    Row::new("C1.1", "the socket opens and closes, its path said", c1_1_socket),
    Row::new("C1.2", "a second start, a second stop: no effect", c1_2_twice),
    Row::new("C1.3", "no second node in the same directory", c1_3_lock),
    Row::new("C1.4", "after a stop the directory gives the same id", c1_4_key),
];

fn c1_1_socket(log: &Log) -> Check {
    let opened = log.said("IPC endpoint opened").exactly(2)?;
    let closed = log.said("IPC endpoint closed").exactly(2)?;
    let socket = opened[0].text("url")?;
    opened[0].ensure(Path::new(socket).is_absolute(), "an absolute path", socket)?;
    for line in opened.iter().chain(&closed) {
        line.equals("url", &json!(socket))?;
    }
    for (opened, closed) in opened.iter().zip(&closed) {
        closed.comes_after(opened)?;
    }
    // The program has ended by now.
    closed[1].ensure(!Path::new(socket).exists(), "no socket after exit", socket)
}

fn c1_2_twice(log: &Log) -> Check {
    let (started, stopped) = (log.said("node started"), log.said("node stopped"));
    let (started, stopped) = (started.exactly(2)?, stopped.exactly(2)?);
    let start = log.said("start refused").only()?;
    start.equals("error", &json!("node already running"))?;
    start.comes_after(started[0])?;
    let stop = log.said("stop refused").only()?;
    stop.equals("error", &json!("node not started"))?;
    // Without effect: it went on until it was stopped, and it stayed so until the next start.
    stopped[0].comes_after(start)?;
    stop.comes_after(stopped[0])?;
    started[1].comes_after(stop)?;
    stopped[1].comes_after(started[1])
}

fn c1_3_lock(log: &Log) -> Check {
    let refused = log.said("second node refused").only()?;
    let error = refused.text("error")?;
    let expected = "datadir already used by another process";
    refused.ensure(error.starts_with(expected), expected, error)?;
    refused.comes_after(log.said("node started").first()?)?;
    log.said("node stopped").first()?.comes_after(refused)
}

fn c1_4_key(log: &Log) -> Check {
    let lines = log.said("server started").exactly(2)?;
    let (first, second) = (Node::of(lines[0])?, Node::of(lines[1])?);
    lines[1].equals("ID", &json!(first.id))?;
    lines[1].comes_after(log.said("node stopped").first()?)?;
    let got = format!("an enode at {}", second.address);
    lines[1].ensure(second.address.port() != 0, "an enode with a port other than 0", &got)
}

const C2: &[Row] = &[
    Row::new("C2.1", "three ways: enode, IP, ID, address are equal", c2_1_three_ways),
    Row::new("C2.2", "it listens where its enode says", c2_2_listening_address),
];

fn c2_1_three_ways(log: &Log) -> Check {
    let first = log.said("Nodeinfo from p2p.Server").only()?;
    Node::of(first)?;
    for message in ["Nodeinfo from IPC via ServiceNode", "Nodeinfo from IPC via external call"] {
        let line = log.said(message).only()?;
        for field in ["enode", "IP", "ID", "listening address"] {
            line.equals(field, &json!(first.text(field)?))?;
        }
    }
    Ok(())
}

fn c2_2_listening_address(log: &Log) -> Check {
    let line = log.said("Nodeinfo from p2p.Server").only()?;
    let address = Node::of(line)?.address;
    line.equals("listening address", &json!(address.to_string()))?;
    line.ensure(address.port() != 0, "a port other than 0", &address.to_string())
}

const C3: &[Row] = &[
    Row::new("C3.1", "IPC and HTTP: 42 and 84; WebSocket: 42", c3_1_answers),
    Row::new("C3.2", "`bar_double` by WebSocket: -32601, Go's text", c3_2_not_listed),
    Row::new("C3.3", "`rpc_modules`: as listed; by IPC everything", c3_3_modules),
    Row::new("C3.4", "HTTP: 403, 415, and no subscriptions", c3_4_http),
];

fn c3_1_answers(log: &Log) -> Check {
    for way in ["IPC", "HTTP"] {
        let lines = log.said(way).exactly(2)?;
        lines[0].equals("getnumber", &json!(42))?;
        lines[1].equals("double", &json!(84))?;
    }
    log.said("WS").only()?.equals("getnumber", &json!(42))
}

fn c3_2_not_listed(log: &Log) -> Check {
    let line = log.said("WS (double expected fail)").only()?;
    line.equals("code", &json!(-32_601))?;
    line.equals("error", &json!("the method bar_double does not exist/is not available"))
}

fn c3_3_modules(log: &Log) -> Check {
    for (way, there, absent) in [
        ("WS", ["foo", "rpc", "web3"].as_slice(), ["admin", "bar", "baz"].as_slice()),
        ("HTTP", &["bar", "foo", "rpc", "web3"], &["admin"]),
        ("IPC", &["admin", "bar", "foo", "rpc", "web3"], &[]),
    ] {
        let line = log.said("modules").with("way", &json!(way)).only()?;
        let names = line.list("names")?;
        let got = format!("names={}", json!(names));
        for name in there {
            line.ensure(names.contains(&json!(name)), &format!("`{name}` among them"), &got)?;
        }
        for name in absent {
            line.ensure(!names.contains(&json!(name)), &format!("no `{name}`"), &got)?;
        }
    }
    Ok(())
}

fn c3_4_http(log: &Log) -> Check {
    let json = "application/json";
    for (host, content_type, status) in
        [("localhost", json, 200), ("evil.example", json, 403), ("localhost", "text/plain", 415)]
    {
        let lines = log.said("HTTP request").with("host", &json!(host));
        let line = lines.with("content type", &json!(content_type)).only()?;
        line.equals("status", &json!(status))?;
    }
    refused(log, "foo_subscribe", -32_601, "notifications not supported").map(drop)
}

const C4: &[Row] = &[
    Row::new("C4.1", "no pongs before the first ping", c4_1_before),
    Row::new("C4.2", "four pings sent by one, two by two", c4_2_sent_pings),
    Row::new("C4.3", "per side six messages each way, of 3 bytes", c4_3_message_events),
    Row::new("C4.4", "both drop; four pongs at one, two at two", c4_4_after),
    Row::new("C4.5", "`foo_quit` of a stranger is `unknown peer`", c4_5_unknown_peer),
];

fn c4_1_before(log: &Log) -> Check {
    for (number, side, ..) in SIDES {
        let line = log.said(&format!("servicenode #{number} before ping")).only()?;
        line.equals("node", &json!(side))?;
        line.equals("pongcount", &json!(0))?;
    }
    Ok(())
}

fn c4_2_sent_pings(log: &Log) -> Check {
    for (_, side, _, pings) in SIDES {
        let lines = log.said("sent ping").by(side).exactly(pings)?;
        for (index, line) in lines.iter().enumerate() {
            line.equals("count", &json!(index + 1))?;
        }
    }
    Ok(())
}

fn c4_3_message_events(log: &Log) -> Check {
    for (_, side, other, _) in SIDES {
        let other = json!(Node::named(log, other)?.id);
        for direction in ["msgsend", "msgrecv"] {
            for event in events(log, side, direction).exactly(6)? {
                event.equals("peer", &other)?;
                event.equals("protocol", &json!("fooping"))?;
                event.equals("msg_code", &json!(0))?;
                event.equals("msg_size", &json!(3))?;
            }
        }
    }
    Ok(())
}

fn c4_4_after(log: &Log) -> Check {
    for (number, side, other, pings) in SIDES {
        let other = json!(Node::named(log, other)?.id);
        let added = events(log, side, "add").only()?;
        added.equals("peer", &other)?;
        let dropped = events(log, side, "drop").only()?;
        dropped.equals("peer", &other)?;
        dropped.comes_after(events(log, side, "msgrecv").last()?)?;
        let line = log.said(&format!("servicenode #{number} after ping")).only()?;
        line.equals("node", &json!(side))?;
        line.equals("pongcount", &json!(pings))?;
        line.comes_after(dropped)?;
    }
    Ok(())
}

fn c4_5_unknown_peer(log: &Log) -> Check {
    refused(log, "foo_quit", -32_000, "unknown peer").map(drop)
}

/// The peer events of a side that have this type.
fn events<'a>(log: &'a Log, side: &str, kind: &str) -> Said<'a> {
    log.said("received peerevent").by(side).with("type", &json!(kind))
}

/// The one line that says how a call of this method was refused.
fn refused<'a>(log: &'a Log, method: &str, code: i32, text: &str) -> Check<&'a Line> {
    let line = log.said("RPC error").with("method", &json!(method)).only()?;
    line.equals("code", &json!(code))?;
    line.equals("error", &json!(text))?;
    Ok(line)
}

/// A side's number, its name, that of the other one, and how many pings it sends.
const SIDES: [(u8, &str, &str, usize); 2] = [(1, "one", "two", 4), (2, "two", "one", 2)];

#[cfg(test)]
mod tests;
