//! How a node is put together: every setting, its default, and what it means.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use enode::{Enode, NodeId, SecretKey};
use p2p_server::ServerBuilder;
use rpc::{AuthConfig, HttpConfig, JwtSecret, WsConfig};

use crate::{
    BuildError, Node, ServiceContext,
    data_dir::Paths,
    metrics::MetricsConfig,
    service::{IntoService, Registration},
};

/// Puts a [`Node`] together; [`build`](Self::build) makes it, and touches nothing.
#[must_use = "a builder does nothing until `build`"]
pub struct NodeBuilder {
    name: Option<String>,
    version: Option<String>,
    data_dir: Option<PathBuf>,
    key: Option<SecretKey>,
    p2p: P2pSettings,
    ipc: Ipc,
    rpc: RpcSettings,
    metrics: Option<MetricsConfig>,
    stop_timeout: Duration,
    services: Vec<Registration>,
}

/// What the node itself sets of its p2p server.
pub(crate) struct P2pSettings {
    pub(crate) listen: Option<String>,
    pub(crate) max_peers: usize,
    pub(crate) static_nodes: Vec<Enode>,
    pub(crate) trusted_nodes: Vec<NodeId>,
    pub(crate) message_events: bool,
    pub(crate) more: Vec<Hook<ServerBuilder>>,
}

/// What the node itself sets of its RPC server.
#[derive(Default)]
pub(crate) struct RpcSettings {
    pub(crate) http: Option<HttpConfig>,
    pub(crate) ws: Option<WsConfig>,
    pub(crate) auth: Option<Box<dyn Fn(JwtSecret) -> AuthConfig + Send + Sync>>,
    pub(crate) more: Vec<Hook<rpc::ServerBuilder>>,
}

/// Changes a builder, at each start anew.
type Hook<B> = Box<dyn Fn(B) -> B + Send + Sync>;

/// Where the socket is to be.
enum Ipc {
    /// `<name>.ipc` where there is a data directory.
    Default,
    At(PathBuf),
    Off,
}

/// A node's settings, ready to be used at each start.
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) client_name: String,
    pub(crate) paths: Option<Paths>,
    /// The key that was given, or the one of a node without a directory.
    pub(crate) key: Option<SecretKey>,
    pub(crate) p2p: P2pSettings,
    pub(crate) ipc: Option<PathBuf>,
    pub(crate) rpc: RpcSettings,
    pub(crate) metrics: Option<MetricsConfig>,
    pub(crate) stop_timeout: Duration,
    pub(crate) services: Vec<Registration>,
}

impl NodeBuilder {
    pub(crate) fn new() -> Self {
        Self {
            name: None,
            version: None,
            data_dir: None,
            key: None,
            p2p: P2pSettings {
                listen: Some(DEFAULT_LISTEN.to_owned()),
                max_peers: DEFAULT_MAX_PEERS,
                static_nodes: Vec::new(),
                trusted_nodes: Vec::new(),
                message_events: false,
                more: Vec::new(),
            },
            ipc: Ipc::Default,
            rpc: RpcSettings::default(),
            metrics: None,
            stop_timeout: DEFAULT_STOP_TIMEOUT,
            services: Vec::new(),
        }
    }

