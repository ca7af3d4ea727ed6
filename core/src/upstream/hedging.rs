//! Whether a request that its target is slow to answer is sent to a second one, and how many may be.
//!
//! Where few answers take much longer than the rest (a collection of garbage, a noisy neighbour), asking a second target for
//! those few takes the tail off for little load: "The Tail at Scale" (Dean and Barroso, CACM 2013) calls it a hedged request.
//! Where all targets are slow it would double the load when they can bear it least, so hedges are bounded as repeats are:
//! over the last ten seconds at most `max_ratio` of the requests are hedged.

use super::retry_budget::{RetryBudget, RetryLimits};
use super::sync::{AtomicU64, Ordering};
use crate::model::Moment;
use std::time::Duration;

/// Nothing is hedged.
const OFF: u64 = u64::MAX;

/// When requests are hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeLimits {
    /// How long a target may take to begin its answer before a second one is asked.
    pub after: Duration,
    /// Hedges for each request, from 0 to 1.
    pub max_ratio: f64,
}

/// See the module.
#[derive(Debug)]
pub struct Hedging {
    /// Microseconds, or [`OFF`].
    after: AtomicU64,
    budget: RetryBudget,
}

impl Hedging {
    /// Off.
    pub(super) fn new() -> Self {
        Self { after: AtomicU64::new(OFF), budget: RetryBudget::new() }
    }

    /// Sets the limits; what was counted stays.
    pub(super) fn set(&self, limits: Option<HedgeLimits>) {
        self.budget.set(limits.map(|limits| RetryLimits { ratio: limits.max_ratio, min_per_second: 0 }));
        let micros = |after: Duration| u64::try_from(after.as_micros()).unwrap_or(OFF);
        self.after.store(limits.map_or(OFF, |limits| micros(limits.after)), Ordering::Relaxed);
    }

    /// After how long without an answer a request is hedged; `None`: it is not.
    #[inline]
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self.after.load(Ordering::Relaxed) {
            OFF => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// Counts a request, at its first attempt.
    #[inline]
    pub fn request(&self, now: Moment) {
        self.budget.request(now);
    }

    /// Draws a hedge; `false`: there have been as many as there may be.
    pub fn draw(&self, now: Moment) -> bool {
        self.after.load(Ordering::Relaxed) != OFF && self.budget.draw(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::fixtures::now;
    use proptest::prelude::*;

    fn hedging(max_ratio: f64) -> Hedging {
        let hedging = Hedging::new();
        hedging.set(Some(HedgeLimits { after: Duration::from_millis(200), max_ratio }));
        hedging
    }

    #[test]
    fn nothing_is_hedged_unless_it_is_written() {
        let hedging = Hedging::new();
        assert_eq!(hedging.after(), None);
        hedging.request(now());
        assert!(!hedging.draw(now()));
    }

    #[test]
    fn what_is_taken_off_again_hedges_no_longer() {
        let hedging = hedging(1.0);
        hedging.request(now());
        assert_eq!(hedging.after(), Some(Duration::from_millis(200)));
        hedging.set(None);
        assert_eq!(hedging.after(), None);
        assert!(!hedging.draw(now()));
    }

    proptest! {
        #[test]
        fn of_any_requests_at_most_their_ratio_is_hedged(
            requests in 0_u64..500,
            percent in 0_u32..=100,
            draws in 0_u64..600,
        ) {
            let (hedging, now) = (hedging(f64::from(percent) / 100.0), now());
            (0..requests).for_each(|_| hedging.request(now));
            let drawn = (0..draws).filter(|_| hedging.draw(now)).count() as u64;
            prop_assert_eq!(drawn, draws.min(requests * u64::from(percent) / 100));
        }
    }
}
