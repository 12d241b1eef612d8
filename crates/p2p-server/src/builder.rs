//! How a server is put together: every setting, its default and what changing it costs.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use enode::{Enode, NodeId, SecretKey};
use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    BoundServer, Nat, NetList, Observer, Protocol, Server, StartError, TapEvent, Tcp, Transport,
    base::{self, Hello},
    budget,
    observer::Watch,
    tap::Tap,
};

/// Puts a server together; [`start`](Self::start) sets it running.
///
/// Nothing is opened, and no setting is judged, before that.
#[must_use = "a builder does nothing until `start`"]
pub struct ServerBuilder {
    pub(crate) config: Config,
    pub(crate) listen: Option<Result<SocketAddr, String>>,
    pub(crate) static_nodes: Vec<Enode>,
    pub(crate) candidates: Option<BoxStream<'static, Enode>>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) nat: Option<Box<dyn Nat>>,
    pub(crate) rng: StdRng,
    pub(crate) record_seq: Option<u64>,
}

/// The settings that stay.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) key: SecretKey,
    pub(crate) name: String,
    pub(crate) protocols: Vec<Arc<dyn Protocol>>,
    pub(crate) max_peers: usize,
    pub(crate) max_pending: usize,
    pub(crate) dial_ratio: usize,
    pub(crate) no_dial: bool,
    pub(crate) trusted: BTreeSet<NodeId>,
    pub(crate) net_restrict: Option<NetList>,
    pub(crate) message_events: bool,
    pub(crate) handshake_timeout: Duration,
    pub(crate) throttle_lan: bool,
    pub(crate) message_budget: usize,
    pub(crate) redial_after: Duration,
    pub(crate) tap: Option<Tap>,
    pub(crate) watch: Watch,
}

impl ServerBuilder {
    pub(crate) fn new(key: SecretKey) -> Self {
        // bound: filled by our own side only
        let trusted = BTreeSet::new();
        Self {
            config: Config {
                key,
                name: String::new(),
                protocols: Vec::new(),
                max_peers: 0,
                max_pending: DEFAULT_MAX_PENDING,
                dial_ratio: DEFAULT_DIAL_RATIO,
                no_dial: false,
                trusted,
                net_restrict: None,
                message_events: false,
                handshake_timeout: HANDSHAKE_TIMEOUT,
                throttle_lan: false,
                message_budget: budget::SERVER_LIMIT,
                redial_after: REDIAL_AFTER,
                tap: None,
                watch: Watch::default(),
            },
            listen: None,
            static_nodes: Vec::new(),
            candidates: None,
            transport: Arc::new(Tcp),
            nat: None,
            rng: StdRng::from_rng(&mut rand::rng()),
            record_seq: None,
        }
    }

    /// The client name in the hello message. Default: empty. A courtesy; nobody checks it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Listens on `IP:PORT`; port 0 lets the system choose. Default: no listener, the server can
    /// only dial.
    pub fn listen(mut self, addr: impl AsRef<str>) -> Self {
        let text = addr.as_ref();
        self.listen = Some(text.parse().map_err(|_| text.to_owned()));
        self
    }

    /// Listens on this address. As [`listen`](Self::listen).
    pub fn listen_on(mut self, addr: SocketAddr) -> Self {
        self.listen = Some(Ok(addr));
        self
    }

    /// The number of peers, trusted ones apart. Default: 0, which dials nobody and admits only
    /// trusted nodes.
    ///
    /// A third of it (see [`dial_ratio`](Self::dial_ratio)) is for nodes we dial, the rest for those
    /// that dial us, at least one each where there is a listener.
    pub fn max_peers(mut self, max: usize) -> Self {
        self.config.max_peers = max;
        self
    }

    /// How many connections may be in their handshake at a time, inbound and outbound apart.
    /// Default: 50. When the inbound pool is full the oldest connection that has sent no valid auth
    /// makes room.
    pub fn max_pending(mut self, max: usize) -> Self {
        self.config.max_pending = max;
        self
    }

    /// One peer in `ratio` is dialed, the others may connect to us. Default: 3.
    pub fn dial_ratio(mut self, ratio: usize) -> Self {
        self.config.dial_ratio = ratio;
        self
    }

    /// Dials nobody, not even nodes that are added. Default: off.
    pub fn no_dial(mut self, yes: bool) -> Self {
        self.config.no_dial = yes;
        self
    }

