//! The lists from which an observer is told things, each with names that may be labels.

use std::time::Duration;

use crate::{RpcError, TransportKind, code};

/// A request that has ended, as an observer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestSeen<'a> {
    /// Where it came from.
    pub transport: TransportKind,
    /// The method, `foo_subscribe` and `foo_unsubscribe` included, if it is one that is offered there;
    /// `None` for any other name, and for what has none.
    pub method: Option<&'a str>,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took from when it was begun; the time for which it waited for others is not in it.
    pub took: Duration,
}

/// What came of a request: a result, or an error of some class. The code decides, whoever chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// A result.
    Ok,
    /// Not JSON: [`code::PARSE`].
    Parse,
    /// JSON, but no request; or a batch that is empty or too large: [`code::INVALID_REQUEST`].
    InvalidRequest,
    /// No such method or subscription: [`code::METHOD_NOT_FOUND`].
    MethodNotFound,
    /// Wrong arguments: [`code::INVALID_PARAMS`].
    InvalidParams,
    /// The handler panicked: [`code::INTERNAL`].
    Internal,
    /// It took too long: [`code::TIMEOUT`].
    Timeout,
    /// The answers of its batch were too large: [`code::RESPONSE_TOO_LARGE`].
    ResponseTooLarge,
    /// An error of the handler's: [`code::SERVER`] and every other code.
    Failed,
    /// The connection, or the server, ended before it did.
    Cancelled,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Parse,
        Self::InvalidRequest,
        Self::MethodNotFound,
        Self::InvalidParams,
        Self::Internal,
        Self::Timeout,
        Self::ResponseTooLarge,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name: `ok`, `parse_error`, `invalid_request`, `method_not_found`, `invalid_params`,
    /// `internal`, `timeout`, `response_too_large`, `failed`, `cancelled`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Parse => "parse_error",
            Self::InvalidRequest => "invalid_request",
            Self::MethodNotFound => "method_not_found",
            Self::InvalidParams => "invalid_params",
            Self::Internal => "internal",
            Self::Timeout => "timeout",
            Self::ResponseTooLarge => "response_too_large",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of(error: &RpcError) -> Self {
        match error.code() {
            code::PARSE => Self::Parse,
            code::INVALID_REQUEST => Self::InvalidRequest,
            code::METHOD_NOT_FOUND => Self::MethodNotFound,
            code::INVALID_PARAMS => Self::InvalidParams,
            code::INTERNAL => Self::Internal,
            code::TIMEOUT => Self::Timeout,
            code::RESPONSE_TOO_LARGE => Self::ResponseTooLarge,
            _ => Self::Failed,
        }
    }
}

/// A limit because of which something was refused; see [`Limits`](crate::Limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusedBy {
    /// A connection: `ipc_connections`.
    IpcConnections,
    /// A WebSocket: `ws_connections`.
    WsConnections,
    /// The body of a request over HTTP: `body_bytes`.
    BodyBytes,
    /// A batch: `batch_items`.
    BatchItems,
    /// What is left of a batch: `batch_response_bytes`.
    BatchResponseBytes,
    /// A subscription: `subscriptions_per_connection` or `subscriptions`.
    Subscriptions,
}

impl RefusedBy {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::IpcConnections,
        Self::WsConnections,
        Self::BodyBytes,
        Self::BatchItems,
        Self::BatchResponseBytes,
        Self::Subscriptions,
    ];

    /// The name of the limit: `ipc_connections`, `ws_connections`, `body_bytes`, `batch_items`,
    /// `batch_response_bytes`, `subscriptions`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::IpcConnections => "ipc_connections",
            Self::WsConnections => "ws_connections",
            Self::BodyBytes => "body_bytes",
            Self::BatchItems => "batch_items",
            Self::BatchResponseBytes => "batch_response_bytes",
            Self::Subscriptions => "subscriptions",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_code_of_an_error_is_its_class() {
        for (code, expected) in [
            (code::PARSE, Outcome::Parse),
            (code::INVALID_PARAMS, Outcome::InvalidParams),
            (code::SERVER, Outcome::Failed),
            (-38_001, Outcome::Failed),
            (7, Outcome::Failed),
        ] {
            assert_eq!(Outcome::of(&RpcError::new(code, "")), expected);
        }
    }

    #[test]
    fn labels_are_told_apart() {
        let outcomes: BTreeSet<_> = Outcome::ALL.map(Outcome::label).into();
        let limits: BTreeSet<_> = RefusedBy::ALL.map(RefusedBy::label).into();

        assert_eq!((outcomes.len(), limits.len()), (Outcome::ALL.len(), RefusedBy::ALL.len()));
    }
}
