//! The connection behind a client: made when it is needed, and again when it was lost.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Answer, ClientError};
use crate::{
    Caller, Limits, TransportKind,
    api::Api,
    link::Link,
    scan::ScanLimits,
    session::Session,
    transport::{self, ipc, stream},
};

/// See the module's comment.
pub(super) struct Connection {
    target: Target,
    /// What the server may call.
    api: Arc<Api>,
    open: Mutex<Option<Open>>,
    /// One connects, the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

/// Where to connect.
enum Target {
    InProcess(Box<dyn Fn() -> Option<DuplexStream> + Send + Sync>),
    Ipc(PathBuf),
}

/// A connection with its task.
struct Open {
    link: Arc<Link>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Connection {
    pub(super) fn in_process(
        pipe: impl Fn() -> Option<DuplexStream> + Send + Sync + 'static,
        api: Arc<Api>,
    ) -> Self {
        Self::new(Target::InProcess(Box::new(pipe)), api)
    }

    pub(super) fn ipc(path: PathBuf, api: Arc<Api>) -> Self {
        Self::new(Target::Ipc(path), api)
    }

    fn new(target: Target, api: Arc<Api>) -> Self {
        Self { target, api, open: Mutex::new(None), connecting: tokio::sync::Mutex::new(()) }
    }

    /// Connects if there is no connection.
    pub(super) async fn open(&self) -> Result<(), ClientError> {
        self.link().await.map(drop)
    }

    pub(super) async fn call(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<Answer, ClientError> {
        self.link().await?.call_encoded(method, params.as_deref())?.await
    }

    pub(super) async fn notify(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<(), ClientError> {
        self.link().await?.notify(method, params.as_deref())
    }

    pub(super) async fn batch(
        &self,
        calls: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<Vec<Result<Answer, ClientError>>, ClientError> {
        let waiting = self.link().await?.batch(&calls)?;
        Ok(futures_util::future::join_all(waiting).await)
    }

    /// The link of the connection there is, or of a new one.
    pub(super) async fn link(&self) -> Result<Arc<Link>, ClientError> {
        if let Some(link) = self.living() {
            return Ok(link);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(link) = self.living() {
            return Ok(link);
        }
        let url = || self.target.to_string();
        let late = |_| ClientError::Connect { url: url(), reason: "timed out".to_owned() };
        let open = tokio::time::timeout(CONNECT, self.connect()).await.map_err(late)??;
        let link = Arc::clone(&open.link);
        *self.state() = Some(open);
        Ok(link)
    }

    /// Ends the connection there is.
    pub(super) async fn close(&self) {
        let open = self.state().take();
        if let Some(Open { stop, task, .. }) = open {
            stop.cancel();
            let _ = task.await;
        }
    }

    fn living(&self) -> Option<Arc<Link>> {
        let state = self.state();
        state.as_ref().filter(|open| !open.link.is_closed()).map(|open| Arc::clone(&open.link))
    }

    async fn connect(&self) -> Result<Open, ClientError> {
        let failed = |reason: String| ClientError::Connect { url: self.target.to_string(), reason };
        match &self.target {
            Target::InProcess(pipe) => {
                let pipe = pipe().ok_or_else(|| failed("the server has stopped".to_owned()))?;
                Ok(self.run(TransportKind::InProcess, pipe))
            }
            Target::Ipc(path) => {
                let socket = ipc::connect(path).await.map_err(|error| failed(error.to_string()))?;
                Ok(self.run(TransportKind::Ipc, socket))
            }
        }
    }

    /// Lets a session run over a stream of bytes.
    fn run<S>(&self, transport: TransportKind, socket: S) -> Open
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let link = Arc::new(Link::new(Caller::new(transport, None), true, false));
        let (api, limits) = (Arc::clone(&self.api), transport::client_limits());
        let session = Session::new(Arc::clone(&link), api, limits, false);
        let stop = CancellationToken::new();
        let limits = ScanLimits { max_bytes: MAX_ANSWER, ..ScanLimits::from(&Limits::default()) };
        let run = stream::run(socket, session, Arc::clone(&link), limits, stop.clone());
        Open { link, stop, task: tokio::spawn(run) }
    }

    fn state(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(open) = self.state().take() {
            open.stop.cancel();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.living().is_some();
        f.debug_struct("Connection")
            .field("target", &self.target.to_string())
            .field("open", &open)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess(_) => f.write_str("this process"),
            Self::Ipc(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How long connecting may take.
///
/// Source: ethereum/go-ethereum:rpc/client.go, `defaultDialTimeout`.
const CONNECT: Duration = Duration::from_secs(10);

/// The largest message a client takes, in bytes: a batch's answers, of 25,000,000 bytes, fit several
/// times, so that a server with other limits is understood, too.
const MAX_ANSWER: usize = 128 * 1024 * 1024;
