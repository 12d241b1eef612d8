//! What can go wrong with a node, and with everything in it.

use std::fmt;

use enode::KeyFileError;

use crate::{DirectoryError, UnknownService};

/// An error of any kind, as a service returns it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a node could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The name cannot be a directory beside others' files.
    ///
    /// Source: ethereum/go-ethereum:node/node.go, `New`.
    #[error(
        "name: {name:?} must not be empty, contain '/' or '\\', be \"keystore\", or end in \".ipc\""
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A path is relative and there is no current directory.
    #[error("data_dir: {}: {source}", path.display())]
    Path {
        /// The path.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Why a node did not start. Nothing of it is left running, and its directory is free.
#[derive(Debug)]
pub struct StartError {
    /// What went wrong.
    pub cause: StartFailure,
    /// What went wrong besides while what had started was stopped again.
    pub also: Vec<ServiceFailure>,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        also(f, &self.also)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

impl From<StartFailure> for StartError {
    fn from(cause: StartFailure) -> Self {
        Self { cause, also: Vec::new() }
    }
}

/// The one thing that kept a node from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// It runs, is about to, or is not done with stopping.
    ///
    /// Source: ethereum/go-ethereum:node/errors.go, `ErrNodeRunning`.
    #[error("node already running")]
    AlreadyRunning,
    /// It was stopped while it started.
    #[error("node stopped while starting")]
    Stopped,
    /// The process may not open as many files as there may be peers (N-07).
    #[error(
        "the process may open {limit} files, and {max_peers} peers need {needed}: raise the limit (`ulimit -n {needed}`) or lower max_peers"
    )]
    Descriptors {
        /// The limit of the process.
        limit: u64,
        /// The peers that are allowed.
        max_peers: usize,
        /// How many files that takes.
        needed: u64,
    },
    /// The data directory cannot be used, or another node has it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The node key is unreadable or malformed; it is never replaced (N-01).
    #[error("node key: {}", WithSource(.0))]
    NodeKey(#[source] KeyFileError),
    /// The secret of the listener for authenticated namespaces is unreadable or malformed.
    #[error("jwt secret: {}", WithSource(.0))]
    JwtSecret(#[source] rpc::JwtSecretFileError),
    /// Two services of one type were registered.
    ///
    /// Source: ethereum/go-ethereum:node/errors.go of 1.9, `DuplicateServiceError`.
    #[error("duplicate service: {name}")]
    DuplicateService {
        /// The type's name, without modules.
        name: &'static str,
    },
    /// A service failed.
    #[error(transparent)]
    Service(#[from] ServiceFailure),
    /// The p2p server could not be bound.
    #[error("p2p: {0}")]
    P2p(#[from] p2p_server::StartError),
    /// An RPC endpoint could not be opened, or a service's namespace is not well-formed.
    #[error("rpc: {0}")]
    Rpc(#[from] rpc::StartError),
    /// The metrics cannot be served where they are to be.
    #[error("metrics: {0}")]
    Metrics(#[source] rpc::StartError),
    /// A function that was given to the builder panicked.
    #[error("a setting of the node {source}")]
    Setting {
        /// With what text.
        source: BoxError,
    },
    /// The runtime ended in the middle of it.
    #[error("the async runtime was shut down")]
    Runtime,
}

/// What a service did not do.
#[derive(Debug, thiserror::Error)]
#[error("service {name}: {step}: {source}")]
pub struct ServiceFailure {
    /// The service's type, without modules.
    pub name: &'static str,
    /// When.
    pub step: Step,
    /// What it says.
    pub source: BoxError,
}

/// A step in a service's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Its constructor.
    Construct,
    /// [`Service::protocols`](crate::Service::protocols).
    Protocols,
    /// [`Service::start`](crate::Service::start).
    Start,
    /// [`Service::apis`](crate::Service::apis).
    Apis,
    /// [`Service::stop`](crate::Service::stop).
    Stop,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Construct => "not built",
            Self::Protocols => "no protocols",
            Self::Start => "not started",
            Self::Apis => "no APIs",
            Self::Stop => "not stopped",
        })
    }
}

/// Why a node's stop is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// It does not run.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// It has stopped, and these services did not end well.
    #[error("{}", Failures(.0))]
    Services(Vec<ServiceFailure>),
    /// The runtime ended in the middle of it.
    #[error("the async runtime was shut down")]
    Runtime,
}

/// Why a node was not started anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestartError {
    /// It was not running.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// It has stopped, and did not start again.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The node does not run.
///
/// Source: ethereum/go-ethereum:node/errors.go, `ErrNodeStopped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("node not started")]
pub struct NotStarted;

/// Why there is no such service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceLookupError {
    /// The node does not run, so it has no services.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// No service of this type was registered.
    #[error(transparent)]
    Unknown(#[from] UnknownService),
}

/// Why a program that ran until a signal did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node has stopped, but not well.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// A second signal came while it stopped, and what was left was aborted.
    #[error("aborted by a second signal")]
    Aborted,
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// An error with what caused it, in one line.
struct WithSource<'a, E>(&'a E);

impl<E: std::error::Error> fmt::Display for WithSource<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.source() {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

/// Failures in one line.
struct Failures<'a>(&'a [ServiceFailure]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, failure) in self.0.iter().enumerate() {
            write!(f, "{}{failure}", if at > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

fn also(f: &mut fmt::Formatter<'_>, failures: &[ServiceFailure]) -> fmt::Result {
    if failures.is_empty() { Ok(()) } else { write!(f, "; and then: {}", Failures(failures)) }
}
