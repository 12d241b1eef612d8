//! HTTP: one request, one answer; and the door to WebSockets.
//!
//! ```text
//!   listener ── accept ──▶ place ──▶ one task a connection
//!               when one is free     hyper reads heads, writes answers
//!                                      └─ service: who may? ─▶ body ─▶ JSON ─▶ Exchange
//!                                      └─ upgrade: the same task becomes the WebSocket's
//! ```
//!
//! HTTP/1.0 and 1.1, without TLS. The head of a request has at most 16 KiB and 100 headers, then
//! status 431 and the end.
//!
//! Spec: ethereum/go-ethereum:rpc/http.go, node/rpcstack.go.

mod activity;
mod answer;
mod body;
mod connection;
mod layers;
mod places;
mod service;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::layers::Layers;
use self::{activity::Activity, places::Places};
use super::ipc::pause_after;
use crate::{
    HttpTimeouts, StartError,
    access::{Hosts, JwtSecret, Origins, PathPrefix},
    api::Api,
    observer::Watch,
    scan::ScanLimits,
    session::SessionLimits,
};

/// What a listener serves.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) http: Option<HttpEndpoint>,
    pub(crate) ws: Option<WsEndpoint>,
    /// Whoever has no token of this secret is refused.
    pub(crate) token: Option<JwtSecret>,
    pub(crate) timeouts: HttpTimeouts,
    /// How many connections are served at a time, WebSockets apart.
    pub(crate) connections: usize,
}

impl Endpoint {
    /// Who is told what happens here.
    fn watch(&self) -> Option<&Watch> {
        let of_http = self.http.as_ref().map(|http| &http.api.watch);
        of_http.or_else(|| self.ws.as_ref().map(|ws| &ws.api.watch))
    }
}

#[derive(Debug)]
pub(crate) struct HttpEndpoint {
    pub(crate) api: Arc<Api>,
    pub(crate) limits: Arc<SessionLimits>,
    pub(crate) hosts: Hosts,
    pub(crate) path: PathPrefix,
    pub(crate) body_bytes: usize,
    pub(crate) scan: ScanLimits,
    pub(crate) layers: Option<Layers>,
    pub(crate) routes: Option<Router>,
    /// No call is answered, whatever its path.
    pub(crate) routes_only: bool,
}

#[derive(Debug)]
pub(crate) struct WsEndpoint {
    pub(crate) api: Arc<Api>,
    pub(crate) limits: Arc<SessionLimits>,
    pub(crate) hosts: Hosts,
    pub(crate) origins: Origins,
    pub(crate) path: PathPrefix,
    pub(crate) scan: ScanLimits,
    pub(crate) places: Arc<Semaphore>,
}

/// A bound port.
#[derive(Debug)]
pub(crate) struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpListener {
    /// Binds `address`; `endpoint` names it in errors.
    ///
    /// # Errors
    ///
    /// [`StartError::Listen`] when the system refuses, or does not know the name.
    pub(crate) async fn bind(endpoint: &'static str, address: &str) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { endpoint, address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, and until every connection has ended.
    pub(crate) async fn serve(self, endpoint: Arc<Endpoint>, stop: CancellationToken) {
        let places = Places::new(endpoint.connections);
        let connections = TaskTracker::new();
        let accepting = async {
            loop {
                match self.listener.accept().await {
                    Ok((socket, remote)) => {
                        start(socket, remote, &endpoint, &places, &connections, &stop).await;
                    }
                    Err(error) => pause_after(&error, &stop).await,
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = accepting => {}
        }
        // Whoever comes now finds nobody rather than silence.
        drop(self);
        connections.close();
        connections.wait().await;
    }
}

/// Serves a connection in a task of its own, as soon as there is a place for it.
async fn start(
    socket: TcpStream,
    remote: SocketAddr,
    endpoint: &Arc<Endpoint>,
    places: &Arc<Places>,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    // Answers are written whole: there is nothing to wait for.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%remote, %error, "rpc connection lost before it was served");
        return;
    }
    let activity = Arc::new(Activity::new(endpoint.timeouts, CancellationToken::new()));
    let place = places.take(&activity).await;
    connections.spawn(connection::run(
        socket,
        Some(remote),
        Arc::clone(endpoint),
        activity,
        Some(place),
        stop.clone(),
    ));
}
