//! What a running node consists of, how it is built up, and how it is taken down.
//!
//! ```text
//!   climb    directory, lock ─▶ services built ─▶ p2p bound ─▶ services started ─▶ p2p open ─▶ RPC
//!   descend  lock released ◀─ p2p stopped ◀──────── services stopped ◀─ p2p suspended ◀─ RPC closed
//! ```
//!
//! A start that fails descends from where it had got to, and a stop from the top: the way down is one
//! function, so nothing is forgotten on the one that is seldom taken (N-05).

use std::{any::TypeId, fmt, panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use enode::SecretKey;
use futures_util::FutureExt as _;
use p2p_server::{BoundServer, Protocol};
use rpc::admin::AdminApi;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ServiceContext, ServiceFailure, StartFailure, Step,
    builder::Settings,
    data_dir::{Directory, anchors, node_list},
    endpoints::Endpoints,
    limits,
    metrics::Metrics,
    service::{Built, panicked},
};

/// What runs, from the bottom up. Fields of what has not been reached yet are empty.
pub(crate) struct Stack {
    name: String,
    stop_timeout: Duration,
    directory: Option<Arc<Directory>>,
    services: Vec<Built>,
    /// How many of the services have started.
    started: usize,
    /// Of this run only.
    metrics: Metrics,
    server: Option<p2p_server::Server>,
    anchors: Option<(CancellationToken, JoinHandle<()>)>,
    endpoints: Option<Endpoints>,
}

