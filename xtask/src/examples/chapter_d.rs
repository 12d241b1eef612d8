//! Chapter D: what each of its two programs must show.

use serde_json::json;

use crate::examples::chapter::{Chapter, HANG_UP_RACE, Row};
use crate::examples::log::{Check, Log};
use crate::examples::node::Node;

/// D1 and D2.
pub(crate) fn chapters() -> Vec<Chapter> {
    vec![
        Chapter {
            alternatives: HANG_UP_RACE,
            ..Chapter::new("D1", "d1_protocols", "messages have types, and nothing else", D1)
        },
        Chapter::new("D2", "d2_multiservice", "two services share a number", D2),
    ]
}

const D1: &[Row] = &[
    Row::new("D1.1", "each side sends V=42, and its handler gets it", d1_1_message),
    Row::new("D1.2", "per side a `msgrecv` of fooping, code 0, 2 bytes", d1_2_event),
    Row::new("D1.3", "what is none of its messages: reason 2, or 0x10", d1_3_dropped),
];

fn d1_1_message(log: &Log) -> Check {
    for (node, other) in [("one", "two"), ("two", "one")] {
        let other = Node::named(log, other)?;
        // Node two says its number to those, too, that do not keep to the protocol.
        let sent = log.said("sending message").by(node);
        let received = log.said("received message").by(node).only()?;
        for line in [sent.first()?, received] {
            line.equals("V", &json!(42))?;
            other.is_shown_in(line)?;
        }
    }
    Ok(())
}

fn d1_2_event(log: &Log) -> Check {
    for (node, other) in [("one", "two"), ("two", "one")] {
        let events = log.said("received peerevent").by(node).with("type", &json!("msgrecv"));
        let event = events.only()?;
        event.equals("peer", &json!(Node::named(log, other)?.id))?;
        event.equals("protocol", &json!("fooping"))?;
        event.equals("msg_code", &json!(0))?;
        event.equals("msg_size", &json!(2))?;
    }
    Ok(())
}

fn d1_3_dropped(log: &Log) -> Check {
    for (sends, reason, text) in [
        ("a code beyond the length", 2, "breach of protocol"),
        ("2,000 bytes", 16, "subprotocol error"),
        ("bytes that are no list", 16, "subprotocol error"),
    ] {
        let line = log.said("dropped a peer").by("two").with("sends", &json!(sends)).only()?;
        line.equals("reason", &json!(reason))?;
        line.equals("text", &json!(text))?;
    }
    Ok(())
}

const D2: &[Row] = &[
    Row::new("D2.1", "what bar sets is what foo gets", d2_1_shared),
    Row::new("D2.2", "one type twice: `duplicate service`", d2_2_duplicate),
    Row::new("D2.3", "bar finds foo, but not in reverse order", d2_3_context),
    Row::new("D2.4", "started foo, bar; stopped bar, foo", d2_4_order),
];

fn d2_1_shared(log: &Log) -> Check {
    let line = log.said("get").only()?;
    line.equals("result", &json!(42))?;
    line.equals("sharedvalue", &json!(42))
}

fn d2_2_duplicate(log: &Log) -> Check {
    let line = log.said("same service twice").only()?;
    line.equals("error", &json!("duplicate service: FooService"))
}

fn d2_3_context(log: &Log) -> Check {
    // That the first node started at all is the one half.
    log.said("node started").only()?;
    let line = log.said("reverse order").only()?;
    let error = line.text("error")?;
    let unknown = error.ends_with("unknown service: FooService");
    line.ensure(unknown, "… unknown service: FooService", error)
}

fn d2_4_order(log: &Log) -> Check {
    let order = log.any_of(&["starting", "stopping"]).exactly(4)?;
    let expected =
        [("starting", "foo"), ("starting", "bar"), ("stopping", "bar"), ("stopping", "foo")];
    for (line, (message, service)) in order.into_iter().zip(expected) {
        line.ensure(line.message() == message, message, line.message())?;
        line.equals("service", &json!(service))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
