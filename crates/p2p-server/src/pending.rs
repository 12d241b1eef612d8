//! The pool of inbound connections whose handshake is under way.
//!
//! The pool is small, so whoever fills it with connections that say nothing would keep everyone
//! else out. Therefore a newcomer takes the place of the oldest connection that has proven
//! nothing. Having sent a valid auth is proof enough: it costs a signature and a key, and such a
//! connection is never put out for a newcomer.
//!
//! ```text
//!   newcomer ──▶ ┌──────────────────────────────────────┬──────────┐
//!                │ silent  silent  authenticated  silent │ reserved │   50 places
//!                └────┬─────────────────────────────────┴──────────┘
//!                     ▼ evicted when full                4 for the addresses of static
//!                                                        and trusted peers
//! ```
//!
//! Spec: rule L-01 of the hardening rules; go-ethereum stops accepting instead.

use std::collections::BTreeMap;

/// Counts connections between accept and admission; the driver holds the sockets.
#[derive(Debug)]
pub(crate) struct PendingPool {
    max_pending: usize,
    reserved_places: usize,
    /// In the order in which they came: the key counts upward.
    // bound: max_pending, then Admit::Evict or Admit::Refuse
    connections: BTreeMap<u64, Connection>,
    /// From the driver's name for a connection to the key above.
    // bound: one for each entry of `connections`
    arrivals: BTreeMap<u64, u64>,
    next_arrival: u64,
}

/// What to do with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admit {
    /// There is a place for it.
    Ok,
    /// It has the place of this connection, which is to be closed and is out of the pool already.
    Evict(u64),
    /// Close it: every place is taken by a connection with a better claim.
    Refuse,
}

impl PendingPool {
    /// A pool of `max_pending` places, of which up to 4, but never more than half, are reserved.
    pub(crate) fn new(max_pending: usize) -> Self {
        Self {
            max_pending,
            reserved_places: MAX_RESERVED.min(max_pending / 2),
            connections: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            next_arrival: 0,
        }
    }

    /// A connection was accepted; `token` is the driver's name for it, `reserved` whether it comes
    /// from the address of a static or trusted peer.
    ///
    /// A token that is in the pool already keeps its place.
    pub(crate) fn admit(&mut self, token: u64, reserved: bool) -> Admit {
        if self.arrivals.contains_key(&token) {
            return Admit::Ok;
        }
        let others = self.connections.values().filter(|connection| !connection.reserved).count();
        let is_open = self.connections.len() < self.max_pending
            && (reserved || others < self.max_pending - self.reserved_places);
        let evicted = if is_open {
            None
        } else {
            // Reserved places protect those in them from other newcomers, not from each other.
            let Some(arrival) =
                self.oldest_silent(false).or_else(|| self.oldest_silent(true).filter(|_| reserved))
            else {
                return Admit::Refuse;
            };
            self.take(arrival)
        };
        self.insert(token, reserved);
        evicted.map_or(Admit::Ok, |connection| Admit::Evict(connection.token))
    }

    /// The connection has sent a valid auth and is not evicted any more.
    pub(crate) fn on_authenticated(&mut self, token: u64) {
        let arrival = self.arrivals.get(&token);
        if let Some(connection) = arrival.and_then(|arrival| self.connections.get_mut(arrival)) {
            connection.authenticated = true;
        }
    }

    /// The connection is a peer now, or closed. `false` when it was not in the pool.
    pub(crate) fn remove(&mut self, token: u64) -> bool {
        let arrival = self.arrivals.get(&token).copied();
        arrival.and_then(|arrival| self.take(arrival)).is_some()
    }

    /// How many connections are in the pool.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    fn insert(&mut self, token: u64, reserved: bool) {
        let connection = Connection { token, reserved, authenticated: false };
        self.connections.insert(self.next_arrival, connection);
        self.arrivals.insert(token, self.next_arrival);
        self.next_arrival += 1;
    }

    fn take(&mut self, arrival: u64) -> Option<Connection> {
        let connection = self.connections.remove(&arrival)?;
        self.arrivals.remove(&connection.token);
        Some(connection)
    }

    fn oldest_silent(&self, reserved: bool) -> Option<u64> {
        let silent =
            |connection: &Connection| !connection.authenticated && connection.reserved == reserved;
        let mut connections = self.connections.iter();
        connections.find(|(_, connection)| silent(connection)).map(|(arrival, _)| *arrival)
    }
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    token: u64,
    reserved: bool,
    authenticated: bool,
}