    /// The node's name: of its instance directory, in its logs, and at the front of what it calls
    /// itself to others. Default: the program's file name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The program's version, as in `foo/v1.2.0/linux-x86_64/rustc1.95.0`. Default: none.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Where the node keeps its files. Nodes of different names may share it. Default: nowhere; the node
    /// then has a new key and no socket, and its services' databases are gone when it stops.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// The key that the node proves itself with. Default: the one in the data directory, which is made
    /// there at the first start.
    pub fn key(mut self, key: SecretKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Listens for peers on `IP:PORT`; port 0 lets the system choose. Default: `0.0.0.0:30303`.
    pub fn listen(mut self, addr: impl Into<String>) -> Self {
        self.p2p.listen = Some(addr.into());
        self
    }

    /// Does not listen for peers: the node can only dial.
    pub fn no_listen(mut self) -> Self {
        self.p2p.listen = None;
        self
    }

    /// The number of peers, trusted ones apart. Default: 50.
    pub fn max_peers(mut self, max: usize) -> Self {
        self.p2p.max_peers = max;
        self
    }

    /// Keeps a connection to this node, besides those in `static-nodes.json`.
    pub fn static_node(mut self, node: Enode) -> Self {
        self.p2p.static_nodes.push(node);
        self
    }

    /// Admits this node beyond the limits, besides those in `trusted-nodes.json`.
    pub fn trusted_node(mut self, id: NodeId) -> Self {
        self.p2p.trusted_nodes.push(id);
        self
    }

    /// Emits an event for every message that a protocol sends or takes. Default: off.
    pub fn message_events(mut self, yes: bool) -> Self {
        self.p2p.message_events = yes;
        self
    }

    /// Everything else that a p2p server can be told; called at each start, after the settings of the
    /// node and before its anchors are added.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use p2p_server::ExternalIp;
    ///
    /// let external = Ipv4Addr::new(203, 0, 113, 7);
    /// let builder = service_node::Node::builder()
    ///     .p2p(move |server| server.dial_ratio(2).nat(ExternalIp::new(external.into())));
    /// ```
    pub fn p2p(
        mut self,
        change: impl Fn(ServerBuilder) -> ServerBuilder + Send + Sync + 'static,
    ) -> Self {
        self.p2p.more.push(Box::new(change));
        self
    }

    /// Where the socket for RPC is: a plain name is meant in the data directory, or the system's
    /// temporary one if there is none; a path with a separator is used as it is. Default: `<name>.ipc`
    /// where there is a data directory, and no socket where there is none.
    pub fn ipc(mut self, path: impl Into<PathBuf>) -> Self {
        self.ipc = Ipc::At(path.into());
        self
    }

    /// No socket for RPC.
    pub fn no_ipc(mut self) -> Self {
        self.ipc = Ipc::Off;
        self
    }

    /// RPC over HTTP, with the namespaces and hosts that the configuration names. Default: none.
    pub fn http(mut self, config: HttpConfig) -> Self {
        self.rpc.http = Some(config);
        self
    }

    /// RPC over WebSocket, with the namespaces and origins that the configuration names. Default: none.
    pub fn ws(mut self, config: WsConfig) -> Self {
        self.rpc.ws = Some(config);
        self
    }

    /// RPC for those who have a token, authenticated namespaces included. Default: none.
    ///
    /// The secret is the one in `jwtsecret`, which is made there at the first start; without a data
    /// directory a new one.
    ///
    /// ```
    /// use rpc::AuthConfig;
    ///
    /// let builder = service_node::Node::builder()
    ///     .auth(|secret| AuthConfig::new("127.0.0.1:8551", secret));
    /// ```
    pub fn auth(
        mut self,
        config: impl Fn(JwtSecret) -> AuthConfig + Send + Sync + 'static,
    ) -> Self {
        self.rpc.auth = Some(Box::new(config));
        self
    }

    /// Everything else that an RPC server can be told, such as its limits; called at each start, last.
    pub fn rpc(
        mut self,
        change: impl Fn(rpc::ServerBuilder) -> rpc::ServerBuilder + Send + Sync + 'static,
    ) -> Self {
        self.rpc.more.push(Box::new(change));
        self
    }

    /// Counts what the node does, and serves it to Prometheus over HTTP at `host:port`, under `/metrics`
    /// and `/debug/metrics/prometheus`; see [`metrics`](crate::metrics) for the names. Port 0 takes any
    /// that is free. Default: nothing is counted.
    ///
    /// Whoever can reach the address can read them.
    #[cfg(feature = "metrics")]
    pub fn metrics(mut self, config: impl Into<MetricsConfig>) -> Self {
        self.metrics = Some(config.into());
        self
    }

    /// How long each service may take to stop; after that the node stops without it, and reports it.
    /// Default: 30 s.
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.stop_timeout = limit;
        self
    }

