//! Whom to dial, and when.
//!
//! Nodes come from two sides. *Static* nodes were added by hand: they are dialed until they are
//! removed, over and over, with growing pauses. *Candidates* come from any stream of nodes, such
//! as discovery, and are dialed once as long as too few of our peers are ones that we chose.
//!
//! ```text
//!   add_static ────▶ static nodes ──┐ first, in random order
//!                      ▲            ├──▶ free slots? ──poll──▶ DialTask ──▶ driver
//!                      │ next try   │                                        │
//!   add_candidate ─▶ queue ─────────┘ then                                   │ on_done
//!                      │                                                     ▼
//!                      └──────── history, back-off ◀── on_peer_removed ◀── a peer, or not
//! ```
//!
//! Pure: the driver tells what happened and what time it is, calls [`DialScheduler::poll`] until
//! it returns `None`, and sleeps until [`DialScheduler::deadline`] or the next event. It resolves
//! host names, opens sockets and shakes hands; nothing of that is decided here.
//!
//! ```text
//!   free slots = min(2 × (max_dialed − dialed peers), max_active) − attempts under way
//! ```
//!
//! Spec: ethereum/go-ethereum:p2p/dial.go, with pauses that grow and that depend on the reason
//! for which the other side hung up.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use enode::{Enode, NodeId};
use rand::{Rng, RngExt as _};

use self::{
    ledger::{Ledger, Record},
    looking::{FEW_PEERS, LookLog},
};
use crate::{address, net_restrict::NetList, reason::DisconnectReason};

mod backoff;
mod error;
mod event;
mod ledger;
mod looking;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    error::{AddStaticError, CheckError},
    event::DialFailure,
    looking::LookingForPeers,
};
pub use self::{
    event::{DialEvent, DialOutcome, DialStage},
    status::{DialStatus, LastDial},
};

/// Decides whom to dial, and when.
#[derive(Debug)]
pub(crate) struct DialScheduler {
    config: DialConfig,
    // bound: config.max_static, then adding is an error
    statics: BTreeMap<NodeId, Static>,
    // bound: config.max_candidates, then a candidate is refused
    candidates: VecDeque<Enode>,
    // bound: config.max_active, the number of slots
    running: BTreeMap<NodeId, Enode>,
    // bound: the server's limit of peers
    peers: BTreeMap<NodeId, ConnectedPeer>,
    /// Proven inbound connections on their way to becoming peers, counted by node.
    // bound: the server's limit of pending connections
    pending_inbound: BTreeMap<NodeId, usize>,
    ledger: Ledger,
    // bound: MAX_EVENTS, then the oldest is dropped
    events: VecDeque<DialEvent>,
    log: LookLog,
}

/// The limits of a [`DialScheduler`].
#[derive(Debug, Clone)]
pub(crate) struct DialConfig {
    /// Our own id, which is never dialed.
    pub(crate) self_id: NodeId,
    /// How many of our peers we want to have dialed; 0 dials nobody.
    pub(crate) max_dialed: usize,
    /// How many attempts may be under way at a time.
    pub(crate) max_active: usize,
    /// Dial these networks only.
    pub(crate) net_restrict: Option<NetList>,
    /// Shortest time from the start of one attempt at a node to the start of the next.
    pub(crate) history: Duration,
    /// How many static nodes are kept.
    pub(crate) max_static: usize,
    /// How many candidates wait for a slot.
    pub(crate) max_candidates: usize,
}

impl DialConfig {
    /// The defaults for a node that wants to have dialed `max_dialed` of its peers.
    pub(crate) const fn new(self_id: NodeId, max_dialed: usize) -> Self {
        Self {
            self_id,
            max_dialed,
            max_active: DEFAULT_MAX_ACTIVE,
            net_restrict: None,
            history: DEFAULT_HISTORY,
            max_static: DEFAULT_MAX_STATIC,
            max_candidates: DEFAULT_MAX_CANDIDATES,
        }
    }
}

/// An attempt for the driver to make; it ends with [`DialScheduler::on_done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialTask {
    /// The node. Where it has no IP address the driver resolves it and then asks
    /// [`DialScheduler::check_endpoint`] about the result.
    pub(crate) node: Enode,
    /// Whether it is a static node, for which host names are resolved and a failed connection
    /// attempt is repeated once with a freshly resolved address.
    pub(crate) is_static: bool,
    /// Number of this attempt at the node, from 1.
    pub(crate) attempt: u32,
}

