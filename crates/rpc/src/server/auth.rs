//! What the listener for authenticated namespaces may be told.

use super::{HttpTimeouts, Limits};
use crate::access::{Hosts, JwtSecret, MethodFilter, Modules, Origins};

/// A listener for HTTP and WebSocket whose every request must carry a token.
///
/// Here, in process and over IPC are the modules offered that were marked as
/// [authenticated](crate::Module::authenticated), and nowhere else (R-02).
///
/// ```
/// use rpc::{AuthConfig, JwtSecret};
///
/// let secret = JwtSecret::from_bytes(&[7; 32]);
/// let config = AuthConfig::new("127.0.0.1:8551", secret);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a server has it"]
pub struct AuthConfig {
    pub(super) address: String,
    pub(super) secret: JwtSecret,
    /// None: the authenticated ones.
    pub(super) modules: Option<Modules>,
    pub(super) methods: MethodFilter,
    pub(super) hosts: Hosts,
    pub(super) origins: Origins,
    pub(super) timeouts: HttpTimeouts,
    pub(super) limits: Limits,
}

impl AuthConfig {
    /// A listener at `address`, `host:port`, for those who know the secret; port 0 takes any that is
    /// free.
    pub fn new(address: impl Into<String>, secret: JwtSecret) -> Self {
        Self {
            address: address.into(),
            secret,
            modules: None,
            methods: MethodFilter::default(),
            hosts: Hosts::default(),
            origins: Origins::default(),
            timeouts: HttpTimeouts::default(),
            limits: Self::default_limits(),
        }
    }

    /// The limits that hold here unless others are set: those of [`Limits::default`], but 128 MiB for
    /// the body of a request, 2,000 messages in a batch and 250,000,000 bytes of their results.
    ///
    /// Source: ethereum/go-ethereum:node/defaults.go, `engineAPIBatchItemLimit` and its neighbours.
    pub fn default_limits() -> Limits {
        Limits {
            body_bytes: 128 * 1024 * 1024,
            batch_items: 2_000,
            batch_response_bytes: 250_000_000,
            ..Limits::default()
        }
    }

    /// The namespaces it offers, authenticated or not. By default those that are marked as
    /// authenticated, and no others.
    pub fn modules(mut self, modules: Modules) -> Self {
        self.modules = Some(modules);
        self
    }

    /// Which methods may be called here, among those that the server lets be called at all; all of
    /// them by default.
    pub fn methods(mut self, filter: MethodFilter) -> Self {
        self.methods = filter;
        self
    }

    /// The names under which it may be asked; `localhost` by default, and any address.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// The origins whose web pages may open a WebSocket; `http://localhost` by default.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// How long it waits for a client.
    pub fn timeouts(mut self, timeouts: HttpTimeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the limits; those of the server do not hold here.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
