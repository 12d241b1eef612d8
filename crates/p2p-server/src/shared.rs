//! What all connections of a server share, and the state under its one lock.
//!
//! ```text
//!   admit ──▶ in the set, `Added` emitted ──▶ session runs ──▶ out of the set, `Dropped` emitted
//!     └────────── one lock ─────────┘                           └────────── one lock ─────────┘
//! ```
//!
//! The lock is never held across an await. What is under it is plain data and pure logic, so nothing
//! that holds it can wait for anybody.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use enode::{Enode, NodeId};
use futures_util::stream::BoxStream;
use rand::rngs::StdRng;
use rlpx::snappy::ScratchPool;
use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::{Notify, OnceCell, Semaphore},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Capability, DisconnectReason, Listener, NodeInfo, Peer, PeerEvent, PeerInfo, PeerInfoState,
    Protocol, ServerBuilder, StartError, Transport,
    address::{canonical, is_lan},
    base::Hello,
    budget::ServerBudget,
    builder::Config,
    capability::{Offer, match_capabilities},
    dial::{DialConfig, DialScheduler},
    dial_events::DialEventHub,
    event::EventHub,
    info::Ports,
    local_node::LocalNode,
    panic_counter::{AfterPanic, PanicCounter},
    peer_set::{Admission, ConnId, PeerLimits, PeerSet},
    pending::PendingPool,
    reputation::Reputation,
    session::{End, Running},
    tasks::Tasks,
    throttle::InboundThrottle,
};

/// What the server's tasks and handles share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) shutdown: CancellationToken,
    /// Nobody is let in any more; part of `shutdown`.
    pub(crate) intake: CancellationToken,
    /// Nothing is waited for any more while the server stops.
    pub(crate) hurry: CancellationToken,
    /// What to accept and dial from, until the server is opened.
    ready: Mutex<Option<Ready>>,
    /// Whether there were any, disabled or let go by now.
    has_protocols: bool,
    /// Let go of when the server stops: they may hold what holds the server.
    protocols: Mutex<Vec<Arc<dyn Protocol>>>,
    pub(crate) events: Arc<EventHub>,
    pub(crate) dial_events: DialEventHub,
    pub(crate) tasks: Tasks,
    /// Where the tasks run, whatever thread a handle is used on.
    pub(crate) runtime: Handle,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) budget: Arc<ServerBudget>,
    pub(crate) scratch: ScratchPool,
    /// Wakes the scheduler.
    pub(crate) wake: Notify,
    /// Wakes those who wait for a peer to be gone.
    pub(crate) changed: Notify,
    core: Mutex<Core>,
    rng: Mutex<StdRng>,
    pub(crate) local: LocalNode,
    pub(crate) listen_addr: Option<SocketAddr>,
    next_conn: AtomicU64,
    /// Places for connections that are over and wait for their peer to hang up too.
    pub(crate) lingering: Semaphore,
    stopped: OnceCell<()>,
}

/// What a bound server needs to open.
pub(crate) struct Ready {
    pub(crate) listener: Option<Box<dyn Listener>>,
    pub(crate) candidates: Option<BoxStream<'static, Enode>>,
}

/// The state under the one lock. All of it is plain data and pure logic.
pub(crate) struct Core {
    pub(crate) peers: PeerSet,
    // bound: as `peers`
    pub(crate) handles: BTreeMap<NodeId, Peer>,
    pub(crate) dial: DialScheduler,
    pub(crate) reputation: Reputation,
    pub(crate) throttle: InboundThrottle,
    pub(crate) pending: PendingPool,
    // bound: as `pending`
    pub(crate) set_ups: BTreeMap<u64, CancellationToken>,
    // bound: one for each undecided connection in `peers`
    pub(crate) waiting: BTreeMap<ConnId, Arc<Notify>>,
    pub(crate) rng: StdRng,
    panics: Vec<PanicCounter>,
}

impl Shared {
    /// What a server with these settings shares, before any of its tasks runs.
    pub(crate) fn new(
        mut builder: ServerBuilder,
        listen_addr: Option<SocketAddr>,
        ready: Ready,
    ) -> Result<Self, StartError> {
        let (handshake_rng, core_rng) = (builder.split_rng(), builder.split_rng());
        let mut config = builder.config.clone();
        let entries = config.protocols.iter().flat_map(|p| p.record_entries()).collect();
        let ip = builder.public_ip(listen_addr);
        let local =
            LocalNode::new(config.key.clone(), builder.first_seq(), ip, listen_addr, entries)?;
        let core = Core::new(&builder, &config, local.enode().id(), listen_addr, core_rng)?;
        let shutdown = CancellationToken::new();
        Ok(Self {
            intake: shutdown.child_token(),
            shutdown,
            hurry: CancellationToken::new(),
            ready: Mutex::new(Some(ready)),
            has_protocols: !config.protocols.is_empty(),
            protocols: Mutex::new(std::mem::take(&mut config.protocols)),
            events: Arc::new(EventHub::default()),
            dial_events: DialEventHub::default(),
            tasks: Tasks::default(),
            runtime: Handle::current(),
            transport: Arc::clone(&builder.transport),
            budget: ServerBudget::new(config.message_budget),
            scratch: ScratchPool::new(SCRATCHES),
            wake: Notify::new(),
            changed: Notify::new(),
            core: Mutex::new(core),
            rng: Mutex::new(handshake_rng),
            local,
            listen_addr,
            next_conn: AtomicU64::new(1),
            lingering: Semaphore::new(MAX_LINGERING),
            stopped: OnceCell::new(),
            config,
        })
    }

