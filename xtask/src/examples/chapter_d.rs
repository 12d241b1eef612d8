//! Chapter D: what its programs must show.
//!
//! In D1 node one talks to node two, and then three others break a rule there, each another one.

use serde_json::json;

use crate::examples::chapter::{Chapter, Row};
use crate::examples::log::{Check, Log};
use crate::examples::node::Node;

/// D1 and D2.
pub(crate) fn chapters() -> Vec<Chapter> {
    vec![
        Chapter::new("D1", "d1_protocols", "types instead of codes, or hang up", D1),
        Chapter::new("D2", "d2_multiservice", "two services share a number", D2),
    ]
}

const D1: &[Row] = &[
    Row::new("D1.1", "each side sends 42, each handler gets it", d1_1_typed_messages),
    Row::new("D1.2", "a `msgrecv` a side: fooping, code 0, 2 bytes", d1_2_receive_events),
    Row::new("D1.3", "bad code: reason 2; too large, no RLP: 0x10", d1_3_misbehaving_peers),
];

fn d1_1_typed_messages(log: &Log) -> Check {
    for (side, other) in SIDES {
        let other = Node::named(log, other)?;
        // Node two greets others, too, later on. What they send reaches no handler.
        let sending = log.said("sending message").by(side);
        let received = log.said("received message").by(side);
        for line in [sending.first()?, received.only()?] {
            other.is_shown_in(line)?;
            line.equals("V", &json!(42))?;
        }
    }
    Ok(())
}

fn d1_2_receive_events(log: &Log) -> Check {
    for (side, other) in SIDES {
        let other = json!(Node::named(log, other)?.id);
        let events = log.said("received peerevent").by(side).with("type", &json!("msgrecv"));
        let event = events.with("peer", &other).only()?;
        event.equals("protocol", &json!("fooping"))?;
        event.equals("msg_code", &json!(0))?;
        event.equals("msg_size", &json!(2))?;
    }
    Ok(())
}

fn d1_3_misbehaving_peers(log: &Log) -> Check {
    for misdeed in MISDEEDS {
        misdeed.is_punished(log)?;
    }
    Ok(())
}

/// What a peer of node two did, and what has to follow from it.
struct Misdeed {
    node: &'static str,
    what: &'static str,
    reason: u8,
    text: &'static str,
    /// What node two says was wrong, or the beginning of it: it names the layer that noticed.
    error: &'static str,
    /// Sizes of the messages that node two took from it, in bytes.
    taken: &'static [u64],
}

impl Misdeed {
    fn is_punished(&self, log: &Log) -> Check {
        let line = log.said("misbehaving peer dropped").by(self.node).only()?;
        line.equals("did", &json!(self.what))?;
        line.equals("reason", &json!(self.reason))?;
        line.equals("text", &json!(self.text))?;
        let error = line.text("error")?;
        line.ensure(
            error.starts_with(self.error),
            &format!("error={} …", self.error),
            &format!("error={error}"),
        )?;

        // Both sides tell of the same end, each in its own words.
        let two = Node::named(log, "two")?;
        for (side, other, words) in
            [("two", Node::named(log, self.node)?, error), (self.node, two, self.text)]
        {
            let events = || log.said("received peerevent").by(side).with("peer", &json!(other.id));
            let drop = events().with("type", &json!("drop")).only()?;
            drop.equals("error", &json!(words))?;
            line.comes_after(drop)?;
            if side == "two" {
                let taken = events().with("type", &json!("msgrecv")).exactly(self.taken.len())?;
                taken
                    .iter()
                    .zip(self.taken)
                    .try_for_each(|(event, size)| event.equals("msg_size", &json!(size)))?;
            }
        }
        Ok(())
    }
}

/// The base layer notices the first, and the second by the typed layer's limit; neither is ever
/// taken. The third is taken, and the typed layer cannot read it.
const MISDEEDS: [Misdeed; 3] = [
    Misdeed {
        node: "three",
        what: "a code beyond the length",
        reason: 0x02,
        text: "breach of protocol",
        error: "msg code out of range: 17",
        taken: &[],
    },
    Misdeed {
        node: "four",
        what: "a message too large",
        reason: 0x10,
        text: "subprotocol error",
        error: "1025 bytes are over the limit of 1024",
        taken: &[],
    },
    Misdeed {
        node: "five",
        what: "a message of another kind",
        reason: 0x10,
        text: "subprotocol error",
        error: "invalid message (RLP error): 0 err=",
        taken: &[7],
    },
];

/// A side and the other one.
const SIDES: [(&str, &str); 2] = [("one", "two"), ("two", "one")];

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