    /// Adds a protocol. Without any, peers are accepted whatever they speak; with some, a peer must
    /// share at least one.
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        self.config.protocols.push(Arc::new(protocol));
        self
    }

    /// Adds several protocols, as [`protocol`](Self::protocol) does one.
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = Arc<dyn Protocol>>) -> Self {
        self.config.protocols.extend(protocols);
        self
    }

    /// Keeps a connection to this node from the start, as [`Server::add_peer`] does later.
    pub fn static_node(mut self, node: Enode) -> Self {
        self.static_nodes.push(node);
        self
    }

    /// Admits this node beyond the limits, as [`Server::add_trusted`] does later.
    pub fn trusted_node(mut self, id: NodeId) -> Self {
        self.config.trusted.insert(id);
        self
    }

    /// Where further nodes to dial come from: any stream. Default: none.
    ///
    /// It is asked only while there are free slots. One node is taken at a time.
    pub fn candidates(mut self, nodes: impl Stream<Item = Enode> + Send + 'static) -> Self {
        self.candidates = Some(nodes.boxed());
        self
    }

    /// Nodes to dial before those of [`candidates`](Self::candidates), which is to be called first. They
    /// are dialed as candidates are: once, when a slot is free.
    pub fn first_candidates(mut self, nodes: Vec<Enode>) -> Self {
        let rest = self.candidates.take().unwrap_or_else(|| stream::empty().boxed());
        self.candidates = Some(stream::iter(nodes).chain(rest).boxed());
        self
    }

    /// Only these networks are dialed or accepted. Default: all.
    pub fn net_restrict(mut self, networks: NetList) -> Self {
        self.config.net_restrict = Some(networks);
        self
    }

    /// How others reach this node from outside. Default: as it sees itself.
    pub fn nat(mut self, nat: impl Nat + 'static) -> Self {
        self.nat = Some(Box::new(nat));
        self
    }

    /// Emits an event for every message a protocol sends or takes. Default: off. Costs a queue
    /// operation per message and subscriber.
    pub fn message_events(mut self, yes: bool) -> Self {
        self.config.message_events = yes;
        self
    }

    /// How long a connection may take from its start to both hellos. Default: 10 s, of which 5 s for
    /// the handshake. The time is absolute: a byte a second does not extend it.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.config.handshake_timeout = limit.min(LONGEST);
        self
    }

    /// Also refuses a second attempt within 30 s from loopback and private addresses. Default: off,
    /// as these are exempt.
    pub fn throttle_lan(mut self, yes: bool) -> Self {
        self.config.throttle_lan = yes;
        self
    }

    /// How many bytes of messages all connections together may hold. Default: 256 MiB. Above three
    /// quarters large frames are read one peer at a time, above all of it only small ones. A message
    /// that is larger than this alone passes when no other connection holds anything.
    pub fn message_budget(mut self, bytes: usize) -> Self {
        self.config.message_budget = bytes;
        self
    }

    /// The shortest time between two attempts to dial one node. Default: 35 s, because most peers
    /// refuse a second attempt within 30 s. It doubles with each failure up to ten minutes.
    pub fn redial_after(mut self, wait: Duration) -> Self {
        self.config.redial_after = wait.min(LONGEST);
        self
    }

    /// Calls `hook` with every packet and frame, as sent and in clear. Default: none. For learning
    /// and tests; it copies every byte.
    pub fn tap(mut self, hook: impl Fn(TapEvent) + Send + Sync + 'static) -> Self {
        self.config.tap = Some(Tap(Arc::new(hook)));
        self
    }

    /// Tells `observer` what happens, for whoever counts. May be called several times: each of them is
    /// told. Default: none, which costs a branch a message.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.config.watch.add(observer);
        self
    }

    /// Connections other than TCP's. Default: [`Tcp`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Arc::new(transport);
        self
    }

    /// Draws all randomness from this seed instead of the system: **the connections are not secret
    /// then.** For tests and for reproducible examples.
    pub fn insecure_seed(mut self, seed: u64) -> Self {
        self.rng = StdRng::seed_from_u64(seed);
        self
    }

    /// The sequence number of the node's record. Default: the current time in milliseconds, so that
    /// a restarted node's record is newer than its last.
    pub fn record_seq(mut self, seq: u64) -> Self {
        self.record_seq = Some(seq);
        self
    }

    /// Starts the server: opens the listener, then accepts and dials.
    ///
    /// # Errors
    ///
    /// [`StartError`], which names the setting, or the address that could not be listened on.
    /// Nothing is left running.
    pub async fn start(self) -> Result<Server, StartError> {
        Ok(self.bind().await?.open())
    }

    /// Opens the listener and gets everything ready, but neither accepts nor dials yet: for those who
    /// have to know the address before they can say what a peer is to find.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn bind(self) -> Result<BoundServer, StartError> {
        self.validate()?;
        BoundServer::bind(self).await
    }

    fn validate(&self) -> Result<(), StartError> {
        let config = &self.config;
        if let Some(Err(text)) = &self.listen {
            return Err(StartError::ListenAddr { text: text.clone() });
        }
        for (field, time) in
            [("handshake_timeout", config.handshake_timeout), ("redial_after", config.redial_after)]
        {
            if time.is_zero() {
                return Err(StartError::ZeroTime { field });
            }
        }
        for (field, value, least) in [
            ("dial_ratio", config.dial_ratio, 1),
            ("max_pending", config.max_pending, 1),
            ("message_budget", config.message_budget, MIN_BUDGET),
        ] {
            if value < least {
                return Err(StartError::TooSmall { field, least });
            }
        }
        self.validate_protocols()
    }

    fn validate_protocols(&self) -> Result<(), StartError> {
        // bound: the protocols of this configuration
        let mut seen = BTreeSet::new();
        let mut codes = crate::capability::BASE_LENGTH;
        for protocol in &self.config.protocols {
            let capability = protocol.capability();
            if !capability.is_valid() {
                return Err(StartError::ProtocolName { name: capability.name().to_owned() });
            }
            codes = codes.checked_add(protocol.length()).ok_or(StartError::ProtocolLengths)?;
            if !seen.insert(capability.clone()) {
                return Err(StartError::DuplicateProtocol(capability));
            }
        }
        let hello = Hello::ours(
            &self.config.name,
            seen.into_iter().collect(),
            &self.config.key.public_key(),
        );
        let size = hello.encode().len();
        if size > base::MAX_FIRST_MESSAGE || hello.capabilities.len() > base::MAX_CAPABILITIES {
            return Err(StartError::HelloTooLong { size });
        }
        Ok(())
    }
}