/// How many places are kept for addresses that belong to static and trusted peers.
const MAX_RESERVED: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A pool of ten places, six of them taken by silent strangers 0 to 5: full for strangers.
    fn full() -> PendingPool {
        let mut pool = PendingPool::new(10);
        for token in 0..6 {
            assert_eq!(pool.admit(token, false), Admit::Ok);
        }
        pool
    }

    #[test]
    fn a_full_pool_puts_out_the_oldest_silent_connection() {
        let mut pool = full();

        assert_eq!(pool.admit(6, false), Admit::Evict(0));
        assert_eq!(pool.admit(7, false), Admit::Evict(1));
        assert_eq!(pool.len(), 6);
        assert!(!pool.remove(0));
    }

    #[test]
    fn connections_past_auth_stay() {
        let mut pool = full();
        pool.on_authenticated(0);
        pool.on_authenticated(1);

        assert_eq!(pool.admit(6, false), Admit::Evict(2));
    }

    #[test]
    fn a_newcomer_is_refused_when_all_are_past_auth() {
        let mut pool = full();
        for token in 0..6 {
            pool.on_authenticated(token);
        }

        assert_eq!(pool.admit(6, false), Admit::Refuse);
        assert_eq!(pool.len(), 6);
        assert!(pool.remove(3));
        assert_eq!(pool.admit(6, false), Admit::Ok);
    }

    #[test]
    fn reserved_places_are_left_when_strangers_fill_the_pool() {
        let mut pool = full();
        for token in 0..6 {
            pool.on_authenticated(token);
        }

        for token in 10..14 {
            assert_eq!(pool.admit(token, true), Admit::Ok);
        }
        assert_eq!(pool.admit(14, true), Admit::Evict(10));
        assert_eq!(pool.len(), 10);
    }

    #[test]
    fn strangers_do_not_put_out_silent_friends() {
        let mut pool = full();
        for token in 0..6 {
            pool.on_authenticated(token);
        }
        pool.admit(10, true);

        assert_eq!(pool.admit(6, false), Admit::Refuse);
    }

    #[test]
    fn friends_put_out_silent_strangers_first() {
        let mut pool = PendingPool::new(10);
        for token in 10..14 {
            pool.admit(token, true);
        }
        for token in 0..6 {
            pool.admit(token, false);
        }

        assert_eq!(pool.admit(14, true), Admit::Evict(0));
    }

    #[test]
    fn friends_may_have_all_places() {
        let mut pool = PendingPool::new(10);

        for token in 0..10 {
            assert_eq!(pool.admit(token, true), Admit::Ok);
        }
        assert_eq!(pool.admit(10, false), Admit::Refuse);
        for token in 0..10 {
            pool.on_authenticated(token);
        }
        assert_eq!(pool.admit(11, true), Admit::Refuse);
    }

    #[test]
    fn a_pool_of_one_takes_one() {
        let mut pool = PendingPool::new(1);

        assert_eq!(pool.admit(0, false), Admit::Ok);
        assert_eq!(pool.admit(1, false), Admit::Evict(0));
        pool.on_authenticated(1);
        assert_eq!(pool.admit(2, true), Admit::Refuse);
    }

    #[test]
    fn unknown_tokens_change_nothing() {
        let mut pool = PendingPool::new(1);

        pool.on_authenticated(7);

        assert!(!pool.remove(7));
        assert_eq!(pool.len(), 0);
    }

    proptest! {
        #[test]
        fn the_pool_is_never_overfull_and_never_puts_out_the_authenticated(
            max_pending in 1..12_usize,
            steps in prop::collection::vec((0..3_u8, 0..30_u64, any::<bool>()), 0..300),
        ) {
            let mut pool = PendingPool::new(max_pending);
            let mut inside: BTreeMap<u64, (bool, bool)> = BTreeMap::new();

            for (what, token, reserved) in steps {
                match what {
                    0 if !inside.contains_key(&token) => match pool.admit(token, reserved) {
                        Admit::Ok => {
                            inside.insert(token, (reserved, false));
                        }
                        Admit::Evict(evicted) => {
                            let (was_reserved, was_authenticated) =
                                inside.remove(&evicted).unwrap();
                            prop_assert!(!was_authenticated);
                            prop_assert!(reserved || !was_reserved);
                            inside.insert(token, (reserved, false));
                        }
                        Admit::Refuse => {
                            let mut silent = inside.values().filter(|(_, proven)| !proven);
                            prop_assert!(silent.all(|(friend, _)| *friend && !reserved));
                        }
                    },
                    0 | 1 => {
                        pool.on_authenticated(token);
                        if let Some((_, proven)) = inside.get_mut(&token) {
                            *proven = true;
                        }
                    }
                    _ => prop_assert_eq!(pool.remove(token), inside.remove(&token).is_some()),
                }
                prop_assert_eq!(pool.len(), inside.len());
                prop_assert_eq!(pool.arrivals.len(), inside.len());
                prop_assert!(inside.len() <= max_pending);
                let strangers = inside.values().filter(|(friend, _)| !friend).count();
                prop_assert!(strangers <= max_pending - 4.min(max_pending / 2));
            }
        }
    }
}