impl DialScheduler {
    /// A scheduler that knows no nodes.
    pub(crate) fn new(config: DialConfig) -> Self {
        Self {
            config,
            statics: BTreeMap::new(),
            candidates: VecDeque::new(),
            running: BTreeMap::new(),
            peers: BTreeMap::new(),
            pending_inbound: BTreeMap::new(),
            ledger: Ledger::default(),
            events: VecDeque::new(),
            log: LookLog::default(),
        }
    }

    /// Keeps a node connected from now on.
    ///
    /// It is due at once, unless it was dialed within the history. Adding a node again changes its
    /// endpoint if the new one differs; an enode without an endpoint changes nothing.
    ///
    /// # Errors
    ///
    /// [`AddStaticError`] when it is our own node, or too many are kept already.
    pub(crate) fn add_static(&mut self, node: Enode, now: Instant) -> Result<(), AddStaticError> {
        let id = node.id();
        if id == self.config.self_id {
            return Err(AddStaticError::Own);
        }
        let is_known = self.is_static(&id);
        if let Some(known) = self.statics.get_mut(&id) {
            if node.host().is_none() || known.node == node {
                return Ok(());
            }
            known.node = node;
        } else {
            let limit = self.config.max_static;
            if self.statics.len() >= limit {
                return Err(AddStaticError::TooMany { limit });
            }
            let record = self.ledger.remove(&id).unwrap_or_else(|| Record::new(now));
            self.statics.insert(id, Static { node, record });
        }
        self.restart_plan(&id, is_known, now);
        Ok(())
    }

    /// Forgets a static node. `false` when it was none.
    ///
    /// An attempt under way and a connection are not ended by this.
    pub(crate) fn remove_static(&mut self, id: &NodeId, now: Instant) -> bool {
        let Some(mut removed) = self.statics.remove(id) else {
            return false;
        };
        removed.record.forgive(self.config.history, now);
        self.ledger.insert(*id, removed.record);
        true
    }

    /// Offers a node to be dialed when a slot is free.
    ///
    /// # Errors
    ///
    /// [`CheckError`] when the node may not be dialed now, waits already, or too many wait.
    pub(crate) fn add_candidate(&mut self, node: Enode, now: Instant) -> Result<(), CheckError> {
        self.check(&node, now)?;
        self.check_candidate(&node)?;
        if self.candidates.iter().any(|waiting| waiting.id() == node.id()) {
            return Err(CheckError::Waiting);
        }
        if self.config.max_dialed == 0 || self.candidates.len() >= self.config.max_candidates {
            return Err(CheckError::QueueFull);
        }
        self.candidates.push_back(node);
        Ok(())
    }

    /// The next attempt to make, if any; to be called until it returns `None`.
    ///
    /// Static nodes come first, in random order, so that no one of them can starve the others.
    pub(crate) fn poll(&mut self, now: Instant, rng: &mut dyn Rng) -> Option<DialTask> {
        if self.free_slots() == 0 {
            return None;
        }
        let node = self.due_static(now, rng).or_else(|| self.due_candidate(now))?;
        Some(self.start(node, now))
    }

    /// An attempt ended: the node is (about to be) a peer, or not.
    ///
    /// Nothing happens if no attempt at this node was under way.
    pub(crate) fn on_done(
        &mut self,
        id: &NodeId,
        outcome: Result<(), DialFailure>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        if self.running.remove(id).is_none() {
            return;
        }
        self.log.on_tried();
        let (stage, outcome) = match outcome {
            Ok(()) => (DialStage::Session, DialOutcome::Connected),
            Err(DialFailure { stage, error, reason }) => {
                self.plan_after_failure(id, reason, now, rng);
                (stage, DialOutcome::Failed { error, reason })
            }
        };
        let error = match &outcome {
            DialOutcome::Failed { error, .. } => Some(error.clone()),
            _ => None,
        };
        self.update(id, now, |record| record.last = Some(LastDial { at: now, stage, error }));
        let is_planned = matches!(outcome, DialOutcome::Failed { .. });
        self.tell(id, stage, outcome, is_planned, now);
    }

    /// A node became a peer; `dialed` when the connection is one that we opened.
    pub(crate) fn on_peer_added(&mut self, id: &NodeId, dialed: bool, now: Instant) {
        let network = self.record(id).and_then(|record| record.ip).map(address::network);
        let network = network.filter(|_| dialed);
        self.peers.insert(*id, ConnectedPeer { dialed, since: now, network });
    }

