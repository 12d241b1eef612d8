//! Metrics: what is served, to whom, and that nothing in it is anybody else's choice.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
mod page;

use std::{collections::BTreeSet, sync::Arc};

use p2p_server::{Capability, MsgChannel, Peer, Protocol, ProtocolError, protocol_fn};
use rpc::Module;
use service_node::{
    Node, Service, ServiceContext, StartFailure,
    metrics::{MetricsError, prometheus_client::metrics::counter::Counter},
};
use tokio::net::TcpStream;

use self::{
    common::{node, within},
    page::{Page, ask, get, is_name},
};

/// Greets whoever comes and counts what it is told.
struct Greeter {
    letters: Counter,
}

impl Greeter {
    fn new(context: &ServiceContext) -> Result<Self, MetricsError> {
        let letters = Counter::default();
        context.metrics("post", |registry| {
            registry.register("letters", "Letters read", letters.clone());
        })?;
        Ok(Self { letters })
    }

    async fn add(a: u64, b: u64) -> rpc::Result<u64> {
        Ok(a + b)
    }
}

impl Service for Greeter {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let letters = self.letters.clone();
        let body = move |_: Peer, mut messages: MsgChannel| {
            let letters = letters.clone();
            async move {
                messages.send(3, &"hello").await?;
                while messages.recv().await.is_ok() {
                    letters.inc();
                }
                Ok::<(), ProtocolError>(())
            }
        };
        vec![Arc::new(protocol_fn(Capability::new("greet", 1), 1_000, body))]
    }

    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![Module::new("foo").method("add", Self::add)]
    }
}

/// A node that runs, with metrics and the service.
async fn started(name: &str) -> Node {
    let node = node(name).metrics("127.0.0.1:0").service(Greeter::new).build().unwrap();
    node.start().await.unwrap();
    node
}

