//! Who has misbehaved, and who is banned.
//!
//! Every breach costs points, against the address it came from and, once it is proven, against the
//! node. Points halve every ten minutes; whoever has ten is not let in for ten minutes. Bans are
//! another thing: somebody ordered them, they hold for everyone and until their time is over.
//!
//! ```text
//!   10 ┤ ─ ─ ─ ─ ─ ─ ╭╮─ ─ ─ ─ ─ ─ ─ ─  refused for ten minutes from here
//!      │          ╭──╯│
//!    5 ┤      ╭───╯   ╰────────╮
//!      │  ╭───╯                ╰────────╮
//!    0 ┼──╯─────────────────────────────╰──
//!        breach, breach      10 min   10 min
//! ```
//!
//! An IPv6 address is counted as the /64 around it. Addresses of this machine and of private
//! networks, and trusted peers, are counted and never refused for it.
//!
//! The points are ours, no rule of the wire: four malformed handshakes in ten minutes are forgiven,
//! and a fifth is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use enode::NodeId;

use self::ban::BanList;
use crate::address;

mod ban;
#[cfg(test)]
mod tests;

pub use self::ban::{BanTarget, BanTargetError};

/// The scores of addresses and nodes, and the bans.
#[derive(Debug, Default)]
pub(crate) struct Reputation {
    addresses: ScoreBoard<IpAddr>,
    nodes: ScoreBoard<NodeId>,
    bans: BanList,
}

/// A breach of the rules, as far as somebody can be blamed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) enum Offence {
    /// No valid auth, or no hello, in its time.
    HandshakeTimeout,
    /// An auth that is too long, too short, cannot be decrypted or decoded, or whose keys are none.
    BadAuth,
    /// The node that we dialed answered with an ack of that kind, or is not who it should be.
    BadAck,
    /// A frame before the hello whose MAC is wrong or that is too long.
    BadFirstFrame,
    /// The first message is no hello, or one that cannot be decoded or has no node key.
    BadHello,
    /// The hello's key is not the one that the handshake proved.
    UnexpectedIdentity,
    /// A message code that is in no protocol or is no number.
    BadMessageCode,
    /// A message that cannot be decompressed, is empty or too long.
    BadCompression,
    /// More pings than anyone needs.
    PingFlood,
    /// A message that its protocol cannot decode or does not allow.
    InvalidMessage,
    /// Another failure of a protocol.
    ProtocolFailed,
    /// The budget of unread bytes was full for too long.
    BudgetExceeded,
}

impl Offence {
    /// What it costs.
    const fn penalty(self) -> Penalty {
        let (address, node) = match self {
            Self::HandshakeTimeout | Self::BadHello => (1, 0),
            Self::BadAuth | Self::BadFirstFrame => (2, 0),
            Self::BadAck => (0, 2),
            Self::UnexpectedIdentity | Self::ProtocolFailed | Self::BudgetExceeded => (2, 2),
            Self::BadMessageCode | Self::PingFlood => (4, 4),
            Self::BadCompression | Self::InvalidMessage => (8, 8),
        };
        Penalty { address, node }
    }
}

/// Points against the address and against the node.
struct Penalty {
    address: u64,
    node: u64,
}

impl Reputation {
    /// A clean sheet for everyone.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Counts a breach against an address and, where its identity is proven, a node.
    ///
    /// Before that a node is only named, and naming must not be able to harm it.
    pub(crate) fn on_offence(
        &mut self,
        ip: IpAddr,
        node: Option<NodeId>,
        offence: Offence,
        now: Instant,
    ) {
        let penalty = offence.penalty();
        self.addresses.add(address::owner(ip), penalty.address, now);
        if let Some(node) = node {
            self.nodes.add(node, penalty.node, now);
        }
    }

    /// Whether a connection from this address is refused because of its score.
    ///
    /// Never for addresses of this machine and of private networks.
    pub(crate) fn refuses_ip(&self, ip: IpAddr, now: Instant) -> bool {
        !address::is_lan(ip) && self.addresses.is_refused(&address::owner(ip), now)
    }

    /// Whether a connection of this node is refused because of its score.
    ///
    /// The caller exempts trusted peers and those of private networks.
    pub(crate) fn refuses_id(&self, node: &NodeId, now: Instant) -> bool {
        self.nodes.is_refused(node, now)
    }

    /// The points against an address, rounded down.
    #[cfg(test)]
    pub(crate) fn ip_score(&self, ip: IpAddr, now: Instant) -> u64 {
        self.addresses.score(&address::owner(ip), now)
    }

