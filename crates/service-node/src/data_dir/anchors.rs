//! Anchors: the peers a node comes back to after a restart (D-09).
//!
//! ```text
//!   every minute, at stop:   the two peers that we dialed and have had longest ─▶ anchors.json
//!   at start:                anchors.json ─▶ dialed before any other candidate
//! ```
//!
//! Somebody who waits for a restart to fill a node's slots with his own nodes finds two of them taken.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use enode::Enode;
use p2p_server::Server;
use tokio::{task::spawn_blocking, time::interval};
use tokio_util::sync::CancellationToken;

use super::{node_list, write_whole};

/// The file in the instance directory.
pub(crate) const FILE: &str = "anchors.json";

/// The anchors of the last run. A file that cannot be read is set aside (N-04).
pub(crate) fn read(path: &Path) -> Vec<Enode> {
    match node_list::texts(path) {
        Ok(texts) => {
            let mut nodes = node_list::parse(&texts, path);
            nodes.truncate(KEPT);
            nodes
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            set_aside(path, &error);
            Vec::new()
        }
    }
}

/// Gives the file another name, so that whoever wonders can look at it.
fn set_aside(path: &Path, error: &io::Error) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut bad = path.as_os_str().to_owned();
    bad.push(format!(".bad-{}", now.as_secs()));
    let renamed = fs::rename(path, &bad);
    let bad = PathBuf::from(bad);
    tracing::warn!(path = %path.display(), %error, aside = %bad.display(), "anchors not read");
    if let Err(error) = renamed {
        tracing::warn!(path = %path.display(), %error, "anchors not set aside");
    }
}

/// Saves the anchors every minute, and once more at the end, which is when `stop` is cancelled.
pub(crate) async fn keep(server: Server, path: PathBuf, stop: CancellationToken) {
    let mut saved: Option<Vec<Enode>> = None;
    let mut minutes = interval(PERIOD);
    // The first tick is at once, when there is nobody yet.
    minutes.tick().await;
    loop {
        let stopping = tokio::select! {
            biased;
            () = stop.cancelled() => true,
            _ = minutes.tick() => false,
        };
        let anchors = choose(&server);
        // A node that has had no peer yet keeps the anchors of its last run.
        if !anchors.is_empty() && saved.as_ref() != Some(&anchors) {
            save(&path, &anchors).await;
            saved = Some(anchors);
        }
        if stopping {
            return;
        }
    }
}

/// The peers that we dialed, longest connected first.
fn choose(server: &Server) -> Vec<Enode> {
    let mut dialed = server.peers();
    dialed.retain(|peer| !peer.inbound());
    dialed.sort_by_key(|peer| (std::cmp::Reverse(peer.lifetime()), peer.id()));
    dialed.iter().take(KEPT).map(|peer| peer.enode().clone()).collect()
}

async fn save(path: &Path, anchors: &[Enode]) {
    let urls: Vec<String> = anchors.iter().map(ToString::to_string).collect();
    let target = path.to_owned();
    let write = move || {
        let text = serde_json::to_vec_pretty(&urls)?;
        write_whole(&target, &text)
    };
    let written = spawn_blocking(write).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "anchors not saved");
    }
}

/// How many anchors there are.
const KEPT: usize = 2;
/// How often they are saved.
const PERIOD: Duration = Duration::from_secs(60);
