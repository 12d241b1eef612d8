//! Notices a protocol that panics again and again.
//!
//! A panic in a protocol ends one peer, not the process. But a panic that any peer can bring about
//! at will would end every peer in turn, so the third within a minute disables the protocol.
//!
//! Spec: rule L-12 of the hardening rules.

use std::time::{Duration, Instant};

/// Counts the panics of one protocol.
#[derive(Debug, Default)]
pub(crate) struct PanicCounter {
    /// The last ones, oldest first.
    // bound: one fewer than the limit; the oldest makes room
    recent: [Option<Instant>; MAX_PANICS - 1],
    disabled: bool,
}

/// What follows from a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum AfterPanic {
    /// Only the peer is lost.
    Continue,
    /// The protocol is to be disabled now; said once.
    Disable,
    /// The protocol had been disabled already.
    Disabled,
}

impl PanicCounter {
    /// No panic so far.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The protocol panicked.
    pub(crate) fn on_panic(&mut self, now: Instant) -> AfterPanic {
        if self.disabled {
            return AfterPanic::Disabled;
        }
        let first = self.recent[0];
        self.recent.rotate_left(1);
        self.recent[MAX_PANICS - 2] = Some(now);
        match first {
            Some(first) if now.saturating_duration_since(first) <= WINDOW => {
                self.disabled = true;
                AfterPanic::Disable
            }
            _ => AfterPanic::Continue,
        }
    }

    /// Whether the protocol is disabled.
    pub(crate) const fn is_disabled(&self) -> bool {
        self.disabled
    }
}

/// How many panics within the window disable a protocol.
const MAX_PANICS: usize = 3;

const WINDOW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// What each panic leads to, at these seconds.
    fn after<const N: usize>(seconds: [u64; N]) -> [AfterPanic; N] {
        let begin = Instant::now();
        let mut counter = PanicCounter::new();
        seconds.map(|second| counter.on_panic(begin + Duration::from_secs(second)))
    }

    #[test]
    fn the_third_panic_within_a_minute_disables_the_protocol_once() {
        use AfterPanic::{Continue, Disable, Disabled};

        assert_eq!(after([0, 30, 60]), [Continue, Continue, Disable]);
        assert_eq!(after([0, 0, 0, 0]), [Continue, Continue, Disable, Disabled]);
    }

    #[test]
    fn panics_spread_over_more_than_a_minute_do_not() {
        use AfterPanic::{Continue, Disable};

        assert_eq!(after([0, 31, 62, 93, 124]), [Continue; 5]);
        assert_eq!(after([0, 31, 62, 91]), [Continue, Continue, Continue, Disable]);
    }

    #[test]
    fn a_disabled_protocol_stays_so() {
        let begin = Instant::now();
        let mut counter = PanicCounter::new();
        assert!(!counter.is_disabled());

        for _ in 0..3 {
            let _ = counter.on_panic(begin);
        }

        assert!(counter.is_disabled());
        assert_eq!(counter.on_panic(begin + WINDOW * 100), AfterPanic::Disabled);
    }
}