    /// A peer is gone, for this reason if there was one.
    ///
    /// Nothing happens if the node was no peer.
    pub(crate) fn on_peer_removed(
        &mut self,
        id: &NodeId,
        reason: Option<DisconnectReason>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let Some(peer) = self.peers.remove(id) else {
            return;
        };
        self.plan_after_connection(id, &peer, reason, now, rng);
        if !peer.dialed && !self.is_static(id) {
            return;
        }
        let outcome = DialOutcome::Ended { reason };
        let error = Some(outcome.to_string());
        let last = LastDial { at: now, stage: DialStage::Session, error };
        self.update(id, now, |record| record.last = Some(last));
        self.tell(id, DialStage::Session, outcome, true, now);
    }

    /// A connection from outside has proven to be this node and waits for admission, or, with
    /// `present` false, no longer does.
    ///
    /// Meanwhile the node is not dialed. Each call with true is to be followed by one with false.
    pub(crate) fn on_pending_inbound(&mut self, id: &NodeId, present: bool) {
        if present {
            *self.pending_inbound.entry(*id).or_default() += 1;
        } else if let Some(count) = self.pending_inbound.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.pending_inbound.remove(id);
            }
        }
    }

    /// What happened since the last call, oldest first.
    pub(crate) fn take_events(&mut self) -> Vec<DialEvent> {
        self.events.drain(..).collect()
    }

    /// At most every 10 s, and only while few peers are ones that we dialed: what to log.
    pub(crate) fn looking_for_peers(&mut self, now: Instant) -> Option<LookingForPeers> {
        if !self.log.is_due(now) {
            return None;
        }
        let dialed = self.dialed_peers();
        if dialed >= FEW_PEERS || dialed >= self.config.max_dialed {
            return None;
        }
        Some(LookingForPeers {
            peer_count: self.peers.len(),
            tried: self.log.take_tried(),
            static_nodes: self.statics.len(),
        })
    }

    /// When [`poll`](Self::poll) could next yield something just because time has passed.
    ///
    /// A time in the past means that it would now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.free_slots() == 0 {
            return None;
        }
        let waiting = self.statics.values().filter(|known| self.check_state(&known.node).is_ok());
        waiting.map(|known| known.record.not_before).min()
    }

    /// How many more candidates could be put to use now.
    pub(crate) fn wants_candidates(&self) -> usize {
        self.free_slots().min(self.config.max_candidates).saturating_sub(self.candidates.len())
    }

    /// Whether a node may be dialed now.
    ///
    /// # Errors
    ///
    /// The first rule that forbids it.
    pub(crate) fn check(&self, node: &Enode, now: Instant) -> Result<(), CheckError> {
        self.check_state(node)?;
        match self.record(&node.id()) {
            Some(record) if now < record.not_before => Err(CheckError::RecentlyDialed),
            _ => Ok(()),
        }
    }

    /// Whether an address may be dialed: the rules that the driver checks again once it has
    /// resolved a node that came without one.
    ///
    /// # Errors
    ///
    /// [`CheckError::NoPort`], [`CheckError::BadAddress`] or [`CheckError::NetRestrict`].
    pub(crate) fn check_endpoint(&self, node: &Enode) -> Result<(), CheckError> {
        check_port(node)?;
        self.check_network(node)
    }

    /// Whether the node is kept connected.
    pub(crate) fn is_static(&self, id: &NodeId) -> bool {
        self.statics.contains_key(id)
    }

    /// The nodes that are kept connected, in the order of their ids.
    pub(crate) fn static_nodes(&self) -> impl Iterator<Item = &Enode> {
        self.statics.values().map(|known| &known.node)
    }

    /// What is known about the attempts at a node; `None` if nothing is. Whom the server trusts is
    /// not known here.
    pub(crate) fn status(&self, id: &NodeId, now: Instant) -> Option<DialStatus> {
        let record = self.record(id);
        let connected = self.peers.contains_key(id);
        if record.is_none() && !connected {
            return None;
        }
        let planned = self.statics.get(id).filter(|known| {
            let blocked = self.check_state(&known.node);
            self.config.max_dialed > 0
                && matches!(blocked, Ok(()) | Err(CheckError::PendingInbound))
        });
        Some(DialStatus {
            is_static: self.is_static(id),
            connected,
            dialing: self.running.contains_key(id),
            attempts: record.map_or(0, |record| record.attempts),
            last: record.and_then(|record| record.last.clone()),
            next: planned.map(|known| known.record.not_before.max(now)),
            ..DialStatus::untried(*id)
        })
    }

    // --- choosing

    fn free_slots(&self) -> usize {
        let missing = self.config.max_dialed.saturating_sub(self.dialed_peers());
        let slots = missing.saturating_mul(SLOTS_PER_MISSING_PEER).min(self.config.max_active);
        slots.saturating_sub(self.running.len())
    }

    fn dialed_peers(&self) -> usize {
        self.peers.values().filter(|peer| peer.dialed).count()
    }

    fn due_static(&self, now: Instant, rng: &mut dyn Rng) -> Option<Enode> {
        let nodes = self.statics.values().map(|known| &known.node);
        let due: Vec<&Enode> = nodes.filter(|node| self.check(node, now).is_ok()).collect();
        if due.is_empty() {
            return None;
        }
        due.get(rng.random_range(0..due.len())).copied().cloned()
    }

    fn due_candidate(&mut self, now: Instant) -> Option<Enode> {
        // Much may have happened while it waited, so all is checked again.
        while let Some(node) = self.candidates.pop_front() {
            if self.check(&node, now).and_then(|()| self.check_candidate(&node)).is_ok() {
                return Some(node);
            }
        }
        None
    }

    fn start(&mut self, node: Enode, now: Instant) -> DialTask {
        let id = node.id();
        let history = self.config.history;
        let ip = node.ip();
        self.update(&id, now, |record| {
            record.attempts = record.attempts.saturating_add(1);
            record.started = Some(now);
            record.not_before = now + history;
            record.ip = ip;
        });
        self.running.insert(id, node.clone());
        let stage = if ip.is_some() { DialStage::Connect } else { DialStage::Resolve };
        self.tell(&id, stage, DialOutcome::Started, false, now);
        let attempt = self.record(&id).map_or(1, |record| record.attempts);
        DialTask { node, is_static: self.is_static(&id), attempt }
    }

    /// The rules in the order of the specification, without the history.
    fn check_state(&self, node: &Enode) -> Result<(), CheckError> {
        let id = node.id();
        if id == self.config.self_id {
            return Err(CheckError::IsSelf);
        }
        check_port(node)?;
        if self.running.contains_key(&id) {
            return Err(CheckError::AlreadyDialing);
        }
        if self.peers.contains_key(&id) {
            return Err(CheckError::AlreadyConnected);
        }
        if self.pending_inbound.contains_key(&id) {
            return Err(CheckError::PendingInbound);
        }
        self.check_network(node)
    }

    fn check_network(&self, node: &Enode) -> Result<(), CheckError> {
        match (&self.config.net_restrict, node.ip()) {
            (Some(list), Some(ip)) if !list.contains(ip) => Err(CheckError::NetRestrict),
            _ => Ok(()),
        }
    }

    /// The rules for candidates only: static nodes have their own turn, and peers that we chose
    /// should not all sit in one network, whose owner could then show us what it likes.
    fn check_candidate(&self, node: &Enode) -> Result<(), CheckError> {
        if self.is_static(&node.id()) {
            return Err(CheckError::Waiting);
        }
        let Some(ip) = node.ip().filter(|ip| !address::is_lan(*ip)) else {
            return Ok(());
        };
        let network = Some(address::network(ip));
        let dialed = self.peers.values().filter(|peer| peer.network == network).count();
        let dialing = self.running.iter().filter(|(id, running)| {
            running.ip().map(address::network) == network && !self.peers.contains_key(id)
        });
        if dialed + dialing.count() >= MAX_DIALED_PER_NETWORK {
            return Err(CheckError::CrowdedNetwork);
        }
        Ok(())
    }

    // --- planning

    /// A static node is new or has a new endpoint: only the history stands in its way.
    fn restart_plan(&mut self, id: &NodeId, is_known: bool, now: Instant) {
        let history = self.config.history;
        let Some(known) = self.statics.get_mut(id) else {
            return;
        };
        known.record.forgive(history, now);
        let is_later = known.record.not_before > now;
        let node = known.node.clone();
        if let Err(error) = self.check_endpoint(&node) {
            let (stage, error) = (DialStage::Check, error.to_string());
            let last = LastDial { at: now, stage, error: Some(error.clone()) };
            self.update(id, now, |record| record.last = Some(last));
            self.tell(id, stage, DialOutcome::Failed { error, reason: None }, false, now);
        } else if is_later && !is_known && !self.running.contains_key(id) {
            self.tell(id, DialStage::Check, DialOutcome::Scheduled, true, now);
        }
    }

    fn plan_after_failure(
        &mut self,
        id: &NodeId,
        reason: Option<DisconnectReason>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        if !self.is_static(id) {
            self.leave_alone(id, reason, now);
        } else if reason != Some(DisconnectReason::AlreadyConnected) {
            // Already connected is what the loser of two crossing connections hears: no failure.
            self.back_off(id, now, rng);
        }
    }

    fn plan_after_connection(
        &mut self,
        id: &NodeId,
        peer: &ConnectedPeer,
        reason: Option<DisconnectReason>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let history = self.config.history;
        let lasted = now.saturating_duration_since(peer.since) >= backoff::LASTING;
        if !self.is_static(id) {
            self.leave_alone(id, reason, now);
        } else if lasted {
            self.update(id, now, |record| record.forgive(history, now));
        } else if peer.dialed {
            self.back_off(id, now, rng);
        }
    }

    fn back_off(&mut self, id: &NodeId, now: Instant, rng: &mut dyn Rng) {
        let history = self.config.history;
        self.update(id, now, |record| {
            record.failures = record.failures.saturating_add(1);
            let delay = backoff::redial_delay(record.failures, history, rng);
            record.not_before = record.started.unwrap_or(now) + delay;
        });
    }

    fn leave_alone(&mut self, id: &NodeId, reason: Option<DisconnectReason>, now: Instant) {
        if let Some(delay) = reason.and_then(backoff::left_alone) {
            self.update(id, now, |record| record.not_before = record.not_before.max(now + delay));
        }
    }

    fn record(&self, id: &NodeId) -> Option<&Record> {
        match self.statics.get(id) {
            Some(known) => Some(&known.record),
            None => self.ledger.record(id),
        }
    }

    fn update(&mut self, id: &NodeId, now: Instant, change: impl FnOnce(&mut Record)) {
        if let Some(known) = self.statics.get_mut(id) {
            change(&mut known.record);
        } else {
            let mut record = self.ledger.remove(id).unwrap_or_else(|| Record::new(now));
            change(&mut record);
            self.ledger.insert(*id, record);
        }
    }

    fn tell(
        &mut self,
        id: &NodeId,
        stage: DialStage,
        outcome: DialOutcome,
        is_planned: bool,
        now: Instant,
    ) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        let record = self.statics.get(id).map(|known| &known.record).filter(|_| is_planned);
        self.events.push_back(DialEvent {
            node: *id,
            is_static: self.is_static(id),
            attempt: self.record(id).map_or(0, |record| record.attempts),
            stage,
            outcome,
            next_in: record.map(|record| record.not_before.saturating_duration_since(now)),
        });
    }
}

