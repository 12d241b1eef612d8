//! Notices a peer that sends nothing but pings.
//!
//! An answer to a ping costs little, and little times a million is much. A node pings every 15 s
//! or so; more than ten a second for ten seconds in a row is nobody's keep-alive. A burst is none
//! either, and is forgiven: it may have waited in a slow network.
//!
//! ```text
//!   second   0   1   2   3   4   5   6   7   8   9
//!   pings   11  12  30  11  11  11  15  11  11  11 ◀── the eleventh here is the breach
//! ```
//!
//! Spec: rule M-05 of the hardening rules.

use std::time::{Duration, Instant};

/// Counts the pings of one peer, in constant memory.
#[derive(Debug)]
pub(crate) struct PingLimit {
    /// When the second that is being counted began.
    second: Instant,
    pings: u32,
    /// How many seconds just before this one had too many.
    busy_seconds: u32,
}

impl PingLimit {
    /// Nothing was received yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { second: now, pings: 0, busy_seconds: 0 }
    }

    /// A ping arrived.
    ///
    /// # Errors
    ///
    /// [`PingFlood`] when there were more than ten in each of the last ten seconds.
    pub(crate) fn on_ping(&mut self, now: Instant) -> Result<(), PingFlood> {
        let passed = now.saturating_duration_since(self.second).as_secs();
        if passed > 0 {
            self.on_second(passed, now);
        }
        self.pings = self.pings.saturating_add(1);
        if self.pings > MAX_PER_SECOND && self.busy_seconds + 1 >= MAX_BUSY_SECONDS {
            return Err(PingFlood);
        }
        Ok(())
    }

    /// The second that was counted is over, and perhaps quiet ones after it.
    fn on_second(&mut self, passed: u64, now: Instant) {
        if passed == 1 && self.pings > MAX_PER_SECOND {
            self.busy_seconds = (self.busy_seconds + 1).min(MAX_BUSY_SECONDS);
            self.second += Duration::from_secs(1);
        } else {
            self.busy_seconds = 0;
            self.second = now;
        }
        self.pings = 0;
    }
}

/// More pings than anyone needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_PER_SECOND} pings a second for {MAX_BUSY_SECONDS} s")]
pub(crate) struct PingFlood;

const MAX_PER_SECOND: u32 = 10;
const MAX_BUSY_SECONDS: u32 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When, in milliseconds, a stream of pings becomes a flood.
    fn flood_at(pings: impl IntoIterator<Item = u64>) -> Option<u64> {
        let begin = Instant::now();
        let mut limit = PingLimit::new(begin);
        let mut pings = pings.into_iter();
        pings.find(|at| limit.on_ping(begin + Duration::from_millis(*at)).is_err())
    }

    #[test]
    fn more_than_ten_a_second_for_ten_seconds_is_a_flood() {
        let flood = flood_at((0..).step_by(50).take(1_000));

        assert!(flood.is_some_and(|at| (9_000..10_000).contains(&at)), "{flood:?}");
        assert_eq!(PingFlood.to_string(), "more than 10 pings a second for 10 s");
    }

    #[test]
    fn ten_a_second_are_allowed_for_ever() {
        assert_eq!(flood_at((0..1_000_000).step_by(100)), None);
    }

    #[test]
    fn eleven_a_second_are_not() {
        assert!(flood_at((0..100_000).step_by(90)).is_some());
    }

    #[test]
    fn a_burst_is_forgiven() {
        let burst = std::iter::repeat_n(500, 10_000);

        assert_eq!(flood_at(burst.chain((15_000..600_000).step_by(15_000))), None);
    }

    #[test]
    fn a_quiet_second_starts_the_count_anew() {
        let busy = |from: u64| (from..from + 9_000).step_by(20);

        assert_eq!(flood_at(busy(0).chain(busy(11_000)).chain(busy(22_000))), None);
    }

    proptest! {
        #[test]
        fn whoever_keeps_a_tenth_of_a_second_between_pings_is_never_a_flooder(
            pauses in prop::collection::vec(100..5_000_u64, 0..500),
        ) {
            let mut at = 0;

            let pings = pauses.into_iter().map(|pause| {
                at += pause;
                at
            });

            prop_assert_eq!(flood_at(pings), None);
        }

        #[test]
        fn whoever_never_pauses_for_a_tenth_of_a_second_is_caught_in_time(
            pauses in prop::collection::vec(0..90_u64, 3_000..3_001),
        ) {
            let mut at = 0;
            let pings = pauses.into_iter().map(|pause| {
                at += pause;
                at
            });

            let flood = flood_at(pings);

            prop_assert!(flood.is_some_and(|at| at <= 12_000), "{:?}", flood);
        }
    }
}
