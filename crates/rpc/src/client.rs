//! One client for all transports, chosen by URL.
//!
//! ```text
//!   http://…                 HTTP        a request a call; no subscriptions
//!   ws://…                   WebSocket ┐
//!   a path                   IPC       ├ one connection, made when first needed and again after a
//!   Server::attach           a pipe    ┘ loss; many calls at a time; subscriptions; calls from the server
//! ```
//!
//! A hostile server can make calls fail, and nothing else: what it says that was not asked for is
//! dropped, what it never says is bounded by the caller's own time limit, and all that is kept for it
//! has a bound.
//!
//! Spec: ethereum/go-ethereum:rpc/client.go.

mod batch;
mod builder;
mod connection;
mod endpoint;
mod error;
mod http;
pub(crate) mod subscription;
mod typed;
mod ws;

use std::{ffi::OsStr, fmt, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use self::{
    batch::BatchRequest, builder::ClientBuilder, error::ClientError, subscription::Subscription,
};
use self::{connection::Connection, http::Http, subscription::Inbox, typed::Listeners};
use crate::link::{Asked, Link, encode_params};

/// A JSON-RPC client. Cheap to clone; dropping the last handle closes the connection.
///
/// ```
/// use rpc::{Module, Server};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = Module::new("foo").method("add", |a: i64, b: i64| async move { rpc::Result::Ok(a + b) });
/// let server = Server::builder().module(module).start().await?;
///
/// let client = server.attach();
/// let sum: i64 = client.call("foo_add", (1, 2)).await?;
///
/// assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    way: Way,
    timeout: Option<Duration>,
    /// For typed traits that listen to methods.
    listeners: Listeners,
}

/// How calls reach the server.
enum Way {
    Http(Http),
    Link(Connection),
}

/// A result, as JSON.
pub(crate) type Answer = Box<RawValue>;

/// The methods and arguments of a batch.
type EncodedCalls = Vec<(String, Option<Vec<u8>>)>;

impl Client {
    /// Connects to `url`: `http://`, `ws://`, or the path of a socket, as text or as a `Path`. What more
    /// can be said is said to [`Self::builder`].
    ///
    /// A user and a password in the URL are sent, and shown nowhere. Over HTTP nothing is tried before
    /// the first call. A connection that is lost is made again by the next call; a call that was under
    /// way fails, unless nothing of it had been written.
    ///
    /// # Errors
    ///
    /// [`ClientError::Scheme`], [`ClientError::Url`] and [`ClientError::Tls`] for what is no address
    /// here, [`ClientError::Http`] when the server refuses a WebSocket, and [`ClientError::Connect`]
    /// when nobody answers within 10 s.
    pub async fn connect(url: impl AsRef<OsStr>) -> Result<Self, ClientError> {
        Self::builder().connect(url).await
    }

    /// Starts putting a client together.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of a server in this process.
    pub(crate) fn in_process(
        pipe: impl Fn() -> Option<tokio::io::DuplexStream> + Send + Sync + 'static,
    ) -> Self {
        Self::builder().in_process(pipe)
    }

    fn new(way: Way, timeout: Option<Duration>) -> Self {
        Self(Arc::new(Inner { way, timeout, listeners: Listeners::default() }))
    }

    /// Connects, where there is a connection to be kept.
    async fn open(&self) -> Result<(), ClientError> {
        match &self.0.way {
            Way::Http(_) => Ok(()),
            Way::Link(connection) => connection.link().await.map(drop),
        }
    }

    /// The connection over which there are subscriptions.
    fn two_way(&self) -> Result<&Connection, ClientError> {
        match &self.0.way {
            Way::Http(_) => Err(ClientError::NotTwoWay),
            Way::Link(connection) => Ok(connection),
        }
    }

