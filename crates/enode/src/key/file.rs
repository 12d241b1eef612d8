//! The file a node keeps its secret key in, in go-ethereum's format.
//!
//! ```text
//!   6e1f…c0 \n        64 hex digits, then at most two newline characters
//! ```
//!
//! A key that changes unnoticed is worse than a node that does not start: peers, records and
//! everything built on the node id would be lost. So a file that cannot be read is an error and is
//! never replaced, and a new key gets its name only when it is safely on disk:
//!
//! ```text
//!   .nodekey.<random>  create, mode 0600 ─▶ write ─▶ fsync ─▶ hard link to nodekey ─▶ unlink
//!                                                             └ fails if the name is taken
//! ```
//!
//! This is the only I/O of the crate. It blocks; call it at start-up, before anything runs.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{KeyError, SecretKey};

impl SecretKey {
    /// Reads the key in the file at `path`.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]; each variant names the file and what is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        // Of its full size from the start, as growing would leave a copy of the key behind.
        let mut content = Zeroizing::new(Vec::with_capacity(READ_LENGTH));
        File::open(path)
            .and_then(|file| file.take(READ_LENGTH as u64).read_to_end(&mut content))
            .map_err(|source| KeyFileError::Io { path: path.into(), source })?;
        parse(&content, path)
    }

    /// Writes the key to a new file at `path` that only its owner may read.
    ///
    /// The file appears complete or not at all, and never in place of another one. Its directory
    /// must exist, on a file system that knows hard links.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Exists`] when there is something at `path`, [`KeyFileError::Io`] when it
    /// cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        self.write_new(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.into() },
            _ => KeyFileError::Io { path: path.into(), source },
        })
    }

    /// Reads the key at `path`, or makes a new one and saves it there if there is no such file.
    ///
    /// Of several processes that do this at once, all return the same key.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load) and [`save`](Self::save). A malformed file is an error and stays
    /// as it is.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        match Self::load(path) {
            Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let key = Self::random();
        match key.save(path) {
            Ok(()) => Ok(key),
            // Another process was faster; what it saved is the key of this node.
            Err(KeyFileError::Exists { .. }) => Self::load(path),
            Err(error) => Err(error),
        }
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let temporary = Temporary::beside(path)?;
        let bytes = self.to_bytes();
        let mut digits = Zeroizing::new([0; HEX_LENGTH]);
        const_hex::encode_to_slice(bytes.as_slice(), &mut *digits).map_err(io::Error::other)?;
        let mut file = create_private(&temporary.0)?;
        file.write_all(&*digits)?;
        file.sync_all()?;
        fs::hard_link(&temporary.0, path)?;
        sync_directory(path)
    }
}

/// Why a key file could not be used. Names the file; never quotes a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Fewer than 64 characters, or a space or control character among them.
    #[error("{}: key file too short, want 64 hex characters", path.display())]
    TooShort {
        /// The key file.
        path: PathBuf,
    },
    /// Something other than a newline follows the 64 characters.
    #[error("{}: invalid character {character:?} at end of key file", path.display())]
    TrailingCharacter {
        /// The key file.
        path: PathBuf,
        /// The first character that does not belong there; a byte outside ASCII as Latin-1.
        character: char,
    },
    /// More than two newline characters follow the key.
    #[error("{}: key file too long, want 64 hex characters", path.display())]
    TooLong {
        /// The key file.
        path: PathBuf,
    },
    /// The 64 characters are no secret key.
    #[error("{}: invalid key in key file", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with the key.
        source: KeyError,
    },
    /// A key was to be saved where something is already.
    #[error("{}: key file exists and is never replaced", path.display())]
    Exists {
        /// The key file.
        path: PathBuf,
    },
    /// The system could not read or write the file.
    #[error("{}: key file not accessible", path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl KeyFileError {
    /// The file that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::TooShort { path }
            | Self::TrailingCharacter { path, .. }
            | Self::TooLong { path }
            | Self::Key { path, .. }
            | Self::Exists { path }
            | Self::Io { path, .. } => path,
        }
    }
}

/// A file that is removed again, whatever happens in between.
struct Temporary(PathBuf);

impl Temporary {
    /// A name in the directory of `path`, so that a hard link can lead from one to the other.
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{:016x}", rand::random::<u64>()));
        Ok(Self(path.with_file_name(temporary)))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nobody to tell, and a leftover is private and harmless.
        let _ = fs::remove_file(&self.0);
    }
}

fn parse(content: &[u8], path: &Path) -> Result<SecretKey, KeyFileError> {
    let (digits, end) = content
        .split_at_checked(HEX_LENGTH)
        .filter(|(digits, _)| digits.iter().all(|byte| *byte > b' '))
        .ok_or_else(|| KeyFileError::TooShort { path: path.into() })?;
    for (index, &byte) in end.iter().enumerate() {
        if !matches!(byte, b'\r' | b'\n') {
            let character = char::from(byte);
            return Err(KeyFileError::TrailingCharacter { path: path.into(), character });
        }
        if index >= MAX_NEWLINES {
            return Err(KeyFileError::TooLong { path: path.into() });
        }
    }
    str::from_utf8(digits)
        .map_err(|_| KeyError::Digit)
        .and_then(SecretKey::from_hex)
        .map_err(|source| KeyFileError::Key { path: path.into(), source })
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the new name itself survive a power cut.
fn sync_directory(path: &Path) -> io::Result<()> {
    // Only here can a directory be opened like a file.
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Digits of a key, two a byte.
const HEX_LENGTH: usize = 64;

/// Newline characters that may follow the key: one line end of either kind of system.
///
/// Source: ethereum/go-ethereum:crypto/crypto.go, `checkKeyFileEnd`.
const MAX_NEWLINES: usize = 2;

/// Bytes that are read of a key file: one more than a valid one has, to tell one that is too long.
const READ_LENGTH: usize = HEX_LENGTH + MAX_NEWLINES + 1;