    /// The points against a node, rounded down.
    #[cfg(test)]
    pub(crate) fn id_score(&self, node: &NodeId, now: Instant) -> u64 {
        self.nodes.score(node, now)
    }

    /// Bans a node or a network until then, in place of an earlier ban of the same target.
    pub(crate) fn ban(&mut self, target: BanTarget, until: Instant) {
        self.bans.insert(target, until);
    }

    /// Lifts a ban. `false` when there was none in force.
    pub(crate) fn unban(&mut self, target: &BanTarget, now: Instant) -> bool {
        self.bans.remove(target, now)
    }

    /// The bans in force and when they end, nodes first, in the order of the targets.
    pub(crate) fn bans(&self, now: Instant) -> Vec<(BanTarget, Instant)> {
        self.bans.in_force(now)
    }

    /// Whether the address, or a network it belongs to, is banned.
    pub(crate) fn is_banned_ip(&self, ip: IpAddr, now: Instant) -> bool {
        self.bans.has_ip(ip, now)
    }

    /// Whether the node is banned.
    pub(crate) fn is_banned_id(&self, node: &NodeId, now: Instant) -> bool {
        self.bans.has_id(node, now)
    }
}

/// Scores by key.
#[derive(Debug)]
struct ScoreBoard<K> {
    // bound: MAX_ENTRIES, then the score that is forgotten first anyway goes first
    scores: BTreeMap<K, Score>,
    /// The same keys, by when their score means nothing any more.
    // bound: one for each entry of `scores`
    by_end: BTreeSet<(Instant, K)>,
}

impl<K> Default for ScoreBoard<K> {
    fn default() -> Self {
        Self { scores: BTreeMap::new(), by_end: BTreeSet::new() }
    }
}

impl<K: Copy + Ord> ScoreBoard<K> {
    fn add(&mut self, key: K, points: u64, now: Instant) {
        if points == 0 {
            return;
        }
        self.forget_old(now);
        let mut score = self.scores.remove(&key).unwrap_or_else(|| Score::new(now));
        self.by_end.remove(&(score.end(), key));
        score.add(points, now);
        self.by_end.insert((score.end(), key));
        self.scores.insert(key, score);
        if self.scores.len() > MAX_ENTRIES
            && let Some((_, first)) = self.by_end.pop_first()
        {
            self.scores.remove(&first);
        }
    }

    fn is_refused(&self, key: &K, now: Instant) -> bool {
        let refused_until = self.scores.get(key).and_then(|score| score.refused_until);
        refused_until.is_some_and(|until| now < until)
    }

    #[cfg(test)]
    fn score(&self, key: &K, now: Instant) -> u64 {
        self.scores.get(key).map_or(0, |score| score.millipoints(now) / MILLI)
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(end, key)) = self.by_end.first()
            && end <= now
        {
            self.by_end.pop_first();
            self.scores.remove(&key);
        }
    }
}

/// Points that halve as time passes.
#[derive(Debug, Clone, Copy)]
struct Score {
    /// Thousandths of a point, so that halving a small score loses nothing that matters.
    millipoints: u64,
    /// When they were that many; moves on by whole half-lives.
    since: Instant,
    refused_until: Option<Instant>,
}

impl Score {
    const fn new(now: Instant) -> Self {
        Self { millipoints: 0, since: now, refused_until: None }
    }

    fn add(&mut self, points: u64, now: Instant) {
        let halvings = self.halvings(now);
        self.millipoints = self.millipoints(now).saturating_add(points.saturating_mul(MILLI));
        self.since += HALF_LIFE * halvings;
        if self.millipoints >= REFUSED_FROM * MILLI {
            self.refused_until = Some(now + REFUSED_FOR);
        }
    }

    fn millipoints(&self, now: Instant) -> u64 {
        self.millipoints.checked_shr(self.halvings(now)).unwrap_or(0)
    }

    /// How many half-lives have passed since `since`.
    fn halvings(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.since).as_secs() / HALF_LIFE.as_secs();
        u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// When less than one point is left and nothing is refused any more.
    fn end(&self) -> Instant {
        let points = (self.millipoints / MILLI).max(1);
        let faded = self.since + HALF_LIFE * (points.ilog2() + 1);
        self.refused_until.map_or(faded, |until| until.max(faded))
    }
}

/// A point, in the unit that is kept.
const MILLI: u64 = 1_000;

const HALF_LIFE: Duration = Duration::from_secs(600);

/// Points from which on connections are refused.
const REFUSED_FROM: u64 = 10;

/// For how long, from the last breach on.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// For each of the two boards; about 10 MiB when all is full.
const MAX_ENTRIES: usize = 65_536;