    /// The shared state. Never held across an await.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The random source of handshakes.
    pub(crate) fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for a new connection.
    pub(crate) fn next_conn(&self) -> ConnId {
        ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed))
    }

    /// What we offer now: the protocols that are not disabled. Hello and matching of one connection
    /// must work from the same list, or the two sides would lay out the codes differently.
    pub(crate) fn offered(&self) -> Vec<Arc<dyn Protocol>> {
        let mut protocols = self.protocols();
        let disabled: Vec<bool> = self.core().panics.iter().map(|it| it.is_disabled()).collect();
        let mut disabled = disabled.into_iter();
        protocols.retain(|_| disabled.next() == Some(false));
        protocols
    }

    /// All that were registered; none once the server stops.
    fn protocols(&self) -> Vec<Arc<dyn Protocol>> {
        self.protocols.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the server opens with, for the first who asks.
    pub(crate) fn take_ready(&self) -> Option<Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets nobody in any more.
    pub(crate) fn suspend(&self) {
        self.close_intake();
        // Whoever was being admitted meanwhile is a peer when this returns, or never will be.
        drop(self.core());
    }

    fn close_intake(&self) {
        // The listener of a server that was never opened is here.
        drop(self.take_ready());
        self.intake.cancel();
    }

    /// Begins to stop.
    pub(crate) fn shut_down(&self) {
        self.close_intake();
        self.shutdown.cancel();
        // Dropped outside the lock: what they hold may be anything.
        let protocols = {
            let mut protocols = self.protocols.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *protocols)
        };
        drop(protocols);
    }

    /// The payload of our hello.
    pub(crate) fn hello(&self, offered: &[Arc<dyn Protocol>]) -> Bytes {
        let capabilities = offered.iter().map(|protocol| protocol.capability()).collect();
        Hello::ours(&self.config.name, capabilities, &self.config.key.public_key()).encode()
    }

    /// The protocols that run with a peer that offers `remote`; `None` when it shares none of ours
    /// and we have some.
    pub(crate) fn matching(
        &self,
        offered: &[Arc<dyn Protocol>],
        remote: &[Capability],
    ) -> Option<Vec<Running>> {
        let offer = |protocol: &Arc<dyn Protocol>| Offer {
            capability: protocol.capability(),
            length: protocol.length(),
        };
        let offers: Vec<Offer> = offered.iter().map(offer).collect();
        let matches = match_capabilities(remote, &offers)?;
        let running = matches.into_iter().filter_map(|found| {
            let protocol = offered.get(found.index)?;
            Some(Running {
                capability: protocol.capability(),
                protocol: Arc::clone(protocol),
                offset: found.offset,
                length: protocol.length(),
                max_message: protocol.max_message_size(),
                oversize: protocol.oversize_reason(),
            })
        });
        let mut running: Vec<Running> = running.collect();
        // Kept as long as the connection, and a collected one has room for four.
        running.shrink_to_fit();
        if running.is_empty() && self.has_protocols { None } else { Some(running) }
    }

    /// The check on a name that nobody has proven yet.
    pub(crate) fn check(
        &self,
        id: NodeId,
        inbound: bool,
        remote: IpAddr,
    ) -> Result<(), DisconnectReason> {
        let core = self.core();
        core.check_record(id, inbound, remote, now())?;
        core.peers.check(id, inbound)
    }

    /// Makes `peer` a peer, if there is room and the connection is the one to keep.
    pub(crate) fn admit(&self, conn: ConnId, peer: &Peer) -> Admission {
        let (id, now) = (peer.id(), now());
        let mut core = self.core();
        if self.intake.is_cancelled() {
            return Admission::Refused(DisconnectReason::Quitting);
        }
        let (inbound, remote) = (peer.inbound(), peer.remote_addr().ip());
        if let Err(reason) = core.check_record(id, inbound, remote, now) {
            return Admission::Refused(reason);
        }
        let admission = core.peers.admit(conn, id, peer.inbound(), now);
        if admission != Admission::Admitted {
            return admission;
        }
        core.handles.insert(id, peer.clone());
        core.release_pending(conn);
        let Core { dial, rng, .. } = &mut *core;
        if !peer.inbound() {
            dial.on_done(&id, Ok(()), now, rng);
        }
        dial.on_peer_added(&id, !peer.inbound(), now);
        self.events.emit(&PeerEvent::Added {
            peer: id,
            local: peer.local_addr(),
            remote: peer.remote_addr(),
        });
        tracing::debug!(
            peer = %id.short(), addr = %peer.remote_addr(), conn = %peer.flags(),
            name = %peer.name(), "peer connected"
        );
        self.dial_events.emit_all(core.dial.take_events());
        drop(core);
        self.config.watch.tell(|observer| observer.peer_added(peer.direction()));
        self.wake.notify_one();
        admission
    }

    /// A session is over and all its tasks have ended; these of its protocols have panicked.
    pub(crate) fn on_session_end(
        &self,
        conn: ConnId,
        peer: &Peer,
        end: &End,
        panicked: &[Capability],
    ) {
        let (id, now) = (peer.id(), now());
        // Made before the lock is taken and dropped after it: what protocols hold may be anything.
        let protocols = if panicked.is_empty() { Vec::new() } else { self.protocols() };
        let mut core = self.core();
        core.handles.remove(&id);
        let undecided = core.peers.remove(conn, id);
        let Core { dial, rng, .. } = &mut *core;
        dial.on_peer_removed(&id, end.reason(), now, rng);
        if let Some(offence) = end.offence() {
            core.reputation.on_offence(peer.remote_addr().ip(), Some(id), offence, now);
        }
        let disabled: Vec<Capability> =
            panicked.iter().filter_map(|it| core.count_panic(&protocols, it, now)).collect();
        self.events.emit(&PeerEvent::Dropped {
            peer: id,
            error: end.to_string(),
            local: peer.local_addr(),
            remote: peer.remote_addr(),
        });
        for protocol in disabled {
            tracing::error!(cap = %protocol, "protocol disabled after three panics in a minute");
            self.events.emit(&PeerEvent::ProtocolDisabled { protocol });
        }
        tracing::debug!(
            peer = %id.short(), addr = %peer.remote_addr(), reason = %end, "peer disconnected"
        );
        if let Some(waiting) = undecided.and_then(|conn| core.waiting.get(&conn)) {
            waiting.notify_one();
        }
        self.dial_events.emit_all(core.dial.take_events());
        drop(core);
        self.tell_dropped(peer, end);
        self.changed.notify_waiters();
        self.wake.notify_one();
    }

    /// Waits until a server that is shut down has ended. Whoever comes first does the work, all
    /// others wait for it; if the first is cancelled, the next takes over.
    pub(crate) async fn ended(&self) {
        self.stopped.get_or_init(|| self.wind_up()).await;
    }

    fn tell_dropped(&self, peer: &Peer, end: &End) {
        let (direction, reason, by) = (peer.direction(), end.reason(), end.by());
        self.config.watch.tell(|observer| observer.peer_dropped(direction, reason, by));
    }

    /// Waits for the tasks, aborts those that take too long, and ends every stream of events.
    async fn wind_up(&self) {
        let left = self.tasks.shut_down(STOP_LIMIT, &self.hurry).await;
        if !left.is_empty() {
            tracing::warn!(?left, "tasks aborted, they did not end in time");
        }
        self.forget_all_peers();
        self.events.close();
        self.dial_events.close();
        tracing::info!("server stopped");
    }

    /// After the tasks are gone: nobody is left, whatever happened to the tasks.
    fn forget_all_peers(&self) {
        let mut core = self.core();
        let left = std::mem::take(&mut core.handles);
        for (&id, peer) in &left {
            let (local, remote) = (peer.local_addr(), peer.remote_addr());
            let error = End::Stopping.to_string();
            self.events.emit(&PeerEvent::Dropped { peer: id, error, local, remote });
        }
        core.peers.clear();
        drop(core);
        left.values().for_each(|peer| self.tell_dropped(peer, &End::Stopping));
        self.changed.notify_waiters();
    }

    /// What the server knows of itself.
    pub(crate) fn node_info(&self) -> NodeInfo {
        let enode = self.local.enode();
        // bound: one entry for each of our protocols
        let mut protocols = BTreeMap::new();
        for protocol in self.protocols() {
            let info = protocol.node_info().unwrap_or_else(|| Value::from("unknown"));
            protocols.entry(protocol.capability().name().to_owned()).or_insert(info);
        }
        NodeInfo {
            id: enode.id().to_string(),
            name: self.config.name.clone(),
            enode: enode.to_string(),
            enr: self.local.record().map(|record| record.to_string()).unwrap_or_default(),
            ip: self.local.ip(),
            ports: Ports { discovery: enode.udp_port(), listener: enode.tcp_port() },
            listen_addr: self.listen_addr.map(|addr| addr.to_string()).unwrap_or_default(),
            protocols,
        }
    }

    /// What the server knows of a peer.
    pub(crate) fn peer_info(&self, peer: &Peer) -> PeerInfo {
        // bound: one entry for each of our protocols
        let mut protocols = BTreeMap::new();
        for protocol in self.protocols() {
            let capability = protocol.capability();
            if peer.running().contains(&capability) {
                let info = match protocol.peer_info(peer.id()) {
                    PeerInfoState::Unsupported => Value::from("unknown"),
                    PeerInfoState::Pending => Value::from("handshake"),
                    PeerInfoState::Known(value) => value,
                };
                protocols.insert(capability.name().to_owned(), info);
            }
        }
        PeerInfo {
            enr: None,
            enode: peer.enode().to_string(),
            id: peer.id().to_string(),
            name: peer.full_name(),
            caps: peer.capabilities().to_vec(),
            network: peer.network(),
            protocols,
        }
    }
}

