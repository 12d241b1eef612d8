//! Chapter A: what each of its five programs must show.
//!
//! Where two nodes speak, node one dials node two, and each line says whose it is in `node`.
//! Lines of different nodes have no order between them; a row that needs one compares lines of
//! one node.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::examples::chapter::{Chapter, HANG_UP_RACE, Row};
use crate::examples::log::{Check, Line, Log, mismatch};
use crate::examples::node::Node;

/// A1 to A5.
pub(crate) fn chapters() -> Vec<Chapter> {
    vec![
        Chapter::new("A1", "a1_server", "a server starts, has an enode, stops", A1),
        Chapter::new("A2", "a2_connect", "two servers meet, a full one refuses", A2),
        Chapter::new("A3", "a3_events", "a peer that comes or goes is an event", A3),
        Chapter {
            alternatives: HANG_UP_RACE,
            ..Chapter::new("A4", "a4_message", "a protocol, a message each way", A4)
        },
        Chapter {
            alternatives: HANG_UP_RACE,
            ..Chapter::new("A5", "a5_reply", "a ping is answered with a pong", A5)
        },
    ]
}

const A1: &[Row] = &[
    Row::new("A1.1", "`server started` has enode, name, ID, IP", a1_1_server_started),
    Row::new("A1.2", "ID is the keccak256 of the enode's key", a1_2_id_is_hash_of_key),
    Row::new("A1.3", "name, IP, and a port that answers until stop", a1_3_name_address_port),
    Row::new("A1.4", "a second server and a late call are refused", a1_4_refusals),
];

fn a1_1_server_started(log: &Log) -> Check {
    let line = log.said("server started").only()?;
    ["enode", "name", "ID", "IP"].iter().try_for_each(|field| line.text(field).map(drop))
}

fn a1_2_id_is_hash_of_key(log: &Log) -> Check {
    let node = Node::of(log.said("server started").only()?)?;
    debug_assert_eq!(node.id.len(), 64, "32 bytes in hexadecimal");
    Ok(())
}

fn a1_3_name_address_port(log: &Log) -> Check {
    let started = log.said("server started").only()?;
    let name = started.text("name")?;
    let holds = match name.split('/').collect::<Vec<_>>()[..] {
        ["foo", "v42", os, runtime] => !os.is_empty() && runtime.starts_with("rust"),
        _ => false,
    };
    started.ensure(holds, "name=foo/v42/<os>/rust<version>", &format!("name={name}"))?;
    started.equals("IP", &json!("127.0.0.1"))?;

    let address = Node::of(started)?.address;
    let loopback = address.ip().to_string() == "127.0.0.1" && address.port() != 0;
    let got = format!("an enode at {address}");
    started.ensure(loopback, "an enode at 127.0.0.1 with a port other than 0", &got)?;

    let answers = log.said("port answers").exactly(2)?;
    answers[0].comes_after(started)?;
    answers[0].equals("open", &json!(true))?;
    answers[1].equals("open", &json!(false))
}

fn a1_4_refusals(log: &Log) -> Check {
    let address = Node::of(log.said("server started").only()?)?.address;
    let second = log.said("second server refused").only()?;
    let error = second.text("error")?;
    second.ensure(
        error.contains(&address.to_string()),
        &format!("an error that names {address}"),
        &format!("error={error}"),
    )?;

    let late = log.said("call on the stopped server").only()?;
    late.equals("error", &json!("server stopped"))
}

const A2: &[Row] = &[
    Row::new("A2.1", "each node has exactly the other as its peer", a2_1_each_has_the_other),
    Row::new("A2.2", "inbound on two, outbound and static on one", a2_2_directions),
    Row::new("A2.3", "a full server refuses with reason 4, unseen", a2_3_full_server_refuses),
];

