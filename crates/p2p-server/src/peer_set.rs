//! Who is connected, who may be, and which of two connections to one node stays.
//!
//! Pure: connections ask, time comes in as an argument.
//!
//! ```text
//!   admit ──▶ Refused(reason)
//!         ──▶ Admitted                                  a peer now
//!         ──▶ Undecided(until) ── the other one ends ──▶ admit again
//!                              └─ until has passed ────▶ Refused(AlreadyConnected)
//! ```
//!
//! When two nodes dial each other at once, the one with the smaller id decides, alone: it keeps the
//! connection whose hello it finished first and closes the other. The other node holds its second
//! connection undecided until one of the two closes, at most five seconds. So exactly one of the two
//! stays, whatever the order in which things arrive.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use enode::NodeId;

use crate::DisconnectReason;

/// Names a connection for as long as the server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) u64);

/// The limits of the set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerLimits {
    /// Peers in total, trusted ones apart.
    pub(crate) max_peers: usize,
    /// Of these, how many may have connected to us.
    pub(crate) max_inbound: usize,
}

/// The peers of a server.
#[derive(Debug)]
pub(crate) struct PeerSet {
    own: NodeId,
    limits: PeerLimits,
    // bound: limits.max_peers and one for each trusted node
    peers: BTreeMap<NodeId, Entry>,
    // bound: one per peer
    undecided: BTreeMap<NodeId, ConnId>,
    // bound: MAX_TRUSTED, filled by our own side only
    trusted: BTreeSet<NodeId>,
    inbound: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    conn: ConnId,
    inbound: bool,
    since: Instant,
}

/// What became of a connection that wants to be a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is one.
    Admitted,
    /// It is not, and is to be told this.
    Refused(DisconnectReason),
    /// The other node decides between this connection and the one we have.
    Undecided {
        /// Until when to wait.
        until: Instant,
    },
}

impl PeerSet {
    /// An empty set for the node `own`.
    pub(crate) fn new(own: NodeId, limits: PeerLimits, trusted: BTreeSet<NodeId>) -> Self {
        // bound: see the fields
        let (peers, undecided) = (BTreeMap::new(), BTreeMap::new());
        Self { own, limits, peers, undecided, trusted, inbound: 0 }
    }

    /// The check after the handshake, on an identity nobody has proven yet: reads, changes nothing.
    pub(crate) fn check(&self, id: NodeId, inbound: bool) -> Result<(), DisconnectReason> {
        // A second connection to a peer takes no further slot, so the limits are not asked.
        if !self.peers.contains_key(&id) {
            self.check_limits(id, inbound)?;
        }
        if id == self.own {
            return Err(DisconnectReason::SelfConnect);
        }
        Ok(())
    }

    /// A connection has finished its hello and wants to be a peer.
    pub(crate) fn admit(
        &mut self,
        conn: ConnId,
        id: NodeId,
        inbound: bool,
        now: Instant,
    ) -> Admission {
        if let Err(reason) = self.check(id, inbound) {
            return Admission::Refused(reason);
        }
        if let Some(present) = self.peers.get(&id) {
            return self.second_connection(conn, id, *present, now);
        }
        if self.undecided.get(&id) == Some(&conn) {
            self.undecided.remove(&id);
        }
        self.peers.insert(id, Entry { conn, inbound, since: now });
        self.inbound = self.inbound.saturating_add(usize::from(inbound));
        Admission::Admitted
    }

    /// A peer's connection has ended. Returns the undecided connection that may now be admitted.
    pub(crate) fn remove(&mut self, conn: ConnId, id: NodeId) -> Option<ConnId> {
        if self.peers.get(&id).is_none_or(|entry| entry.conn != conn) {
            return None;
        }
        let entry = self.peers.remove(&id)?;
        self.inbound = self.inbound.saturating_sub(usize::from(entry.inbound));
        self.undecided.get(&id).copied()
    }

    /// An undecided connection has ended or waited long enough.
    pub(crate) fn give_up(&mut self, conn: ConnId, id: NodeId) {
        if self.undecided.get(&id) == Some(&conn) {
            self.undecided.remove(&id);
        }
    }

    /// Forgets every peer: the server has stopped.
    pub(crate) fn clear(&mut self) {
        self.peers.clear();
        self.undecided.clear();
        self.inbound = 0;
    }

    /// Marks a node as trusted: admitted beyond the limits.
    ///
    /// Returns `false` when there is no room for another.
    pub(crate) fn add_trusted(&mut self, id: NodeId) -> bool {
        if self.trusted.len() >= MAX_TRUSTED && !self.trusted.contains(&id) {
            return false;
        }
        self.trusted.insert(id);
        true
    }

    /// Takes the mark back; a connected peer stays.
    pub(crate) fn remove_trusted(&mut self, id: NodeId) {
        self.trusted.remove(&id);
    }

