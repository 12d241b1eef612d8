//! What a service is, and how the node holds services of any type.
//!
//! ```text
//!   constructor(context) ─▶ protocols() ─▶ start(server) ─▶ apis() ─▶ … ─▶ stop()
//!   └───────────── all services, each step in the order of registration ──┘   reverse order
//! ```

use std::{
    any::{Any, TypeId},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use p2p_server::{Protocol, Server};
use rpc::Module;

use crate::{BoxError, ServiceContext};

/// A part of a node: protocols it speaks with peers, methods it offers by RPC, and a life.
///
/// Everything has a default, so a service names what it has and nothing else. It is one object: its
/// protocols and its methods hold it by the `Arc` they are given, and share its fields.
///
/// ```
/// use std::sync::Arc;
///
/// use rpc::Module;
/// use service_node::Service;
///
/// struct Answer(u64);
///
/// impl Answer {
///     async fn get_number(self: Arc<Self>) -> rpc::Result<u64> {
///         Ok(self.0)
///     }
/// }
///
/// impl Service for Answer {
///     fn apis(self: &Arc<Self>) -> Vec<Module> {
///         vec![Module::new("foo").method_of(self, "getNumber", Self::get_number)]
///     }
/// }
/// ```
///
/// Spec: ethereum/go-ethereum:node/service.go of 1.9, `Service`.
pub trait Service: Sized + Send + Sync + 'static {
    /// The protocols it speaks, asked for once before the p2p server is bound. Default: none.
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        Vec::new()
    }

    /// The namespaces it offers by RPC, asked for once when every service has started. Default: none.
    ///
    /// Of two methods with one name the one registered later counts, the node's own included.
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        Vec::new()
    }

    /// Begins to work. Default: nothing to do. Written as `async fn start(self: &Arc<Self>, server:
    /// Server) -> Result<(), BoxError>`.
    ///
    /// The server is bound and has its address, but neither accepts nor dials before every service has
    /// started. If the node is stopped meanwhile, this is dropped where it waits.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from working; the node then stops what it has started, and does not start.
    fn start(
        self: &Arc<Self>,
        server: Server,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        drop(server);
        async { Ok(()) }
    }

    /// Ends all work; when this returns, no task of the service is left. Default: nothing to do, which is
    /// enough for a service whose tasks are bodies of its protocols: these are the server's to end.
    ///
    /// Called once for each service that has started, while its peers are still connected. It has the
    /// node's [stop timeout](crate::NodeBuilder::stop_timeout).
    ///
    /// # Errors
    ///
    /// Whatever did not end well. The node stops all the same, and reports it.
    fn stop(self: &Arc<Self>) -> impl Future<Output = Result<(), BoxError>> + Send {
        async { Ok(()) }
    }
}

/// What a constructor may return: a service, or a service or an error.
pub trait IntoService {
    /// The service.
    type Service: Service;

    /// The service, or why there is none.
    ///
    /// # Errors
    ///
    /// The constructor's own.
    fn into_service(self) -> Result<Self::Service, BoxError>;
}

impl<T: Service> IntoService for T {
    type Service = T;

    fn into_service(self) -> Result<T, BoxError> {
        Ok(self)
    }
}

impl<T: Service, E: Into<BoxError>> IntoService for Result<T, E> {
    type Service = T;

    fn into_service(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }
}

/// A service as it was registered.
pub(crate) struct Registration {
    pub(crate) type_id: TypeId,
    pub(crate) name: &'static str,
    constructor: Box<dyn Fn(&ServiceContext) -> Result<Erased, BoxError> + Send + Sync>,
}

impl Registration {
    pub(crate) fn new<R, F>(constructor: F) -> Self
    where
        R: IntoService,
        F: Fn(&ServiceContext) -> R + Send + Sync + 'static,
    {
        let constructor = move |context: &ServiceContext| {
            let service = Arc::new(constructor(context).into_service()?);
            Ok(Erased { object: service.clone(), behaviour: service })
        };
        Self {
            type_id: TypeId::of::<R::Service>(),
            name: type_name::<R::Service>(),
            constructor: Box::new(constructor),
        }
    }

    /// Builds the service. A panic in the constructor is an error of it.
    pub(crate) fn construct(&self, context: &ServiceContext) -> Result<Built, BoxError> {
        let service = no_panic(|| (self.constructor)(context))??;
        Ok(Built { name: self.name, type_id: self.type_id, service })
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A service that was built.
pub(crate) struct Built {
    pub(crate) name: &'static str,
    pub(crate) type_id: TypeId,
    service: Erased,
}

/// One object, twice: as what it is, and as what the node does with it.
struct Erased {
    object: Arc<dyn Any + Send + Sync>,
    behaviour: Arc<dyn Behaviour>,
}

impl Built {
    /// The object itself, to be cast back to its type.
    pub(crate) fn object(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.service.object)
    }

    pub(crate) fn protocols(&self) -> Result<Vec<Arc<dyn Protocol>>, BoxError> {
        no_panic(|| Arc::clone(&self.service.behaviour).protocols())
    }

    pub(crate) fn apis(&self) -> Result<Vec<Module>, BoxError> {
        no_panic(|| Arc::clone(&self.service.behaviour).apis())
    }

    pub(crate) async fn start(&self, server: Server) -> Result<(), BoxError> {
        contained(Arc::clone(&self.service.behaviour).start(server)).await
    }

    pub(crate) async fn stop(&self) -> Result<(), BoxError> {
        contained(Arc::clone(&self.service.behaviour).stop()).await
    }
}

/// [`Service`] without its type.
trait Behaviour: Send + Sync {
    fn protocols(self: Arc<Self>) -> Vec<Arc<dyn Protocol>>;
    fn apis(self: Arc<Self>) -> Vec<Module>;
    fn start(self: Arc<Self>, server: Server) -> BoxFuture<'static, Result<(), BoxError>>;
    fn stop(self: Arc<Self>) -> BoxFuture<'static, Result<(), BoxError>>;
}

impl<T: Service> Behaviour for T {
    fn protocols(self: Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        Service::protocols(&self)
    }

    fn apis(self: Arc<Self>) -> Vec<Module> {
        Service::apis(&self)
    }

    // An `async` block, so that a panic before the first await is one of the future.
    fn start(self: Arc<Self>, server: Server) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move { Service::start(&self, server).await })
    }

    fn stop(self: Arc<Self>) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move { Service::stop(&self).await })
    }
}

/// Runs code of a service; a panic in it is an error of the service, and not the node's end.
fn no_panic<T>(code: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|cause| panicked(&*cause))
}

/// The same for code that waits.
async fn contained(
    work: impl Future<Output = Result<(), BoxError>> + Send,
) -> Result<(), BoxError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|cause| Err(panicked(&*cause)))
}

/// A panic as an error.
pub(crate) fn panicked(cause: &(dyn Any + Send)) -> BoxError {
    let text = cause.downcast_ref::<&str>().copied();
    let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no text")).into()
}

/// The name of a type without the modules it is in: `FooService`, `Store<Vec<u8>>`.
pub(crate) fn type_name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    let path = full.split('<').next().unwrap_or(full);
    path.rfind("::").map_or(full, |at| &full[at + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Store<T>(T);

    #[test]
    fn a_type_is_called_by_its_name_without_its_modules() {
        assert_eq!(type_name::<u64>(), "u64");
        assert_eq!(type_name::<Store<u8>>(), "Store<u8>");
    }
}