impl Config {
    /// How many peers we want to have dialed.
    pub(crate) fn max_dialed(&self) -> usize {
        if self.no_dial || self.max_peers == 0 {
            return 0;
        }
        (self.max_peers / self.dial_ratio).max(1)
    }

    /// How many peers may have dialed us: the rest, and at least one where anybody can.
    ///
    /// Without the floor a server with one peer slot would keep it for dialing and refuse everybody.
    pub(crate) fn max_inbound(&self, listening: bool) -> usize {
        let rest = self.max_peers.saturating_sub(self.max_dialed());
        if listening && self.max_peers > 0 { rest.max(1) } else { rest }
    }
}

impl ServerBuilder {
    /// The record's first sequence number.
    pub(crate) fn first_seq(&self) -> u64 {
        self.record_seq.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(1, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2))
        })
    }

    /// A random source for one purpose, split off the server's.
    pub(crate) fn split_rng(&mut self) -> StdRng {
        StdRng::seed_from_u64(self.rng.next_u64())
    }

    /// The address others should use, given where we listen.
    pub(crate) fn public_ip(&self, listening: Option<SocketAddr>) -> IpAddr {
        let external = self.nat.as_ref().and_then(|nat| nat.external_ip());
        let bound = listening.map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified());
        external.or(bound).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("name", &self.config.name)
            .field("listen", &self.listen)
            .field("max_peers", &self.config.max_peers)
            .finish_non_exhaustive()
    }
}

/// Source: ethereum/go-ethereum:p2p/server.go, `defaultMaxPendingPeers`.
const DEFAULT_MAX_PENDING: usize = 50;
/// Source: ethereum/go-ethereum:p2p/server.go, `defaultDialRatio`.
const DEFAULT_DIAL_RATIO: usize = 3;
/// Encryption and hello together (L-02).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Source: ethereum/go-ethereum:p2p/dial.go, `dialHistoryExpiration`.
const REDIAL_AFTER: Duration = Duration::from_secs(35);
/// Longer times mean for ever, and must not overflow the clock.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// Less than this cannot hold a message.
const MIN_BUDGET: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(max_peers: usize) -> Config {
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        ServerBuilder::new(key).max_peers(max_peers).config
    }

    #[test]
    fn slots_are_shared_between_dialing_and_listening() {
        for (max_peers, dialed, inbound) in
            [(0, 0, 0), (1, 1, 1), (2, 1, 1), (3, 1, 2), (50, 16, 34)]
        {
            let config = config(max_peers);

            assert_eq!((config.max_dialed(), config.max_inbound(true)), (dialed, inbound));
        }
    }

    #[test]
    fn who_does_not_dial_leaves_all_slots_to_others() {
        let config = Config { no_dial: true, ..config(7) };

        assert_eq!((config.max_dialed(), config.max_inbound(true)), (0, 7));
    }

    #[test]
    fn the_floor_of_one_needs_a_listener() {
        assert_eq!(config(1).max_inbound(false), 0);
    }
}
