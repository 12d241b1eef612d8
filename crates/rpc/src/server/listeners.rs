//! From what the operator wrote to bound ports and what they serve.
//!
//! ```text
//!   http 127.0.0.1:8545 ─┬─ one port if the addresses are equal, or `with_http`
//!   ws   127.0.0.1:8546 ─┘
//!   auth 127.0.0.1:8551 ─── both, behind a token
//! ```
//!
//! Everything is bound before anything is served, so that a start that fails leaves nothing behind.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
};

use tokio::sync::Semaphore;

use super::{AuthConfig, HttpConfig, HttpTimeouts, Limits, StartError, WsConfig};
use crate::{
    Module,
    access::{Entrance, Hosts, MethodFilter, Modules, PathPrefix},
    api::{Access, Api},
    observer::Watch,
    scan::ScanLimits,
    session::SessionLimits,
    tap::Tap,
    transport::{
        self,
        http::{Endpoint, HttpEndpoint, HttpListener, Layers, WsEndpoint},
    },
};

/// The listeners that were asked for, bound.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// Listeners with what they serve.
    pub(super) bound: Vec<(HttpListener, Arc<Endpoint>)>,
    pub(super) addresses: Addresses,
}

/// Where a server listens.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) http: Option<SocketAddr>,
    pub(super) ws: Option<SocketAddr>,
    pub(super) auth: Option<SocketAddr>,
}

/// What all listeners of a server have in common.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    pub(super) modules: &'a [Module],
    pub(super) methods: &'a MethodFilter,
    pub(super) limits: &'a Limits,
    /// Subscriptions of the whole server.
    pub(super) subscribed: &'a Arc<AtomicUsize>,
    pub(super) tap: Option<&'a Tap>,
    pub(super) watch: &'a Watch,
}

impl Listeners {
    /// Binds what is configured.
    ///
    /// # Errors
    ///
    /// [`StartError`] for the first that cannot be bound, and for a WebSocket that is to share the
    /// port of an HTTP listener that there is not.
    pub(super) async fn bind(
        offer: &Offer<'_>,
        http: Option<&HttpConfig>,
        ws: Option<&WsConfig>,
        auth: Option<&AuthConfig>,
    ) -> Result<Self, StartError> {
        let mut listeners = Self::default();
        let shared = ws.filter(|ws| shares(ws, http));
        if let Some(config) = http {
            let address = listeners.add("http", &config.address, offer.open(http, shared)).await?;
            listeners.addresses.http = Some(address);
            listeners.addresses.ws = shared.map(|_| address);
        }
        if let Some(config) = ws.filter(|_| shared.is_none()) {
            let address = config.address.as_deref().ok_or(StartError::NoHttp)?;
            let address = listeners.add("ws", address, offer.open(None, ws)).await?;
            listeners.addresses.ws = Some(address);
        }
        if let Some(config) = auth {
            let address =
                listeners.add("auth", &config.address, offer.behind_token(config)).await?;
            listeners.addresses.auth = Some(address);
        }
        Ok(listeners)
    }

    async fn add(
        &mut self,
        name: &'static str,
        address: &str,
        endpoint: Endpoint,
    ) -> Result<SocketAddr, StartError> {
        let listener = HttpListener::bind(name, address).await?;
        let address = listener.address();
        self.bound.push((listener, Arc::new(endpoint)));
        Ok(address)
    }
}

/// Whether the WebSocket listener is the HTTP listener, too.
fn shares(ws: &WsConfig, http: Option<&HttpConfig>) -> bool {
    match (&ws.address, http) {
        (None, http) => http.is_some(),
        (Some(_), None) => false,
        // Two listeners that take any port have two.
        (Some(address), Some(http)) => *address == http.address && !address.ends_with(":0"),
    }
}

