//! Calls that change something leave a line in the log.
//!
//! Alone in its program: a subscriber sees nothing of a line that another test is the first to write.

mod common;

use std::sync::{Arc, Mutex};

use common::node::Node;
use p2p_server::test_utils::Net;
use serde_json::json;
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

#[tokio::test(start_paused = true)]
async fn a_call_that_changes_something_is_logged_without_what_it_was_given() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let net = Net::new(10);
    let (one, two) = (Node::start(&net, "one").await, Node::start(&net, "two").await);
    let short = two.p2p.id().short();
    let done = |method: &str, peer: &str| {
        format!("INFO admin call method=admin_{method} caller=inproc {peer}outcome=done")
    };
    let about = format!("peer={short} ");

    for (method, params, peer) in [
        ("addTrustedPeer", json!([two.url()]), &*about),
        ("addPeer", json!([two.url()]), &about),
        ("removeTrustedPeer", json!([two.url()]), &about),
        ("removePeer", json!([two.url()]), &about),
        ("banPeer", json!([two.id(), 77_777]), &about),
        ("banPeer", json!(["192.0.2.0/24", 77_777]), ""),
        ("unban", json!([two.id()]), &about),
        ("unban", json!(["192.0.2.0/24"]), ""),
    ] {
        one.call::<bool>(&format!("admin_{method}"), params).await;
        assert_eq!(log.take(), [done(method, peer)], "{method}");
    }

    one.refused("admin_addPeer", ("enode://secret",)).await;
    let refused = "INFO admin call method=admin_addPeer caller=inproc outcome=refused";
    assert_eq!(log.take(), [refused]);
    for (method, params) in [
        ("nodeInfo", json!([])),
        ("peers", json!([])),
        ("bans", json!([])),
        ("dialStatus", json!([two.id()])),
    ] {
        one.call_raw(&format!("admin_{method}"), params).await;
    }
    assert_eq!(log.take(), Vec::<String>::new(), "who only looks leaves no trace");
    one.stop().await;
    two.stop().await;
}

/// Keeps what this crate logs at level info and above.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no test panics with it"))
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target() == "rpc" || metadata.target().starts_with("rpc::");
        ours && *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line { fields: String::new(), message: String::new() };
        event.record(&mut line);
        let line = format!("{} {}{}", event.metadata().level(), line.message, line.fields);
        self.0.lock().expect("no test panics with it").push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push_str(&format!(" {name}={value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push_str(&format!(" {field}={value}"));
    }
}
