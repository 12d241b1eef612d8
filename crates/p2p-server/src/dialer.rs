//! Carrying out what the dial scheduler decides.
//!
//! The scheduler is pure; this task gives it the time and candidates, starts the attempts it asks
//! for, and tells it what came of them.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use enode::{Enode, Host};
use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;

use crate::{
    DialStage, SetUpFailure,
    connection::{Connection, Failure, Origin},
    dial::{DialFailure, DialTask},
    shared::{Core, Shared, now},
};

/// Runs the dial plan until the server stops.
pub(crate) async fn schedule(
    shared: Arc<Shared>,
    mut candidates: Option<BoxStream<'static, Enode>>,
) {
    let mut next_candidate = Instant::now();
    loop {
        start_due(&shared);
        let (deadline, wanted) = {
            let core = shared.core();
            (core.dial.deadline(), core.dial.wants_candidates() > 0)
        };
        let candidate = async {
            match &mut candidates {
                Some(stream) if wanted => {
                    sleep_until(next_candidate).await;
                    AssertUnwindSafe(stream.next()).catch_unwind().await.unwrap_or_else(|_| {
                        tracing::error!("the source of candidates panicked and is not asked again");
                        None
                    })
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.intake.cancelled() => return,
            () = shared.wake.notified() => {}
            () = shared.tasks.reap() => {}
            () = until(deadline) => {}
            node = candidate => match node {
                Some(node) => {
                    if let Err(error) = offer(&shared, node) {
                        tracing::trace!(%error, "candidate not dialed");
                        // A source that repeats itself must not keep a core busy.
                        next_candidate = Instant::now() + CANDIDATE_PAUSE;
                    }
                }
                None => candidates = None,
            },
        }
    }
}

fn offer(shared: &Shared, node: Enode) -> Result<(), crate::dial::CheckError> {
    shared.core().dial.add_candidate(node, now())
}

async fn until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Starts every attempt that is due.
fn start_due(shared: &Arc<Shared>) {
    loop {
        let task = {
            let mut core = shared.core();
            let Core { dial, rng, .. } = &mut *core;
            let task = dial.poll(now(), rng);
            let events = dial.take_events();
            shared.dial_events.emit_all(events);
            if let Some(looking) = dial.looking_for_peers(now()) {
                tracing::info!(
                    peercount = looking.peer_count,
                    tried = looking.tried,
                    r#static = looking.static_nodes,
                    "looking for peers"
                );
            }
            task
        };
        let Some(task) = task else { return };
        shared.config.watch.tell(|observer| observer.dial_started());
        let span = tracing::debug_span!("conn", dir = "out", peer = %task.node.id().short());
        shared.tasks.spawn("dialed connection", dial(Arc::clone(shared), task).instrument(span));
    }
}

/// One attempt, and the connection it leads to.
async fn dial(shared: Arc<Shared>, task: DialTask) {
    let id = task.node.id();
    let attempt = AssertUnwindSafe(connect(&shared, task)).catch_unwind();
    let result = tokio::select! {
        biased;
        () = shared.intake.cancelled() => Err(Failure::given_up(DialStage::Connect, "closed by this node")),
        link = attempt => {
            link.unwrap_or_else(|_| Err(Failure::new(DialStage::Connect, "transport panicked")))
        }
    };
    let (connection, link, remote) = match result {
        Ok(ready) => ready,
        Err(failure) => return report(&shared, id, None, failure),
    };
    if let Err(failure) = connection.run(link).await {
        report(&shared, id, Some(remote), failure);
    }
}

async fn connect(
    shared: &Arc<Shared>,
    task: DialTask,
) -> Result<(Connection, crate::transport::Link, SocketAddr), Failure> {
    let addr = resolve(shared, &task.node).await?;
    check_bans(shared, &task.node, addr)?;
    let link = match timeout(DIAL_TIMEOUT, shared.transport.dial(addr)).await {
        Ok(Ok(link)) => link,
        Ok(Err(error)) => return Err(Failure::new(DialStage::Connect, error)),
        Err(_) => return Err(Failure::new(DialStage::Connect, "i/o timeout")),
    };
    tracing::trace!(%addr, "connected");
    let connection = Connection {
        shared: Arc::clone(shared),
        conn: shared.next_conn(),
        origin: Origin::Dialed(task),
        cancel: shared.shutdown.child_token(),
    };
    Ok((connection, link, addr))
}

fn check_bans(shared: &Shared, node: &Enode, addr: SocketAddr) -> Result<(), Failure> {
    let core = shared.core();
    let banned = core.reputation.is_banned_id(&node.id(), now())
        || core.reputation.is_banned_ip(addr.ip(), now());
    if banned { Err(Failure::new(DialStage::Check, "banned")) } else { Ok(()) }
}

/// The address to dial: a DNS name is looked up now, each time.
async fn resolve(shared: &Shared, node: &Enode) -> Result<SocketAddr, Failure> {
    let failed = |text: &str| Failure::new(DialStage::Resolve, text);
    match node.host() {
        None => Err(failed("node has no address")),
        Some(Host::Ip(_)) => {
            node.tcp_addr().ok_or_else(|| failed("node does not provide TCP port"))
        }
        Some(Host::Name(name)) => {
            let lookup = shared.transport.resolve(name.clone(), node.tcp_port());
            let found = match timeout(DNS_TIMEOUT, lookup).await {
                Ok(found) => found.map_err(|error| Failure::new(DialStage::Resolve, error))?,
                Err(_) => return Err(failed("DNS lookup timed out")),
            };
            // The name may point anywhere, so the rules for addresses are asked again.
            let core = shared.core();
            let allowed = |addr: &&SocketAddr| {
                core.dial.check_endpoint(&node.clone().with_ip(addr.ip())).is_ok()
            };
            let addr = found.iter().find(allowed);
            addr.copied().ok_or_else(|| failed("DNS name has no address that may be dialed"))
        }
    }
}

fn report(shared: &Shared, id: enode::NodeId, remote: Option<SocketAddr>, failure: Failure) {
    let now = now();
    tracing::debug!(stage = %failure.stage, err = %failure.text, "dial failed");
    let counted = SetUpFailure::of(&failure);
    shared.config.watch.tell(|observer| observer.dial_failed(counted));
    let mut core = shared.core();
    if let (Some(offence), Some(remote)) = (failure.offence, remote) {
        core.reputation.on_offence(remote.ip(), Some(id), offence, now);
    }
    let Failure { stage, text, reason, .. } = failure;
    let Core { dial, rng, .. } = &mut *core;
    dial.on_done(&id, Err(DialFailure { stage, error: text, reason }), now, rng);
    shared.dial_events.emit_all(dial.take_events());
    drop(core);
    shared.wake.notify_one();
}

/// Source: ethereum/go-ethereum:p2p/dial.go, `defaultDialTimeout`.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);
/// Source: ethereum/go-ethereum:p2p/dial.go, `dnsLookupTimeout`.
const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a candidate that was not worth a dial.
const CANDIDATE_PAUSE: Duration = Duration::from_millis(50);
