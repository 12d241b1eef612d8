//! What one endpoint offers: the modules of a server, narrowed to what may be called there.
//!
//! ```text
//!   Module foo ┐          ┌─ Access of IPC:  all ──────────▶ Api
//!   Module bar ├─ merged ─┼─ Access of HTTP: net, web3 ────▶ Api    made once, then only read
//!   Module foo ┘          └─ …
//! ```
//!
//! Modules of one namespace are merged; of methods of one name the later counts. Every API has the
//! method `rpc_modules`.
//!
//! Spec: ethereum/go-ethereum:rpc/service.go, `serviceRegistry`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt as _;
use serde_json::value::RawValue;

use crate::{
    Context, Module, RpcError,
    access::{Entrance, MethodFilter, Modules},
    module::{Method, Reply, Work},
    observer::Watch,
    params,
    tap::Tap,
};

/// Who may call what at an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The namespaces.
    pub(crate) modules: Modules,
    /// The methods within them: those that every filter lets through.
    pub(crate) methods: Vec<MethodFilter>,
    /// By which way callers come in; authenticated namespaces are not reached by every one.
    pub(crate) entrance: Entrance,
}

impl Access {
    /// Everything: in process, and over IPC as long as no filter is set.
    pub(crate) fn everything() -> Self {
        Self { modules: Modules::all(), methods: Vec::new(), entrance: Entrance::Local }
    }
}

/// What one endpoint offers.
pub(crate) struct Api {
    // bound: what this program registered
    methods: HashMap<Arc<str>, Method>,
    /// By namespace.
    // bound: what this program registered
    subscriptions: HashMap<String, Subscriptions>,
    /// For names that are known only when they are asked for.
    filters: Vec<MethodFilter>,
    /// Subscriptions of all connections of the server together.
    pub(crate) subscribed: Arc<AtomicUsize>,
    /// Sees every message of every connection.
    pub(crate) tap: Option<Tap>,
    /// Is told what happens on every connection.
    pub(crate) watch: Watch,
}

/// The subscriptions of a namespace.
struct Subscriptions {
    /// The methods with which they begin and end.
    subscribe: Arc<str>,
    unsubscribe: Arc<str>,
    // bound: what this program registered
    by_name: HashMap<String, Method>,
    /// Takes every name that none of them has.
    any: Option<Method>,
}

impl Api {
    /// What `access` leaves of `modules`.
    pub(crate) fn new(modules: &[Module], access: &Access, subscribed: Arc<AtomicUsize>) -> Self {
        // bound: what this program registered, here and below
        let (methods, subscriptions) = (HashMap::new(), HashMap::new());
        let filters = access.methods.clone();
        let watch = Watch::default();
        let mut api = Self { methods, subscriptions, filters, subscribed, tap: None, watch };
        let mut listed = BTreeSet::from([RPC.to_owned()]);
        for module in modules.iter().filter(|module| access.lets_through(module)) {
            listed.insert(module.namespace().to_owned());
            api.add(module, &access.methods);
        }
        let listed: BTreeMap<_, _> = listed.into_iter().map(|name| (name, "1.0")).collect();
        let rpc = Module::new(RPC)
            .method("modules", move || std::future::ready(crate::Result::Ok(listed.clone())));
        api.add(&rpc, &access.methods);
        api
    }

    /// Nothing: what a client offers that has registered nothing for its server to call.
    pub(crate) fn nothing() -> Self {
        Self {
            // bound: empty and never filled, both
            methods: HashMap::new(),
            subscriptions: HashMap::new(),
            filters: Vec::new(),
            subscribed: Arc::default(),
            tap: None,
            watch: Watch::default(),
        }
    }

    fn add(&mut self, module: &Module, filters: &[MethodFilter]) {
        let namespace = module.namespace();
        for (name, method) in module.methods() {
            let full = format!("{namespace}_{name}");
            if filters.iter().all(|filter| filter.allows(&full)) {
                self.methods.insert(full.into(), Arc::clone(method));
            }
        }
        for (name, subscription) in module.subscriptions() {
            let subscribe = format!("{namespace}_subscribe");
            if filters.iter().all(|filter| filter.allows_subscription(&subscribe, name)) {
                let of_namespace = self.subscriptions_of(namespace);
                of_namespace.by_name.insert(name.clone(), Arc::clone(subscription));
            }
        }
        if let Some(any) = module.any_subscription() {
            self.subscriptions_of(namespace).any = Some(Arc::clone(any));
        }
    }

