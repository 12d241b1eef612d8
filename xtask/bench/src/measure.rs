//! Rounds, medians and spreads: how figures come about that can be compared.
//!
//! ```text
//!   round 1   ours  plain        the machine is as slow or as fast for both,
//!   round 2   plain ours         so it is the ratio within a round that counts
//!   …
//!             median and spread of the figures, median and spread of the ratios
//! ```
//!
//! The same program varies by a factor of two on a busy machine, in CPU time as well. What is
//! compared is therefore run in turns within one process, many rounds, and the ratio of each round
//! is taken before the median.

/// Which figures are wanted, and how carefully they are to be taken.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Rounds of each comparison.
    pub(crate) rounds: usize,
    /// Only figures whose name contains this.
    pub(crate) filter: Option<String>,
    /// Smaller batches, for a look and no publication.
    pub(crate) quick: bool,
}

impl Plan {
    /// Whether the figure of this name is wanted; says so on stderr if it is.
    pub(crate) fn begin(&self, name: &str) -> bool {
        let wanted = self.wants(name);
        if wanted {
            eprintln!("measuring {name}");
        }
        wanted
    }

    /// Whether the figure of this name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| name.contains(filter))
    }

    /// A batch of this size, or less if there is little time.
    pub(crate) fn batch(&self, size: usize) -> usize {
        if self.quick { size.div_ceil(8) } else { size }
    }
}

/// Runs the candidates in turns and returns what each measured, round by round.
///
/// Who begins changes from round to round. Two rounds to warm up are not counted.
pub(crate) fn round_robin<T>(
    rounds: usize,
    candidates: &mut [Box<dyn FnMut() -> T + '_>],
) -> Vec<Vec<T>> {
    let count = candidates.len();
    let mut results: Vec<Vec<T>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds + WARM_UP {
        for turn in 0..count {
            let index = (round + turn) % count;
            let result = candidates[index]();
            if round >= WARM_UP {
                results[index].push(result);
            }
        }
    }
    results
}

/// The middle of some figures, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// Half of the distance between the quartiles, in per cent of the median.
    pub(crate) spread: f64,
}

impl Summary {
    /// Sums up figures of several rounds.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 2);
        let distance = quantile(&sorted, 3) - quantile(&sorted, 1);
        Self { median, spread: distance / 2.0 / median * 100.0 }
    }

    /// Sums up the ratios of figures taken in the same rounds.
    pub(crate) fn of_ratios(upper: &[f64], lower: &[f64]) -> Self {
        Self::of(upper.iter().zip(lower).map(|(upper, lower)| upper / lower))
    }
}

/// The value below which so many quarters of the sorted values lie.
fn quantile(sorted: &[f64], quarters: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let (low, part) = (last * quarters / 4, last * quarters % 4);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let step = if part == 0 { 0.0 } else { at(low + 1) - at(low) };
    at(low) + step * part as f64 / 4.0
}

const WARM_UP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_median_and_half_the_distance_of_the_quartiles() {
        let summary = Summary::of([3.0, 1.0, 2.0, 1.5, 2.5]);

        assert_eq!(summary, Summary { median: 2.0, spread: 25.0 });
    }

    #[test]
    fn quartiles_between_two_values_are_interpolated() {
        assert_eq!(quantile(&[10.0, 20.0], 1), 12.5);
        assert_eq!(quantile(&[10.0, 20.0], 2), 15.0);
        assert_eq!(quantile(&[7.0], 3), 7.0);
    }

    #[test]
    fn a_slow_round_does_not_touch_the_ratio() {
        let (plain, ours) = ([2.0, 2.0, 200.0], [1.0, 1.0, 100.0]);

        assert_eq!(Summary::of_ratios(&plain, &ours), Summary { median: 2.0, spread: 0.0 });
    }

    #[test]
    fn candidates_take_turns_at_beginning() {
        let order = std::cell::RefCell::new(Vec::new());
        let candidate = |name: char| -> Box<dyn FnMut() + '_> {
            let order = &order;
            Box::new(move || order.borrow_mut().push(name))
        };

        let results = round_robin(2, &mut [candidate('a'), candidate('b')]);

        assert_eq!(order.borrow().iter().collect::<String>(), "abbaabba");
        assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }
}
