//! Why a call from a client did not succeed.

use crate::RpcError;

/// Why a call, a batch or a subscription of a [`Client`](crate::Client) did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's answer is an error: code, text and data as it sent them.
    #[error(transparent)]
    Call(RpcError),
    /// There is no such transport.
    #[error(
        "no known transport for URL scheme {scheme:?}; want http, ws, or a path without a scheme"
    )]
    Scheme {
        /// The part before the colon.
        scheme: String,
    },
    /// The address wants TLS, which needs C code that this workspace does without.
    #[error("{url}: no TLS here; run a proxy that speaks it, and connect to that by {instead}")]
    Tls {
        /// The address, without a password.
        url: String,
        /// The scheme to use instead, `http` or `ws`.
        instead: &'static str,
    },
    /// The URL is none, or lacks something.
    #[error("{url:?} is no URL: {reason}")]
    Url {
        /// What was given, without a password.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A header cannot be sent as it is.
    #[error("header {name:?} cannot be sent: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Nobody answers there.
    #[error("cannot connect to {url}: {reason}")]
    Connect {
        /// Where, without a password.
        url: String,
        /// What the system or the server said.
        reason: String,
    },
    /// The server refused the request before it looked at the call.
    #[error("{url}: status {status}: {body}")]
    Http {
        /// Where, without a password.
        url: String,
        /// The HTTP status; any but 200 to 299, or 101 for a WebSocket.
        status: u16,
        /// The text that came with it; its first 4 KiB.
        body: String,
    },
    /// The connection was lost, or closed by us. The next call connects again.
    #[error("connection closed: {reason}")]
    Closed {
        /// The last word of the other side, or of the system.
        reason: String,
    },
    /// No answer within the time given to [`ClientBuilder::timeout`](crate::ClientBuilder::timeout),
    /// or none to the end of a subscription within 10 s.
    #[error("no answer within {seconds} s")]
    Timeout {
        /// The limit, in seconds.
        seconds: f64,
    },
    /// Too many calls wait for their answers.
    #[error("more than {limit} calls wait for an answer")]
    TooManyCalls {
        /// The limit.
        limit: usize,
    },
    /// The answer to a batch lacks this call's.
    #[error("response batch did not contain a response to this call")]
    MissingAnswer,
    /// What came is no answer.
    #[error("the answer is no JSON-RPC response: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The result is not of the type that was asked for.
    #[error("the result has another form: {reason}")]
    Decode {
        /// What is wrong with it.
        reason: String,
    },
    /// Arguments travel as a JSON array, so they must be a tuple or a list.
    #[error("arguments cannot be sent: {reason}")]
    Params {
        /// What is wrong with them.
        reason: String,
    },
    /// Over HTTP there are no subscriptions, and a server cannot call its client.
    #[error("notifications not supported")]
    NotTwoWay,
    /// Values of the subscription came faster than they were read.
    #[error("subscription queue overflow")]
    Overflow,
}

impl ClientError {
    /// The server's error, if it was the server who refused.
    pub fn rpc_error(&self) -> Option<&RpcError> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }
}