fn a2_1_each_has_the_other(log: &Log) -> Check {
    let line = log.said("after add").only()?;
    let one = Node::named_before(log, "one", line)?;
    let two = Node::named_before(log, "two", line)?;

    let of_one = line.only_entry("node one peers")?;
    member(line, of_one, "id", &json!(two.id))?;
    member(line, of_one, "remote", &json!(two.address.to_string()))?;
    let of_two = line.only_entry("node two peers")?;
    member(line, of_two, "id", &json!(one.id))
}

fn a2_2_directions(log: &Log) -> Check {
    let line = log.said("after add").only()?;
    let of_one = line.only_entry("node one peers")?;
    member(line, of_one, "inbound", &json!(false))?;
    member(line, of_one, "static", &json!(true))?;
    let of_two = line.only_entry("node two peers")?;
    member(line, of_two, "inbound", &json!(true))
}

fn a2_3_full_server_refuses(log: &Log) -> Check {
    let line = log.said("connection refused").only()?;
    line.equals("reason", &json!(4))?;
    line.equals("text", &json!("too many peers"))?;
    line.equals("peers one", &json!([]))?;
    line.equals("peers two", &json!([]))?;
    line.equals("events", &json!(0))
}

const A3: &[Row] = &[
    Row::new("A3.1", "the first event is `add` of two", a3_1_add_comes_first),
    Row::new("A3.2", "one peer after the event", a3_2_one_peer),
    Row::new("A3.3", "`drop` of two after two has stopped", a3_3_drop_of_two),
];

fn a3_1_add_comes_first(log: &Log) -> Check {
    let first = log.said("received peerevent").by("one").first()?;
    first.equals("type", &json!("add"))?;
    first.equals("peer", &json!(Node::named(log, "two")?.id))
}

fn a3_2_one_peer(log: &Log) -> Check {
    log.said("after add").only()?.only_entry("node one peers").map(drop)
}

fn a3_3_drop_of_two(log: &Log) -> Check {
    let two = json!(Node::named(log, "two")?.id);
    let drops = log.said("received peerevent").by("one").with("type", &json!("drop"));
    let drop = drops.only()?;
    drop.equals("peer", &two)?;
    drop.comes_after(log.said("after add").only()?)
}

const A4: &[Row] = &[
    Row::new("A4.1", "each side sends `foobar` and receives it", a4_1_foobar_both_ways),
    Row::new("A4.2", "a `msgrecv` event a side, addresses mirrored", a4_2_receive_events),
    Row::new("A4.3", "per side: add, msgsend, msgrecv, drop", a4_3_event_order),
    Row::new("A4.4", "who hangs up first says `protocol returned`", a4_4_drop_errors),
];

fn a4_1_foobar_both_ways(log: &Log) -> Check {
    for (side, other) in SIDES {
        let other = Node::named(log, other)?;
        let sending = log.said("sending message").by(side).only()?;
        other.is_shown_in(sending)?;
        sending.equals("msg", &json!("foobar"))?;
        let received = log.said("received message").by(side).only()?;
        other.is_shown_in(received)?;
        received.equals("msg", &json!({"code": 0, "size": 7, "text": "foobar"}))?;
    }
    Ok(())
}

fn a4_2_receive_events(log: &Log) -> Check {
    let mut ends = Vec::new();
    for (side, other) in SIDES {
        let events = log.said("received peerevent").by(side).with("type", &json!("msgrecv"));
        let event = events.only()?;
        event.equals("peer", &json!(Node::named(log, other)?.id))?;
        event.equals("protocol", &json!("foo"))?;
        event.equals("msg_code", &json!(0))?;
        event.equals("msg_size", &json!(7))?;
        ends.push((event, address(event, "local")?, address(event, "remote")?));
    }
    let [(_, local_one, remote_one), (event, local_two, remote_two)] = ends[..] else {
        return mismatch("two sides", ends.len().to_string());
    };
    event.ensure(
        local_one == remote_two && local_two == remote_one,
        &format!("local={remote_one} remote={local_one}, the mirror of node one's"),
        &format!("local={local_two} remote={remote_two}"),
    )
}

