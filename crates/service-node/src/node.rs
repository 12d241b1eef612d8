//! The node: a cheap handle to what runs, and the order in which its states follow.
//!
//! ```text
//!             start                    climbed
//!   Stopped ─────────▶ Starting ─────────────────▶ Running
//!      ▲                   │ failed, or stop           │ stop
//!      │◀──── descended ───┘                           ▼
//!      └────────────────── descended ───────────── Stopping ◀── a second stop waits here
//! ```
//!
//! Starting and stopping are tasks of their own: whoever gives up waiting for one of them leaves no
//! half of a node behind.

use std::{
    any::TypeId,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use p2p_server::Server;
use rpc::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    NodeBuilder, NotStarted, RestartError, Service, ServiceFailure, ServiceLookupError, StartError,
    StartFailure, StopError, UnknownService,
    builder::Settings,
    endpoints::Endpoints,
    service::{Built, type_name},
    stack::Stack,
};

/// A node: services over one p2p server, with RPC endpoints and a data directory.
///
/// Cheap to clone. When the last handle is gone without a [`stop`](Self::stop), what runs is shut down
/// without waiting, and its services are dropped instead of stopped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use service_node::Node;
///
/// let node = Node::builder().name("foo").listen("127.0.0.1:0").build()?;
///
/// node.start().await?;
/// let client = node.attach()?;
/// assert_eq!(client.call::<String>("net_peerCount", ()).await?, "0x0");
///
/// node.stop().await?;
/// assert_eq!(node.stop().await.unwrap_err().to_string(), "node not started");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    state: watch::Sender<State>,
}

/// What the node is doing.
enum State {
    Stopped,
    /// The first is cancelled to have the start undone, the second to wait for nothing meanwhile.
    Starting(CancellationToken, CancellationToken),
    Running(Box<Stack>),
    /// Cancelled to wait for nothing any more.
    Stopping(CancellationToken),
}

impl Node {
    /// Starts putting a node together.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::new()
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let state = watch::Sender::new(State::Stopped);
        Self(Arc::new(Inner { settings: Arc::new(settings), state }))
    }

    /// Starts the node: locks its directory, builds the services, binds the p2p server, starts the
    /// services, lets peers in, and opens the RPC endpoints.
    ///
    /// A node that has stopped can be started again; its services are built anew. If the returned future is
    /// dropped before the node runs, the start is undone.
    ///
    /// # Errors
    ///
    /// [`StartError`]: everything that had started by then is stopped again, and nothing is left.
    pub async fn start(&self) -> Result<(), StartError> {
        let (cancel, abort) = (CancellationToken::new(), CancellationToken::new());
        let begun = self.0.state.send_if_modified(|state| {
            let stopped = matches!(state, State::Stopped);
            if stopped {
                *state = State::Starting(cancel.clone(), abort.clone());
            }
            stopped
        });
        if !begun {
            return Err(StartFailure::AlreadyRunning.into());
        }
        let given_up = cancel.clone().drop_guard();
        let task = tokio::spawn(Arc::clone(&self.0).climb(cancel, abort));
        let result = task.await.unwrap_or_else(|_| {
            // The task is gone, and nobody else would say so.
            self.0.state.send_replace(State::Stopped);
            Err(StartFailure::Runtime.into())
        });
        given_up.disarm();
        result
    }

    /// Stops the node: closes the RPC endpoints, lets no more peers in, stops the services in reverse
    /// order, disconnects the peers, and releases the directory.
    ///
    /// Callable from anywhere, and at any time: during a start it undoes that, and a second call waits for
    /// the first. It goes on if the returned future is dropped.
    ///
    /// # Errors
    ///
    /// [`StopError::NotStarted`] when the node does not run; nothing happens then.
    /// [`StopError::Services`] lists the services that did not end well; the node has stopped all the same.
    pub async fn stop(&self) -> Result<(), StopError> {
        let mut state = self.0.state.subscribe();
        let mut waited = false;
        loop {
            match self.0.begin_stop() {
                Stopping::Not if waited => return Ok(()),
                Stopping::Not => return Err(NotStarted.into()),
                Stopping::Ours(stack, abort) => {
                    let task = tokio::spawn(Arc::clone(&self.0).descend(stack, abort));
                    let Ok(failures) = task.await else {
                        self.0.state.send_replace(State::Stopped);
                        return Err(StopError::Runtime);
                    };
                    return if failures.is_empty() {
                        Ok(())
                    } else {
                        Err(StopError::Services(failures))
                    };
                }
                Stopping::Wait => {
                    waited = true;
                    // The sender lives as long as this handle.
                    let _ = state.changed().await;
                }
            }
        }
    }

    /// Stops the node if it runs, and waits for nothing: services that have not stopped are let go, and
    /// connections are cut. Ends a [`stop`](Self::stop) that is under way, too.
    pub async fn abort(&self) {
        let mut state = self.0.state.subscribe();
        state.mark_changed();
        let mut stop = std::pin::pin!(self.stop());
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => return,
                _ = state.changed() => match &*state.borrow_and_update() {
                    State::Starting(_, abort) | State::Stopping(abort) => abort.cancel(),
                    State::Stopped | State::Running(_) => {}
                },
            }
        }
    }

    /// Stops the node and starts it again, with services built anew.
    ///
    /// # Errors
    ///
    /// [`RestartError::NotStarted`] when it does not run, [`RestartError::Start`] when it does not start
    /// again. What services did wrong while they stopped is logged.
    pub async fn restart(&self) -> Result<(), RestartError> {
        if let Err(StopError::NotStarted(error)) = self.stop().await {
            return Err(error.into());
        }
        Ok(self.start().await?)
    }

    /// Whether the node runs: it has started, and its stop has not begun.
    pub fn is_running(&self) -> bool {
        matches!(&*self.0.state.borrow(), State::Running(_))
    }

    /// Waits until the node is stopped, which it is before its first start, too.
    pub async fn stopped(&self) {
        let mut state = self.0.state.subscribe();
        // The sender lives as long as this handle.
        let _ = state.wait_for(|state| matches!(state, State::Stopped)).await;
    }

    /// Waits until the node runs.
    pub async fn started(&self) {
        let mut state = self.0.state.subscribe();
        // The sender lives as long as this handle.
        let _ = state.wait_for(|state| matches!(state, State::Running(_))).await;
    }

    /// A client in this process, which may call everything.
    ///
    /// # Errors
    ///
    /// [`NotStarted`] when the node does not run.
    pub fn attach(&self) -> Result<Client, NotStarted> {
        self.running(|stack| stack.endpoints().map(Endpoints::attach)).ok_or(NotStarted)
    }

    /// The p2p server.
    ///
    /// # Errors
    ///
    /// [`NotStarted`] when the node does not run.
    pub fn server(&self) -> Result<Server, NotStarted> {
        self.running(|stack| stack.server().cloned()).ok_or(NotStarted)
    }

    /// The service of this type.
    ///
    /// # Errors
    ///
    /// [`ServiceLookupError`] when the node does not run or has none.
    pub fn service<T: Service>(&self) -> Result<Arc<T>, ServiceLookupError> {
        if !self.is_running() {
            return Err(NotStarted.into());
        }
        let found = self.running(|stack| stack.service(TypeId::of::<T>()).map(Built::object));
        let typed = found.and_then(|service| service.downcast::<T>().ok());
        Ok(typed.ok_or_else(|| UnknownService { name: type_name::<T>() })?)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// The data directory, if it has one; an absolute path.
    pub fn data_dir(&self) -> Option<&Path> {
        self.0.settings.paths.as_ref().map(|paths| paths.data.as_path())
    }

    /// The node's own directory in the data directory, `<data dir>/<name>`.
    pub fn instance_dir(&self) -> Option<&Path> {
        self.0.settings.paths.as_ref().map(|paths| paths.instance.as_path())
    }

    /// Where the socket for RPC is while the node runs, if it has one; an absolute path.
    pub fn ipc_path(&self) -> Option<PathBuf> {
        self.running(|stack| stack.endpoints()?.ipc_path().map(Path::to_owned))
    }

    /// Where it listens for HTTP while it runs, if it does.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.running(|stack| stack.endpoints()?.http_addr())
    }

    /// Where it listens for WebSockets while it runs, if it does.
    pub fn ws_addr(&self) -> Option<SocketAddr> {
        self.running(|stack| stack.endpoints()?.ws_addr())
    }

    /// Where it listens for those who have a token while it runs, if it does.
    pub fn auth_addr(&self) -> Option<SocketAddr> {
        self.running(|stack| stack.endpoints()?.auth_addr())
    }

    /// Where its metrics are served while it runs, if they are.
    #[cfg(feature = "metrics")]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.running(|stack| stack.endpoints()?.metrics_addr())
    }

    /// What a running node has to say about itself.
    fn running<T>(&self, ask: impl FnOnce(&Stack) -> Option<T>) -> Option<T> {
        match &*self.0.state.borrow() {
            State::Running(stack) => ask(stack),
            _ => None,
        }
    }
}