impl Core {
    fn new(
        builder: &ServerBuilder,
        config: &Config,
        own: NodeId,
        listen_addr: Option<SocketAddr>,
        rng: StdRng,
    ) -> Result<Self, StartError> {
        if config.trusted.len() > crate::peer_set::MAX_TRUSTED {
            return Err(StartError::TooManyTrusted);
        }
        let limits = PeerLimits {
            max_peers: config.max_peers,
            max_inbound: config.max_inbound(listen_addr.is_some()),
        };
        let mut dial = DialScheduler::new(DialConfig {
            max_active: config.max_pending,
            net_restrict: config.net_restrict.clone(),
            history: config.redial_after,
            ..DialConfig::new(own, config.max_dialed())
        });
        for node in &builder.static_nodes {
            dial.add_static(node.clone(), now()).map_err(|cause| StartError::StaticNode {
                node: node.to_string(),
                cause: cause.to_string(),
            })?;
        }
        // bound: see the fields
        let (handles, set_ups, waiting) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            peers: PeerSet::new(own, limits, config.trusted.clone()),
            handles,
            dial,
            reputation: Reputation::new(),
            throttle: InboundThrottle::new(config.throttle_lan),
            pending: PendingPool::new(config.max_pending),
            set_ups,
            waiting,
            rng,
            panics: config.protocols.iter().map(|_| PanicCounter::new()).collect(),
        })
    }

    /// Whether bans, or the score of a node that connected to us or of its address, speak against it.
    /// A node of the local network and a trusted one are judged by bans only.
    fn check_record(
        &self,
        id: NodeId,
        inbound: bool,
        remote: IpAddr,
        now: Instant,
    ) -> Result<(), DisconnectReason> {
        let exempt = !inbound || is_lan(remote) || self.peers.is_trusted(&id);
        let from_bad_address = || {
            self.peers.trusts_any()
                && self.reputation.refuses_ip(remote, now)
                && !self.is_reserved(remote)
        };
        let refused = !exempt && (self.reputation.refuses_id(&id, now) || from_bad_address());
        if refused || self.reputation.is_banned_id(&id, now) {
            return Err(DisconnectReason::Requested);
        }
        Ok(())
    }

    /// A body of this protocol has panicked; the protocol, if it was one time too many.
    fn count_panic(
        &mut self,
        protocols: &[Arc<dyn Protocol>],
        capability: &Capability,
        now: Instant,
    ) -> Option<Capability> {
        let index = protocols.iter().position(|protocol| protocol.capability() == *capability)?;
        let counter = self.panics.get_mut(index)?;
        (counter.on_panic(now) == AfterPanic::Disable).then(|| capability.clone())
    }

    /// A connection has left the pool of handshaking ones.
    pub(crate) fn release_pending(&mut self, conn: ConnId) {
        self.pending.remove(conn.0);
        self.set_ups.remove(&conn.0);
    }

    /// Whether connections from `ip` may find the pool full and still get in.
    pub(crate) fn is_reserved(&self, ip: IpAddr) -> bool {
        let ip = canonical(ip);
        self.dial.static_nodes().any(|node| node.ip().map(canonical) == Some(ip))
    }
}

/// The time, as the pure parts count it. Follows tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long `stop` waits before it aborts what is left (L-05).
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How many ended connections may wait for their peers to hang up, two seconds each.
const MAX_LINGERING: usize = 64;
/// How many compressors are kept for reuse: as many as connections write at the same instant.
const SCRATCHES: usize = 4;
