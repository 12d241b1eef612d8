//! An in-memory network: any number of servers in one process, on tokio's paused clock.
//!
//! ```text
//!   one 10.0.0.1:30303 ──┐                       ┌── latency, jitter
//!   two 10.0.0.2:30303 ──┼── Net (one seed) ─────┼── cut: reset, and refused until healed
//!   …                    │                       └── half-open: bytes vanish, nobody is told
//! ```
//!
//! The servers are the real ones; only the bytes travel through memory. With a current-thread
//! runtime, a paused clock and one seed the same program gives the same sequence of events, to the
//! millisecond.
//!
//! ```
//! # use p2p_server::{Server, test_utils::{Net, NotReached}};
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let net = Net::new(1);
//!     let one = net.server("one").start().await?;
//!     let two = net.server("two").start().await?;
//!
//!     net.connect(&one, &two).await?;
//!
//!     assert_eq!(two.peers()[0].id(), one.id());
//!     Ok(())
//! }
//! ```

mod introduced;
mod wire;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use enode::SecretKey;
use futures_util::future::BoxFuture;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

pub(crate) use self::introduced::introduced;
pub use self::introduced::introduced_keys;
use self::wire::{Wire, WireReader, WireWriter};
use crate::{AddPeerError, Link, Listener, Server, ServerBuilder, Transport};

/// A network in memory. Clones are handles to the same network.
#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    hosts: u32,
    next_port: u16,
    latency: Duration,
    jitter: Duration,
    buffer: usize,
    // bound: one per pair of hosts that the test names
    pair_latency: BTreeMap<Pair, Duration>,
    // bound: one per pair of hosts that the test names
    faults: BTreeMap<Pair, Fault>,
    // bound: one per listening server
    listeners: BTreeMap<SocketAddr, mpsc::Sender<Link>>,
    // bound: one per living connection, dead ones are dropped at each dial
    wires: Vec<(Pair, Weak<Wire>)>,
}

/// Two hosts, the smaller address first.
type Pair = (IpAddr, IpAddr);

/// What is wrong between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Connections are reset and new ones refused.
    Cut,
    /// Bytes vanish and nobody is told.
    HalfOpen,
}