    /// Calls a method and gives its result. Arguments are a tuple or a list: `()`, `(1, "x")`.
    ///
    /// Dropping the future gives the call up; the server is not told.
    ///
    /// # Errors
    ///
    /// [`ClientError::Call`] with the server's own error; another variant when there is no answer, or
    /// not one of this type.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, ClientError> {
        typed(self.call_raw(method, params).await?)
    }

    /// Calls a method and gives its result as JSON.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub async fn call_raw(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<Box<RawValue>, ClientError> {
        self.call_encoded(method, encode_params(&params)?).await
    }

    async fn call_encoded(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<Answer, ClientError> {
        match &self.0.way {
            Way::Http(http) => self.in_time(http.call(method, params)).await,
            Way::Link(connection) => self.in_time(connection.call(method, params)).await,
        }
    }

    /// Sends a notification: a call that is not answered.
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    pub async fn notify(&self, method: &str, params: impl Serialize) -> Result<(), ClientError> {
        self.notify_encoded(method, encode_params(&params)?).await
    }

    async fn notify_encoded(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<(), ClientError> {
        match &self.0.way {
            Way::Http(http) => self.in_time(http.notify(method, params)).await,
            Way::Link(connection) => self.in_time(connection.notify(method, params)).await,
        }
    }

    async fn batch_encoded(
        &self,
        calls: EncodedCalls,
    ) -> Result<Vec<Result<Answer, ClientError>>, ClientError> {
        match &self.0.way {
            Way::Http(http) => self.in_time(http.batch(&calls)).await,
            Way::Link(connection) => self.in_time(connection.batch(&calls)).await,
        }
    }

    /// Starts a batch: several calls in one message, which the server runs in their order.
    pub fn batch(&self) -> BatchRequest<'_> {
        BatchRequest::new(self)
    }

    /// Subscribes: `params` begin with the name of the subscription, as in
    /// `client.subscribe("admin", ("peerEvents",))`.
    ///
    /// # Errors
    ///
    /// As [`Self::call`]; [`ClientError::NotTwoWay`] over HTTP.
    pub async fn subscribe<T: DeserializeOwned>(
        &self,
        namespace: &str,
        params: impl Serialize,
    ) -> Result<Subscription<T>, ClientError> {
        let params = encode_params(&params)?;
        let method = format!("{namespace}_subscribe");
        self.subscribe_encoded(&method, params, format!("{namespace}_unsubscribe")).await
    }

    async fn subscribe_encoded<T>(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
        unsubscribe: String,
    ) -> Result<Subscription<T>, ClientError> {
        let params = params.as_deref();
        let ask = |link: Arc<Link>| {
            let inbox = Inbox::new();
            let asked = Asked { inbox: Arc::clone(&inbox), unsubscribe: unsubscribe.clone() };
            async move {
                let id = link.subscribe(method, params, asked)?.await?;
                Ok((link, inbox, id))
            }
        };
        let asked = self.in_time(self.two_way()?.at_most_twice(ask)).await?;
        let (link, inbox, id) = asked;
        Ok(Subscription::new(self.clone(), unsubscribe, id, link, inbox))
    }

    /// Closes the connection and waits until its task has ended. The next call connects again.
    ///
    /// What was sent before is written first, for a second at most.
    pub async fn close(&self) {
        match &self.0.way {
            Way::Http(http) => http.close(),
            Way::Link(connection) => connection.close().await,
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let Some(limit) = self.0.timeout else { return work.await };
        let late = |_| ClientError::Timeout { seconds: limit.as_secs_f64() };
        tokio::time::timeout(limit, work).await.map_err(late)?
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way: &dyn fmt::Debug = match &self.0.way {
            Way::Http(http) => http,
            Way::Link(connection) => connection,
        };
        f.debug_struct("Client").field("way", way).finish_non_exhaustive()
    }
}

/// A result as the type that was asked for.
pub(crate) fn typed<T: DeserializeOwned>(answer: Answer) -> Result<T, ClientError> {
    decode(&answer)
}

fn decode<T: DeserializeOwned>(answer: &RawValue) -> Result<T, ClientError> {
    serde_json::from_str(answer.get())
        .map_err(|error| ClientError::Decode { reason: error.to_string() })
}
