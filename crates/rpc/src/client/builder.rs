//! What a client may be told before it connects.

use std::{ffi::OsStr, path::PathBuf, sync::Arc, time::Duration};

use super::{Client, ClientError, Inner, connection::Connection};
use crate::{
    Module,
    api::{Access, Api},
};

/// Puts a [`Client`] together.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    modules: Vec<Module>,
    timeout: Option<Duration>,
}

impl ClientBuilder {
    /// Offers a module for the server to call back, on any transport but HTTP.
    pub fn module(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// How long a call, a batch or the answer to a subscription may take; for ever by default.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Connects; see [`Client::connect`].
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn connect(self, url: impl AsRef<OsStr>) -> Result<Client, ClientError> {
        let api = match self.modules.is_empty() {
            true => Api::nothing(),
            false => Api::new(&self.modules, &Access::everything(), Arc::default()),
        };
        let url = url.as_ref();
        // What is not Unicode can only be a path.
        let connection = match url.to_str().and_then(scheme_of) {
            None => Connection::ipc(PathBuf::from(url), Arc::new(api)),
            Some(scheme) => return Err(ClientError::Scheme { scheme: scheme.to_owned() }),
        };
        connection.open().await?;
        Ok(Client(Arc::new(Inner { connection, timeout: self.timeout })))
    }
}

/// The scheme of a URL; a path has none.
fn scheme_of(url: &str) -> Option<&str> {
    url.split_once("://").map(|(scheme, _)| scheme)
}
