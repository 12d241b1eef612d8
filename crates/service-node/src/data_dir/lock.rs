//! One node at a time in an instance directory.
//!
//! The lock is the system's on an open file (`flock`), not the file's existence: whatever ends the
//! process ends the lock, and a file that is left over is no obstacle (N-02).

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use super::DirectoryError;

/// The lock of an instance directory, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock in this directory and leaves our pid in it.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::InUse`] when somebody else has it, [`DirectoryError::Lock`] when the file
    /// cannot be opened or written.
    pub(crate) fn take(directory: &Path) -> Result<Self, DirectoryError> {
        let path = directory.join(FILE);
        let failed = |source| DirectoryError::Lock { path: path.clone(), source };
        let mut file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (path, pid) = (directory.to_owned(), holder(&mut file));
                return Err(DirectoryError::InUse { path, pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody to tell. Closing the file unlocks it; a pid that stays in it says nothing.
        let _ = self.0.set_len(0);
    }
}

/// Opens without cutting: what is in the file belongs to who has the lock.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Shows who has the lock, and that the disk has room for a few bytes more.
fn write_pid(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() > 0 {
        file.set_len(0)?;
    }
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The pid that was left in the file, if it is one.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(LONGEST_PID).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Source: ethereum/go-ethereum:node/node.go, `openDataDir`.
const FILE: &str = "LOCK";
/// Ten digits and a newline; more is not read.
const LONGEST_PID: u64 = 11;