impl Net {
    /// An empty network. All its randomness, and that of its servers, comes from `seed`.
    pub fn new(seed: u64) -> Self {
        // bound: see the fields
        let (pair_latency, faults) = (BTreeMap::new(), BTreeMap::new());
        // bound: see the field
        let listeners = BTreeMap::new();
        Self(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            hosts: 0,
            next_port: FIRST_SOURCE_PORT,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            buffer: BUFFER,
            pair_latency,
            faults,
            listeners,
            wires: Vec::new(),
        })))
    }

    /// A server on a host of its own, ready to be configured further: it has a key and a seed from
    /// the network's, listens on port 30303 and takes 50 peers.
    pub fn server(&self, name: &str) -> ServerBuilder {
        let host = self.host();
        host.place(Server::builder(host.key().clone()).name(name).max_peers(50))
    }

    /// A place for one more server, for those who build it themselves, perhaps more than once.
    pub fn host(&self) -> NetHost {
        let mut state = self.lock();
        state.hosts += 1;
        let ip = IpAddr::V4(Ipv4Addr::from_bits(FIRST_HOST + state.hosts));
        let (key, seed) = (SecretKey::generate(&mut state.rng), state.rng.next_u64());
        NetHost { net: self.clone(), ip, key, seed }
    }

    /// The network as seen from `host`, for a server or a bare connection that is built by hand.
    pub fn transport(&self, host: IpAddr) -> impl Transport + use<> {
        Host { net: self.clone(), host }
    }

    /// How long bytes travel between any two hosts. Default: no time.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Up to how much longer they may take, drawn anew for every write. Default: nothing. Bytes of
    /// one direction stay in order.
    pub fn set_jitter(&self, jitter: Duration) {
        self.lock().jitter = jitter;
    }

    /// How many bytes of a connection made from now on may be on their way, in each direction; then the
    /// writer waits. Default: 262,144, about what a socket buffers. At least one.
    pub fn set_buffer(&self, bytes: usize) {
        self.lock().buffer = bytes.max(1);
    }

    /// How long bytes travel between these two.
    pub fn set_latency_between(&self, one: &Server, two: &Server, latency: Duration) {
        let pair = pair_of(one, two);
        self.lock().pair_latency.insert(pair, latency);
    }

    /// Resets every connection between these two, and refuses new ones until
    /// [`heal`](Self::heal).
    pub fn cut(&self, one: &Server, two: &Server) {
        self.set_fault(pair_of(one, two), Fault::Cut);
    }

    /// From now on bytes between these two vanish, and no end of a connection is ever told; new ones
    /// hang. Until [`heal`](Self::heal).
    pub fn half_open(&self, one: &Server, two: &Server) {
        self.set_fault(pair_of(one, two), Fault::HalfOpen);
    }

    /// Lets new connections between these two work again. What was lost stays lost.
    pub fn heal(&self, one: &Server, two: &Server) {
        let pair = pair_of(one, two);
        self.lock().faults.remove(&pair);
    }

    /// Makes `one` keep a connection to `two` and waits until both are peers.
    ///
    /// # Errors
    ///
    /// [`NetError`] when the server has stopped, or they are not connected after ten seconds.
    pub async fn connect(&self, one: &Server, two: &Server) -> Result<(), NetError> {
        one.add_peer(two.enode())?;
        let connected = || one.peer(two.id()).is_some() && two.peer(one.id()).is_some();
        self.drive_until(CONNECT_LIMIT, "both are peers", connected).await?;
        Ok(())
    }

    /// Lets time pass until `condition` holds, looking once a millisecond.
    ///
    /// On a paused clock this takes no real time.
    ///
    /// # Errors
    ///
    /// [`NotReached`], which names `what`, when it does not hold after `limit`.
    pub async fn drive_until(
        &self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), NotReached> {
        let deadline = Instant::now() + limit;
        while !condition() {
            if Instant::now() >= deadline {
                return Err(NotReached { what: what.to_owned(), after: limit });
            }
            sleep(STEP).await;
        }
        Ok(())
    }

    fn set_fault(&self, pair: Pair, fault: Fault) {
        let wires = {
            let mut state = self.lock();
            state.faults.insert(pair, fault);
            state.living_wires(pair)
        };
        for wire in wires {
            match fault {
                Fault::Cut => wire.reset(),
                Fault::HalfOpen => wire.lose_everything(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn living_wires(&mut self, pair: Pair) -> Vec<Arc<Wire>> {
        self.wires.retain(|(_, wire)| wire.strong_count() > 0);
        let of_pair = self.wires.iter().filter(|(of, _)| *of == pair);
        of_pair.filter_map(|(_, wire)| wire.upgrade()).collect()
    }

    /// How long a write from one of the pair to the other takes.
    fn delay(&mut self, pair: Pair) -> Duration {
        let latency = self.pair_latency.get(&pair).copied().unwrap_or(self.latency);
        if self.jitter.is_zero() {
            return latency;
        }
        latency + self.rng.random_range(Duration::ZERO..=self.jitter)
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("hosts", &self.lock().hosts).finish_non_exhaustive()
    }
}

/// A host of the network that waits for its server: an address, and a key and a seed from the
/// network's.
#[derive(Debug, Clone)]
pub struct NetHost {
    net: Net,
    ip: IpAddr,
    key: SecretKey,
    seed: u64,
}

impl NetHost {
    /// The key that was drawn for this host.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Where its server will listen: port 30303.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip, 30303)
    }

    /// Puts a server on this host: it listens at its address, dials over the network, and draws from
    /// its seed.
    pub fn place(&self, builder: ServerBuilder) -> ServerBuilder {
        builder
            .listen_on(self.addr())
            .insecure_seed(self.seed)
            .record_seq(1)
            .transport(self.net.transport(self.ip))
    }
}

/// The network from one host's point of view.
struct Host {
    net: Net,
    host: IpAddr,
}

impl Transport for Host {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            // bound: 128 connections, as a system's backlog; then a dial is refused
            let (sender, backlog) = mpsc::channel(BACKLOG);
            let mut state = self.net.lock();
            if state.listeners.get(&addr).is_some_and(|other| !other.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            state.listeners.insert(addr, sender);
            Ok(Box::new(NetListener { addr, backlog }) as Box<dyn Listener>)
        })
    }

    fn dial(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Link>> {
        Box::pin(async move {
            let pair = ordered(self.host, addr.ip());
            let (delay, fault, listener) = {
                let mut state = self.net.lock();
                let listener = state.listeners.get(&addr).cloned();
                (state.delay(pair), state.faults.get(&pair).copied(), listener)
            };
            if fault == Some(Fault::HalfOpen) {
                std::future::pending::<()>().await;
            }
            // The way there and back, as a connection's first packets take it.
            sleep(delay * 2).await;
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let (Some(listener), None) = (listener, fault) else { return Err(refused()) };
            let (ours, theirs) = self.link(addr, pair);
            listener.try_send(theirs).map_err(|_| refused())?;
            Ok(ours)
        })
    }

    fn resolve(&self, name: String, _port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("no such host: {name}")))
        })
    }
}

