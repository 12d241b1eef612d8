//! Bans: nodes and networks that somebody ordered to be kept out.

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr, time::Instant};

use enode::NodeId;

use crate::{
    address,
    net_restrict::{Cidr, CidrError},
};

/// Whom a ban is about.
///
/// Written as a node id of 64 hex digits, an IP address, or a network like `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanTarget {
    /// A node, wherever it is.
    Node(NodeId),
    /// All addresses of a network; a single address is a network of one.
    Net(Cidr),
}

impl From<NodeId> for BanTarget {
    fn from(node: NodeId) -> Self {
        Self::Node(node)
    }
}

impl From<Cidr> for BanTarget {
    fn from(network: Cidr) -> Self {
        Self::Net(network)
    }
}

impl From<IpAddr> for BanTarget {
    fn from(ip: IpAddr) -> Self {
        Self::Net(Cidr::single(ip))
    }
}

impl FromStr for BanTarget {
    type Err = BanTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Ok(Self::Net(text.parse()?));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        text.parse().map(Self::Node).map_err(|_| BanTargetError::Unknown)
    }
}

impl fmt::Display for BanTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Net(network) if network.is_single() => network.address().fmt(f),
            Self::Net(network) => network.fmt(f),
        }
    }
}

/// Why a text names nobody who could be banned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BanTargetError {
    /// It is none of the three forms.
    #[error("invalid ban target, want a node id of 64 hex digits, an IP address or a network")]
    Unknown,
    /// It has a slash and is no network.
    #[error(transparent)]
    Network(#[from] CidrError),
}

/// The bans.
#[derive(Debug, Default)]
pub(super) struct BanList {
    // bound: MAX_BANS, then the ban that ends first is lifted
    until: BTreeMap<BanTarget, Instant>,
}

impl BanList {
    pub(super) fn insert(&mut self, target: BanTarget, until: Instant) {
        self.until.insert(target, until);
        if self.until.len() > MAX_BANS {
            let first = self.until.iter().min_by_key(|(_, until)| **until);
            if let Some(target) = first.map(|(target, _)| *target) {
                self.until.remove(&target);
            }
        }
    }

    pub(super) fn remove(&mut self, target: &BanTarget, now: Instant) -> bool {
        self.until.remove(target).is_some_and(|until| now < until)
    }

    pub(super) fn in_force(&self, now: Instant) -> Vec<(BanTarget, Instant)> {
        let in_force = self.until.iter().filter(|(_, until)| now < **until);
        in_force.map(|(target, until)| (*target, *until)).collect()
    }

    pub(super) fn has_id(&self, node: &NodeId, now: Instant) -> bool {
        self.has(&BanTarget::Node(*node), now)
    }

    /// Looks for each network that the address could belong to, from one address to all: 33 or
    /// 129 of them, however many bans there are.
    pub(super) fn has_ip(&self, ip: IpAddr, now: Instant) -> bool {
        let ip = address::canonical(ip);
        let networks = (0..=Cidr::single(ip).prefix()).rev().map(|prefix| Cidr::new(ip, prefix));
        networks.flatten().any(|network| self.has(&BanTarget::Net(network), now))
    }

    fn has(&self, target: &BanTarget, now: Instant) -> bool {
        self.until.get(target).is_some_and(|until| now < *until)
    }
}

const MAX_BANS: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn target(text: &str) -> BanTarget {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn each_form_of_target_is_printed_as_it_is_read() {
        let node = "ab".repeat(32);

        for text in [node.as_str(), "10.0.0.1", "10.0.0.0/8", "2001:db8::1", "2001:db8::/32"] {
            assert_eq!(target(text).to_string(), text);
        }
        assert_eq!(target("10.0.0.1/32").to_string(), "10.0.0.1");
        assert_eq!(target("::ffff:10.0.0.1").to_string(), "10.0.0.1");
        assert_eq!(target(&node.to_uppercase()), target(&node));
    }

    #[test]
    fn other_texts_are_no_targets() {
        for text in ["", "x", "10.0.0", "abab", "10.0.0.0/33", "/8", "10.0.0.1 "] {
            assert!(text.parse::<BanTarget>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_ban_of_a_network_holds_for_all_its_addresses() {
        let now = Instant::now();
        let mut bans = BanList::default();
        bans.insert(target("10.1.0.0/16"), now + MINUTE);
        bans.insert(target("2001:db8::/32"), now + MINUTE);

        assert!(bans.has_ip(ip("10.1.200.3"), now));
        assert!(bans.has_ip(ip("::ffff:10.1.200.3"), now));
        assert!(bans.has_ip(ip("2001:db8:1::1"), now));
        assert!(!bans.has_ip(ip("10.2.0.1"), now));
        assert!(!bans.has_ip(ip("2001:db9::1"), now));
    }

    #[test]
    fn a_ban_of_everything_bans_everyone() {
        let now = Instant::now();
        let mut bans = BanList::default();

        bans.insert(target("0.0.0.0/0"), now + MINUTE);

        assert!(bans.has_ip(ip("255.255.255.255"), now));
        assert!(!bans.has_ip(ip("::1"), now));
    }

    #[test]
    fn a_ban_ends_at_its_time() {
        let now = Instant::now();
        let mut bans = BanList::default();
        bans.insert(target("10.0.0.1"), now + MINUTE);

        assert!(bans.has_ip(ip("10.0.0.1"), now + MINUTE - Duration::from_nanos(1)));
        assert!(!bans.has_ip(ip("10.0.0.1"), now + MINUTE));
        assert!(bans.in_force(now + MINUTE).is_empty());
        assert!(!bans.remove(&target("10.0.0.1"), now + MINUTE));
    }

    #[test]
    fn a_full_list_lifts_the_ban_that_ends_first() {
        let now = Instant::now();
        let mut bans = BanList::default();
        for number in 0..u32::try_from(MAX_BANS).unwrap() {
            let wait = if number == 9 { MINUTE } else { MINUTE * 2 };
            bans.insert(IpAddr::V4(number.into()).into(), now + wait);
        }

        bans.insert(target("200.0.0.1"), now + MINUTE * 3);

        assert_eq!(bans.until.len(), MAX_BANS);
        assert!(!bans.has_ip(IpAddr::V4(9.into()), now));
        assert!(bans.has_ip(ip("200.0.0.1"), now));
    }
}
