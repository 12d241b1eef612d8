//! Metrics: what a node counts, and how Prometheus gets it.
//!
//! ```text
//!   p2p-server ── Observer ─┐
//!   rpc ───────── Observer ─┼─▶ the registry of one node, made anew at each start
//!   services ── at building ┘        │
//!                                    ▼
//!                    GET /metrics, /debug/metrics/prometheus     if an address was given
//! ```
//!
//! Nothing here is global: two nodes in one process have two registries, and a node that has stopped has
//! none.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use service_node::{Node, Service, metrics::{MetricsError, prometheus_client::metrics::counter::Counter}};
//!
//! struct Post {
//!     letters: Counter,
//! }
//!
//! impl Service for Post {}
//!
//! let node = Node::builder()
//!     .listen("127.0.0.1:0")
//!     .metrics("127.0.0.1:0")
//!     .service(|context| {
//!         let letters = Counter::default();
//!         // Served as `post_letters_total`.
//!         context.metrics("post", |registry| {
//!             registry.register("letters", "Letters sent", letters.clone());
//!         })?;
//!         Ok::<_, MetricsError>(Post { letters })
//!     })
//!     .build()?;
//!
//! node.start().await?;
//! node.service::<Post>()?.letters.inc();
//! assert!(node.metrics_addr().is_some());
//! node.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `p2p_peers` | gauge | `direction` | connected peers |
//! | `p2p_ingress_bytes_total` | counter | – | bytes read from connections, handshakes included |
//! | `p2p_egress_bytes_total` | counter | – | bytes written to connections, handshakes included |
//! | `p2p_messages_total` | counter | `direction`, `protocol`, `code` | messages of protocols |
//! | `p2p_dials_total` | counter | – | attempts to reach a node |
//! | `p2p_dial_errors_total` | counter | `reason` | attempts that came to nothing |
//! | `p2p_serves_total` | counter | – | connections that were accepted |
//! | `p2p_serve_errors_total` | counter | `reason` | accepted connections that came to nothing |
//! | `p2p_handshake_seconds` | histogram | – | from a connection to both hellos |
//! | `p2p_disconnects_total` | counter | `reason`, `by` | peers that are gone |
//! | `p2p_queue_full_total` | counter | `queue` | queues found full |
//! | `rpc_requests_total` | counter | `transport`, `method`, `result` | calls and notifications |
//! | `rpc_seconds` | histogram | `method` | how long they took |
//! | `rpc_subscriptions` | gauge | – | subscriptions now |
//! | `rpc_connections` | gauge | `transport` | connections now |
//! | `rpc_refused_total` | counter | `limit` | what a limit of the RPC server refused |
//!
//! The labels' values are those of [`p2p_server::Direction`], [`SetUpFailure`](p2p_server::SetUpFailure)
//! (`reason` of dials and serves), [`DisconnectReason`](p2p_server::DisconnectReason) (`reason` of
//! disconnects; `lost` where nothing was said), [`Side`](p2p_server::Side) (`by`),
//! [`QueueKind`](p2p_server::QueueKind), [`rpc::TransportKind`], [`rpc::Outcome`] (`result`) and
//! [`rpc::RefusedBy`] (`limit`). A `protocol` is one of the node's, a `code` a number below 256 or `other`,
//! a `method` one that is registered or `unknown`. None of them is text that a peer or a caller chose.
//!
//! `grafana.json` beside this crate is a dashboard of all of them.

mod p2p;
mod page;
mod rpc_calls;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use prometheus_client;
use prometheus_client::{encoding::text, registry::Registry};
use rpc::{Hosts, HttpConfig};

/// Where a node's metrics are served, and under which names of it.
///
/// ```
/// use rpc::Hosts;
/// use service_node::metrics::MetricsConfig;
///
/// # fn main() -> Result<(), rpc::RuleError> {
/// let config = MetricsConfig::new("0.0.0.0:6060").hosts(Hosts::new(["node1.example"])?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a node has it"]
pub struct MetricsConfig {
    address: String,
    hosts: Hosts,
}

impl MetricsConfig {
    /// Served at `address`, `host:port`; port 0 takes any that is free.
    ///
    /// Whoever can reach the address can read them.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), hosts: Hosts::default() }
    }

    /// The names under which they may be asked for; `localhost` by default, and any address.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }
}

