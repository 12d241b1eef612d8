//! One client for all transports, chosen by URL.
//!
//! ```text
//!   http://…  https://…      HTTP        a request a call; no subscriptions
//!   ws://…    wss://…        WebSocket ┐
//!   a path                   IPC       ├ one connection, made when first needed and again after a
//!   Server::attach           a pipe    ┘ loss; many calls at a time; subscriptions; calls from the server
//! ```
//!
//! Spec: ethereum/go-ethereum:rpc/client.go.

mod batch;
mod builder;
mod connection;
mod error;
pub(crate) mod subscription;

use std::{ffi::OsStr, fmt, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use self::{
    batch::BatchRequest, builder::ClientBuilder, error::ClientError, subscription::Subscription,
};
use self::{connection::Connection, subscription::Inbox};
use crate::{api::Api, link::encode_params};

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
    connection: Connection,
    timeout: Option<Duration>,
}

/// A result, as JSON.
pub(crate) type Answer = Box<RawValue>;

impl Client {
    /// Connects to `url`: `http://`, `ws://`, or the path of a socket, as text or as a `Path`. What more
    /// can be said is said to [`Self::builder`].
    ///
    /// # Errors
    ///
    /// [`ClientError::Scheme`] and [`ClientError::Url`] for what is no address, and
    /// [`ClientError::Connect`] when nobody answers within 10 s. Over HTTP nothing is tried before the
    /// first call.
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
        let connection = Connection::in_process(pipe, Arc::new(Api::nothing()));
        Self(Arc::new(Inner { connection, timeout: None }))
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
        let params = encode_params(&params)?;
        let call = self.0.connection.call(method, params);
        self.in_time(call).await
    }

    /// Sends a notification: a call that is not answered.
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    pub async fn notify(&self, method: &str, params: impl Serialize) -> Result<(), ClientError> {
        let params = encode_params(&params)?;
        self.in_time(self.0.connection.notify(method, params)).await
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
        let inbox = Inbox::new(subscription::MAX_UNREAD);
        let link = self.0.connection.link().await?;
        let method = format!("{namespace}_subscribe");
        let asked = link.subscribe(&method, params.as_deref(), Arc::clone(&inbox))?;
        let id: String = typed(self.in_time(asked).await?)?;
        Ok(Subscription::new(self.clone(), namespace, id, link, inbox))
    }

    /// Closes the connection and waits until its task has ended. The next call connects again.
    pub async fn close(&self) {
        self.0.connection.close().await;
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
        f.debug_struct("Client").field("connection", &self.0.connection).finish_non_exhaustive()
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
