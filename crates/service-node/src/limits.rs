//! Whether the process may open as many files as its peers need (N-07).

use crate::StartFailure;

/// Refuses a node whose peers alone would use up the files that the process may open.
///
/// # Errors
///
/// [`StartFailure::Descriptors`] says what to change.
pub(crate) fn check(max_peers: usize) -> Result<(), StartFailure> {
    let needed = (max_peers as u64).saturating_add(RESERVED);
    match open_files() {
        Some(limit) if limit < needed => {
            Err(StartFailure::Descriptors { limit, max_peers, needed })
        }
        _ => Ok(()),
    }
}

/// How many files the process may have open, if there is a limit.
#[cfg(unix)]
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}

/// For everything that is no peer: listeners, handshakes, RPC connections, databases.
const RESERVED: u64 = 64;
