//! What a service is told while it is built.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(feature = "metrics")]
use crate::metrics::{MetricsError, prometheus_client::registry::Registry};
use crate::{
    data_dir::{Directory, DirectoryError},
    metrics::Metrics,
    service::{Built, Service, type_name},
};

/// What a service's constructor is given: the services built before it, and where its files go.
///
/// Spec: ethereum/go-ethereum:node/service.go of 1.9, `ServiceContext`.
pub struct ServiceContext {
    name: String,
    directory: Arc<Directory>,
    // bound: one for each registered service
    services: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "nobody can ask for them"))]
    metrics: Metrics,
}

impl ServiceContext {
    pub(crate) fn new(name: &str, directory: Arc<Directory>, metrics: Metrics) -> Self {
        // bound: see the field
        let services = BTreeMap::new();
        Self { name: name.to_owned(), directory, services, metrics }
    }

    pub(crate) fn add(&mut self, built: &Built) {
        self.services.insert(built.type_id, built.object());
    }

    /// A service that was registered earlier.
    ///
    /// # Errors
    ///
    /// [`UnknownService`] when none of this type was, or it was registered later.
    pub fn service<T: Service>(&self) -> Result<Arc<T>, UnknownService> {
        let found = self.services.get(&TypeId::of::<T>()).map(Arc::clone);
        let typed = found.and_then(|service| service.downcast::<T>().ok());
        typed.ok_or_else(|| UnknownService { name: type_name::<T>() })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node's data directory, if it has one; an absolute path.
    pub fn data_dir(&self) -> Option<&Path> {
        self.directory.data_dir()
    }

    /// Where a file of this name is, or would be: in the node's instance directory, an absolute path
    /// staying as it is. `None` for a node without a data directory.
    pub fn resolve_path(&self, name: impl AsRef<Path>) -> Option<PathBuf> {
        self.directory.instance_dir().map(|instance| instance.join(name))
    }

    /// A directory for a service's own data, which is made if it is not there: `<instance>/<name>`,
    /// open to its owner only. Without a data directory a temporary one, gone when the node has
    /// stopped.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when the name has a separator in it or is one of the node's own, or the
    /// directory cannot be made.
    pub fn database_dir(&self, name: &str) -> Result<PathBuf, DirectoryError> {
        self.directory.database_dir(name)
    }

    /// Registers metrics of the service's own: those that `register` puts into the registry, each behind
    /// `<namespace>_`. They are served with the node's as long as it runs, and the service counts in
    /// them whether anybody reads them or not.
    ///
    /// As the value of a label use what comes from a list that is known beforehand, and never text that a
    /// peer or a caller chose: each value takes memory for as long as the node runs. See
    /// [`metrics`](crate::metrics) for an example.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when the namespace is not one word of small letters and digits, or is taken;
    /// nothing is registered then.
    #[cfg(feature = "metrics")]
    pub fn metrics(
        &self,
        namespace: &str,
        register: impl FnOnce(&mut Registry),
    ) -> Result<(), MetricsError> {
        self.metrics.register(namespace, register)
    }
}

impl fmt::Debug for ServiceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceContext").field("name", &self.name).finish_non_exhaustive()
    }
}

/// There is no service of this type, or not yet: services are built in the order of registration.
///
/// Source: ethereum/go-ethereum:node/errors.go of 1.9, `ErrServiceUnknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown service: {name}")]
pub struct UnknownService {
    /// Its type's name, without modules.
    pub name: &'static str,
}