/// A node that is dialed until it is removed.
#[derive(Debug)]
struct Static {
    node: Enode,
    record: Record,
}

/// A node without an address may still get one, and a port with it; the driver finds out.
fn check_port(node: &Enode) -> Result<(), CheckError> {
    match node.ip() {
        Some(_) if node.tcp_port() == 0 => Err(CheckError::NoPort),
        Some(_) if node.tcp_addr().is_none() => Err(CheckError::BadAddress),
        _ => Ok(()),
    }
}

/// What the scheduler needs to know about a peer.
#[derive(Debug)]
struct ConnectedPeer {
    dialed: bool,
    since: Instant,
    /// The network around the address that was dialed.
    network: Option<IpAddr>,
}

/// Two attempts for each missing peer, as about half of all nodes cannot be reached.
const SLOTS_PER_MISSING_PEER: usize = 2;

/// Source: ethereum/go-ethereum:p2p/server.go, `defaultMaxPendingPeers`.
const DEFAULT_MAX_ACTIVE: usize = 50;

/// The inbound throttle of the other side is 30 s; five more make sure that it is over.
///
/// Source: ethereum/go-ethereum:p2p/dial.go, `dialHistoryExpiration`.
const DEFAULT_HISTORY: Duration = Duration::from_secs(35);

/// More than anyone adds by hand; each poll looks at all of them.
const DEFAULT_MAX_STATIC: usize = 1_024;

/// As many as can be dialed at a time, with a margin.
const DEFAULT_MAX_CANDIDATES: usize = 64;

/// Whoever rents a network can run any number of nodes in it.
const MAX_DIALED_PER_NETWORK: usize = 2;

/// Events are taken after every step, so that only a driver that forgot about them gets here.
const MAX_EVENTS: usize = 1_024;
