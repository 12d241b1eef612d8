//! The server: modules offered over the transports that were asked for.
//!
//! ```text
//!   Server::builder() ─▶ module … ─▶ ipc, http, ws ─▶ start().await ─▶ Server ─▶ stop().await
//!                                                        │ error
//!                                                        ▼
//!                                                  nothing left behind
//! ```

mod auth;
mod builder;
mod error;
mod http;
mod limits;
mod listeners;
mod ws;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::listeners::Addresses;
pub use self::{
    auth::AuthConfig,
    builder::ServerBuilder,
    error::StartError,
    http::{HttpConfig, HttpTimeouts},
    limits::Limits,
    ws::WsConfig,
};
use crate::{Client, api::Api, transport};

/// A running JSON-RPC server. Cheap to clone; dropping the last handle stops it without waiting.
#[derive(Clone)]
pub struct Server(Arc<Running>);

struct Running {
    /// What callers in process get.
    everything: Arc<Api>,
    limits: Limits,
    ipc_path: Option<PathBuf>,
    addresses: Addresses,
    stop: CancellationToken,
    /// Everything that runs for this server.
    tasks: TaskTracker,
}

impl Server {
    /// Starts putting a server together.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// A client in this process, which may call everything.
    pub fn attach(&self) -> Client {
        let running = Arc::downgrade(&self.0);
        Client::in_process(move || {
            let running = running.upgrade().filter(|running| !running.stop.is_cancelled())?;
            let api = Arc::clone(&running.everything);
            let stop = running.stop.clone();
            let (theirs, ours) = tokio::io::duplex(transport::inproc::PIPE);
            running.tasks.spawn(transport::inproc::serve(ours, api, &running.limits, stop));
            Some(theirs)
        })
    }

    /// Serves one caller at the other end of a stream of bytes, until it ends or the server stops.
    ///
    /// For transports of one's own: a pipe, standard input and output, a tunnel. Everything is
    /// offered there, as over IPC.
    pub fn serve_stream<S>(&self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
    {
        let running = &self.0;
        let api = Arc::clone(&running.everything);
        let stop = running.stop.clone();
        running.tasks.spawn(transport::inproc::serve(stream, api, &running.limits, stop));
    }

    /// Where the socket is, if there is one; an absolute path.
    pub fn ipc_path(&self) -> Option<&Path> {
        self.0.ipc_path.as_deref()
    }

    /// Where it listens for HTTP, if it does; with the port that was taken for port 0.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.0.addresses.http
    }

    /// Where it listens for WebSockets, if it does: a port of their own, or that of HTTP.
    pub fn ws_addr(&self) -> Option<SocketAddr> {
        self.0.addresses.ws
    }

    /// Where it listens for those who have a token, if it does.
    pub fn auth_addr(&self) -> Option<SocketAddr> {
        self.0.addresses.auth
    }

    /// Whether the server still runs.
    pub fn is_running(&self) -> bool {
        !self.0.stop.is_cancelled()
    }

    /// Stops the server and waits until it has: no listener, no connection, no task is left.
    ///
    /// Answers that are ready are still sent, for a second at most, and over HTTP so are those that
    /// become ready by then; calls that run are dropped.
    /// Stopping a stopped server does nothing.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The tasks end by themselves, and close what they hold.
        self.stop.cancel();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("running", &self.is_running())
            .field("ipc_path", &self.0.ipc_path)
            .field("addresses", &self.0.addresses)
            .finish_non_exhaustive()
    }
}