    /// Registers a service by what builds it: a function of the context that returns the service, or a
    /// service or an error. Called at each start, in the order of registration.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use service_node::{Node, Service, ServiceContext, UnknownService};
    ///
    /// struct Foo;
    /// impl Service for Foo {}
    ///
    /// struct Bar {
    ///     foo: Arc<Foo>,
    /// }
    /// impl Service for Bar {}
    ///
    /// impl Bar {
    ///     fn new(context: &ServiceContext) -> Result<Self, UnknownService> {
    ///         Ok(Self { foo: context.service()? })
    ///     }
    /// }
    ///
    /// let builder = Node::builder().service(|_| Foo).service(Bar::new);
    /// ```
    pub fn service<R, F>(mut self, constructor: F) -> Self
    where
        R: IntoService,
        F: Fn(&ServiceContext) -> R + Send + Sync + 'static,
    {
        self.services.push(Registration::new(constructor));
        self
    }

    /// The node, stopped. Opens nothing and makes no file.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when the name is none, or a relative path leads nowhere.
    pub fn build(self) -> Result<Node, BuildError> {
        let name = self.name.unwrap_or_else(program_name);
        check_name(&name)?;
        let paths = match &self.data_dir {
            Some(path) => Some(Paths::new(path, &name).map_err(path_error(path))?),
            None => None,
        };
        let ipc = match self.ipc {
            Ipc::Default if paths.is_some() => Some(PathBuf::from(format!("{name}.ipc"))),
            Ipc::At(path) if !path.as_os_str().is_empty() => Some(path),
            Ipc::Default | Ipc::At(_) | Ipc::Off => None,
        };
        let ipc = ipc.map(|path| socket_path(&path, paths.as_ref())).transpose()?;
        let key = self.key.or_else(|| paths.is_none().then(SecretKey::random));
        Ok(Node::new(Settings {
            client_name: client_name(&name, self.version.as_deref()),
            name,
            paths,
            key,
            p2p: self.p2p,
            ipc,
            rpc: self.rpc,
            metrics: self.metrics,
            stop_timeout: self.stop_timeout,
            services: self.services,
        }))
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("name", &self.name)
            .field("data_dir", &self.data_dir)
            .field("listen", &self.p2p.listen)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

fn program_name() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(Path::file_stem);
    name.map_or_else(|| "node".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn check_name(name: &str) -> Result<(), BuildError> {
    let bad = name.is_empty()
        || name.contains(['/', '\\', '\0'])
        || name == "."
        || name == ".."
        || name == "keystore"
        || name.ends_with(".ipc");
    if bad { Err(BuildError::Name { name: name.to_owned() }) } else { Ok(()) }
}

fn path_error(path: &Path) -> impl Fn(std::io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::Path { path: path.clone(), source }
}

/// Source: ethereum/go-ethereum:node/config.go, `IPCEndpoint`.
fn socket_path(path: &Path, paths: Option<&Paths>) -> Result<PathBuf, BuildError> {
    let plain = path.components().count() == 1 && path.file_name() == Some(path.as_os_str());
    if cfg!(windows) {
        // A socket is no file there, but a named pipe.
        let pipe = Path::new(r"\\.\pipe");
        return Ok(if path.starts_with(pipe) { path.to_owned() } else { pipe.join(path) });
    }
    if !plain {
        return std::path::absolute(path).map_err(path_error(path));
    }
    Ok(paths.map_or_else(std::env::temp_dir, |paths| paths.data.clone()).join(path))
}

/// Source: ethereum/go-ethereum:node/config.go, `NodeName`.
fn client_name(name: &str, version: Option<&str>) -> String {
    let version = version.map(|version| format!("/v{version}")).unwrap_or_default();
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{name}{version}/{os}-{arch}/rustc{}", env!("RUSTC_VERSION"))
}

/// Source: ethereum/go-ethereum:node/defaults.go, `DefaultConfig`; without port mapping.
const DEFAULT_LISTEN: &str = "0.0.0.0:30303";
/// Source: as above.
const DEFAULT_MAX_PEERS: usize = 50;
/// Long enough to write a database out.
const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(30);
