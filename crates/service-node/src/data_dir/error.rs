//! What can go wrong with a node's directory, and what to do about it.

use std::{fmt, io, path::PathBuf};

/// Why a directory or file of a node could not be used. Names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Another process, or another node of this one, has the directory.
    ///
    /// Source: ethereum/go-ethereum:node/errors.go, `ErrDatadirUsed`.
    #[error("datadir already used by another process{}", Holder(*pid))]
    InUse {
        /// The instance directory.
        path: PathBuf,
        /// Who holds it, if the lock file says so.
        pid: Option<u32>,
    },
    /// A directory could not be made.
    #[error("cannot make the directory {}: {source}{}", path.display(), hint(source))]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The lock file could not be opened, locked or written.
    #[error("cannot lock the data directory with {}: {source}{}", path.display(), hint(source))]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A service wants a directory whose name is a path, hidden, or the node's own.
    #[error(
        "{name:?} is no name for a service's directory; use a plain name that the node does not use"
    )]
    Name {
        /// The name.
        name: String,
    },
}

/// `(pid 17)`, after what it is about.
struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (pid {pid})"))
    }
}

/// The way out of the errors that people meet (N-07).
pub(crate) fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room, or use a data directory on another disk"
        }
        io::ErrorKind::PermissionDenied => {
            "; the node's user must be able to write to the data directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is read-only: use a data directory elsewhere"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a file is where a directory should be"
        }
        _ => "",
    }
}