impl Offer<'_> {
    /// What anybody may use who can reach it.
    fn open(&self, http: Option<&HttpConfig>, ws: Option<&WsConfig>) -> Endpoint {
        let timeouts = http.map(|http| http.timeouts).unwrap_or_default().sanitized();
        let http_endpoint = http.map(|config| HttpEndpoint {
            api: self.api("http", &config.modules, &config.methods, Entrance::Open),
            limits: http_limits(self.limits, &timeouts),
            hosts: config.hosts.clone(),
            path: config.path.clone(),
            body_bytes: self.limits.body_bytes,
            scan: scan_body(self.limits),
            layers: Layers::new(&config.cors, config.compression),
            routes: config.routes.clone(),
            routes_only: config.routes_only,
        });
        let ws_endpoint = ws.map(|config| WsEndpoint {
            api: self.api("ws", &config.modules, &config.methods, Entrance::Open),
            limits: Arc::new(transport::session_limits(self.limits)),
            hosts: config.hosts.clone().unwrap_or_else(|| hosts_of(http)),
            origins: config.origins.clone(),
            path: config.path.clone(),
            scan: self.limits.into(),
            places: Arc::new(Semaphore::new(self.limits.ws_connections)),
        });
        Endpoint {
            http: http_endpoint,
            ws: ws_endpoint,
            token: None,
            timeouts,
            connections: self.limits.http_connections,
        }
    }

    /// What needs a token.
    fn behind_token(&self, config: &AuthConfig) -> Endpoint {
        let timeouts = config.timeouts.sanitized();
        let limits = &config.limits;
        let modules = config.modules.clone().unwrap_or_else(|| self.authenticated());
        let api = self.api("auth", &modules, &config.methods, Entrance::Token);
        Endpoint {
            http: Some(HttpEndpoint {
                api: Arc::clone(&api),
                limits: http_limits(limits, &timeouts),
                hosts: config.hosts.clone(),
                path: PathPrefix::default(),
                body_bytes: limits.body_bytes,
                scan: scan_body(limits),
                // Never compressed, and no page of a browser has a token.
                layers: None,
                routes: None,
                routes_only: false,
            }),
            ws: Some(WsEndpoint {
                api,
                limits: Arc::new(transport::session_limits(limits)),
                hosts: config.hosts.clone(),
                origins: config.origins.clone(),
                path: PathPrefix::default(),
                scan: limits.into(),
                places: Arc::new(Semaphore::new(limits.ws_connections)),
            }),
            token: Some(config.secret.clone()),
            timeouts,
            connections: limits.http_connections,
        }
    }

    fn authenticated(&self) -> Modules {
        let marked = self.modules.iter().filter(|module| module.is_authenticated());
        Modules::only(marked.map(Module::namespace))
    }

    fn api(
        &self,
        endpoint: &'static str,
        modules: &Modules,
        methods: &MethodFilter,
        entrance: Entrance,
    ) -> Arc<Api> {
        let unknown = modules.unknown(self.modules.iter().map(Module::namespace));
        // The default lists what a server may well be without.
        if !unknown.is_empty() && *modules != Modules::default() {
            tracing::warn!(endpoint, ?unknown, "rpc modules not available");
        }
        let access = Access {
            modules: modules.clone(),
            methods: vec![self.methods.clone(), methods.clone()],
            entrance,
        };
        self.reached(&access)
    }

    /// What can be called where `access` holds.
    pub(super) fn reached(&self, access: &Access) -> Arc<Api> {
        let mut api = Api::new(self.modules, access, Arc::clone(self.subscribed));
        api.tap = self.tap.cloned();
        api.watch = self.watch.clone();
        Arc::new(api)
    }
}

fn hosts_of(http: Option<&HttpConfig>) -> Hosts {
    http.map(|http| http.hosts.clone()).unwrap_or_default()
}

/// A call over HTTP is over in time for its answer to be written.
fn http_limits(limits: &Limits, timeouts: &HttpTimeouts) -> Arc<SessionLimits> {
    let limits = Limits { call_timeout: Some(timeouts.call()), ..limits.clone() };
    Arc::new(transport::session_limits(&limits))
}

fn scan_body(limits: &Limits) -> ScanLimits {
    ScanLimits { max_bytes: limits.body_bytes, max_depth: limits.depth }
}
