//! What a handler may know about the call it runs for.

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{ClientError, Notifier, Pushed, link::Link, pubsub};

/// The connection that a call came over. Given to a handler that takes it as its first argument.
///
/// ```
/// use rpc::{Context, Module};
///
/// let module = Module::new("foo").method("whoami", |context: Context| async move {
///     rpc::Result::Ok(context.caller().to_string())
/// });
/// ```
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Link>);

impl Context {
    /// Who called.
    pub fn caller(&self) -> &Caller {
        self.0.caller()
    }

    /// Calls a method that the client has registered, on the client's connection.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotTwoWay`] over HTTP; otherwise as
    /// [`Client::call`](crate::Client::call).
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, ClientError> {
        crate::client::typed(self.0.call(method, &params)?.await?)
    }

    /// A pair for a subscription whose source cannot wait: the handler returns the second half and
    /// keeps the first to send from wherever it likes.
    ///
    /// Up to 1,024 values wait for a slow client; one more ends the subscription, and the client is
    /// told "subscription queue overflow".
    pub fn notifier<T: Serialize>(&self) -> (Notifier<T>, Pushed) {
        pubsub::pair(Arc::clone(&self.0))
    }

    /// Whether the connection is gone. Work for a caller who left can be given up.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("caller", self.caller()).finish()
    }
}

/// Where a call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    transport: TransportKind,
    remote: Option<SocketAddr>,
}

impl Caller {
    pub(crate) fn new(transport: TransportKind, remote: Option<SocketAddr>) -> Self {
        Self { transport, remote }
    }

    /// The transport.
    pub fn transport(&self) -> TransportKind {
        self.transport
    }

    /// The caller's address; `None` in process and over IPC.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remote {
            Some(remote) => write!(f, "{} {remote}", self.transport),
            None => write!(f, "{}", self.transport),
        }
    }
}

/// The four ways to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportKind {
    /// A pipe within the process.
    InProcess,
    /// A local socket.
    Ipc,
    /// HTTP: one request, one answer.
    Http,
    /// A WebSocket.
    Ws,
}

impl TransportKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::InProcess, Self::Ipc, Self::Http, Self::Ws];

    /// `inproc`, `ipc`, `http` or `ws`; what it is displayed as.
    pub const fn label(self) -> &'static str {
        match self {
            Self::InProcess => "inproc",
            Self::Ipc => "ipc",
            Self::Http => "http",
            Self::Ws => "ws",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
