//! What a WebSocket listener may be told.

use crate::access::{Hosts, MethodFilter, Modules, Origins, PathPrefix};

/// A WebSocket listener: where, for whom, and what it offers.
///
/// ```
/// use rpc::{Modules, Origins, WsConfig};
///
/// # fn main() -> Result<(), rpc::RuleError> {
/// let config = WsConfig::with_http()
///     .modules(Modules::only(["net", "foo"]))
///     .origins(Origins::new(["https://app.example.org"])?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a server has it"]
pub struct WsConfig {
    /// None: that of the HTTP listener.
    pub(super) address: Option<String>,
    pub(super) modules: Modules,
    pub(super) methods: MethodFilter,
    pub(super) hosts: Option<Hosts>,
    pub(super) origins: Origins,
    pub(super) path: PathPrefix,
}

impl WsConfig {
    /// A listener at `address`, `host:port`; port 0 takes any that is free.
    ///
    /// With the address of the HTTP listener, port 0 apart, the two share it. Who can reach the
    /// address can call what is offered there; see [`HttpConfig::new`](crate::HttpConfig::new).
    pub fn new(address: impl Into<String>) -> Self {
        Self::at(Some(address.into()))
    }

    /// On the port of the HTTP listener, which there must be.
    pub fn with_http() -> Self {
        Self::at(None)
    }

    fn at(address: Option<String>) -> Self {
        Self {
            address,
            modules: Modules::default(),
            methods: MethodFilter::default(),
            hosts: None,
            origins: Origins::default(),
            path: PathPrefix::default(),
        }
    }

    /// The namespaces it offers; `net` and `web3` by default.
    pub fn modules(mut self, modules: Modules) -> Self {
        self.modules = modules;
        self
    }

    /// Which methods may be called here, among those that the server lets be called at all; all of
    /// them by default.
    pub fn methods(mut self, filter: MethodFilter) -> Self {
        self.methods = filter;
        self
    }

    /// The names under which it may be asked. By default those of the HTTP listener where the two
    /// share a port, otherwise `localhost`; and any address.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// The origins whose web pages may connect; `http://localhost` by default. Programs that are no
    /// browser need no origin.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// The paths under which it answers; `/` by default.
    pub fn path(mut self, path: PathPrefix) -> Self {
        self.path = path;
        self
    }
}
