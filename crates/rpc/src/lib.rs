//! JSON-RPC as go-ethereum's clients expect it.
//!
//! Core modules (no I/O): `access::authority`, `access::cors`, `access::error`, `access::hosts`,
//! `access::methods`, `access::modules`, `access::origins`, `access::path`, `access::token`, `bytes`,
//! `message`, `outbox`, `params`, `scan`.

mod access;
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
mod tap;
mod transport;

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
    params::Params,
    pubsub::{IntoNotifications, Notifier, Pushed, SubscriptionClosed},
    server::{Limits, Server, ServerBuilder, StartError},
    tap::TapEvent,
};