fn a4_3_event_order(log: &Log) -> Check {
    for (side, _) in SIDES {
        let types = log.said("received peerevent").by(side).texts("type")?;
        let expected = ["add", "msgsend", "msgrecv", "drop"];
        in_this_order(side, &types, &expected)?;
    }
    Ok(())
}

fn a4_4_drop_errors(log: &Log) -> Check {
    let mut errors = Vec::new();
    for (side, _) in SIDES {
        let drops = log.said("received peerevent").by(side).with("type", &json!("drop"));
        let drop = drops.only()?;
        let error = drop.text("error")?;
        let known = [RETURNED, QUITTING].contains(&error);
        let expected = format!("error={RETURNED} or error={QUITTING}");
        drop.ensure(known, &expected, &format!("error={error}"))?;
        errors.push(error);
    }
    if errors.contains(&RETURNED) {
        return Ok(());
    }
    mismatch(format!("`{RETURNED}` on one side at least"), format!("`{QUITTING}` on both"))
}

const A5: &[Row] = &[
    Row::new("A5.1", "per side: ping sent, ping, pong sent, pong", a5_1_ping_pong_order),
    Row::new("A5.2", "per side two messages each way, of 3 bytes", a5_2_message_events),
    Row::new("A5.3", "both bodies return well, both sides drop", a5_3_clean_end),
];

fn a5_1_ping_pong_order(log: &Log) -> Check {
    let messages = ["sending ping", "received ping", "sent pong", "received pong"];
    for (side, other) in SIDES {
        let said = log.any_of(&messages).by(side);
        in_this_order(side, &said.texts("message")?, &messages)?;
        let other = Node::named(log, other)?;
        said.exactly(messages.len())?.iter().try_for_each(|line| other.is_shown_in(line))?;
    }
    Ok(())
}

fn a5_2_message_events(log: &Log) -> Check {
    for (side, _) in SIDES {
        for direction in ["msgsend", "msgrecv"] {
            let events = log.said("received peerevent").by(side).with("type", &json!(direction));
            for event in events.exactly(2)? {
                event.equals("msg_code", &json!(0))?;
                event.equals("msg_size", &json!(3))?;
                event.equals("protocol", &json!("foo"))?;
            }
        }
    }
    Ok(())
}

fn a5_3_clean_end(log: &Log) -> Check {
    for (side, other) in SIDES {
        log.said("protocol returned").by(side).only()?.equals("result", &json!("ok"))?;
        let drops = log.said("received peerevent").by(side).with("type", &json!("drop"));
        drops.only()?.equals("peer", &json!(Node::named(log, other)?.id))?;
    }
    Ok(())
}

/// A member of a peer in a list of peers.
fn member(line: &Line, peer: &Value, name: &str, expected: &Value) -> Check {
    let got = &peer[name];
    line.ensure(got == expected, &format!("a peer with {name}={expected}"), &peer.to_string())
}

fn address(line: &Line, field: &str) -> Check<SocketAddr> {
    let text = line.text(field)?;
    text.parse().map_err(|_| line.wrong(&format!("{field}=<ip:port>"), &format!("{field}={text}")))
}

fn in_this_order(side: &str, got: &[&str], expected: &[&str]) -> Check {
    if got == expected {
        return Ok(());
    }
    mismatch(
        format!("node {side}: {}", expected.join(", ")),
        format!("node {side}: {}", if got.is_empty() { "nothing".into() } else { got.join(", ") }),
    )
}

/// A side and the other one.
const SIDES: [(&str, &str); 2] = [("one", "two"), ("two", "one")];

/// What `drop` says on the side whose own body ended the connection.
const RETURNED: &str = "protocol returned";

/// What it says where the other side was faster.
const QUITTING: &str = "client quitting";

#[cfg(test)]
mod tests;
