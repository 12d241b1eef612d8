//! The files of a node: where they are, and whose they are.
//!
//! ```text
//!   <data dir>/                      may be shared by nodes of different names
//!     <socket>.ipc                   JSON-RPC
//!     <name>/        0700            the instance directory, one node at a time
//!       LOCK         0600            taken before anything is changed; holds the pid
//!       nodekey      0600            never replaced
//!       jwtsecret    0600            never replaced
//!       static-nodes.json            dialed and kept
//!       trusted-nodes.json           admitted beyond the limits
//!       anchors.json                 the peers to come back to
//!       <database>/  0700            a service's own
//! ```
//!
//! Everything here blocks; the node calls it off its runtime's threads.
//!
//! Spec: ethereum/go-ethereum:node/config.go.

pub(crate) mod anchors;
mod error;
mod lock;
pub(crate) mod node_list;

use std::{
    fs::{self, DirBuilder},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use enode::{KeyFileError, SecretKey};
use rpc::{JwtSecret, JwtSecretFileError};
use tempfile::TempDir;

pub use self::error::DirectoryError;
use self::lock::Lock;

/// Where a node's files are, while nobody has touched them.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The data directory, absolute.
    pub(crate) data: PathBuf,
    /// The instance directory in it.
    pub(crate) instance: PathBuf,
}

impl Paths {
    /// The paths of the node `name`. A relative directory is meant from where the program was started.
    pub(crate) fn new(data_dir: &Path, name: &str) -> io::Result<Self> {
        let data = std::path::absolute(data_dir)?;
        let instance = data.join(name);
        Ok(Self { data, instance })
    }
}

/// A node's directory, locked for as long as this lives; or none.
#[derive(Debug)]
pub(crate) struct Directory {
    paths: Option<Paths>,
    /// Where databases go if there is no directory; made when the first is asked for.
    temporary: Mutex<Option<TempDir>>,
    _lock: Option<Lock>,
}

impl Directory {
    /// Makes the instance directory if it is not there, and takes its lock.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]; nothing but an empty directory and its lock file is left then.
    pub(crate) fn open(paths: Option<Paths>) -> Result<Self, DirectoryError> {
        let lock = match &paths {
            Some(paths) => {
                make_private(&paths.instance).map_err(|source| DirectoryError::Create {
                    path: paths.instance.clone(),
                    source,
                })?;
                Some(Lock::take(&paths.instance)?)
            }
            None => None,
        };
        Ok(Self { paths, temporary: Mutex::default(), _lock: lock })
    }

    pub(crate) fn data_dir(&self) -> Option<&Path> {
        self.paths.as_ref().map(|paths| paths.data.as_path())
    }

    pub(crate) fn instance_dir(&self) -> Option<&Path> {
        self.paths.as_ref().map(|paths| paths.instance.as_path())
    }

    /// The key in `nodekey`, which is made if it is not there; `None` without a directory.
    pub(crate) fn node_key(&self) -> Result<Option<SecretKey>, KeyFileError> {
        let path = self.instance_dir().map(|instance| instance.join(NODE_KEY));
        path.map(SecretKey::load_or_create).transpose()
    }

    /// The secret in `jwtsecret`, which is made if it is not there; without a directory a new one.
    pub(crate) fn jwt_secret(&self) -> Result<JwtSecret, JwtSecretFileError> {
        let Some(instance) = self.instance_dir() else { return Ok(JwtSecret::random()) };
        let path = instance.join(JWT_SECRET);
        let file = JwtSecret::load_or_create(&path)?;
        if file.open_to_others {
            tracing::warn!(path = %path.display(), "the JWT secret is readable by others");
        }
        Ok(file.secret)
    }

    /// A service's own directory; see [`crate::ServiceContext::database_dir`].
    pub(crate) fn database_dir(&self, name: &str) -> Result<PathBuf, DirectoryError> {
        let lower = name.to_ascii_lowercase();
        let plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
        if !plain || OWN_FILES.contains(&lower.as_str()) {
            return Err(DirectoryError::Name { name: name.to_owned() });
        }
        let path = match self.instance_dir() {
            Some(instance) => instance.join(name),
            None => self.temporary()?.join(name),
        };
        make_private(&path)
            .map_err(|source| DirectoryError::Create { path: path.clone(), source })?;
        Ok(path)
    }

    fn temporary(&self) -> Result<PathBuf, DirectoryError> {
        let mut temporary = self.temporary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &*temporary {
            return Ok(directory.path().to_owned());
        }
        let made = tempfile::Builder::new().prefix("node-").tempdir();
        let made =
            made.map_err(|source| DirectoryError::Create { path: std::env::temp_dir(), source })?;
        Ok(temporary.insert(made).path().to_owned())
    }
}

/// Makes a directory and those above it, open to their owner only; one that is there stays as it is.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Puts a file in place complete or not at all: N-04.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    io::Write::write_all(&mut file, content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The new name must survive a power cut, too; only here can a directory be opened like a file.
    if cfg!(unix) {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// The names in an instance directory that are no service's to take, in small letters.
const OWN_FILES: [&str; 7] = [
    "lock",
    NODE_KEY,
    JWT_SECRET,
    node_list::STATIC,
    node_list::TRUSTED,
    anchors::FILE,
    // go-ethereum's node database; ours once there is discovery.
    "nodes",
];

const NODE_KEY: &str = "nodekey";
const JWT_SECRET: &str = "jwtsecret";
