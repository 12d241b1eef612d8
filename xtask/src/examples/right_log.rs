//! For the tests of the rows: what a right log is made of, and ways to spoil it.

use serde_json::{Value, json};

use crate::examples::chapter::Chapter;
use crate::examples::log::Log;
use crate::examples::registry;
use crate::keccak::keccak256;

pub(crate) type Change = Box<dyn Fn(&mut Vec<Value>)>;

pub(crate) struct Peer {
    key: u8,
    pub(crate) remote: &'static str,
    inbound: bool,
}

impl Peer {
    pub(crate) const ONE: Self = Self { key: 1, remote: "127.0.0.1:38766", inbound: true };
    pub(crate) const TWO: Self = Self { key: 2, remote: "127.0.0.1:30912", inbound: false };
    pub(crate) const THREE: Self = Self { key: 3, remote: "127.0.0.1:38768", inbound: true };
    pub(crate) const FOUR: Self = Self { key: 4, remote: "127.0.0.1:38770", inbound: true };
    pub(crate) const FIVE: Self = Self { key: 5, remote: "127.0.0.1:38772", inbound: true };

    pub(crate) fn id(&self) -> String {
        keccak256(&[self.key; 64]).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn enode(&self, port: u16) -> String {
        format!("enode://{}@127.0.0.1:{port}?discport=0", format!("{:02x}", self.key).repeat(64))
    }

    /// As a list of peers shows it.
    pub(crate) fn entry(&self) -> Value {
        json!({
            "id": self.id(),
            "remote": self.remote,
            "inbound": self.inbound,
            "static": !self.inbound,
        })
    }

    /// As a protocol's line shows it.
    pub(crate) fn shown(&self) -> String {
        format!("Peer {} {}", &self.id()[..16], self.remote)
    }
}

pub(crate) fn started(peer: &Peer, node: &str, port: u16) -> Value {
    json!({
        "message": "server started", "node": node, "enode": peer.enode(port),
        "name": "foo/v42/linux/rust1.95.0", "ID": peer.id(), "IP": "127.0.0.1",
    })
}

pub(crate) fn event(node: &str, own: &Peer, other: &Peer, kind: &str, more: Value) -> Value {
    let mut event = json!({
        "message": "received peerevent", "node": node, "type": kind, "peer": other.id(),
        "local": own.remote, "remote": other.remote,
    });
    let more = more.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(more);
    event
}

pub(crate) fn of_message(size: u8) -> Value {
    json!({"protocol": "foo", "msg_code": 0, "msg_size": size})
}

/// What every line has.
pub(crate) fn said(mut value: Value) -> Value {
    value["level"] = json!("INFO");
    value["demolog"] = json!("*");
    value
}

pub(crate) fn find(name: &str) -> Chapter {
    registry::all().into_iter().find(|chapter| chapter.name == name).unwrap()
}

pub(crate) fn failing(name: &str, lines: &[Value]) -> Vec<&'static str> {
    let text: Vec<_> = lines.iter().map(Value::to_string).collect();
    let log = Log::parse(&text.join("\n")).unwrap();
    let failing = find(name).rows.iter().filter(|row| (row.check)(&log).is_err());
    failing.map(|row| row.name).collect()
}

/// A right log of each chapter passes every row.
pub(crate) fn all_pass(right_logs: &[(&str, Vec<Value>)]) {
    for (name, lines) in right_logs {
        assert_eq!(failing(name, lines), Vec::<&str>::new(), "{name}");
    }
}

/// On a log without the lines it speaks of every row fails.
pub(crate) fn nothing_passes_on_nothing(right_logs: &[(&str, Vec<Value>)]) {
    let nothing = [said(json!({"message": "x"}))];
    for (name, _) in right_logs {
        let rows: Vec<_> = find(name).rows.iter().map(|row| row.name).collect();
        assert_eq!(failing(name, &nothing), rows, "{name}");
    }
}

pub(crate) fn must_fail(chapter: &str, row: &str, mut lines: Vec<Value>, change: Change) {
    let before = lines.clone();
    change(&mut lines);
    assert_ne!(lines, before, "the change for {row} changes nothing");
    let failing = failing(chapter, &lines);
    assert!(failing.contains(&row), "{row} holds although the log is broken; failing: {failing:?}");
}

pub(crate) fn remove(message: &'static str) -> Change {
    Box::new(move |lines| {
        let at = position(lines, message);
        lines.remove(at);
    })
}

pub(crate) fn twice(message: &'static str) -> Change {
    Box::new(move |lines| lines.push(lines[position(lines, message)].clone()))
}

pub(crate) fn move_to_end(message: &'static str) -> Change {
    Box::new(move |lines| {
        let line = lines.remove(position(lines, message));
        lines.push(line);
    })
}

pub(crate) fn swap_first_two(message: &'static str) -> Change {
    Box::new(move |lines| {
        let at: Vec<_> = (0..lines.len()).filter(|at| lines[*at]["message"] == message).collect();
        lines.swap(at[0], at[1]);
    })
}

pub(crate) fn set(message: &'static str, field: &'static str, value: Value) -> Change {
    Box::new(move |lines| {
        let at = position(lines, message);
        lines[at][field] = value.clone();
    })
}

pub(crate) fn set_last(message: &'static str, field: &'static str, value: Value) -> Change {
    Box::new(move |lines| {
        let line = lines.iter_mut().rfind(|line| line["message"] == message).unwrap();
        line[field] = value.clone();
    })
}

pub(crate) fn unset(message: &'static str, field: &'static str) -> Change {
    Box::new(move |lines| {
        let at = position(lines, message);
        lines[at].as_object_mut().unwrap().remove(field);
    })
}

/// In all lines with this message that have the field.
pub(crate) fn change_all(message: &'static str, field: &'static str, value: Value) -> Change {
    Box::new(move |lines| {
        for line in lines.iter_mut().filter(|line| line["message"] == message) {
            if let Some(old) = line.get_mut(field) {
                *old = value.clone();
            }
        }
    })
}

/// In the first event of this type.
pub(crate) fn change_event(kind: &'static str, field: &'static str, value: Value) -> Change {
    Box::new(move |lines| {
        let event = lines.iter_mut().find(|line| line["type"] == kind).unwrap();
        event[field] = value.clone();
    })
}

pub(crate) fn move_event_to_end(kind: &'static str) -> Change {
    Box::new(move |lines| {
        let at = lines.iter().position(|line| line["type"] == kind).unwrap();
        let event = lines.remove(at);
        lines.push(event);
    })
}

pub(crate) fn position(lines: &[Value], message: &str) -> usize {
    lines.iter().position(|line| line["message"] == message).unwrap()
}
