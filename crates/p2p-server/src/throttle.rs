//! At most one connection from an address in 30 s.
//!
//! Whoever opens connections faster than anyone has a use for is turned away before a single byte
//! is read or a key is touched. Only attempts that were let in count, so that a node that tries
//! again too early is not kept out for ever.
//!
//! ```text
//!   seen    ip ─▶ until            one entry each, so both have the same length
//!   order   (until, ip) (until, ip) …    the oldest in front
//! ```
//!
//! Spec: ethereum/go-ethereum:p2p/server.go, `checkInboundConn`. An IPv6 address counts as the
//! /64 around it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::address;

/// Remembers from where connections came.
#[derive(Debug)]
pub(crate) struct InboundThrottle {
    throttles_lan: bool,
    // bound: MAX_ENTRIES, then the oldest is forgotten
    seen: BTreeMap<IpAddr, Instant>,
    // bound: one for each entry of `seen`
    order: VecDeque<(Instant, IpAddr)>,
}

impl InboundThrottle {
    /// A throttle that has seen nobody.
    ///
    /// Addresses of this machine and of private networks are let in always, unless
    /// `throttles_lan`, which is for tests of the throttle itself.
    pub(crate) const fn new(throttles_lan: bool) -> Self {
        Self { throttles_lan, seen: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Lets a connection in and remembers its address, or turns it away.
    ///
    /// # Errors
    ///
    /// [`TooManyAttempts`] when the address was let in within 30 s.
    pub(crate) fn admit(&mut self, ip: IpAddr, now: Instant) -> Result<(), TooManyAttempts> {
        self.forget_old(now);
        if address::is_lan(ip) && !self.throttles_lan {
            return Ok(());
        }
        let owner = address::owner(ip);
        if self.seen.contains_key(&owner) {
            return Err(TooManyAttempts);
        }
        if self.seen.len() >= MAX_ENTRIES
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        let until = now + INTERVAL;
        self.seen.insert(owner, until);
        self.order.push_back((until, owner));
        Ok(())
    }

    /// How many addresses are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(until, owner)) = self.order.front()
            && until <= now
        {
            self.order.pop_front();
            self.seen.remove(&owner);
        }
    }
}

/// The address has been let in a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub(crate) struct TooManyAttempts;

/// Source: ethereum/go-ethereum:p2p/server.go, `inboundThrottleTime`.
const INTERVAL: Duration = Duration::from_secs(30);

/// Two thousand new addresses a second for the whole interval; about 6 MiB.
const MAX_ENTRIES: usize = 65_536;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_address_is_let_in_once_in_30_seconds() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(false);

        assert_eq!(throttle.admit(ip("8.8.8.8"), now), Ok(()));
        assert_eq!(throttle.admit(ip("8.8.8.8"), now + SECOND * 29), Err(TooManyAttempts));
        assert_eq!(throttle.admit(ip("8.8.8.9"), now + SECOND * 29), Ok(()));
        assert_eq!(throttle.admit(ip("8.8.8.8"), now + SECOND * 30), Ok(()));
        assert_eq!(TooManyAttempts.to_string(), "too many attempts");
    }

    #[test]
    fn attempts_that_were_turned_away_do_not_prolong_the_wait() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(false);
        throttle.admit(ip("8.8.8.8"), now).unwrap();

        for second in 1..30 {
            throttle.admit(ip("8.8.8.8"), now + SECOND * second).unwrap_err();
        }

        assert_eq!(throttle.admit(ip("8.8.8.8"), now + SECOND * 30), Ok(()));
    }

    #[test]
    fn an_attempt_that_was_let_in_starts_the_wait_anew() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(false);
        throttle.admit(ip("8.8.8.8"), now).unwrap();
        throttle.admit(ip("8.8.8.8"), now + SECOND * 40).unwrap();

        assert!(throttle.admit(ip("8.8.8.8"), now + SECOND * 69).is_err());
        assert!(throttle.admit(ip("8.8.8.8"), now + SECOND * 70).is_ok());
    }

    #[test]
    fn neighbours_are_always_let_in() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(false);

        for text in ["127.0.0.1", "192.168.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"] {
            assert!(throttle.admit(ip(text), now).is_ok());
            assert!(throttle.admit(ip(text), now).is_ok());
        }
        assert_eq!(throttle.len(), 0);
    }

    #[test]
    fn neighbours_are_throttled_where_that_is_asked_for() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(true);

        assert!(throttle.admit(ip("127.0.0.1"), now).is_ok());
        assert!(throttle.admit(ip("127.0.0.1"), now).is_err());
    }

    #[test]
    fn an_ipv6_line_is_one_address_and_a_wrapped_ipv4_address_is_itself() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(false);

        assert!(throttle.admit(ip("2001:db8:0:1::1"), now).is_ok());
        assert!(throttle.admit(ip("2001:db8:0:1::2"), now).is_err());
        assert!(throttle.admit(ip("2001:db8:0:2::1"), now).is_ok());
        assert!(throttle.admit(ip("8.8.8.8"), now).is_ok());
        assert!(throttle.admit(ip("::ffff:8.8.8.8"), now).is_err());
        assert!(throttle.admit(ip("::ffff:8.8.8.9"), now).is_ok());
    }

    #[test]
    fn a_full_memory_forgets_the_oldest() {
        let now = Instant::now();
        let mut throttle = InboundThrottle::new(false);
        let address =
            |number: usize| IpAddr::V4((0x1000_0000 + u32::try_from(number).unwrap()).into());
        for number in 0..MAX_ENTRIES {
            throttle.admit(address(number), now).unwrap();
        }

        throttle.admit(address(MAX_ENTRIES), now).unwrap();

        assert_eq!((throttle.len(), throttle.order.len()), (MAX_ENTRIES, MAX_ENTRIES));
        assert!(throttle.admit(address(1), now).is_err());
        assert!(throttle.admit(address(0), now).is_ok());
    }

    proptest! {
        #[test]
        fn no_address_is_let_in_twice_within_the_interval(
            attempts in prop::collection::vec((0..6_u32, 0..20_u64), 0..200),
        ) {
            let mut now = Instant::now();
            let mut throttle = InboundThrottle::new(false);
            let mut let_in: BTreeMap<u32, Instant> = BTreeMap::new();

            for (number, pause) in attempts {
                now += SECOND * u32::try_from(pause).unwrap();
                let is_free = let_in.get(&number).is_none_or(|last| now - *last >= INTERVAL);
                let address = IpAddr::V4((0x0808_0800 + number).into());

                prop_assert_eq!(throttle.admit(address, now).is_ok(), is_free);

                if is_free {
                    let_in.insert(number, now);
                }
                prop_assert_eq!(throttle.seen.len(), throttle.order.len());
            }
        }
    }
}
