//! Many nodes in one process: a network that can be built, watched, shaken and written down.
//!
//! ```text
//!   Simulation ─┬─ node "n000"  real nodes with your services,    ┌─ SimEvents: nodes up and down,
//!               ├─ node "n001"  over a network in memory, or ─────┤  connections, messages;
//!               └─ …            loopback                          └─ as JSON lines
//! ```
//!
//! The nodes are the real ones, and so are the connections; only the bytes travel through memory. On a
//! current-thread runtime with a paused clock, one seed gives one sequence of events, to the millisecond.
//!
//! ```
//! use std::time::Duration;
//!
//! use service_node::sim::{Shape, Simulation};
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut sim = Simulation::new(7, |_name, node| node);
//!     sim.add(10)?;
//!     sim.start_all().await?;
//!
//!     sim.connect(Shape::Ring).await?;
//!
//!     sim.wait_until(Duration::from_secs(10), |sim| {
//!         let lonely = sim.nodes().iter().find(|node| node.peer_count() != 2)?;
//!         Some(format!("{} has {} peers, not 2", lonely.name(), lonely.peer_count()))
//!     })
//!     .await?;
//!     sim.stop_all().await;
//!     Ok(())
//! }
//! ```
//!
//! What go-ethereum had of this in `p2p/simulations`, which it has dropped, is the model for the events and the
//! snapshot.

mod error;
mod event;
mod node;
mod recorder;
mod shape;
mod snapshot;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use p2p_server::test_utils::Net;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep};

use self::recorder::Recorder;
pub use self::{
    error::SimError,
    event::{SimEvent, SimEvents, SimFact},
    node::SimNode,
    shape::Shape,
    snapshot::{Snapshot, SnapshotConnection, SnapshotNode},
};
use crate::NodeBuilder;

/// What every node of a simulation is given: its name, and a builder to add services to.
type Configure = Arc<dyn Fn(&str, NodeBuilder) -> NodeBuilder + Send + Sync>;

/// Nodes, who is to be connected with whom, and what happens.
pub struct Simulation {
    nodes: Vec<SimNode>,
    /// Pairs of positions in `nodes`; the first keeps the connection to the second.
    // bound: what the user of the simulation connects
    links: BTreeSet<(usize, usize)>,
    configure: Configure,
    recorder: Recorder,
    rng: StdRng,
    /// None: nodes listen on loopback.
    net: Option<Net>,
}

impl Simulation {
    /// A simulation without nodes, whose network is in memory. `configure` adds to each node what it is to
    /// do; everything drawn at random comes from `seed`.
    pub fn new(
        seed: u64,
        configure: impl Fn(&str, NodeBuilder) -> NodeBuilder + Send + Sync + 'static,
    ) -> Self {
        Self::over(Some(Net::new(seed)), seed, Arc::new(configure))
    }

    /// The same with connections over loopback and ports that the system chooses. Keys are drawn from the
    /// system then, and time is what it is.
    pub fn on_loopback(
        seed: u64,
        configure: impl Fn(&str, NodeBuilder) -> NodeBuilder + Send + Sync + 'static,
    ) -> Self {
        Self::over(None, seed, Arc::new(configure))
    }

    fn over(net: Option<Net>, seed: u64, configure: Configure) -> Self {
        // bound: see the field
        let links = BTreeSet::new();
        let recorder = Recorder::new();
        let rng = StdRng::seed_from_u64(seed);
        Self { nodes: Vec::new(), links, configure, recorder, rng, net }
    }

    /// The network in memory, for its latency and faults; `None` on loopback.
    pub fn net(&self) -> Option<&Net> {
        self.net.as_ref()
    }

    /// Adds so many nodes, which do not run yet. They are called `n000`, `n001` and so on.
    ///
    /// # Errors
    ///
    /// [`SimError::Build`] when `configure` makes a node that cannot be built.
    pub fn add(&mut self, count: usize) -> Result<(), SimError> {
        for _ in 0..count {
            let name = format!("n{:03}", self.nodes.len());
            self.add_node(name, None)?;
        }
        Ok(())
    }

    fn add_node(&mut self, name: String, key: Option<enode::SecretKey>) -> Result<(), SimError> {
        let host = self.net.as_ref().map(Net::host);
        let node = SimNode::new(name, key, host, &self.configure, &self.recorder)?;
        self.nodes.push(node);
        Ok(())
    }

    /// All nodes, in the order they were added.
    pub fn nodes(&self) -> &[SimNode] {
        &self.nodes
    }

    /// The node at this position.
    ///
    /// # Errors
    ///
    /// [`SimError::NoNode`] when there is none.
    pub fn node(&self, at: usize) -> Result<&SimNode, SimError> {
        self.nodes.get(at).ok_or(SimError::NoNode { at, count: self.nodes.len() })
    }

    /// What happens from now on, at all nodes.
    pub fn events(&self) -> SimEvents {
        self.recorder.subscribe()
    }

    /// Starts every node that does not run, one after the other.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), for the first that fails.
    pub async fn start_all(&self) -> Result<(), SimError> {
        for at in 0..self.nodes.len() {
            if !self.node(at)?.is_up() {
                self.start(at).await?;
            }
        }
        Ok(())
    }

    /// Starts a node, and has the connections made again that it had.
    ///
    /// # Errors
    ///
    /// [`SimError::Start`] when it does not start.
    pub async fn start(&self, at: usize) -> Result<(), SimError> {
        self.node(at)?.start().await?;
        for &(one, two) in self.links.iter().filter(|(one, two)| *one == at || *two == at) {
            self.dial(one, two)?;
        }
        Ok(())
    }

