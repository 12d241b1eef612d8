//! The doors for other programs: RPC in process, over IPC, HTTP and WebSocket.

use std::{net::SocketAddr, path::Path};

use rpc::{Client, JwtSecret, Module};
use tokio_util::sync::CancellationToken;

use crate::{StartFailure, builder::Settings, metrics::Metrics};

/// A node's RPC server, and what it says about its doors.
#[derive(Debug)]
pub(crate) struct Endpoints {
    node: String,
    rpc: rpc::Server,
    /// Where the metrics are served, if they are.
    metrics: Option<rpc::Server>,
}

impl Endpoints {
    /// Opens everything that was asked for.
    ///
    /// # Errors
    ///
    /// [`StartFailure`]; nothing is left open then.
    pub(crate) async fn open(
        settings: &Settings,
        modules: Vec<Module>,
        secret: Option<JwtSecret>,
        metrics: &Metrics,
    ) -> Result<Self, StartFailure> {
        let configured = &settings.rpc;
        let mut builder = rpc::Server::builder().modules(modules);
        if let Some(path) = &settings.ipc {
            builder = builder.ipc(path);
        }
        if let Some(http) = &configured.http {
            builder = builder.http(http.clone());
        }
        if let Some(ws) = &configured.ws {
            builder = builder.ws(ws.clone());
        }
        if let (Some(auth), Some(secret)) = (&configured.auth, secret) {
            builder = builder.auth(auth(secret));
        }
        if settings.metrics.is_some() {
            builder = metrics.observe_rpc(builder);
        }
        builder = configured.more.iter().fold(builder, |builder, change| change(builder));
        let mut endpoints =
            Self { node: settings.name.clone(), rpc: builder.start().await?, metrics: None };
        if let Some(config) = &settings.metrics {
            match metrics.serve(config).await {
                Ok(served) => endpoints.metrics = Some(served),
                Err(error) => {
                    endpoints.rpc.stop().await;
                    return Err(StartFailure::Metrics(error));
                }
            }
        }
        endpoints.say_opened();
        Ok(endpoints)
    }

    pub(crate) fn attach(&self) -> Client {
        self.rpc.attach()
    }

    pub(crate) fn ipc_path(&self) -> Option<&Path> {
        self.rpc.ipc_path()
    }

    pub(crate) fn http_addr(&self) -> Option<SocketAddr> {
        self.rpc.http_addr()
    }

    pub(crate) fn ws_addr(&self) -> Option<SocketAddr> {
        self.rpc.ws_addr()
    }

    pub(crate) fn auth_addr(&self) -> Option<SocketAddr> {
        self.rpc.auth_addr()
    }

    pub(crate) fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.http_addr()
    }

    /// Closes all of them; without waiting once `abort` is cancelled.
    pub(crate) async fn close(self, abort: &CancellationToken) {
        tokio::select! {
            biased;
            // Dropping the server stops it, too.
            () = abort.cancelled() => {}
            () = self.stop() => {}
        }
        self.say_closed();
    }

    async fn stop(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.stop().await;
        }
        self.rpc.stop().await;
    }
}

/// A door, and what is said when it opens and closes.
struct Door {
    url: String,
    opened: &'static str,
    closed: &'static str,
}

impl Endpoints {
    /// Those that there are, in the order of their opening.
    fn doors(&self) -> Vec<Door> {
        let ipc = self.ipc_path().map(|path| path.display().to_string());
        let http = self.http_addr().map(|addr| format!("http://{addr}"));
        let ws = self.ws_addr().map(|addr| format!("ws://{addr}"));
        let auth = self.auth_addr().map(|addr| format!("http://{addr}"));
        let metrics = self.metrics_addr().map(|addr| format!("http://{addr}/metrics"));
        let doors = [(ipc, &IPC), (http, &HTTP), (ws, &WS), (auth, &AUTH), (metrics, &METRICS)];
        let doors = doors
            .into_iter()
            .filter_map(|(url, [opened, closed])| Some(Door { url: url?, opened, closed }));
        doors.collect()
    }

    fn say_opened(&self) {
        for Door { url, opened, .. } in self.doors() {
            tracing::info!(node = %self.node, %url, "{opened}");
        }
    }

    fn say_closed(&self) {
        for Door { url, closed, .. } in self.doors().into_iter().rev() {
            tracing::info!(node = %self.node, %url, "{closed}");
        }
    }
}

// Source: ethereum/go-ethereum:node/node.go of 1.9, but for the last two.
const IPC: [&str; 2] = ["IPC endpoint opened", "IPC endpoint closed"];
const HTTP: [&str; 2] = ["HTTP endpoint opened", "HTTP endpoint closed"];
const WS: [&str; 2] = ["WebSocket endpoint opened", "WebSocket endpoint closed"];
const AUTH: [&str; 2] = ["authenticated endpoint opened", "authenticated endpoint closed"];
const METRICS: [&str; 2] = ["metrics endpoint opened", "metrics endpoint closed"];
