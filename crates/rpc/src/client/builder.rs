//! What a client may be told before it connects.

use std::{
    ffi::OsStr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Client, ClientError, Way,
    connection::{Connection, Target},
    endpoint::{Endpoint, Identity, without_password},
    http::Http,
};
use crate::{
    JwtSecret, Limits, Module,
    api::{Access, Api},
    scan::ScanLimits,
};

/// Puts a [`Client`] together.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = rpc::JwtSecret::from_hex(&std::fs::read_to_string("jwtsecret")?)?;
/// let client = rpc::Client::builder()
///     .header("User-Agent", "mine/1.0")
///     .jwt(secret)
///     .timeout(std::time::Duration::from_secs(5))
///     .connect("ws://127.0.0.1:8551")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    modules: Vec<Module>,
    timeout: Option<Duration>,
    answer_limit: Option<usize>,
    identity: Identity,
    /// What was the matter with the first header that cannot be sent.
    failed: Option<ClientError>,
}

impl ClientBuilder {
    /// Offers a module for the server to call back, on any transport but HTTP.
    pub fn module(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// How long a call, a batch or the answer to a subscription may take; for ever by default.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How large a message of the server may be, in bytes; 128 MiB by default, into which the answers
    /// of a batch, 25,000,000 bytes, go several times. A larger one closes the connection, or fails
    /// the call over HTTP.
    pub fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_limit = Some(bytes);
        self
    }

    /// Sends a header with every request over HTTP, and with the one that opens a WebSocket. A name may
    /// come several times.
    ///
    /// [`Self::connect`] fails for what cannot be sent: other letters than those of a header, and the
    /// headers that the transport writes itself.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.identity.add_header(name, value) {
            self.failed.get_or_insert(error);
        }
        self
    }

    /// Authenticates every request over HTTP, and the one that opens a WebSocket, with a token made for
    /// it from this secret.
    pub fn jwt(mut self, secret: JwtSecret) -> Self {
        self.identity.set_jwt(secret);
        self
    }

    /// Connects; see [`Client::connect`].
    ///
    /// # Errors
    ///
    /// As [`Client::connect`], and [`ClientError::Header`].
    pub async fn connect(mut self, url: impl AsRef<OsStr>) -> Result<Client, ClientError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let identity = std::mem::take(&mut self.identity);
        // What is not Unicode can only be a path.
        let url = url.as_ref();
        let path = Target::Ipc(PathBuf::from(url));
        let url = url.to_str().unwrap_or_default();
        let tls = |instead| ClientError::Tls { url: without_password(url), instead };
        let target = match scheme_of(url).as_deref() {
            None => path,
            Some("ws") => Target::Ws(Box::new(Endpoint::parse(url, identity)?)),
            Some("http") => {
                let endpoint = Endpoint::parse(url, identity)?;
                return Ok(self.client(|limits, _| Way::Http(Http::new(endpoint, limits))));
            }
            Some("https") => return Err(tls("http")),
            Some("wss") => return Err(tls("ws")),
            Some(scheme) => return Err(ClientError::Scheme { scheme: scheme.to_owned() }),
        };
        let client = self.client(|limits, api| Way::Link(Connection::new(target, api, limits)));
        client.open().await?;
        Ok(client)
    }

    /// Makes a client of whatever answers at the other end of a stream of bytes, such as
    /// [`Server::serve_stream`](crate::Server::serve_stream). When it ends, the client has ended.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Client, Context, Module, Server};
    ///
    /// let foo = Module::new("foo").method("ask", |context: Context| async move {
    ///     context.call::<String>("me_name", ()).await
    /// });
    /// let server = Server::builder().module(foo).start().await?;
    ///
    /// let (ours, theirs) = tokio::io::duplex(1024);
    /// server.serve_stream(theirs);
    /// let me = Module::new("me").method("name", || async { rpc::Result::Ok("a client") });
    /// let client = Client::builder().module(me).over(ours);
    ///
    /// assert_eq!(client.call::<String>("foo_ask", ()).await?, "a client");
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<S>(self, stream: S) -> Client
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let target = Target::Given(Mutex::new(Some(Box::new(stream))));
        self.client(|limits, api| Way::Link(Connection::new(target, api, limits)))
    }

    /// A client in this process.
    pub(super) fn in_process(
        self,
        pipe: impl Fn() -> Option<tokio::io::DuplexStream> + Send + Sync + 'static,
    ) -> Client {
        let target = Target::InProcess(Box::new(pipe));
        self.client(|limits, api| Way::Link(Connection::new(target, api, limits)))
    }

    fn client(self, way: impl FnOnce(ScanLimits, Arc<Api>) -> Way) -> Client {
        let api = match self.modules.is_empty() {
            true => Api::nothing(),
            false => Api::new(&self.modules, &Access::everything(), Arc::default()),
        };
        let max_bytes = self.answer_limit.unwrap_or(MAX_ANSWER);
        let limits = ScanLimits { max_bytes, ..ScanLimits::from(&Limits::default()) };
        Client::new(way(limits, Arc::new(api)), self.timeout)
    }
}

/// The scheme of a URL, in small letters; a path has none.
fn scheme_of(url: &str) -> Option<String> {
    url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
}

/// The largest message a client takes, in bytes.
const MAX_ANSWER: usize = 128 * 1024 * 1024;
