//! A connected node, as its protocols and the server's user see it.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use enode::{Enode, NodeId, PublicKey};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{
    Capability, Direction, DisconnectReason, channel::Outgoing, info::NetworkInfo, queue::Queue,
};

/// A handle to a connected node. Cheap to clone; keeps nothing alive.
///
/// Displays as `Peer <first 8 bytes of the id in hex> <remote address>`.
#[derive(Clone)]
pub struct Peer(Arc<PeerState>);

struct PeerState {
    key: PublicKey,
    id: NodeId,
    enode: Enode,
    client: Bytes,
    capabilities: Vec<Capability>,
    running: Vec<Capability>,
    local: SocketAddr,
    remote: SocketAddr,
    inbound: bool,
    dynamic_dialed: bool,
    is_static: AtomicBool,
    trusted: AtomicBool,
    since: Instant,
    hang_up: HangUp,
    counters: Counters,
}

/// What is known of a peer when its hello has been accepted.
pub(crate) struct NewPeer {
    pub(crate) key: PublicKey,
    pub(crate) enode: Enode,
    pub(crate) client: Bytes,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) running: Vec<Capability>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) inbound: bool,
    pub(crate) is_static: bool,
    pub(crate) trusted: bool,
    pub(crate) now: Instant,
}

impl Peer {
    pub(crate) fn new(new: NewPeer) -> Self {
        Self(Arc::new(PeerState {
            id: new.key.node_id(),
            key: new.key,
            enode: new.enode,
            client: new.client,
            capabilities: new.capabilities,
            running: new.running,
            local: new.local,
            remote: new.remote,
            inbound: new.inbound,
            dynamic_dialed: !new.inbound && !new.is_static,
            is_static: AtomicBool::new(new.is_static),
            trusted: AtomicBool::new(new.trusted),
            since: new.now,
            hang_up: HangUp::default(),
            counters: Counters::default(),
        }))
    }