impl Stack {
    /// Nothing yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let (name, stop_timeout) = (settings.name.clone(), settings.stop_timeout);
        Self {
            name,
            stop_timeout,
            directory: None,
            services: Vec::new(),
            started: 0,
            metrics: Metrics::default(),
            server: None,
            anchors: None,
            endpoints: None,
        }
    }

    pub(crate) fn server(&self) -> Option<&p2p_server::Server> {
        self.server.as_ref()
    }

    pub(crate) fn endpoints(&self) -> Option<&Endpoints> {
        self.endpoints.as_ref()
    }

    /// The service of this type, if there is one.
    pub(crate) fn service(&self, of: TypeId) -> Option<&Built> {
        self.services.iter().find(|built| built.type_id == of)
    }

    /// Starts everything, as long as nobody wants it stopped.
    ///
    /// # Errors
    ///
    /// [`StartFailure`]; what was reached by then has to be [taken down](Self::descend).
    pub(crate) async fn climb(
        &mut self,
        settings: &Arc<Settings>,
        stop: &CancellationToken,
    ) -> Result<(), StartFailure> {
        limits::check(settings.p2p.max_peers)?;
        // Waited for whatever happens: a lock that is taken when nobody waits any more is in the way
        // of the next start.
        let files = self.open_directory(settings).await?;
        let climb = AssertUnwindSafe(self.climb_from_directory(settings, files)).catch_unwind();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(StartFailure::Stopped),
            result = climb => result.unwrap_or_else(|cause| {
                Err(StartFailure::Setting { source: panicked(&*cause) })
            }),
        }
    }

    async fn climb_from_directory(
        &mut self,
        settings: &Settings,
        files: Files,
    ) -> Result<(), StartFailure> {
        let protocols = self.build_services(settings)?;
        let bound = self.bind(settings, files, protocols).await?;
        for at in 0..self.services.len() {
            self.start_service(at, bound.server()).await?;
        }
        let server = bound.open();
        self.keep_anchors(&server);
        self.open_endpoints(settings, &server).await
    }

    /// Locks the directory, then reads what is in it.
    async fn open_directory(&mut self, settings: &Arc<Settings>) -> Result<Files, StartFailure> {
        let settings = Arc::clone(settings);
        let without_files = settings.paths.is_none();
        let open = move || -> Result<_, StartFailure> {
            let directory = Directory::open(settings.paths.clone())?;
            let files = Files::read(&settings, &directory)?;
            Ok((directory, files))
        };
        // Another thread only where there is something to wait for: on a paused clock it would be
        // the one thing that takes a time of its own.
        let opened = if without_files {
            open()
        } else {
            spawn_blocking(open).await.map_err(|_| StartFailure::Runtime)?
        };
        let (directory, files) = opened?;
        self.directory = Some(Arc::new(directory));
        Ok(files)
    }

    /// Builds every service, in order, and collects what they speak.
    fn build_services(
        &mut self,
        settings: &Settings,
    ) -> Result<Vec<Arc<dyn Protocol>>, StartFailure> {
        let Some(directory) = &self.directory else { return Err(StartFailure::Stopped) };
        let mut context =
            ServiceContext::new(&settings.name, Arc::clone(directory), self.metrics.clone());
        for registration in &settings.services {
            let name = registration.name;
            if self.service(registration.type_id).is_some() {
                return Err(StartFailure::DuplicateService { name });
            }
            let built = registration.construct(&context);
            let built =
                built.map_err(|source| ServiceFailure { name, step: Step::Construct, source })?;
            context.add(&built);
            self.services.push(built);
        }
        let mut protocols = Vec::new();
        for service in &self.services {
            let name = service.name;
            protocols.extend(service.protocols().map_err(|source| ServiceFailure {
                name,
                step: Step::Protocols,
                source,
            })?);
        }
        Ok(protocols)
    }

    /// Binds the p2p server, which does nothing yet.
    async fn bind(
        &mut self,
        settings: &Settings,
        files: Files,
        protocols: Vec<Arc<dyn Protocol>>,
    ) -> Result<BoundServer, StartFailure> {
        let p2p = &settings.p2p;
        let mut builder = p2p_server::Server::builder(files.key)
            .name(&settings.client_name)
            .max_peers(p2p.max_peers)
            .message_events(p2p.message_events)
            .protocols(protocols);
        if let Some(addr) = &p2p.listen {
            builder = builder.listen(addr);
        }
        builder = p2p
            .static_nodes
            .iter()
            .cloned()
            .chain(files.static_nodes)
            .fold(builder, |builder, node| builder.static_node(node));
        builder = p2p
            .trusted_nodes
            .iter()
            .copied()
            .chain(files.trusted_nodes)
            .fold(builder, |builder, id| builder.trusted_node(id));
        if settings.metrics.is_some() {
            builder = self.metrics.observe_p2p(builder);
        }
        builder = p2p.more.iter().fold(builder, |builder, change| change(builder));
        let bound = builder.first_candidates(files.anchors).bind().await?;
        self.server = Some(bound.server().clone());
        Ok(bound)
    }

    async fn start_service(
        &mut self,
        at: usize,
        server: &p2p_server::Server,
    ) -> Result<(), StartFailure> {
        let Some(service) = self.services.get(at) else { return Ok(()) };
        let name = service.name;
        let started = service.start(server.clone()).await;
        started.map_err(|source| ServiceFailure { name, step: Step::Start, source })?;
        self.started = at + 1;
        tracing::info!(node = %self.name, service = name, "service started");
        Ok(())
    }

    fn keep_anchors(&mut self, server: &p2p_server::Server) {
        let instance = self.directory.as_ref().and_then(|directory| directory.instance_dir());
        let Some(path) = instance.map(|instance| instance.join(anchors::FILE)) else { return };
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(anchors::keep(server.clone(), path, stop.clone()));
        self.anchors = Some((stop, keeper));
    }

    /// Offers the node's own methods and those of the services.
    async fn open_endpoints(
        &mut self,
        settings: &Settings,
        server: &p2p_server::Server,
    ) -> Result<(), StartFailure> {
        let data_dir = self.directory.as_ref().and_then(|directory| directory.data_dir());
        let admin =
            AdminApi::new(server.clone()).datadir(data_dir.unwrap_or_else(|| Path::new("")));
        let mut modules = admin.modules();
        for service in &self.services {
            let name = service.name;
            let apis = service.apis();
            modules.extend(apis.map_err(|source| ServiceFailure {
                name,
                step: Step::Apis,
                source,
            })?);
        }
        let secret = match (&settings.rpc.auth, &self.directory) {
            (Some(_), Some(directory)) => {
                Some(directory.jwt_secret().map_err(StartFailure::JwtSecret)?)
            }
            _ => None,
        };
        self.endpoints = Some(Endpoints::open(settings, modules, secret, &self.metrics).await?);
        Ok(())
    }

    /// Stops everything, from the top to the bottom, and gives what did not end well.
    ///
    /// When `abort` is cancelled nothing is waited for any more: services that have not stopped are let
    /// go, and connections cut.
    pub(crate) async fn descend(mut self, abort: &CancellationToken) -> Vec<ServiceFailure> {
        if let Some(endpoints) = self.endpoints.take() {
            endpoints.close(abort).await;
        }
        if let Some((stop, keeper)) = self.anchors.take() {
            stop.cancel();
            unless(abort, keeper).await;
        }
        if let Some(server) = &self.server {
            server.suspend();
        }
        let failures = self.stop_services(abort).await;
        if let Some(server) = self.server.take()
            && unless(abort, server.stop()).await.is_none()
        {
            server.abort().await;
        }
        // Services may hold files of the directory; they go first, and the lock goes last.
        self.services.clear();
        drop(self.directory.take());
        failures
    }

    /// Stops those that have started, the last first.
    async fn stop_services(&mut self, abort: &CancellationToken) -> Vec<ServiceFailure> {
        let mut failures = Vec::new();
        for service in self.services.iter().take(self.started).rev() {
            let name = service.name;
            let stopped = unless(abort, timeout(self.stop_timeout, service.stop())).await;
            let source = match stopped {
                Some(Ok(Ok(()))) => {
                    tracing::info!(node = %self.name, service = name, "service stopped");
                    continue;
                }
                Some(Ok(Err(error))) => error,
                Some(Err(_)) => format!("still stopping after {:?}", self.stop_timeout).into(),
                None => "aborted".into(),
            };
            let failure = ServiceFailure { name, step: Step::Stop, source };
            tracing::error!(node = %self.name, service = name, error = %failure.source, "service not stopped");
            failures.push(failure);
        }
        self.started = 0;
        failures
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Nobody waits for this one. A service may hold a handle of the server, so its end has to be
        // asked for.
        if let Some((stop, _)) = self.anchors.take() {
            stop.cancel();
        }
        if let Some(server) = &self.server {
            server.shut_down();
        }
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a start takes from the directory.
struct Files {
    key: SecretKey,
    static_nodes: Vec<enode::Enode>,
    trusted_nodes: Vec<enode::NodeId>,
    anchors: Vec<enode::Enode>,
}

impl Files {
    fn read(settings: &Settings, directory: &Directory) -> Result<Self, StartFailure> {
        let key = match &settings.key {
            Some(key) => key.clone(),
            None => directory
                .node_key()
                .map_err(StartFailure::NodeKey)?
                .unwrap_or_else(SecretKey::random),
        };
        let Some(instance) = directory.instance_dir() else {
            let (static_nodes, trusted_nodes, anchors) = (Vec::new(), Vec::new(), Vec::new());
            return Ok(Self { key, static_nodes, trusted_nodes, anchors });
        };
        let list = |file, configured: usize| {
            let mut nodes =
                node_list::read(&instance.join(file), MAX_NODES.saturating_sub(configured));
            // A list that was copied from the node itself may name it.
            nodes.retain(|node| node.id() != key.node_id());
            nodes
        };
        let static_nodes = list(node_list::STATIC, settings.p2p.static_nodes.len());
        let trusted = list(node_list::TRUSTED, settings.p2p.trusted_nodes.len());
        let trusted_nodes = trusted.iter().map(enode::Enode::id).collect();
        let anchors = anchors::read(&instance.join(anchors::FILE));
        Ok(Self { key, static_nodes, trusted_nodes, anchors })
    }
}

/// Waits for work, unless it is to be aborted; `None` then.
async fn unless<F: Future>(abort: &CancellationToken, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        () = abort.cancelled() => None,
        output = work => Some(output),
    }
}

/// How many static and how many trusted nodes a p2p server takes.
const MAX_NODES: usize = 1_024;
