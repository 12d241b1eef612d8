//! JSON-RPC as go-ethereum's clients expect it: in process, over IPC, HTTP and WebSocket.
//!
//! Layer 4 of the tower. Methods and subscriptions are registered once; every transport offers them, or
//! the part of them that it may.
//!
//! ```text
//!              your methods and subscriptions            admin, net, web3   feature `admin`
//!   ───────────────────────┬──────────────────────────────────┬─────────
//!   4  rpc                 │ Module                           │
//!            ┌─────────────┴──────────────────────────────────┴─┐
//!            │ session: calls, batches, subscriptions, limits   │   the same one for all
//!            └───┬───────────┬────────────────┬──────────────┬──┘
//!             in process    IPC              HTTP         WebSocket
//!   ─────────────────────────────────────────────────────────────────────
//!   3  p2p-server            what the admin namespace is about
//! ```
//!
//! A server and a client:
//!
//! ```
//! use rpc::{Client, Module, Server};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let path = folder.path().join("foo.ipc");
//!     let foo = Module::new("foo")
//!         .method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) })
//!         .subscription("count", |n: u64| async move { rpc::Result::Ok(futures_util::stream::iter(0..n)) });
//!     let server = Server::builder().module(foo).ipc(&path).start().await?;
//!
//!     let client = Client::connect(path.to_str().ok_or("a path in UTF-8")?).await?;
//!     let sum: i64 = client.call("foo_add", (1, 2)).await?;
//!     assert_eq!(sum, 3);
//!     let mut counted = client.subscribe::<u64>("foo", ("count", 2)).await?;
//!     assert_eq!(counted.next().await.transpose()?, Some(0));
//!
//!     server.stop().await;
//!     Ok(())
//! }
//! ```
//!
//! # What it promises upward
//!
//! * Texts, codes and order of members are go-ethereum's. What differs is listed below.
//! * Nothing is exposed that was not named: [`Module`] takes methods one by one, an endpoint with an
//!   empty list of modules offers `rpc` alone, and a server listens nowhere unless told to.
//! * Calls of one connection run side by side, 32 at a time; a batch runs in its order.
//! * No value of a subscription comes before its id. A client that does not read slows its own
//!   subscriptions, and in the end loses its connection; nobody else notices.
//! * A handler that panics fails its call, and no other.
//! * [`Server::stop`] leaves no listener, no connection and no task.
//!
//! # Limits
//!
//! All are fields of [`Limits`].
//!
//! | what | limit | then |
//! |---|---|---|
//! | message over IPC and WebSocket, body of a request | 32 MiB, 5 MiB | closed, status 413 |
//! | depth of arrays and objects | 128 | parse error |
//! | messages in a batch, bytes of its results | 1,000, 25,000,000 | `batch too large`, `response too large` |
//! | name of a method | 2,048 bytes | `method name too long` |
//! | calls of a connection that run | 32 | the others wait |
//! | calls that wait | 32 MiB | the connection is not read |
//! | subscriptions of a connection, of all | 1,024, 8,192 | `too many subscriptions` |
//! | values queued by a source that cannot wait | 1,024 | the subscription ends |
//! | left unread by a client | 8 MiB queued, or 10 s without reading 4 KiB | closed |
//! | connections over IPC, HTTP, WebSocket | 128, 512, 128 | closed, wait, refused |
//! | values a [`Client`] has not read of a subscription | 20,000, or 128 MiB | [`ClientError::Overflow`] |
//! | message of a server to a [`Client`] | 128 MiB, see [`ClientBuilder::answer_limit`] | closed |
//!
//! # Where it differs from go-ethereum
//!
//! * A missing `jsonrpc` member passes, as it did before 2019; real clients rely on it. Any other
//!   value than `"2.0"` does not.
//! * An empty list of modules exposes nothing but `rpc`; `*` means all.
//! * What follows `invalid argument N: ` and what is wrong with JSON is said in other words.
//! * Over HTTP whoever calls must POST. A body over the limit is status 413 even if it does not say how
//!   long it is, and one that comes too late is answered.
//! * The host of a WebSocket is checked as that of HTTP is, and of two headers `Host`, `Origin` or
//!   `Authorization` neither is believed.
//! * A subscription whose source cannot wait ends with a last notification that has an `error` in
//!   place of the `result`.
//!
//! # Not here
//!
//! HTTP/2 and TLS: put a proxy in front. On Windows IPC is a named pipe; that half has not been run.
//!
//! # Modules
//!
//! Core modules (no I/O): `access::authority`, `access::cors`, `access::error`, `access::hosts`,
//! `access::methods`, `access::modules`, `access::origins`, `access::path`, `access::token`,
//! `admin::argument`, `admin::time`, `bytes`, `message`, `outbox`, `params`, `scan`. `session` is one,
//! too, but for the wakers it is given.
//!
//! # Features
//!
//! * `admin` (on): the module `admin`, the namespaces `admin`, `net` and `web3` over a
//!   `p2p_server::Server`. Without it the crate knows nothing of peers, and still has [`web3`].

mod access;
#[cfg(feature = "admin")]
pub mod admin;
mod api;
mod bytes;
mod client;
mod context;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod link;
mod message;
mod module;
mod observer;
mod outbox;
mod params;
mod pubsub;
mod scan;
mod server;
mod session;
mod tap;
mod transport;
mod web3;

pub use crate::{
    access::{
        Cors, Entrance, Hosts, JwtSecret, JwtSecretError, JwtSecretFile, JwtSecretFileError,
        MethodFilter, Modules, Origins, PathPrefix, RuleError, TokenError,
    },
    bytes::{AnyBytes, Bytes},
    client::{BatchRequest, Client, ClientBuilder, ClientError, Subscription},
    context::{Caller, Context, TransportKind},
    error::{Result, RpcError, code},
    module::{
        AnyMethod, Handler, HandlerOf, Module, ModuleError, SubscriptionHandler,
        SubscriptionHandlerOf, WithContext,
    },
    observer::{Observer, Outcome, RefusedBy, RequestSeen},
    params::Params,
    pubsub::{IntoNotifications, Notifier, Pushed, SubscriptionClosed},
    server::{
        AuthConfig, HttpConfig, HttpTimeouts, Limits, Server, ServerBuilder, StartError, WsConfig,
    },
    tap::TapEvent,
    web3::web3,
};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
