//! A node: services of your own over one p2p server, with RPC endpoints and a data directory.
//!
//! Layer 5 of the tower. It knows nothing of what its services do.
//!
//! ```text
//!            your service            your service
//!        protocols │ methods     protocols │ methods       one object each
//!   ───────────────┼───────────────────────┼──────────────
//!   5  service-node│  Node: start, stop    │               order, directory, lock, signals
//!            ┌─────┴──────────┐    ┌───────┴────────┐
//!   ─────────┼────────────────┼────┼────────────────┼─────
//!   4  rpc   │                │    in process, IPC, HTTP, WebSocket
//!   3  p2p-server             peers, dialing, protocols
//! ```
//!
//! A service with a method, in a node:
//!
//! ```
//! use std::sync::Arc;
//!
//! use rpc::Module;
//! use service_node::{Node, Service};
//!
//! struct Answer(u64);
//!
//! impl Answer {
//!     async fn get_number(self: Arc<Self>) -> rpc::Result<u64> {
//!         Ok(self.0)
//!     }
//! }
//!
//! impl Service for Answer {
//!     fn apis(self: &Arc<Self>) -> Vec<Module> {
//!         vec![Module::new("foo").method_of(self, "getNumber", Self::get_number)]
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let node = Node::builder().listen("127.0.0.1:0").service(|_| Answer(42)).build()?;
//!     node.start().await?;
//!
//!     let client = node.attach()?;
//!     assert_eq!(client.call::<u64>("foo_getNumber", ()).await?, 42);
//!
//!     node.stop().await?;
//!     Ok(())
//! }
//! ```
//!
//! # A node's life
//!
//! ```text
//!   start   directory and lock          stop   ▲ lock released
//!     │     services built, in order           │ peers told, p2p stopped
//!     │     p2p bound: it has an address       │ services stopped, last first
//!     │     services started, in order         │ no more peers let in
//!     │     peers let in, and dialed           │ WebSocket, HTTP, IPC closed
//!     ▼     in process, IPC, HTTP, WebSocket
//! ```
//!
//! "In order" is the order of registration. A start that fails, or is stopped in the middle, goes the way
//! back from where it is.
//!
//! # What it promises upward
//!
//! * A service's protocols run only after every service has started.
//! * A service that has started is stopped, once. One that fails, panics or hangs does not keep the node
//!   from stopping, and is reported.
//! * A directory has one node at a time, also after a crash. The node key is never replaced; what cannot be
//!   read is an error with the path in it.
//! * Any number of nodes in one process: nothing here is global.
//!
//! # Limits
//!
//! | what | limit | then |
//! |---|---|---|
//! | a service's stop | 30 s ([`NodeBuilder::stop_timeout`]) | let go, and reported |
//! | open files | at least 64 more than peers | does not start |
//! | static and trusted nodes | 1,024 each, files included | the rest of the file is skipped |
//! | a file with nodes | 1 MiB | skipped, with an error in the log |
//! | anchors | 2 | – |
//!
//! Everything a peer or caller sends is limited by `p2p-server` and `rpc`.
//!
//! # Modules
//!
//! Core modules (no I/O): `error`, `logs::fields`, `logs::format`, `sim::shape`, `sim::snapshot`. The others
//! start, stop and wait.
//!
//! # Features
//!
//! * `logs` (on by default): `logs`, go-ethereum's look for the log of a program.
//! * `metrics` (on by default): `metrics`, what a node counts, for Prometheus over HTTP.
//! * `sim` (off by default): `sim`, many nodes in one process, over a network in memory or loopback.
//!
//! # Not here
//!
//! Discovery, accounts and keys other than the node's, databases (a service gets a directory), starting and
//! stopping single endpoints while the node runs.

mod builder;
mod context;
mod data_dir;
mod endpoints;
mod error;
mod limits;
#[cfg(feature = "logs")]
pub mod logs;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
mod node;
mod service;
mod signals;
#[cfg(feature = "sim")]
pub mod sim;
mod stack;

pub use crate::{
    builder::NodeBuilder,
    context::{ServiceContext, UnknownService},
    data_dir::DirectoryError,
    error::{
        BoxError, BuildError, NotStarted, RestartError, RunError, ServiceFailure,
        ServiceLookupError, StartError, StartFailure, Step, StopError,
    },
    node::Node,
    service::{IntoService, Service},
};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