    /// Stops a node. The others notice, and try to get their connections back.
    ///
    /// # Errors
    ///
    /// [`SimError::Stop`] when it does not stop well, or does not run.
    pub async fn stop(&self, at: usize) -> Result<(), SimError> {
        self.node(at)?.stop().await
    }

    /// Stops a node and starts it again.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop) and [`start`](Self::start).
    pub async fn restart(&self, at: usize) -> Result<(), SimError> {
        self.stop(at).await?;
        self.start(at).await
    }

    /// Stops every node that runs. What services do wrong meanwhile is in the log.
    pub async fn stop_all(&self) {
        for node in self.nodes.iter().filter(|node| node.is_up()) {
            // A service that fails has been reported where it failed.
            let _ = node.stop().await;
        }
    }

    /// Connects all nodes in this shape, and waits until every connection is up.
    ///
    /// # Errors
    ///
    /// [`SimError::NotReached`], which names the connections that are missing after 30 seconds.
    pub async fn connect(&mut self, shape: Shape) -> Result<(), SimError> {
        let links = shape.links(self.nodes.len(), &mut self.rng)?;
        self.connect_pairs(links).await
    }

    /// Connects these pairs of positions, and waits until every connection is up; the first of a pair dials.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`SimError::NoNode`].
    pub async fn connect_pairs(
        &mut self,
        pairs: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<(), SimError> {
        for (one, two) in pairs {
            self.dial(one, two)?;
            self.links.insert((one, two));
        }
        self.wait_until(CONNECT_LIMIT, Self::missing_links).await
    }

    /// Takes the connection between two nodes down, and keeps it down.
    ///
    /// # Errors
    ///
    /// [`SimError::NoNode`] for a position without a node.
    pub async fn disconnect(&mut self, one: usize, two: usize) -> Result<(), SimError> {
        for (dialer, dialed) in [(one, two), (two, one)] {
            self.links.remove(&(dialer, dialed));
            let (dialer, dialed) = (self.node(dialer)?, self.node(dialed)?.id());
            if let Some(server) = dialer.server() {
                // A server that stops meanwhile has no connections.
                if let Ok(gone) = server.remove_peer(dialed) {
                    gone.await;
                }
            }
        }
        Ok(())
    }

    /// Has `one` keep a connection to `two`, if both run.
    fn dial(&self, one: usize, two: usize) -> Result<(), SimError> {
        let (dialer, dialed) = (self.node(one)?, self.node(two)?);
        let (Some(from), Some(to)) = (dialer.server(), dialed.server()) else { return Ok(()) };
        from.add_peer(to.enode()).map_err(|source| SimError::Connect {
            one: dialer.name().to_owned(),
            two: dialed.name().to_owned(),
            source,
        })
    }

    /// The connections between running nodes that are not up at both ends.
    fn missing_links(&self) -> Option<String> {
        let missing = self.links.iter().filter_map(|&(one, two)| {
            let (one, two) = (self.nodes.get(one)?, self.nodes.get(two)?);
            let up = one.has_peer(two.id()) && two.has_peer(one.id());
            let wanted = one.is_up() && two.is_up();
            (wanted && !up).then(|| format!("{}–{}", one.name(), two.name()))
        });
        let missing: Vec<_> = missing.collect();
        let shown = missing.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        (!missing.is_empty()).then(|| format!("{} connections: {shown}", missing.len()))
    }

    /// Waits until nothing is missing: `missing` says what is, or `None`.
    ///
    /// # Errors
    ///
    /// [`SimError::NotReached`] with what is still missing when the time is up.
    pub async fn wait_until(
        &self,
        limit: Duration,
        mut missing: impl FnMut(&Self) -> Option<String>,
    ) -> Result<(), SimError> {
        let deadline = Instant::now() + limit;
        while let Some(missing) = missing(self) {
            if Instant::now() >= deadline {
                return Err(SimError::NotReached { missing, after: limit });
            }
            sleep(STEP).await;
        }
        Ok(())
    }

    /// The simulation as it is, to be written to a file.
    pub fn snapshot(&self) -> Snapshot {
        let nodes = self.nodes.iter().map(|node| SnapshotNode {
            name: node.name().to_owned(),
            key: const_hex::encode(node.key().to_bytes().as_slice()),
            up: node.is_up(),
        });
        let name = |at: usize| self.nodes.get(at).map(|node| node.name().to_owned());
        let conns = self.links.iter().filter_map(|&(one, two)| {
            Some(SnapshotConnection { one: name(one)?, other: name(two)? })
        });
        Snapshot { nodes: nodes.collect(), conns: conns.collect() }
    }

    /// Brings the nodes of a snapshot into a simulation that has none: the same names and keys, started and
    /// connected as they were.
    ///
    /// # Errors
    ///
    /// [`SimError::Snapshot`] when it contradicts itself or the simulation has nodes, and the errors of
    /// [`start`](Self::start) and [`connect`](Self::connect).
    pub async fn restore(&mut self, snapshot: &Snapshot) -> Result<(), SimError> {
        if !self.nodes.is_empty() {
            return Err(SimError::Snapshot { cause: "the simulation has nodes already".into() });
        }
        let links = snapshot.links()?;
        for node in &snapshot.nodes {
            self.add_node(node.name.clone(), Some(node.secret_key()?))?;
        }
        for (at, node) in snapshot.nodes.iter().enumerate() {
            if node.up {
                self.start(at).await?;
            }
        }
        self.connect_pairs(links).await
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("nodes", &self.nodes.len())
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

/// How often `wait_until` looks.
const STEP: Duration = Duration::from_millis(1);
/// How long connections may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// How many missing connections an error names.
const SHOWN: usize = 5;