    /// Whether a node is trusted.
    pub(crate) fn is_trusted(&self, id: &NodeId) -> bool {
        self.trusted.contains(id)
    }

    /// Whether a node is a peer.
    pub(crate) fn contains(&self, id: &NodeId) -> bool {
        self.peers.contains_key(id)
    }

    /// How many peers there are.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    fn check_limits(&self, id: NodeId, inbound: bool) -> Result<(), DisconnectReason> {
        if self.trusted.contains(&id) {
            return Ok(());
        }
        let full = self.peers.len() >= self.limits.max_peers;
        let inbound_full = inbound && self.inbound >= self.limits.max_inbound;
        if full || inbound_full { Err(DisconnectReason::TooManyPeers) } else { Ok(()) }
    }

    fn second_connection(
        &mut self,
        conn: ConnId,
        id: NodeId,
        present: Entry,
        now: Instant,
    ) -> Admission {
        let we_decide = self.own < id;
        let settled = now.saturating_duration_since(present.since) > UNDECIDED;
        let another_waits = self.undecided.get(&id).is_some_and(|other| *other != conn);
        if we_decide || settled || another_waits {
            return Admission::Refused(DisconnectReason::AlreadyConnected);
        }
        self.undecided.insert(id, conn);
        Admission::Undecided { until: now.checked_add(UNDECIDED).unwrap_or(now) }
    }
}

/// How long two connections to one node may both live, undecided.
const UNDECIDED: Duration = Duration::from_secs(5);