    /// A peer without a connection, for tests of protocol bodies and for layers that carry
    /// protocols over something else. [`disconnect`](Self::disconnect) is noted and has no effect
    /// beyond what [`on_disconnect`](Self::on_disconnect) waits for.
    pub fn detached(key: PublicKey, client: &str, capabilities: Vec<Capability>) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self::new(NewPeer {
            enode: Enode::incomplete(key),
            key,
            client: Bytes::copy_from_slice(client.as_bytes()),
            running: capabilities.clone(),
            capabilities,
            local: nowhere,
            remote: nowhere,
            inbound: false,
            is_static: false,
            trusted: false,
            now: Instant::now(),
        })
    }

    /// The peer's node id.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// The peer's public key, proven by the handshake.
    pub fn public_key(&self) -> PublicKey {
        self.0.key
    }

    /// How we know the peer: the dialed URL, or for an inbound peer its key with the TCP source
    /// address, which is not where it listens.
    pub fn enode(&self) -> &Enode {
        &self.0.enode
    }

    /// The client name the peer gave, safe to print: at most 256 characters, control characters
    /// escaped.
    pub fn full_name(&self) -> String {
        printable(&self.0.client)
    }

    /// The client name, cut to 20 characters.
    pub fn name(&self) -> String {
        let full = self.full_name();
        if full.chars().count() <= 20 {
            return full;
        }
        full.chars().take(20).chain("...".chars()).collect()
    }

    /// What the peer offered, sorted.
    pub fn capabilities(&self) -> &[Capability] {
        &self.0.capabilities
    }

    /// The protocols that run on this connection.
    pub fn running(&self) -> &[Capability] {
        &self.0.running
    }

    /// Whether a protocol of this name and one of these versions runs on this connection.
    pub fn is_running(&self, name: &str, versions: &[u32]) -> bool {
        self.0.running.iter().any(|c| c.name() == name && versions.contains(&c.version()))
    }

    /// Our end of the connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// The peer's end of the connection.
    pub fn remote_addr(&self) -> SocketAddr {
        self.0.remote
    }

    /// Whether the peer connected to us.
    pub fn inbound(&self) -> bool {
        self.0.inbound
    }

    pub(crate) fn direction(&self) -> Direction {
        Direction::of_peer(self.0.inbound)
    }

    /// Whether the server keeps a connection to this node.
    pub fn is_static(&self) -> bool {
        self.0.is_static.load(Ordering::Relaxed)
    }

    /// Whether the node is admitted beyond the limits.
    pub fn trusted(&self) -> bool {
        self.0.trusted.load(Ordering::Relaxed)
    }

    /// How long the connection has been up.
    pub fn lifetime(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// Hangs up, telling the peer why. Returns at once; the first reason given counts.
    pub fn disconnect(&self, reason: DisconnectReason) {
        self.0.hang_up.request(reason);
    }

    /// Waits until [`disconnect`](Self::disconnect) was called and returns its reason. Cancel-safe.
    pub async fn on_disconnect(&self) -> DisconnectReason {
        self.0.hang_up.wait().await
    }

    /// What went over the connection so far.
    pub fn stats(&self) -> PeerStats {
        self.0.counters.stats(self.lifetime())
    }

    /// The connection's part of the peer information.
    pub fn network(&self) -> NetworkInfo {
        NetworkInfo {
            local_address: self.0.local,
            remote_address: self.0.remote,
            inbound: self.0.inbound,
            trusted: self.trusted(),
            is_static: self.is_static(),
        }
    }

    /// Whether we found and dialed it ourselves, without being told to keep it.
    pub(crate) fn dynamic_dialed(&self) -> bool {
        self.0.dynamic_dialed
    }

    /// Whether both are handles to one connection, and not just to one node.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn set_static(&self, yes: bool) {
        self.0.is_static.store(yes, Ordering::Relaxed);
    }

    pub(crate) fn set_trusted(&self, yes: bool) {
        self.0.trusted.store(yes, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The flags as go-ethereum's log shows them: `trusted-staticdial`, `inbound`, …
    pub(crate) fn flags(&self) -> String {
        let flags = [
            (self.trusted(), "trusted"),
            (self.dynamic_dialed(), "dyndial"),
            (!self.inbound() && self.is_static(), "staticdial"),
            (self.inbound(), "inbound"),
        ];
        let set: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        set.join("-")
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer {} {}", self.0.id.short(), self.0.remote)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What went over a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerStats {
    /// Bytes received, as on the wire.
    pub ingress_bytes: u64,
    /// Bytes sent, as on the wire.
    pub egress_bytes: u64,
    /// Messages received and sent, by protocol and code. At most 256 codes are told apart; those of
    /// further ones are counted together for each protocol, as if their code were `u64::MAX`.
    pub messages: BTreeMap<(Capability, u64), (u64, u64)>,
    /// Messages that wait to be sent now.
    pub queued: usize,
    /// The last measured round trip of a ping.
    pub round_trip: Option<Duration>,
    /// How long the connection has been up.
    pub connected: Duration,
}

/// Counts what a connection carries.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    ingress: AtomicU64,
    egress: AtomicU64,
    /// The queues that wait to be written. Weak, as a handle to a peer keeps nothing alive.
    queues: OnceLock<Vec<Weak<Queue<Outgoing>>>>,
    round_trip: AtomicU64,
    // bound: MAX_COUNTED codes, further ones are not told apart: one more for each protocol
    messages: Mutex<BTreeMap<(Capability, u64), (u64, u64)>>,
}

impl Counters {
    pub(crate) fn received(&self, bytes: usize) {
        self.ingress.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.egress.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Which queues to look into when somebody asks what waits. The first call counts.
    pub(crate) fn watch<'a>(&self, queues: impl Iterator<Item = &'a Arc<Queue<Outgoing>>>) {
        let _ = self.queues.set(queues.map(Arc::downgrade).collect());
    }

    fn queued(&self) -> usize {
        let queues = self.queues.get().into_iter().flatten().filter_map(Weak::upgrade);
        queues.map(|queue| queue.len()).sum()
    }

    pub(crate) fn set_round_trip(&self, time: Duration) {
        // Nanoseconds in 64 bits last 584 years; zero means not measured.
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.round_trip.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn message(&self, capability: &Capability, code: u64, inbound: bool) {
        let mut messages = self.lock();
        let mut key = (capability.clone(), code);
        if messages.len() >= MAX_COUNTED && !messages.contains_key(&key) {
            key.1 = OTHER_CODES;
        }
        let (received, sent) = messages.entry(key).or_default();
        let counter = if inbound { received } else { sent };
        *counter = counter.saturating_add(1);
    }

    fn stats(&self, connected: Duration) -> PeerStats {
        let round_trip = self.round_trip.load(Ordering::Relaxed);
        PeerStats {
            ingress_bytes: self.ingress.load(Ordering::Relaxed),
            egress_bytes: self.egress.load(Ordering::Relaxed),
            messages: self.lock().clone(),
            queued: self.queued(),
            round_trip: (round_trip > 0).then(|| Duration::from_nanos(round_trip)),
            connected,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Capability, u64), (u64, u64)>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wish to end a connection, kept until somebody acts on it.
#[derive(Debug, Default)]
struct HangUp {
    reason: Mutex<Option<DisconnectReason>>,
    wish: Notify,
}

impl HangUp {
    fn request(&self, reason: DisconnectReason) {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(reason);
        drop(first);
        self.wish.notify_waiters();
    }

    async fn wait(&self) -> DisconnectReason {
        loop {
            let wish = self.wish.notified();
            if let Some(reason) = *self.reason.lock().unwrap_or_else(PoisonError::into_inner) {
                return reason;
            }
            wish.await;
        }
    }
}

/// Text from a peer, made safe for a log line or a terminal (S-14): lossy UTF-8, control characters,
/// line separators and direction marks escaped, at most 256 characters with the escapes.
pub(crate) fn printable(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut out = String::new();
    let mut shown = 0_usize;
    for c in text.chars() {
        let piece: Vec<char> = if is_unsafe(c) { c.escape_unicode().collect() } else { vec![c] };
        shown = shown.saturating_add(piece.len());
        if shown > MAX_PRINTED {
            break;
        }
        out.extend(piece);
    }
    out
}

/// Whether a character does something else to a terminal than to stand there.
fn is_unsafe(c: char) -> bool {
    let moves_text = matches!(c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || moves_text
}

/// How many characters of a peer's text are ever shown.
const MAX_PRINTED: usize = 256;
/// How many message codes are counted apart for one peer.
const MAX_COUNTED: usize = 256;
/// Where the others are counted; no protocol has that many codes.
const OTHER_CODES: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use enode::SecretKey;

    use super::*;

    fn peer(client: &str) -> Peer {
        let key = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        Peer::detached(key, client, vec![Capability::new("foo", 42)])
    }

    #[test]
    fn a_long_name_is_cut_and_a_hostile_one_is_escaped() {
        assert_eq!(peer("short/v1").name(), "short/v1");
        assert_eq!(peer("a-name-of-more-than-20-bytes").name(), "a-name-of-more-than-...");
        assert_eq!(peer("\u{1b}[2Jx\u{202e}y").full_name(), "\\u{1b}[2Jx\\u{202e}y");
        assert_eq!(peer(&"x".repeat(1_000)).full_name().len(), 256);
        assert_eq!(peer(&"\u{1b}".repeat(1_000)).full_name().len(), 42 * r"\u{1b}".len());
    }

    #[test]
    fn the_display_form_is_id_and_address() {
        let peer = peer("x");

        assert_eq!(peer.to_string(), format!("Peer {} 0.0.0.0:0", peer.id().short()));
    }

    #[tokio::test]
    async fn the_first_reason_to_hang_up_counts() {
        let peer = peer("x");

        peer.disconnect(DisconnectReason::UselessPeer);
        peer.disconnect(DisconnectReason::Quitting);

        assert_eq!(peer.on_disconnect().await, DisconnectReason::UselessPeer);
    }

    #[test]
    fn only_so_many_codes_are_counted_apart() {
        let counters = Counters::default();
        let foo = Capability::new("foo", 42);
        for code in 0..2 * MAX_COUNTED as u64 {
            counters.message(&foo, code, true);
        }
        counters.message(&foo, 0, false);
        counters.message(&foo, MAX_COUNTED as u64, false);

        let stats = counters.stats(Duration::ZERO);

        assert_eq!(stats.messages.len(), MAX_COUNTED + 1);
        assert_eq!(stats.messages[&(foo.clone(), 0)], (1, 1));
        assert_eq!(stats.messages[&(foo, OTHER_CODES)], (MAX_COUNTED as u64, 1));
    }
}
