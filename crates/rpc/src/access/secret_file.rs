//! The file that a server and its clients share a [`JwtSecret`] through.
//!
//! ```text
//!   0x1f8a…c0        64 hex digits, with or without 0x, white space around them
//!
//!   .jwtsecret.<random>  create, mode 0600 ─▶ write ─▶ fsync ─▶ hard link to jwtsecret ─▶ unlink
//!                                                               └ fails if the name is taken
//! ```
//!
//! A client that has read the file must not find another secret there later: an existing file is
//! never replaced, also not one that cannot be read. This blocks; call it at start-up.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use rand::Rng as _;
use zeroize::Zeroizing;

use super::{JwtSecret, token::SECRET_LENGTH};

impl JwtSecret {
    /// Makes a new secret from the system's random source.
    pub fn random() -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        rand::rng().fill_bytes(&mut *secret);
        Self::from_bytes(&secret)
    }

    /// Reads the secret at `path`, or makes a new one and saves it there if there is no such file.
    ///
    /// A new file has mode 0600, appears complete or not at all, and is the same for all processes
    /// that do this at once. Its directory must exist, on a file system that knows hard links.
    ///
    /// # Errors
    ///
    /// [`JwtSecretFileError`]. An existing file stays as it is.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<JwtSecretFile, JwtSecretFileError> {
        let path = path.as_ref();
        match load(path) {
            Err(JwtSecretFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let secret = Self::random();
        match write_new(&secret, path) {
            Ok(()) => Ok(JwtSecretFile { secret, created: true, open_to_others: false }),
            // Another process was faster; its secret is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
            Err(source) => Err(JwtSecretFileError::Io { path: path.into(), source }),
        }
    }
}

/// A secret and what is to be said about its file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JwtSecretFile {
    /// The secret.
    pub secret: JwtSecret,
    /// Whether the file was made just now.
    pub created: bool,
    /// Whether users other than the owner may read or write the file, which deserves a warning.
    ///
    /// It is no error, because containers often mount secrets so. Known on Unix only.
    pub open_to_others: bool,
}

/// Why the file with the secret could not be used. Names the file, never quotes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtSecretFileError {
    /// What is in the file is no secret.
    #[error("{}: invalid JWT secret, want 64 hex digits", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// The system could not read or write the file.
    #[error("{}: JWT secret not accessible", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn load(path: &Path) -> Result<JwtSecretFile, JwtSecretFileError> {
    // Of its full size from the start, as growing would leave a copy of the secret behind.
    let mut content = Zeroizing::new(Vec::with_capacity(READ_LENGTH));
    let open_to_others = read(path, &mut content)
        .map_err(|source| JwtSecretFileError::Io { path: path.into(), source })?;
    let text = str::from_utf8(&content).ok();
    let secret = text
        .and_then(|text| JwtSecret::from_hex(text).ok())
        .ok_or_else(|| JwtSecretFileError::Secret { path: path.into() })?;
    Ok(JwtSecretFile { secret, created: false, open_to_others })
}

/// Reads the start of the file, and tells whether it is open to others.
fn read(path: &Path, content: &mut Vec<u8>) -> io::Result<bool> {
    let file = File::open(path)?;
    let open_to_others = is_open_to_others(&file.metadata()?);
    file.take(READ_LENGTH as u64).read_to_end(content)?;
    Ok(open_to_others)
}

fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0;
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

fn write_new(secret: &JwtSecret, path: &Path) -> io::Result<()> {
    let temporary = Temporary::beside(path)?;
    let mut text = Zeroizing::new([0; PREFIX.len() + 2 * SECRET_LENGTH]);
    let (prefix, digits) = text.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    const_hex::encode_to_slice(secret.bytes(), digits).map_err(io::Error::other)?;
    let mut file = create_private(&temporary.0)?;
    file.write_all(&*text)?;
    file.sync_all()?;
    fs::hard_link(&temporary.0, path)?;
    sync_directory(path)
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

/// What go-ethereum writes before the digits, too.
const PREFIX: &[u8] = b"0x";

/// Bytes that are read of a file: a secret, and room for the white space that may be around it.
const READ_LENGTH: usize = 1024;

#[cfg(test)]
mod tests;
