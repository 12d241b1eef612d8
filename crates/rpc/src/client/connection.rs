//! The connection behind a client: made when it is needed, and again when it was lost.
//!
//! ```text
//!   call ──▶ is there a connection? ── no ──▶ dial; whoever comes meanwhile waits for that, and fails
//!     │                                       with it
//!     └─ lost, and not a byte of the call was written ──▶ once more on a new one
//! ```
//!
//! A call of which something was written may have run, so it is never made twice.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, ClientError, EncodedCalls,
    endpoint::{DIAL, Endpoint},
    ws,
};
use crate::{
    Caller, TransportKind,
    api::Api,
    link::{Link, NoAnswer},
    scan::ScanLimits,
    session::Session,
    transport::{self, ipc, stream},
};

/// See the module's comment.
pub(super) struct Connection {
    target: Target,
    /// What the server may call.
    api: Arc<Api>,
    limits: ScanLimits,
    open: Mutex<Option<Open>>,
    /// One connects, the others wait for it; with what came of it last, if that was nothing.
    connecting: tokio::sync::Mutex<Option<Failure>>,
    /// How often nothing came of it.
    failures: AtomicU64,
}

/// Where to connect.
pub(super) enum Target {
    InProcess(Box<dyn Fn() -> Option<DuplexStream> + Send + Sync>),
    Ipc(PathBuf),
    Ws(Box<Endpoint>),
    /// A stream that is there, and comes but once.
    Given(Mutex<Option<GivenStream>>),
}

/// Any stream of bytes.
pub(super) type GivenStream = Box<dyn ByteStream>;

/// A stream of bytes in both directions.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// An attempt that failed.
struct Failure {
    number: u64,
    error: ClientError,
}

/// A connection with its task.
struct Open {
    link: Arc<Link>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Connection {
    pub(super) fn new(target: Target, api: Arc<Api>, limits: ScanLimits) -> Self {
        Self {
            target,
            api,
            limits,
            open: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(None),
            failures: AtomicU64::new(0),
        }
    }

    pub(super) async fn call(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<Answer, ClientError> {
        let params = params.as_deref();
        self.at_most_twice(|link| async move { link.call_encoded(method, params)?.await }).await
    }

    pub(super) async fn notify(
        &self,
        method: &str,
        params: Option<Vec<u8>>,
    ) -> Result<(), ClientError> {
        let params = params.as_deref();
        self.at_most_twice(|link| async move { link.notify(method, params) }).await
    }

    pub(super) async fn batch(
        &self,
        calls: &EncodedCalls,
    ) -> Result<Vec<Result<Answer, ClientError>>, ClientError> {
        let send = |link: Arc<Link>| async move {
            let mut answers = Vec::with_capacity(calls.len());
            // They come together: whoever waits for the first has most of them then.
            for waiting in link.batch(calls)? {
                answers.push(waiting.await);
            }
            // They are one message: if one was not sent, none was.
            match answers.pop_if(|answer| matches!(answer, Err(NoAnswer::Unsent(_)))) {
                Some(unsent) => unsent.map(|_| Vec::new()),
                None => Ok(answers),
            }
        };
        let answers = self.at_most_twice(send).await?;
        Ok(answers.into_iter().map(|answer| answer.map_err(ClientError::from)).collect())
    }

    /// Does something over a connection, and once more over another if the first was found dead before
    /// anything was written.
    pub(super) async fn at_most_twice<T, F>(
        &self,
        work: impl Fn(Arc<Link>) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, NoAnswer>>,
    {
        match work(self.link().await?).await {
            Err(NoAnswer::Unsent(_)) => {}
            outcome => return outcome.map_err(ClientError::from),
        }
        Ok(work(self.link().await?).await?)
    }

    /// The link of the connection there is, or of a new one.
    ///
    /// # Errors
    ///
    /// When connecting fails, and whoever waited for that fails with it: a thousand calls do not wait
    /// for ten seconds each.
    pub(super) async fn link(&self) -> Result<Arc<Link>, ClientError> {
        if let Some(link) = self.living() {
            return Ok(link);
        }
        let before = self.failures.load(Ordering::Relaxed);
        let mut last = self.connecting.lock().await;
        if let Some(link) = self.living() {
            return Ok(link);
        }
        if let Some(Failure { number, error }) = &*last
            && *number > before
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(open) => {
                let link = Arc::clone(&open.link);
                *self.state() = Some(open);
                Ok(link)
            }
            Err(error) => {
                let number = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                *last = Some(Failure { number, error: error.clone() });
                Err(error)
            }
        }
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
        state.as_ref().filter(|open| open.link.takes_calls()).map(|open| Arc::clone(&open.link))
    }

    async fn connect(&self) -> Result<Open, ClientError> {
        let late = |_| self.failed("timed out");
        tokio::time::timeout(DIAL, self.dial()).await.map_err(late)?
    }

    async fn dial(&self) -> Result<Open, ClientError> {
        match &self.target {
            Target::InProcess(pipe) => {
                let pipe = pipe().ok_or_else(|| self.failed("the server has stopped"))?;
                Ok(self.run(TransportKind::InProcess, pipe))
            }
            Target::Ipc(path) => {
                let socket = ipc::connect(path).await.map_err(|error| self.failed(error))?;
                Ok(self.run(TransportKind::Ipc, socket))
            }
            Target::Ws(endpoint) => Ok(self.run_ws(ws::connect(endpoint, self.limits).await?)),
            Target::Given(stream) => {
                let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stream = stream.ok_or_else(|| self.failed("the stream has ended"))?;
                Ok(self.run(TransportKind::InProcess, stream))
            }
        }
    }

    fn failed(&self, reason: impl fmt::Display) -> ClientError {
        ClientError::Connect { url: self.target.to_string(), reason: reason.to_string() }
    }

    /// Lets a session run over a stream of bytes.
    fn run<S>(&self, transport: TransportKind, socket: S) -> Open
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (link, session) = self.session(Caller::new(transport, None), false);
        let stop = CancellationToken::new();
        let run = stream::run(socket, session, Arc::clone(&link), self.limits, stop.clone());
        Open { link, stop, task: tokio::spawn(run) }
    }

    fn run_ws(&self, socket: ws::Socket) -> Open {
        let remote = socket.get_ref().inner().peer_addr().ok();
        let (link, session) = self.session(Caller::new(TransportKind::Ws, remote), true);
        let stop = CancellationToken::new();
        let run = ws::run(socket, session, Arc::clone(&link), self.limits, stop.clone());
        Open { link, stop, task: tokio::spawn(run) }
    }

    fn session(&self, server: Caller, framed: bool) -> (Arc<Link>, Session) {
        let link = Arc::new(Link::new(server, true, framed));
        let limits = transport::client_limits();
        let session = Session::new(Arc::clone(&link), Arc::clone(&self.api), limits, framed);
        (link, session)
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
            Self::Ws(endpoint) => write!(f, "{endpoint}"),
            Self::Given(_) => f.write_str("a stream"),
        }
    }
}
