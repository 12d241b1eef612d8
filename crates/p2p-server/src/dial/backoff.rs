//! How long to wait before the same node is dialed again.
//!
//! ```text
//!   static node, by attempts in a row that led to no lasting connection
//!     1     2     3      4      5      6 …
//!     35 s  70 s  140 s  280 s  560 s  600 s      each ±20 %, never under 35 s or over 600 s
//!
//!   any other node, by what it said when it hung up
//!     too many peers                   60 s
//!     useless, incompatible version    600 s
//!     anything else                    35 s, counted from the start of the attempt
//! ```
//!
//! The jitter keeps two nodes that lost each other in one moment from dialing each other in one
//! moment for ever. The floor keeps us under the inbound throttle of the other side, which turns
//! away an address that it has seen within 30 s.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::reason::DisconnectReason;

/// The time from the start of one attempt to the start of the next, after `failures` attempts in
/// a row came to nothing.
///
/// `floor` is the wait after the first of them.
pub(super) fn redial_delay(failures: u32, floor: Duration, rng: &mut dyn Rng) -> Duration {
    let cap = MAX_DELAY.max(floor);
    let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
    let planned = floor.saturating_mul(1 << doublings).min(cap);
    // The range is narrowed at both ends rather than the result cut off, because a cut would put
    // half of all nodes on exactly the same delay.
    let earliest = (planned * 4 / 5).max(floor);
    let latest = (planned * 6 / 5).min(cap);
    earliest + (latest.saturating_sub(earliest)) * rng.random_range(0..=1000) / 1000
}

/// How long a node that is not static is left alone after it gave this reason; `None` when the
/// ordinary history is enough.
pub(super) const fn left_alone(reason: DisconnectReason) -> Option<Duration> {
    match reason {
        DisconnectReason::TooManyPeers => Some(FULL_DELAY),
        DisconnectReason::UselessPeer | DisconnectReason::IncompatibleVersion => Some(UNFIT_DELAY),
        DisconnectReason::Requested
        | DisconnectReason::NetworkError
        | DisconnectReason::ProtocolError
        | DisconnectReason::AlreadyConnected
        | DisconnectReason::InvalidIdentity
        | DisconnectReason::Quitting
        | DisconnectReason::UnexpectedIdentity
        | DisconnectReason::SelfConnect
        | DisconnectReason::ReadTimeout
        | DisconnectReason::SubprotocolError
        | DisconnectReason::Unknown(_)
        | DisconnectReason::Invalid => None,
    }
}

/// Longest wait between two attempts at a static node.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(600);

/// A connection that lasted this long was a success: the next failure counts as the first.
pub(super) const LASTING: Duration = Duration::from_secs(60);

/// A full node may have a slot free after a minute.
const FULL_DELAY: Duration = Duration::from_secs(60);

/// A node of another network, or of another version, will be that for a while.
const UNFIT_DELAY: Duration = Duration::from_secs(600);

/// Enough to bring any floor of a second or more to the cap; keeps the shift in range.
const MAX_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const FLOOR: Duration = Duration::from_secs(35);

    #[test]
    fn each_failure_doubles_the_wait_up_to_ten_minutes() {
        let mut rng = StdRng::seed_from_u64(1);

        for (failures, planned) in [(1, 35), (2, 70), (3, 140), (4, 280), (5, 560), (6, 600)] {
            let delay = redial_delay(failures, FLOOR, &mut rng).as_secs_f64();

            assert!((delay / f64::from(planned) - 1.0).abs() <= 0.2, "{failures}: {delay}");
        }
    }

    #[test]
    fn waits_are_spread_even_at_both_ends() {
        let mut rng = StdRng::seed_from_u64(2);

        for failures in [0, 1, 100] {
            let mut delays: Vec<_> =
                (0..100).map(|_| redial_delay(failures, FLOOR, &mut rng)).collect();
            delays.sort();
            delays.dedup();

            assert!(delays.len() > 50, "{failures}: {} different waits", delays.len());
        }
    }

    #[test]
    fn reasons_that_last_keep_a_candidate_away_longer() {
        assert_eq!(left_alone(DisconnectReason::TooManyPeers), Some(Duration::from_secs(60)));
        assert_eq!(left_alone(DisconnectReason::UselessPeer), Some(Duration::from_secs(600)));
        assert_eq!(
            left_alone(DisconnectReason::IncompatibleVersion),
            Some(Duration::from_secs(600))
        );
        assert_eq!(left_alone(DisconnectReason::Quitting), None);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_a_fifth_of_the_plan_and_within_the_limits(
            failures in any::<u32>(),
            floor in 1..900_000_u64,
            seed in any::<u64>(),
        ) {
            let floor = Duration::from_millis(floor);
            let cap = MAX_DELAY.max(floor);

            let delay = redial_delay(failures, floor, &mut StdRng::seed_from_u64(seed));

            let planned = (floor.as_secs_f64()
                * 2_f64.powi(failures.saturating_sub(1).min(16).cast_signed()))
            .min(cap.as_secs_f64());
            prop_assert!((delay.as_secs_f64() / planned - 1.0).abs() <= 0.2001);
            prop_assert!(delay >= floor && delay <= cap);
        }
    }
}