/// What a call to stop finds.
enum Stopping {
    /// It does not run.
    Not,
    /// It ran, and it is the caller's to take down.
    Ours(Box<Stack>, CancellationToken),
    /// Somebody starts or stops it; look again when that is over.
    Wait,
}

impl Inner {
    async fn climb(
        self: Arc<Self>,
        cancel: CancellationToken,
        abort: CancellationToken,
    ) -> Result<(), StartError> {
        let mut stack = Box::new(Stack::new(&self.settings));
        let climbed = stack.climb(&self.settings, &cancel).await;
        let node = &self.settings.name;
        match climbed {
            Ok(()) => {
                tracing::info!(%node, "node started");
                self.state.send_replace(State::Running(stack));
                Ok(())
            }
            Err(cause) => {
                tracing::debug!(%node, error = %cause, "node not started");
                let also = stack.descend(&abort).await;
                self.state.send_replace(State::Stopped);
                Err(StartError { cause, also })
            }
        }
    }

    async fn descend(
        self: Arc<Self>,
        stack: Box<Stack>,
        abort: CancellationToken,
    ) -> Vec<ServiceFailure> {
        let failures = stack.descend(&abort).await;
        tracing::info!(node = %self.settings.name, "node stopped");
        self.state.send_replace(State::Stopped);
        failures
    }

    fn begin_stop(&self) -> Stopping {
        let mut found = Stopping::Wait;
        self.state.send_if_modified(|state| {
            match state {
                State::Stopped => found = Stopping::Not,
                State::Starting(cancel, _) => cancel.cancel(),
                State::Stopping(_) => {}
                State::Running(_) => {
                    let abort = CancellationToken::new();
                    let running = std::mem::replace(state, State::Stopping(abort.clone()));
                    if let State::Running(stack) = running {
                        found = Stopping::Ours(stack, abort);
                    }
                    return true;
                }
            }
            false
        });
        found
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name())
            .field("running", &self.is_running())
            .finish_non_exhaustive()
    }
}