impl From<&str> for MetricsConfig {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

impl From<String> for MetricsConfig {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

/// Why a service cannot register its metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The namespace cannot be the beginning of a metric's name here.
    #[error(
        "metrics: namespace {namespace:?} is not a small letter and then small letters and digits"
    )]
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// The node itself, or another service, has metrics there.
    #[error("metrics: namespace {namespace} is taken")]
    Taken {
        /// The namespace.
        namespace: String,
    },
}

/// The metrics of one run of a node. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Metrics(Arc<Mutex<Vec<Namespace>>>);

struct Namespace {
    name: Cow<'static, str>,
    registry: Registry,
}

impl Metrics {
    /// Counts what happens on the connections of a p2p server.
    pub(crate) fn observe_p2p(
        &self,
        builder: p2p_server::ServerBuilder,
    ) -> p2p_server::ServerBuilder {
        let mut registry = Registry::with_prefix(P2P);
        let observer = p2p::Connections::new(&mut registry);
        self.lock().push(Namespace { name: P2P.into(), registry });
        builder.observe(observer)
    }

    /// Counts what an RPC server is asked.
    pub(crate) fn observe_rpc(&self, builder: rpc::ServerBuilder) -> rpc::ServerBuilder {
        let mut registry = Registry::with_prefix(RPC);
        let observer = rpc_calls::Calls::new(&mut registry);
        self.lock().push(Namespace { name: RPC.into(), registry });
        builder.observe(observer)
    }

    /// Metrics of a service, under a name that is its own.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the name is not well-formed or somebody has it; nothing is registered then.
    pub(crate) fn register(
        &self,
        namespace: &str,
        register: impl FnOnce(&mut Registry),
    ) -> Result<(), MetricsError> {
        if !is_namespace(namespace) {
            return Err(MetricsError::Namespace { namespace: namespace.to_owned() });
        }
        let is_taken = self.lock().iter().any(|other| other.name == namespace);
        if is_taken || [P2P, RPC].contains(&namespace) {
            return Err(MetricsError::Taken { namespace: namespace.to_owned() });
        }
        // Not under the lock: it is code of the service's.
        let mut registry = Registry::with_prefix(namespace);
        register(&mut registry);
        self.lock().push(Namespace { name: namespace.to_owned().into(), registry });
        Ok(())
    }

    /// Serves them over HTTP, and nothing else.
    ///
    /// # Errors
    ///
    /// [`rpc::StartError`] when the address cannot be listened on.
    pub(crate) async fn serve(
        &self,
        config: &MetricsConfig,
    ) -> Result<rpc::Server, rpc::StartError> {
        let http = HttpConfig::new(&*config.address)
            .hosts(config.hosts.clone())
            .routes(page::routes(self.clone()))
            .routes_only();
        rpc::Server::builder().http(http).start().await
    }

    /// All of them, in the text form of OpenMetrics.
    ///
    /// # Errors
    ///
    /// [`fmt::Error`] when a metric of a service cannot be written.
    fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        for namespace in &*self.lock() {
            text::encode_registry(&mut out, &namespace.registry)?;
        }
        text::encode_eof(&mut out)?;
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Namespace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without an underscore, so that no two namespaces can have a metric of one name.
fn is_namespace(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// A name of this program's as the value of a label: the library writes it as it is.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str(r"\n"),
            c => out.push(c),
        }
    }
    out
}

/// The node's own namespaces.
const P2P: &str = "p2p";
const RPC: &str = "rpc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_word_and_belongs_to_one() {
        let metrics = Metrics::default();

        for bad in ["", "Pss", "pss_x", "1pss", "pss\n", "pss:"] {
            let namespace = bad.to_owned();
            assert_eq!(metrics.register(bad, |_| ()), Err(MetricsError::Namespace { namespace }));
        }
        assert_eq!(metrics.register("pss", |_| ()), Ok(()));
        for taken in ["pss", "p2p", "rpc"] {
            let namespace = taken.to_owned();
            assert_eq!(metrics.register(taken, |_| ()), Err(MetricsError::Taken { namespace }));
        }
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
