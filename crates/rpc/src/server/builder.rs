//! What a server offers, where, and how much of it.

use std::{path::PathBuf, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AuthConfig, HttpConfig, Limits, Running, Server, StartError, WsConfig,
    listeners::{Listeners, Offer},
};
use crate::{
    Module, Observer, TapEvent, access::MethodFilter, api::Access, observer::Watch, tap::Tap,
    transport::ipc::IpcListener,
};

/// Puts a [`Server`] together.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct ServerBuilder {
    modules: Vec<Module>,
    methods: MethodFilter,
    limits: Limits,
    ipc: Option<PathBuf>,
    http: Option<HttpConfig>,
    ws: Option<WsConfig>,
    auth: Option<AuthConfig>,
    tap: Option<Tap>,
    watch: Watch,
}

impl ServerBuilder {
    /// Offers a module. Of modules with one namespace the methods are put together; of methods with
    /// one name the later counts.
    pub fn module(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// Offers several modules.
    pub fn modules(mut self, modules: impl IntoIterator<Item = Module>) -> Self {
        self.modules.extend(modules);
        self
    }

    /// Which methods may be called at all, over every transport but in process; all by default.
    pub fn methods(mut self, filter: MethodFilter) -> Self {
        self.methods = filter;
        self
    }

    /// Serves on a socket at this path, or a named pipe on Windows. Not by default.
    ///
    /// Everything is offered there, authenticated namespaces included.
    pub fn ipc(mut self, path: impl Into<PathBuf>) -> Self {
        self.ipc = Some(path.into());
        self
    }

    /// Serves over HTTP. Not by default.
    pub fn http(mut self, config: HttpConfig) -> Self {
        self.http = Some(config);
        self
    }

    /// Serves over WebSocket, on a port of its own or on that of HTTP. Not by default.
    pub fn ws(mut self, config: WsConfig) -> Self {
        self.ws = Some(config);
        self
    }

    /// Serves over HTTP and WebSocket to those who have a token, authenticated namespaces included.
    /// Not by default.
    pub fn auth(mut self, config: AuthConfig) -> Self {
        self.auth = Some(config);
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Shows every message that comes and goes to `hook`, on every transport. Not by default.
    ///
    /// Called in the task of the connection, before a message is looked at or sent: it must not block,
    /// and a panic in it ends the connection. What is not JSON is no message.
    pub fn tap(mut self, hook: impl Fn(TapEvent<'_>) + Send + Sync + 'static) -> Self {
        self.tap = Some(Tap(Arc::new(hook)));
        self
    }

    /// Tells `observer` what happens, for whoever counts. May be called several times: each of them is
    /// told. Nobody by default, which costs a branch a request.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.watch.add(observer);
        self
    }

    /// Binds everything and starts to serve.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a module is not well-formed or a transport cannot be bound; then nothing is
    /// left behind.
    pub async fn start(self) -> Result<Server, StartError> {
        for module in &self.modules {
            module.check()?;
        }
        let listener = self.ipc.as_deref().map(IpcListener::bind).transpose()?;
        let subscribed = Arc::default();
        let offer = Offer {
            modules: &self.modules,
            methods: &self.methods,
            limits: &self.limits,
            subscribed: &subscribed,
            tap: self.tap.as_ref(),
            watch: &self.watch,
        };
        let (http, ws, auth) = (self.http.as_ref(), self.ws.as_ref(), self.auth.as_ref());
        let listeners = Listeners::bind(&offer, http, ws, auth).await?;

        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let ipc_path = listener.as_ref().map(IpcListener::path);
        if let Some(listener) = listener {
            let access = Access { methods: vec![self.methods.clone()], ..Access::everything() };
            tasks.spawn(listener.serve(offer.reached(&access), self.limits.clone(), stop.clone()));
        }
        for (listener, endpoint) in listeners.bound {
            tasks.spawn(listener.serve(endpoint, stop.clone()));
        }
        let running = Running {
            everything: offer.reached(&Access::everything()),
            limits: self.limits.clone(),
            ipc_path,
            addresses: listeners.addresses,
            stop,
            tasks,
        };
        Ok(Server(Arc::new(running)))
    }
}
