//! What an HTTP listener may be told.

use std::time::Duration;

use axum::Router;

use crate::access::{Cors, Hosts, MethodFilter, Modules, PathPrefix};

/// An HTTP listener: where, for whom, and what it offers.
///
/// ```
/// use rpc::{HttpConfig, Modules};
///
/// let config = HttpConfig::new("127.0.0.1:8545").modules(Modules::only(["net", "foo"]));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a server has it"]
pub struct HttpConfig {
    pub(super) address: String,
    pub(super) modules: Modules,
    pub(super) methods: MethodFilter,
    pub(super) hosts: Hosts,
    pub(super) cors: Cors,
    pub(super) path: PathPrefix,
    pub(super) timeouts: HttpTimeouts,
    pub(super) compression: bool,
    pub(super) routes: Option<Router>,
    pub(super) routes_only: bool,
}

impl HttpConfig {
    /// A listener at `address`, `host:port`; port 0 takes any that is free.
    ///
    /// Whoever can reach the address can call what is offered there: with `127.0.0.1` that is every
    /// program on this machine, and with `0.0.0.0` whoever a firewall lets through.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            modules: Modules::default(),
            methods: MethodFilter::default(),
            hosts: Hosts::default(),
            cors: Cors::default(),
            path: PathPrefix::default(),
            timeouts: HttpTimeouts::default(),
            compression: false,
            routes: None,
            routes_only: false,
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

    /// The names under which it may be asked; `localhost` by default, and any address.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// The origins whose web pages may use it; none by default.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// The paths under which it answers; `/` by default.
    pub fn path(mut self, path: PathPrefix) -> Self {
        self.path = path;
        self
    }

    /// How long it waits for a client.
    pub fn timeouts(mut self, timeouts: HttpTimeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Whether answers over 1 KiB are compressed for clients that accept gzip; they are not by
    /// default.
    ///
    /// Whoever can choose part of an answer, and see how long it becomes, learns about the rest of
    /// it. Leave it off where answers hold secrets.
    pub fn compression(mut self, on: bool) -> Self {
        self.compression = on;
        self
    }

    /// Further routes on the same port, such as `/metrics`; none by default.
    ///
    /// They are asked for what [`path`](Self::path) does not cover, and behind the same check of the
    /// host. What they do not know gets status 404.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = Some(routes);
        self
    }

    /// Answers for the [`routes`](Self::routes) alone, and offers no method; off by default.
    ///
    /// For a port of their own, where `/` is a route like any other.
    pub fn routes_only(mut self) -> Self {
        self.routes_only = true;
        self
    }
}

/// How long an HTTP listener waits for a client.
///
/// Each of them that is less than a second stands for its default.
///
/// Source: ethereum/go-ethereum:rpc/http.go, `HTTPTimeouts`; node/endpoints.go, `CheckTimeouts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// For the body of a request, from its head on; 30 s, then a parse error.
    pub read: Duration,
    /// For the head of a request, from its first byte on, and of the first from the connection on;
    /// 30 s, then the connection is closed.
    pub read_header: Duration,
    /// For a client that reads less than 4 KiB of an answer; 30 s, then the connection is closed. A
    /// call may take 100 ms less, then "request timed out".
    pub write: Duration,
    /// Between two requests; 120 s, then the connection is closed.
    pub idle: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            read_header: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(120),
        }
    }
}

impl HttpTimeouts {
    /// With a default for each that is too short to be meant.
    pub(crate) fn sanitized(self) -> Self {
        let default = Self::default();
        let sane = |time, default| if time < SHORTEST { default } else { time };
        Self {
            read: sane(self.read, default.read),
            read_header: sane(self.read_header, default.read_header),
            write: sane(self.write, default.write),
            idle: sane(self.idle, default.idle),
        }
    }

    /// How long a call may take, so that its answer can still be written.
    pub(crate) fn call(&self) -> Duration {
        self.write.saturating_sub(MARGIN)
    }
}

const SHORTEST: Duration = Duration::from_secs(1);

/// Source: ethereum/go-ethereum:rpc/service.go by way of rpc/http.go, `ContextRequestTimeout`.
const MARGIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_under_a_second_stands_for_its_default() {
        let short = HttpTimeouts {
            read: Duration::from_millis(999),
            read_header: Duration::ZERO,
            write: Duration::from_secs(1),
            idle: Duration::from_secs(3_600),
        };

        let sane = short.sanitized();

        let expected = HttpTimeouts { write: short.write, idle: short.idle, ..Default::default() };
        assert_eq!(sane, expected);
        assert_eq!(sane.call(), Duration::from_millis(900));
    }
}