/// How many nodes can be trusted.
pub(crate) const MAX_TRUSTED: usize = 1_024;

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    const LIMITS: PeerLimits = PeerLimits { max_peers: 2, max_inbound: 1 };
    const OWN: NodeId = NodeId::new([0x50; 32]);
    const SMALLER: NodeId = NodeId::new([0x40; 32]);
    const LARGER: NodeId = NodeId::new([0x60; 32]);

    fn set() -> PeerSet {
        PeerSet::new(OWN, LIMITS, BTreeSet::new())
    }

    fn id(n: u8) -> NodeId {
        NodeId::new([n; 32])
    }

    #[test]
    fn the_inbound_share_is_kept_and_given_back() {
        let (mut set, now) = (set(), Instant::now());
        assert_eq!(set.admit(ConnId(1), id(1), true, now), Admission::Admitted);

        let full = Admission::Refused(DisconnectReason::TooManyPeers);
        assert_eq!(set.admit(ConnId(2), id(2), true, now), full);
        assert_eq!(set.admit(ConnId(3), id(3), false, now), Admission::Admitted);
        assert_eq!(set.admit(ConnId(4), id(4), false, now), full);

        set.remove(ConnId(1), id(1));
        assert_eq!(set.admit(ConnId(5), id(5), true, now), Admission::Admitted);
    }

    #[test]
    fn a_trusted_node_is_admitted_beyond_the_limits() {
        let (mut set, now) = (set(), Instant::now());
        set.admit(ConnId(1), id(1), false, now);
        set.admit(ConnId(2), id(2), false, now);

        assert!(set.add_trusted(id(3)));

        assert_eq!(set.admit(ConnId(3), id(3), true, now), Admission::Admitted);
        set.remove_trusted(id(3));
        assert!(set.contains(&id(3)), "taking trust back disconnects nobody");
    }

    #[test]
    fn our_own_id_is_refused() {
        let mut set = set();

        let got = set.admit(ConnId(1), OWN, false, Instant::now());

        assert_eq!(got, Admission::Refused(DisconnectReason::SelfConnect));
    }

    #[test]
    fn the_smaller_id_refuses_the_second_connection_at_once() {
        let (mut set, now) = (set(), Instant::now());
        set.admit(ConnId(1), LARGER, false, now);

        let second = set.admit(ConnId(2), LARGER, true, now);

        assert_eq!(second, Admission::Refused(DisconnectReason::AlreadyConnected));
    }

    #[test]
    fn the_larger_id_waits_and_takes_the_one_that_is_left() {
        let (mut set, now) = (set(), Instant::now());
        set.admit(ConnId(1), SMALLER, false, now);
        let until = now + UNDECIDED;

        assert_eq!(set.admit(ConnId(2), SMALLER, true, now), Admission::Undecided { until });
        let third = set.admit(ConnId(3), SMALLER, true, now);
        assert_eq!(third, Admission::Refused(DisconnectReason::AlreadyConnected));

        assert_eq!(set.remove(ConnId(1), SMALLER), Some(ConnId(2)));
        assert_eq!(set.admit(ConnId(2), SMALLER, true, now), Admission::Admitted);
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_settled_connection_is_not_put_in_question() {
        let (mut set, now) = (set(), Instant::now());
        set.admit(ConnId(1), SMALLER, false, now);

        let later = now + UNDECIDED + Duration::from_millis(1);
        let second = set.admit(ConnId(2), SMALLER, true, later);

        assert_eq!(second, Admission::Refused(DisconnectReason::AlreadyConnected));
    }

    #[test]
    fn a_full_server_still_settles_a_crossed_dial() {
        let mut set =
            PeerSet::new(OWN, PeerLimits { max_peers: 1, max_inbound: 1 }, BTreeSet::new());
        let now = Instant::now();
        set.admit(ConnId(1), SMALLER, false, now);

        assert!(matches!(set.admit(ConnId(2), SMALLER, true, now), Admission::Undecided { .. }));
    }

    /// L-08, T-22: whatever the order in which hellos and ends arrive on either side, two nodes that
    /// dial each other end with one connection, the same for both.
    #[test]
    fn ten_thousand_crossed_dials_end_with_one_connection_each() {
        for seed in 0..10_000 {
            let mut crossing = Crossing::new(seed);

            crossing.run();

            let kept = crossing.nodes.each_ref().map(|node| node.kept.clone());
            assert_eq!(kept[0].len(), 1, "seed {seed}: {kept:?}");
            assert_eq!(kept[0], kept[1], "seed {seed}");
        }
    }

    /// Two nodes, two connections, and what is on its way between them.
    struct Crossing {
        nodes: [Node; 2],
        now: Instant,
        // bound: a few for each of two connections
        agenda: BTreeMap<(Instant, u64), (usize, Step)>,
        rng: StdRng,
        begin: Instant,
    }

    struct Node {
        set: PeerSet,
        other: NodeId,
        kept: BTreeSet<ConnId>,
        waiting: BTreeSet<ConnId>,
        closed: BTreeSet<ConnId>,
    }

    #[derive(Clone, Copy)]
    enum Step {
        Hello(ConnId),
        Ended(ConnId),
        Timeout(ConnId),
    }

    impl Crossing {
        fn new(seed: u64) -> Self {
            let node = |own, other| Node {
                set: PeerSet::new(own, LIMITS, BTreeSet::new()),
                other,
                kept: BTreeSet::new(),
                waiting: BTreeSet::new(),
                closed: BTreeSet::new(),
            };
            let begin = Instant::now();
            let mut crossing = Self {
                nodes: [node(SMALLER, LARGER), node(LARGER, SMALLER)],
                now: begin,
                agenda: BTreeMap::new(),
                rng: StdRng::seed_from_u64(seed),
                begin,
            };
            for conn in [ConnId(0), ConnId(1)] {
                for node in [0, 1] {
                    crossing.soon(node, Step::Hello(conn));
                }
            }
            crossing
        }

        fn soon(&mut self, node: usize, step: Step) {
            let delay = Duration::from_micros(self.rng.random_range(0..5_000));
            self.at(self.now + delay, node, step);
        }

        fn at(&mut self, at: Instant, node: usize, step: Step) {
            let tie = self.rng.random();
            self.agenda.insert((at, tie), (node, step));
        }

        fn run(&mut self) {
            while let Some(((at, _), (node, step))) = self.agenda.pop_first() {
                self.now = at;
                match step {
                    Step::Hello(conn) if !self.nodes[node].closed.contains(&conn) => {
                        self.ask(node, conn);
                    }
                    Step::Ended(conn) => self.end(node, conn),
                    Step::Timeout(conn) if self.nodes[node].waiting.contains(&conn) => {
                        self.hang_up(node, conn);
                    }
                    _ => {}
                }
            }
            assert!(self.now <= self.begin + UNDECIDED + Duration::from_millis(20));
        }

        fn ask(&mut self, node: usize, conn: ConnId) {
            // The smaller node's first connection is the one that it dialed.
            let inbound = (conn.0 == 0) != (node == 0);
            let Node { set, other, kept, waiting, .. } = &mut self.nodes[node];
            match set.admit(conn, *other, inbound, self.now) {
                Admission::Admitted => {
                    waiting.remove(&conn);
                    kept.insert(conn);
                }
                Admission::Refused(_) => self.hang_up(node, conn),
                Admission::Undecided { until } => {
                    waiting.insert(conn);
                    self.at(until, node, Step::Timeout(conn));
                }
            }
        }

        fn hang_up(&mut self, node: usize, conn: ConnId) {
            self.end(node, conn);
            self.soon(1 - node, Step::Ended(conn));
        }

        fn end(&mut self, node: usize, conn: ConnId) {
            let Node { set, other, kept, waiting, closed } = &mut self.nodes[node];
            closed.insert(conn);
            waiting.remove(&conn);
            set.give_up(conn, *other);
            if kept.remove(&conn)
                && let Some(next) = set.remove(conn, *other)
            {
                self.ask(node, next);
            }
        }
    }
}
