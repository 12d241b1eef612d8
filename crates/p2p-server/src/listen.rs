//! Accepting connections, and turning most unwanted ones away before they cost anything.
//!
//! ```text
//!   accept ─▶ allowed network? ─▶ banned? ─▶ seen within 30 s? ─▶ room? ─▶ handshake
//!                  no │             yes │          yes │            no │
//!                     └───────────── closed without a byte ◀───────────┘
//! ```

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    Listener, QueueKind, SetUpFailure,
    connection::{Connection, Origin},
    pending::Admit,
    shared::{Shared, now},
    transport::Link,
};

/// Accepts until the server stops or the listener is of no more use.
pub(crate) async fn accept_all(shared: Arc<Shared>, mut listener: Box<dyn Listener>) {
    let mut last_complaint: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.intake.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let error = match accepted {
            Ok(link) => {
                admit(&shared, link, Origin::Accepted);
                continue;
            }
            Err(error) => error,
        };
        if is_permanent(&error) {
            tracing::error!(err = %error, "listener failed, no more connections are accepted");
            return;
        }
        // Out of descriptors, or a connection that died in the queue: neither ends the loop nor
        // makes it spin, and the log is not flooded (L-13).
        if last_complaint.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            tracing::warn!(err = %error, "cannot accept a connection");
            last_complaint = Some(Instant::now());
        }
        tokio::select! {
            biased;
            () = shared.intake.cancelled() => return,
            () = sleep(RETRY) => {}
        }
    }
}

/// Decides on a connection by its address alone and starts its handshake.
pub(crate) fn admit(shared: &Arc<Shared>, link: Link, origin: Origin) {
    let conn = shared.next_conn();
    let cancel = shared.shutdown.child_token();
    shared.config.watch.tell(|observer| observer.accepted());
    if let Err(reason) = check_in(shared, &link, conn.0, &cancel) {
        tracing::debug!(addr = %link.remote, reason, "connection refused");
        shared.config.watch.tell(|observer| observer.serve_failed(SetUpFailure::Refused));
        return;
    }
    let span = tracing::debug_span!("conn", dir = "in", addr = %link.remote);
    let shared_by_task = Arc::clone(shared);
    let task = async move {
        let shared = shared_by_task;
        let remote = link.remote;
        let connection = Connection { shared: Arc::clone(&shared), conn, origin, cancel };
        let result = connection.run(link).await;
        if let Err(failure) = &result {
            let counted = SetUpFailure::of(failure);
            shared.config.watch.tell(|observer| observer.serve_failed(counted));
        }
        let mut core = shared.core();
        core.release_pending(conn);
        if let Err(failure) = result {
            tracing::debug!(stage = %failure.stage, err = %failure.text, "inbound connection failed");
            if let Some(offence) = failure.offence {
                core.reputation.on_offence(remote.ip(), None, offence, now());
            }
        }
    };
    shared.tasks.spawn("inbound connection", task.instrument(span));
}

fn check_in(
    shared: &Shared,
    link: &Link,
    conn: u64,
    cancel: &CancellationToken,
) -> Result<(), &'static str> {
    let (ip, now) = (link.remote.ip(), now());
    if shared.config.net_restrict.as_ref().is_some_and(|list| !list.contains(ip)) {
        return Err("not in netrestrict list");
    }
    let mut core = shared.core();
    let reserved = core.is_reserved(ip);
    if core.reputation.is_banned_ip(ip, now) {
        return Err("address is banned");
    }
    // Who is expected is not judged by what others did from the same address. A trusted node could
    // be anywhere: where there are any, the question is asked again when there is a name.
    if !reserved && !core.peers.trusts_any() && core.reputation.refuses_ip(ip, now) {
        return Err("address misbehaved");
    }
    if core.throttle.admit(ip, now).is_err() {
        return Err("too many attempts");
    }
    let place = core.pending.admit(conn, reserved);
    if let Admit::Evict(oldest) = place
        && let Some(evicted) = core.set_ups.remove(&oldest)
    {
        evicted.cancel();
    }
    if place != Admit::Refuse {
        core.set_ups.insert(conn, cancel.clone());
    }
    drop(core);
    if place != Admit::Ok {
        shared.config.watch.tell(|observer| observer.queue_full(QueueKind::Pending));
    }
    if place == Admit::Refuse { Err("too many pending connections") } else { Ok(()) }
}

/// Whether the listener itself is broken, rather than one connection or the moment.
fn is_permanent(error: &io::Error) -> bool {
    // Nothing that one connection can bring about may be among these.
    use io::ErrorKind::{BrokenPipe, InvalidInput, Unsupported};
    matches!(error.kind(), BrokenPipe | InvalidInput | Unsupported)
}

/// Source: ethereum/go-ethereum:p2p/server.go, `listenLoop`.
const RETRY: Duration = Duration::from_millis(200);
/// How often a persistent trouble is logged.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);