/// Two nodes that have greeted each other, connected by the first.
async fn pair() -> (Node, Node) {
    let (one, two) = (started("one").await, started("two").await);
    let letters = two.service::<Greeter>().unwrap().letters.clone();
    one.server().unwrap().add_peer(two.server().unwrap().enode()).unwrap();
    let both = async {
        while letters.get() == 0 || one.service::<Greeter>().unwrap().letters.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    within(both).await;
    (one, two)
}

/// Waits until the other node is no peer of this one.
async fn until_dropped(node: &Node) {
    let dropped = async {
        while Page::of(node).await.sum("p2p_disconnects_total", &[("by", "them")]) == 0.0 {
            tokio::task::yield_now().await;
        }
    };
    within(dropped).await;
}

#[tokio::test]
async fn what_happened_is_on_the_page_and_every_line_of_it_can_be_read() {
    let (one, two) = pair().await;
    let client = one.attach().unwrap();
    assert_eq!(client.call::<u64>("foo_add", (1, 2)).await.unwrap(), 3);
    client.call::<u64>("foo_add", ("x", 2)).await.unwrap_err();

    let (at_one, at_two) = (Page::of(&one).await, Page::of(&two).await);

    let outbound = [("direction", "outbound")];
    let inbound = [("direction", "inbound")];
    for (name, labels, first, second) in [
        ("p2p_peers", &outbound[..], 1.0, 0.0),
        ("p2p_peers", &inbound, 0.0, 1.0),
        ("p2p_dials_total", &[], 1.0, 0.0),
        ("p2p_serves_total", &[], 0.0, 1.0),
        ("p2p_dial_errors_total", &[], 0.0, 0.0),
        ("p2p_handshake_seconds_count", &[], 1.0, 1.0),
        ("p2p_messages_total", &outbound, 1.0, 1.0),
        ("p2p_messages_total", &[("protocol", "greet/1"), ("code", "3")], 2.0, 2.0),
        ("post_letters_total", &[], 1.0, 1.0),
        ("rpc_requests_total", &[("method", "foo_add"), ("result", "ok")], 1.0, 0.0),
        ("rpc_requests_total", &[("transport", "inproc"), ("result", "invalid_params")], 1.0, 0.0),
        ("rpc_seconds_count", &[("method", "foo_add")], 2.0, 0.0),
        ("rpc_connections", &[("transport", "inproc")], 1.0, 0.0),
    ] {
        assert_eq!(at_one.sum(name, labels), first, "{name} {labels:?} at the first");
        assert_eq!(at_two.sum(name, labels), second, "{name} {labels:?} at the second");
    }
    assert!(at_one.sum("p2p_egress_bytes_total", &[]) > 500.0);
    assert!(at_one.sum("p2p_ingress_bytes_total", &[]) > 500.0);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_has_stopped_serves_nothing_and_begins_at_zero_again() {
    let (one, two) = pair().await;
    let addr = one.metrics_addr().unwrap();
    two.stop().await.unwrap();
    until_dropped(&one).await;
    let page = Page::of(&one).await;
    assert_eq!(page.sum("p2p_disconnects_total", &[("reason", "quitting")]), 1.0);
    assert_eq!(page.sum("p2p_peers", &[]), 0.0);

    one.stop().await.unwrap();
    assert_eq!(one.metrics_addr(), None);
    assert!(TcpStream::connect(addr).await.is_err());
    one.start().await.unwrap();

    let page = Page::of(&one).await;
    assert_eq!(page.sum("p2p_dials_total", &[]) + page.sum("post_letters_total", &[]), 0.0);
    one.stop().await.unwrap();
}

#[tokio::test]
async fn no_label_is_text_that_a_caller_or_a_peer_chose() {
    let (one, two) = pair().await;
    let client = one.attach().unwrap();
    for method in ["evil", "foo_evil", "evil_\"} 1\n", "evil_subscribe"] {
        client.call::<u64>(method, ("evil",)).await.unwrap_err();
    }

    let (_, _, text) = get(one.metrics_addr().unwrap(), "/metrics", "localhost").await;

    assert!(!text.contains("evil"), "{text}");
    for node in [&one, &two] {
        assert!(!text.contains(&node.server().unwrap().id().to_string()[..16]));
    }
    let page = Page::parse(&text);
    assert_eq!(page.sum("rpc_requests_total", &[("method", "unknown")]), 4.0);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test]
async fn the_port_has_two_paths_checks_the_host_and_answers_no_call() {
    let node = started("foo").await;
    let addr = node.metrics_addr().unwrap();

    for path in ["/metrics", "/debug/metrics/prometheus"] {
        assert_eq!(get(addr, path, "localhost").await.0, 200);
        assert_eq!(get(addr, path, "evil.example").await.0, 403);
    }
    assert_eq!(get(addr, "/", "localhost").await.0, 404);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}"#;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    );
    assert_eq!(ask(addr, &request).await.0, 404);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn without_an_address_nothing_is_served_and_services_count_all_the_same() {
    let node = node("foo").service(Greeter::new).build().unwrap();
    node.start().await.unwrap();

    assert_eq!(node.metrics_addr(), None);
    let service = node.service::<Greeter>().unwrap();
    service.letters.inc();
    assert_eq!(service.letters.get(), 1);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_and_nothing_is_left_open() {
    let first = started("first").await;
    let addr = first.metrics_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let socket = data.path().join("second.ipc");
    let second = node("second").data_dir(data.path()).metrics(addr.clone()).build().unwrap();

    let error = second.start().await.unwrap_err();

    assert!(matches!(error.cause, StartFailure::Metrics(_)));
    let text = error.to_string();
    assert!(text.starts_with(&format!("metrics: http: cannot listen on {addr}: ")), "{text}");
    assert!(!second.is_running());
    assert!(socket.parent().unwrap().is_dir() && !socket.exists(), "the other doors are closed");
    first.stop().await.unwrap();
}

/// Wants a namespace that it cannot have.
struct Greedy(&'static str);

impl Greedy {
    fn built(self, context: &ServiceContext) -> Result<Self, MetricsError> {
        context.metrics(self.0, |_| ())?;
        Ok(self)
    }
}

impl Service for Greedy {}

#[tokio::test]
async fn a_service_has_a_namespace_of_its_own() {
    for (namespace, text) in [
        ("p2p", "metrics: namespace p2p is taken"),
        ("post", "metrics: namespace post is taken"),
        (
            "Post_",
            "metrics: namespace \"Post_\" is not a small letter and then small letters and digits",
        ),
    ] {
        let builder = node("foo").service(Greeter::new);
        let node =
            builder.service(move |context| Greedy(namespace).built(context)).build().unwrap();

        let error = node.start().await.unwrap_err();

        assert_eq!(error.to_string(), format!("service Greedy: not built: {text}"));
    }
}

/// The first cells of the table in the module's documentation.
fn documented() -> BTreeSet<String> {
    let rows = include_str!("../src/metrics.rs").lines();
    let names = rows.filter_map(|row| row.strip_prefix("//! | `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_documentation_has_every_name_that_is_served_and_no_other() {
    let (one, two) = pair().await;
    one.attach().unwrap().call::<u64>("foo_add", (1, 2)).await.unwrap();
    two.stop().await.unwrap();
    until_dropped(&one).await;

    let mut served = Page::of(&one).await.names();

    assert!(served.remove("post_letters_total"), "the service's own");
    assert_eq!(documented(), served);
    one.stop().await.unwrap();
}

/// The names of metrics in a query: words that are no functions, outside of braces, brackets, and what
/// it is summed by.
fn names_in(query: &str) -> BTreeSet<String> {
    let mut outside = String::new();
    // The ends of what is passed over now, the innermost last.
    let mut ends = Vec::new();
    for c in query.chars() {
        match c {
            '{' => ends.push('}'),
            '[' => ends.push(']'),
            '(' if outside.ends_with("by ") => ends.push(')'),
            c if ends.last() == Some(&c) => drop(ends.pop()),
            c if ends.is_empty() => outside.push(c),
            _ => {}
        }
    }
    assert!(ends.is_empty(), "{query}");
    let words = outside.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| is_name(word) && !FUNCTIONS.contains(word));
    names.map(str::to_owned).collect()
}

const FUNCTIONS: [&str; 5] = ["sum", "by", "rate", "histogram_quantile", "topk"];

#[tokio::test]
async fn every_query_of_the_dashboard_names_metrics_that_are_served() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let served = documented();
    let mut asked = BTreeSet::new();

    for target in targets {
        let query = target["expr"].as_str().unwrap();
        let names = names_in(query);
        assert!(!names.is_empty(), "{query}");
        for name in names {
            let name = name.strip_suffix("_bucket").unwrap_or(&name);
            assert!(served.contains(name), "{name} in {query}");
            asked.insert(name.to_owned());
        }
    }

    assert_eq!(asked, served, "and each of them is looked at");
}
