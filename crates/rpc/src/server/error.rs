//! Why a server does not start.

use std::{io, path::PathBuf};

use crate::ModuleError;

/// Why a server did not start. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A module cannot be registered.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The path of the socket is longer than the system's addresses have room for.
    #[error("ipc: {} has {length} bytes, over the limit of {limit}; use a shorter path", path.display())]
    IpcPath {
        /// The path.
        path: PathBuf,
        /// Its length, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is a file at the path that is no socket; it is left alone.
    #[error("ipc: {} is there and is no socket; remove it, or use another path", path.display())]
    IpcNotSocket {
        /// The path.
        path: PathBuf,
    },
    /// Another server answers on the socket.
    #[error("ipc: another server answers on {}; use another path", path.display())]
    IpcInUse {
        /// The path.
        path: PathBuf,
    },
    /// The socket could not be made.
    #[error("ipc: cannot listen on {}: {source}", path.display())]
    Ipc {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A port could not be bound.
    #[error("{endpoint}: cannot listen on {address}: {source}")]
    Listen {
        /// What was to listen there: `http`, `ws` or `auth`.
        endpoint: &'static str,
        /// The address, as it was configured.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// WebSockets are to share the port of HTTP, and there is none.
    #[error(
        "ws: there is no http listener to share a port with; configure one, or give an address"
    )]
    NoHttp,
}
