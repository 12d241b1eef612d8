//! A namespace and what can be called in it.
//!
//! ```text
//!   Module::new("foo")
//!       .method("add", |a: u64, b: u64| async move { … })              foo_add
//!       .subscription("ticks", |n: u64| async move { a stream })       foo_subscribe ["ticks", n]
//! ```
//!
//! Nothing is exposed that is not named here. Names travel as they are written; go-ethereum's begin
//! with a small letter.

mod handler;
mod typed;

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

pub use self::handler::{
    Handler, HandlerOf, SubscriptionHandler, SubscriptionHandlerOf, WithContext,
};
use crate::{Context, RpcError, pubsub::Notifications};

/// A method as the dispatcher sees it: reads the arguments and, if they are right, gives the work.
pub(crate) type Method =
    Arc<dyn Fn(Context, Option<&RawValue>) -> Result<Work, RpcError> + Send + Sync>;

/// A method of unknown arguments.
#[doc(hidden)]
#[derive(Clone)]
pub struct AnyMethod(pub(crate) Method);

impl fmt::Debug for AnyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyMethod")
    }
}

/// A call under way.
pub(crate) type Work = BoxFuture<'static, Result<Reply, RpcError>>;

/// What a call came to.
pub(crate) enum Reply {
    /// A result, as JSON.
    Value(Vec<u8>),
    /// A subscription; it begins once its id has been answered. It brings its own only if its handler
    /// had to know it.
    Subscription { id: Option<String>, values: Notifications },
}

/// A namespace: methods and subscriptions under one name.
///
/// ```
/// use rpc::Module;
///
/// let module = Module::new("foo")
///     .method("helloWorld", || async { rpc::Result::Ok("foobar") })
///     .method("add", |a: i64, b: Option<i64>| async move { rpc::Result::Ok(a + b.unwrap_or(1)) });
///
/// assert_eq!(module.namespace(), "foo");
/// ```
#[derive(Clone)]
pub struct Module {
    namespace: String,
    authenticated: bool,
    allow_empty: bool,
    // bound: what this program registers
    methods: BTreeMap<String, Method>,
    // bound: what this program registers
    subscriptions: BTreeMap<String, Method>,
    /// Takes every name that no subscription has.
    any_subscription: Option<Method>,
}