    fn subscriptions_of(&mut self, namespace: &str) -> &mut Subscriptions {
        self.subscriptions.entry(namespace.to_owned()).or_insert_with(|| Subscriptions {
            subscribe: format!("{namespace}{SUBSCRIBE}").into(),
            unsubscribe: format!("{namespace}{UNSUBSCRIBE}").into(),
            // bound: see the field
            by_name: HashMap::new(),
            any: None,
        })
    }

    /// The name of a method as it was registered, for those who count; `None` if there is none.
    pub(crate) fn name_of(&self, method: &str) -> Option<Arc<str>> {
        if let Some((name, _)) = self.methods.get_key_value(method) {
            return Some(Arc::clone(name));
        }
        let of_namespace = self.subscriptions.get(method.split('_').next()?)?;
        let names = [&of_namespace.subscribe, &of_namespace.unsubscribe];
        names.into_iter().find(|name| ***name == *method).cloned()
    }

    /// The work of a call, if there is such a method and the arguments are right.
    ///
    /// # Errors
    ///
    /// What the caller is answered.
    pub(crate) fn call(
        &self,
        context: Context,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Work, RpcError> {
        match self.methods.get(method) {
            Some(found) => found(context, params),
            None => Err(RpcError::no_method(method)),
        }
    }

    /// The work of a subscription in `namespace`.
    ///
    /// # Errors
    ///
    /// What the caller is answered.
    pub(crate) fn subscribe(
        &self,
        context: Context,
        namespace: &str,
        params: Option<&RawValue>,
    ) -> Result<Work, RpcError> {
        let name = params::subscription_name(params)?;
        check_name(&name)?;
        let found = self.subscriptions.get(namespace).and_then(|of_namespace| {
            let any = of_namespace.any.as_ref();
            let allowed = || {
                let subscribe = format!("{namespace}_subscribe");
                self.filters.iter().all(|filter| filter.allows_subscription(&subscribe, &name))
            };
            of_namespace.by_name.get(&name).or_else(|| any.filter(|_| allowed()))
        });
        match found {
            Some(found) => found(context, params),
            None => Err(RpcError::no_subscription(&name, namespace)),
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut methods: Vec<_> = self.methods.keys().collect();
        methods.sort_unstable();
        f.debug_struct("Api").field("methods", &methods).finish_non_exhaustive()
    }
}

impl Access {
    fn lets_through(&self, module: &Module) -> bool {
        self.modules.allows(module.namespace()) && self.entrance.reaches(module.is_authenticated())
    }
}

/// A place among the subscriptions of a connection and of the server; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of_connection: Arc<AtomicUsize>,
    of_server: Arc<AtomicUsize>,
}

impl Place {
    /// A place, unless one of the two has as many as it may.
    pub(crate) fn take(
        of_connection: &Arc<AtomicUsize>,
        per_connection: usize,
        of_server: &Arc<AtomicUsize>,
        per_server: usize,
    ) -> Option<Self> {
        let take = |count: &AtomicUsize, limit| {
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < limit).then_some(taken + 1)
            })
        };
        take(of_connection, per_connection).ok()?;
        if take(of_server, per_server).is_err() {
            of_connection.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self { of_connection: Arc::clone(of_connection), of_server: Arc::clone(of_server) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of_connection.fetch_sub(1, Ordering::Relaxed);
        self.of_server.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Refuses a name that nobody gave a method or a subscription.
///
/// # Errors
///
/// Code −32600 when it is too long.
pub(crate) fn check_name(name: &str) -> Result<(), RpcError> {
    match name.len() {
        ..=MAX_METHOD_NAME => Ok(()),
        length => Err(RpcError::name_too_long(length, MAX_METHOD_NAME)),
    }
}

/// Work that is done before it began.
pub(crate) fn ready(outcome: Result<Vec<u8>, RpcError>) -> Work {
    std::future::ready(outcome.map(Reply::Value)).boxed()
}

/// How methods of the dispatcher itself end.
pub(crate) const SUBSCRIBE: &str = "_subscribe";
pub(crate) const UNSUBSCRIBE: &str = "_unsubscribe";

/// The namespace that is always there.
pub(crate) const RPC: &str = "rpc";

/// How long the name of a method or subscription may be, in bytes (R-04).
///
/// Source: ethereum/go-ethereum:rpc/service.go, `maxMethodNameLength`.
const MAX_METHOD_NAME: usize = 2_048;
