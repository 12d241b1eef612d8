//! How much one caller, and all of them, may ask for.

use std::time::Duration;

use crate::scan::ScanLimits;

/// The limits of a server. [`Default`] has the values that each field names.
///
/// ```
/// use rpc::Limits;
///
/// let limits = Limits { batch_items: 100, ..Limits::default() };
/// ```
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one message over IPC and WebSocket, and of the calls that wait on a connection;
    /// 32 MiB. The connection of a longer message is closed.
    pub message_bytes: usize,
    /// Bytes of the body of an HTTP request; 5 MiB, then status 413.
    pub body_bytes: usize,
    /// Arrays and objects within each other; 128, then a parse error.
    pub depth: usize,
    /// Messages in a batch; 1,000, then "batch too large".
    pub batch_items: usize,
    /// Bytes of the results and errors of a batch; 25,000,000, then "response too large" for the
    /// calls that are left. 0 is no limit.
    pub batch_response_bytes: usize,
    /// Calls of one connection that run at a time; 32. Further ones wait. A batch counts as one.
    pub in_flight: usize,
    /// Subscriptions of one connection; 1,024, then "too many subscriptions".
    pub subscriptions_per_connection: usize,
    /// Subscriptions of all connections; 8,192, then "too many subscriptions".
    pub subscriptions: usize,
    /// How long a call may run in process, over IPC and WebSocket; `None`, which is for ever. Then
    /// "request timed out". Over HTTP the time to write an answer sets it.
    pub call_timeout: Option<Duration>,
    /// Connections over IPC; 128. Further ones are closed.
    pub ipc_connections: usize,
    /// Connections over HTTP; 512. Further ones wait until one ends, and one that has idled for a
    /// second ends then.
    pub http_connections: usize,
    /// WebSockets; 128. Further ones are refused with status 503.
    pub ws_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 32 * 1024 * 1024,
            body_bytes: 5 * 1024 * 1024,
            depth: 128,
            batch_items: 1_000,
            batch_response_bytes: 25_000_000,
            in_flight: 32,
            subscriptions_per_connection: 1_024,
            subscriptions: 8_192,
            call_timeout: None,
            ipc_connections: 128,
            http_connections: 512,
            ws_connections: 128,
        }
    }
}

impl From<&Limits> for ScanLimits {
    fn from(limits: &Limits) -> Self {
        Self { max_bytes: limits.message_bytes, max_depth: limits.depth }
    }
}