impl Module {
    /// A namespace with nothing in it yet.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            authenticated: false,
            allow_empty: false,
            methods: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            any_subscription: None,
        }
    }

    /// Adds the method `<namespace>_<name>`, in place of one of the same name.
    ///
    /// A handler is an async function or closure with up to eight arguments that can be
    /// deserialized, before them the call's [`Context`] if it wants it. Arguments at the end whose
    /// types read null, as `Option` does, may be left out by the caller. What it returns must
    /// serialize; its error is answered with code −32000 and its text, or as the
    /// [`RpcError`] that it is. A panic is answered with "method handler crashed".
    ///
    /// It runs in the task of the caller's connection: work that keeps a processor busy belongs into
    /// `tokio::task::spawn_blocking`.
    #[must_use]
    pub fn method<M>(mut self, name: &str, handler: impl Handler<M>) -> Self {
        self.methods.insert(name.to_owned(), handler.into_method().0);
        self
    }

    /// Adds a method of an object, as [`Self::method`] does: the handler gets a clone of the object
    /// before its arguments. What is not named is not exposed, whatever else the object can do. A closure
    /// will do as well as a method: `async |counter: Counter, n: u64| …`.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// use rpc::Module;
    ///
    /// #[derive(Clone, Default)]
    /// struct Counter(Arc<AtomicU64>);
    ///
    /// impl Counter {
    ///     async fn add(self, n: u64) -> rpc::Result<u64> {
    ///         Ok(self.0.fetch_add(n, Ordering::Relaxed) + n)
    ///     }
    /// }
    ///
    /// let module = Module::new("foo").method_of(&Counter::default(), "add", Counter::add);
    /// ```
    #[must_use]
    pub fn method_of<O: Clone, M>(
        mut self,
        object: &O,
        name: &str,
        handler: impl HandlerOf<O, M>,
    ) -> Self {
        self.methods.insert(name.to_owned(), handler.bind(object.clone()).0);
        self
    }

    /// Adds a subscription: `<namespace>_subscribe` with `name` as its first argument.
    ///
    /// The handler returns a stream, which is read as fast as the client takes it; see
    /// [`Context::notifier`] for sources that cannot wait. When the stream ends the subscription
    /// says no more; the client may still end it.
    #[must_use]
    pub fn subscription<M>(mut self, name: &str, handler: impl SubscriptionHandler<M>) -> Self {
        self.subscriptions.insert(name.to_owned(), handler.into_subscription().0);
        self
    }

    /// Adds a subscription of an object, as [`Self::subscription`] does: the handler gets a clone of the
    /// object before its arguments.
    #[must_use]
    pub fn subscription_of<O: Clone, M>(
        mut self,
        object: &O,
        name: &str,
        handler: impl SubscriptionHandlerOf<O, M>,
    ) -> Self {
        self.subscriptions.insert(name.to_owned(), handler.bind(object.clone()).0);
        self
    }

    /// Makes the namespace reachable only where callers are authenticated: in process, over IPC and
    /// through a listener with a token.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        self.authenticated = true;
        self
    }

    /// Lets the namespace be registered with nothing in it, which is an error otherwise. It is
    /// listed by `rpc_modules` all the same.
    #[must_use]
    pub fn allow_empty(mut self) -> Self {
        self.allow_empty = true;
        self
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether only authenticated callers may reach it.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The names of the methods, sorted, without the namespace.
    pub fn method_names(&self) -> impl Iterator<Item = &str> {
        self.methods.keys().map(String::as_str)
    }

    /// The names of the subscriptions, sorted.
    pub fn subscription_names(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.keys().map(String::as_str)
    }

    /// Whether it can be registered as it is.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what is wrong.
    pub(crate) fn check(&self) -> Result<(), ModuleError> {
        let namespace = || self.namespace.clone();
        if self.namespace.is_empty() || self.namespace.contains('_') {
            return Err(ModuleError::Namespace { namespace: namespace() });
        }
        if self.is_empty() && !self.allow_empty {
            return Err(ModuleError::Empty { namespace: namespace() });
        }
        let taken = |name: &str| name.is_empty() || RESERVED.contains(&name);
        match self.methods.keys().find(|name| taken(name)) {
            Some(name) => Err(ModuleError::Name { namespace: namespace(), name: name.clone() }),
            None => Ok(()),
        }
    }

    fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.subscriptions.is_empty() && self.any_subscription.is_none()
    }

    pub(crate) fn methods(&self) -> &BTreeMap<String, Method> {
        &self.methods
    }

    pub(crate) fn subscriptions(&self) -> &BTreeMap<String, Method> {
        &self.subscriptions
    }

    pub(crate) fn any_subscription(&self) -> Option<&Method> {
        self.any_subscription.as_ref()
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("namespace", &self.namespace)
            .field("methods", &self.methods.keys())
            .field("subscriptions", &self.subscriptions.keys())
            .finish_non_exhaustive()
    }
}

/// Why a module cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// No method could ever be found in it: a name is split at its first underscore.
    #[error("namespace {namespace:?} is empty or has an underscore")]
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// There is nothing to call in it.
    #[error("namespace {namespace} has no methods; Module::allow_empty lets it pass")]
    Empty {
        /// The namespace.
        namespace: String,
    },
    /// The name is empty or has a meaning of its own.
    #[error("{namespace}_{name} cannot be a method: the name is empty or reserved")]
    Name {
        /// The namespace.
        namespace: String,
        /// The method.
        name: String,
    },
    /// Nothing of a typed trait is in the namespace that it was given.
    #[error("no method of the trait begins with {namespace}_; is its namespace another one?")]
    Typed {
        /// The namespace.
        namespace: String,
    },
    /// go-ethereum's clients have one method for all subscriptions of a namespace.
    #[error(
        "{namespace}_{name} cannot be a subscription; declare it as name = \"subscribe\" => \"subscription\", unsubscribe = \"unsubscribe\", with the name of what is wanted as its first argument"
    )]
    TypedSubscription {
        /// The namespace.
        namespace: String,
        /// Its method, without the namespace.
        name: String,
    },
}

/// What the dispatcher itself answers to in each namespace.
const RESERVED: [&str; 3] = ["subscribe", "unsubscribe", "subscription"];