impl Host {
    fn link(&self, addr: SocketAddr, pair: Pair) -> (Link, Link) {
        let mut state = self.net.lock();
        let buffer = state.buffer;
        let (there, back) = (Arc::new(Wire::new(buffer)), Arc::new(Wire::new(buffer)));
        state.wires.retain(|(_, wire)| wire.strong_count() > 0);
        for wire in [&there, &back] {
            state.wires.push((pair, Arc::downgrade(wire)));
        }
        let from = SocketAddr::new(self.host, state.next_port);
        state.next_port = state.next_port.checked_add(1).unwrap_or(FIRST_SOURCE_PORT);
        drop(state);
        let net = self.net.clone();
        let delay: wire::Delay = Arc::new(move || net.lock().delay(pair));
        let end = |read: &Arc<Wire>, write: &Arc<Wire>, local, remote| Link {
            reader: Box::new(WireReader::new(Arc::clone(read))),
            writer: Box::new(WireWriter::new(Arc::clone(write), Arc::clone(&delay))),
            local,
            remote,
        };
        (end(&back, &there, from, addr), end(&there, &back, addr, from))
    }
}

/// A listener of the network.
struct NetListener {
    addr: SocketAddr,
    backlog: mpsc::Receiver<Link>,
}

impl Listener for NetListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Link>> {
        Box::pin(async move {
            self.backlog.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

fn ordered(a: IpAddr, b: IpAddr) -> Pair {
    (a.min(b), a.max(b))
}

fn pair_of(one: &Server, two: &Server) -> Pair {
    let host = |server: &Server| match server.listen_addr() {
        Some(addr) => addr.ip(),
        None => server.node_info().ip,
    };
    ordered(host(one), host(two))
}

/// Why two servers of a network did not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The node could not be added.
    #[error(transparent)]
    AddPeer(#[from] AddPeerError),
    /// It was added and nothing came of it.
    #[error(transparent)]
    NotReached(#[from] NotReached),
}

/// What a test waited for did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("after {after:?} still not: {what}")]
pub struct NotReached {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub after: Duration,
}

/// What a connection holds in one direction, in bytes.
const BUFFER: usize = 256 << 10;
/// Hosts are 10.0.0.1 and up.
const FIRST_HOST: u32 = 0x0a00_0000;
/// Where the source ports of dialed connections begin.
const FIRST_SOURCE_PORT: u16 = 40_000;
/// Connections that may wait for a listener to accept them.
const BACKLOG: usize = 128;
/// How often `drive_until` looks.
const STEP: Duration = Duration::from_millis(1);
/// How long `connect` waits.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
