//! What every chapter needs before its own first line: flags, logs, a deadline.
//!
//! ```text
//!                          ┌─▶ stderr  INFO server started node=one enode=enode://…
//!   say!(node, text, …) ───┤
//!                          └─▶ stdout  {"level":"INFO","message":"server started",…}  --log json
//! ```
//!
//! From A2 on there are helpers, too: each does what an earlier chapter did in full.

mod flags;
pub mod foo;
mod log;
mod nodes;
mod remote;
mod stack;
mod wire;

use std::sync::LazyLock;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

pub use crate::flags::listen_addr;
pub use crate::nodes::{
    client_name, next_event, peer_list, say_started, server, wait_for_peer_count,
};
pub use crate::remote::{error_of, post, refused, rpc_server, say_notification, socket_in};
pub use crate::stack::node;
pub use crate::wire::show_message;

/// Reads the flags, sets the log up and starts the clock. The first line of every chapter.
pub fn init() {
    log::install(flags::FLAGS.log, flags::FLAGS.verbose);
    LazyLock::force(&DEADLINE);
}

/// Says something: `say!("one", "server started", enode = url)`, or without a node's name
/// `say!("after add", peers = list)`.
///
/// A field's name may be a string, and its value anything that serializes.
#[macro_export]
macro_rules! say {
    ($node:expr, $message:literal $(, $name:tt = $value:expr)* $(,)?) => {
        $crate::say(Some($node), $message, $crate::say!(@ $($name = $value)*))
    };
    ($message:literal $(, $name:tt = $value:expr)* $(,)?) => {
        $crate::say(None, $message, $crate::say!(@ $($name = $value)*))
    };
    (@ $($name:tt = $value:expr)*) => {
        vec![$((stringify!($name).trim_matches('"'), $crate::value(&$value))),*]
    };
}

/// Says something about a node. What [`say!`] calls.
///
/// An event of `tracing` has the fields its source names and no lists. So the fields, in the order
/// given, are one text in JSON, which `log` takes apart again.
pub fn say(node: Option<&str>, message: &str, fields: Vec<(&str, Value)>) {
    let node = node.map(|node| ("node", json!(node)));
    let fields: Vec<_> = node.into_iter().chain(fields).collect();
    let fields = json!(fields).to_string();
    tracing::info!(target: "demo", demolog = "*", fields = fields.as_str(), "{message}");
}

/// A field's value. What [`say!`] calls.
pub fn value(value: &impl Serialize) -> Value {
    json!(value)
}

/// Says that a peer event was received, with the members it has in go-ethereum's JSON: one of a
/// server's own, or one that came as JSON.
pub fn say_event(node: &str, event: &impl Serialize) {
    say_members(node, "received peerevent", &json!(event));
}

/// Says something with the members of an event as its fields.
fn say_members(node: &str, message: &str, event: &Value) {
    let member = |name: &&'static str| Some((*name, event.get(name)?.clone()));
    say(Some(node), message, EVENT_MEMBERS.iter().filter_map(member).collect());
}

/// Waits for a future, but not past the chapter's deadline; `what` is what it waits for.
///
/// # Errors
///
/// When the deadline has passed.
pub async fn within<F: Future>(what: &str, future: F) -> anyhow::Result<F::Output> {
    let in_vain = |_| anyhow::anyhow!("waited in vain for {what}; a chapter has {LIMIT:?} in all");
    timeout_at(*DEADLINE, future).await.map_err(in_vain)
}

/// When a chapter has had time enough.
static DEADLINE: LazyLock<Instant> = LazyLock::new(|| Instant::now() + LIMIT);
const LIMIT: Duration = Duration::from_secs(10);
/// What a peer event may have, in go-ethereum's order.
const EVENT_MEMBERS: [&str; 8] =
    ["type", "peer", "error", "protocol", "msg_code", "msg_size", "local", "remote"];
