//! JSON-RPC as go-ethereum's clients expect it.
//!
//! Core modules (no I/O): `access::authority`, `access::cors`, `access::error`, `access::hosts`,
//! `access::methods`, `access::modules`, `access::origins`, `access::path`, `access::token`,
//! `admin::argument`, `admin::time`, `bytes`, `message`, `outbox`, `params`, `scan`.

mod access;
#[cfg(feature = "admin")]
pub mod admin;
mod api;
mod bytes;
mod client;
mod context;
mod error;
mod link;
mod message;
mod module;
mod outbox;
mod params;
mod pubsub;
mod scan;
mod server;
mod session;
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
    module::{AnyMethod, Handler, Module, ModuleError, SubscriptionHandler, WithContext},
    params::Params,
    pubsub::{IntoNotifications, Notifier, Pushed, SubscriptionClosed},
    server::{Limits, Server, ServerBuilder, StartError},
    web3::web3,
};
