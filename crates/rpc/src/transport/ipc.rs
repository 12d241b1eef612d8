//! IPC: a local socket that only its owner can open; on Windows a named pipe.
//!
//! ```text
//!   bind ─┬─ nobody answers on the socket at `path`: it is stale, and replaced
//!         ├─ somebody answers, or it is no socket:  an error, and it is left alone
//!         └─ mode 0600 from the first moment
//! ```
//!
//! Everything is offered here, authenticated namespaces included: who may open the file is who may
//! call. The path has at most 107 bytes on Linux, 103 on macOS.
//!
//! Spec: ethereum/go-ethereum:rpc/ipc.go, `ipcListen`.

#[cfg(unix)]
mod file;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use interprocess::local_socket::{
    GenericFilePath, ToFsName as _,
    tokio::{Listener, Stream, prelude::*},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::stream;
use crate::{
    Caller, Limits, RefusedBy, StartError, TransportKind, api::Api, link::Link, scan::ScanLimits,
    session::Session,
};

/// A bound socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct IpcListener {
    listener: Listener,
    path: PathBuf,
    #[cfg(unix)]
    _file: file::SocketFile,
}

impl IpcListener {
    /// Binds `path`; folders that are missing are made with mode 0751.
    ///
    /// # Errors
    ///
    /// [`StartError`] for a path that is too long, a file there that is no socket, or a server that
    /// answers on it.
    #[cfg(unix)]
    pub(crate) fn bind(path: &Path) -> Result<Self, StartError> {
        let (listener, file) = file::bind(path)?;
        Ok(Self { listener, path: path.to_owned(), _file: file })
    }

    /// Makes the named pipe `path`, as in `\\.\pipe\geth.ipc`.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the system refuses.
    #[cfg(not(unix))]
    pub(crate) fn bind(path: &Path) -> Result<Self, StartError> {
        let failed = |source| StartError::Ipc { path: path.to_owned(), source };
        let name = path.to_fs_name::<GenericFilePath>().map_err(failed)?;
        let options = interprocess::local_socket::ListenerOptions::new().name(name);
        let listener = options.create_tokio().map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// The absolute path.
    pub(crate) fn path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Serves until `stop` is cancelled, and until every connection has ended.
    pub(crate) async fn serve(self, api: Arc<Api>, limits: Limits, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(limits.ipc_connections));
        let session_limits = Arc::new(super::session_limits(&limits));
        // bound: `ipc_connections`, then a new connection is closed
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let socket = match accepted {
                Ok(socket) => socket,
                Err(error) => {
                    pause_after(&error, &stop).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(limit = limits.ipc_connections, "too many ipc connections");
                api.watch.tell(|observer| observer.refused(RefusedBy::IpcConnections));
                continue;
            };
            let counted = api.watch.connection(TransportKind::Ipc);
            let link = Arc::new(Link::new(Caller::new(TransportKind::Ipc, None), true, false));
            let (api, session_limits) = (Arc::clone(&api), Arc::clone(&session_limits));
            let session = Session::new(Arc::clone(&link), api, session_limits, false);
            let run = stream::run(socket, session, link, ScanLimits::from(&limits), stop.clone());
            connections.spawn(async move {
                run.await;
                drop((place, counted));
            });
        }
        // The file goes first: whoever comes now finds nobody rather than silence.
        drop(self);
        connections.close();
        connections.wait().await;
    }
}

/// Connects to a socket.
///
/// # Errors
///
/// What the system says.
pub(crate) async fn connect(path: &Path) -> io::Result<Stream> {
    Stream::connect(path.to_fs_name::<GenericFilePath>()?).await
}

/// Without descriptors `accept` fails at once, again and again.
pub(crate) async fn pause_after(error: &io::Error, stop: &CancellationToken) {
    tracing::warn!(%error, "rpc accept failed");
    let pause = tokio::time::sleep(ACCEPT_PAUSE);
    tokio::select! {
        () = stop.cancelled() => {}
        () = pause => {}
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
