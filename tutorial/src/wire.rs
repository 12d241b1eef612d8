//! `--wire`: what the nodes send, byte by byte, and the same bytes in every run; and what RPC
//! clients and servers say to each other.
//!
//! Nothing here is secret any more: keys, and all that is drawn at random, come from the node's
//! name. The bytes in the book are from such runs.

use enode::SecretKey;
use p2p_server::{ServerBuilder, TapEvent, TapKind};

use crate::flags::FLAGS;
use crate::{say, value};

/// The key of this node, one digit repeated.
pub(crate) fn fixed_key(node: &str) -> SecretKey {
    let digit = u8::try_from(number(node)).unwrap_or(u8::MAX);
    SecretKey::from_bytes(&[0x11 * digit; 32]).expect("0x11…11 to 0x55…55 are keys")
}

/// A server that tells what it sends and draws from a fixed seed.
pub(crate) fn tapped(builder: ServerBuilder, node: &'static str) -> ServerBuilder {
    builder.insecure_seed(number(node)).tap(move |event| say_sent(node, &event))
}

/// Each piece is seen twice, when it leaves and when it arrives; once is enough.
fn say_sent(node: &str, event: &TapEvent) {
    if !event.sent {
        return;
    }
    let mut fields = Vec::new();
    match &event.kind {
        TapKind::Auth => fields.push(("kind", value(&"auth"))),
        TapKind::Ack => fields.push(("kind", value(&"ack"))),
        TapKind::Frame { code, payload } => {
            fields.push(("kind", value(&"frame")));
            fields.push(("code", value(code)));
            fields.push(("payload", value(&const_hex::encode(payload))));
        }
        _ => return,
    }
    fields.push(("bytes", value(&const_hex::encode(&event.wire))));
    say(Some(node), "sent", fields);
}

/// Shows a message of an RPC server, if the command line asks for it.
pub fn show_message(event: rpc::TapEvent<'_>) {
    say_message(None, event);
}

/// The same of a node, which may have several ways in.
pub(crate) fn show_message_of(node: &'static str) -> impl Fn(rpc::TapEvent<'_>) + Send + Sync {
    move |event| say_message(Some(node), event)
}

fn say_message(node: Option<&str>, event: rpc::TapEvent<'_>) {
    if FLAGS.wire {
        let from = if event.sent { "server" } else { "client" };
        let over = event.caller.transport().to_string();
        let fields = [("from", value(&from)), ("over", value(&over)), ("text", value(&event.text))];
        say(node, "RPC message", fields.into());
    }
}

/// Shows a request and its answer, heads and all, if the command line asks for it.
pub(crate) fn show_http(request: &str, answer: &str) {
    if FLAGS.wire {
        for (from, text) in [("client", request), ("server", answer)] {
            say!("HTTP message", from = from, text = text);
        }
    }
}

fn number(node: &str) -> u64 {
    let names = ["one", "two", "three", "four", "five"];
    names.iter().zip(1..).find(|(name, _)| **name == node).map_or(1, |(_, number)| number)
}
