//! How much of an upstream's load may be repeats: a budget over a sliding window, shared by all workers.
//!
//! A limit of tries per request does not bound what a failing pool is sent: with five tries each, a pool that fails gets six
//! times its load when it can bear it least. A budget does. Over the last ten seconds, repeats are at most
//! `ratio` × requests + `min_per_second` × 10; the second part lets a quiet upstream repeat at all. This is Finagle's `RetryBudget`
//! (com.twitter.finagle.service.RetryBudget: a `ttl` of 10 s, `percentCanRetry` 0.2, `minRetriesPerSec` 10), which Linkerd
//! took over with the same defaults; Envoy's `retry_budget` bounds repeats by requests in flight instead.
//!
//! The window slides by whole seconds: it is this second and the nine before. A request costs one addition; a repeat, which
//! is rare, looks at the whole window. It is counted before it is allowed, so that of workers that draw at the same time at
//! least the last one sees all the others, and the bound holds exactly; a draw that is refused may refuse another one beside
//! it.

use super::sync::{AtomicU64, Ordering};
use crate::model::Moment;

/// The window, in seconds.
const SECONDS: u32 = 10;

/// No budget: repeats are bounded by the service's `retries` alone.
const OFF: u64 = u64::MAX;

/// The unit of a ratio inside.
const MILLION: f64 = 1e6;

/// Bounds of repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryLimits {
    /// Repeats for each request, from 0 to 1.
    pub ratio: f64,
    /// Repeats a second that are allowed besides.
    pub min_per_second: u32,
}

/// See the module.
#[derive(Debug)]
pub struct RetryBudget {
    /// Millionths of `ratio` in the upper half, `min_per_second` in the lower; or [`OFF`].
    limits: AtomicU64,
    requests: Window,
    repeats: Window,
}

impl RetryBudget {
    /// Without a limit.
    pub(super) fn new() -> Self {
        Self { limits: AtomicU64::new(OFF), requests: Window::new(), repeats: Window::new() }
    }

    /// Sets the limits; what was counted stays.
    pub(super) fn set(&self, limits: Option<RetryLimits>) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
        let packed = limits.map_or(OFF, |limits| {
            let millionths = (limits.ratio.clamp(0.0, 1.0) * MILLION).round() as u64;
            millionths << 32 | u64::from(limits.min_per_second)
        });
        self.limits.store(packed, Ordering::Relaxed);
    }

    /// Counts a request, at its first attempt.
    #[inline]
    pub fn request(&self, now: Moment) {
        if self.limits.load(Ordering::Relaxed) != OFF {
            self.requests.add(second(now));
        }
    }

    /// Draws a repeat; `false`: the budget is used up.
    pub fn draw(&self, now: Moment) -> bool {
        let limits = self.limits.load(Ordering::Relaxed);
        if limits == OFF {
            return true;
        }
        let second = second(now);
        self.repeats.add(second);
        let (millionths, min) = (limits >> 32, limits & u64::from(u32::MAX));
        let allowed = self.requests.sum(second).saturating_mul(millionths) / 1_000_000 + min * u64::from(SECONDS);
        if self.repeats.sum(second) <= allowed {
            return true;
        }
        self.repeats.take_back(second);
        false
    }
}

/// Seconds from 1 on: a place of zeros is of none.
fn second(now: Moment) -> u32 {
    u32::try_from(now.micros() / 1_000_000 + 1).unwrap_or(u32::MAX)
}

/// Counts of the last seconds. A place holds its second in the upper half and its count in the lower.
#[derive(Debug)]
struct Window([AtomicU64; SECONDS as usize]);

impl Window {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn place(&self, second: u32) -> &AtomicU64 {
        &self.0[(second % SECONDS) as usize]
    }

    fn add(&self, second: u32) {
        let place = self.place(second);
        let mut word = place.load(Ordering::SeqCst);
        // Who is behind the place by a whole window counts in its present second: what it has is that old.
        while stamp(word) < second {
            match place.compare_exchange_weak(word, first_of(second), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
        place.fetch_add(1, Ordering::SeqCst);
    }

    /// Undoes an [`add`](Self::add), unless its second has left the window meanwhile.
    fn take_back(&self, second: u32) {
        let place = self.place(second);
        let mut word = place.load(Ordering::SeqCst);
        while stamp(word) == second && count(word) > 0 {
            match place.compare_exchange_weak(word, word - 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }

    /// What was counted in this second and the nine before. Another worker's clock may be ahead by a little.
    fn sum(&self, second: u32) -> u64 {
        let words = self.0.iter().map(|place| place.load(Ordering::SeqCst));
        words.filter(|word| u64::from(stamp(*word)) + u64::from(SECONDS) > second.into()).map(count).sum()
    }
}

const fn first_of(second: u32) -> u64 {
    (second as u64) << 32 | 1
}

const fn stamp(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn count(word: u64) -> u64 {
    word & u32::MAX as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::fixtures::now;
    use proptest::prelude::*;
    use std::time::Duration;

    fn budget(ratio: f64, min_per_second: u32) -> RetryBudget {
        let budget = RetryBudget::new();
        budget.set(Some(RetryLimits { ratio, min_per_second }));
        budget
    }

    fn drawn(budget: &RetryBudget, tries: usize, at: Moment) -> usize {
        (0..tries).filter(|_| budget.draw(at)).count()
    }

    #[test]
    fn without_limits_nothing_is_refused_or_counted() {
        let (budget, now) = (RetryBudget::new(), now());
        budget.request(now);
        assert_eq!(drawn(&budget, 1000, now), 1000);
        assert_eq!(budget.requests.sum(second(now)), 0);
    }

    #[test]
    fn a_quiet_upstream_may_repeat_as_often_as_the_minimum_says() {
        assert_eq!(drawn(&budget(0.2, 10), 1000, now()), 100);
        assert_eq!(drawn(&budget(0.2, 0), 1000, now()), 0);
    }

    #[test]
    fn a_busy_one_by_its_ratio() {
        let (budget, now) = (budget(0.2, 1), now());
        (0..1000).for_each(|_| budget.request(now));
        assert_eq!(drawn(&budget, 1000, now), 200 + 10);
    }

    #[test]
    fn what_was_drawn_comes_back_when_its_second_leaves_the_window() {
        let (budget, now) = (budget(0.0, 1), now());
        assert_eq!(drawn(&budget, 50, now), 10);
        assert_eq!(drawn(&budget, 50, now + Duration::from_secs(9)), 0);
        assert_eq!(drawn(&budget, 50, now + Duration::from_secs(10)), 10);
    }

    #[test]
    fn new_limits_hold_at_once_for_what_was_counted() {
        let (budget, now) = (budget(0.0, 10), now());
        assert_eq!(drawn(&budget, 60, now), 60);
        budget.set(Some(RetryLimits { ratio: 0.0, min_per_second: 5 }));
        assert!(!budget.draw(now));
        budget.set(None);
        assert!(budget.draw(now));
    }

    #[test]
    fn workers_that_draw_at_the_same_time_do_not_draw_more_than_there_is() {
        let (budget, now) = (budget(0.5, 0), now());
        (0..2000).for_each(|_| budget.request(now));
        let all: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| drawn(&budget, 1000, now))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert!((1..=1000).contains(&all), "{all}");
        // Draws that were refused have left nothing behind.
        assert_eq!(all + drawn(&budget, 1000, now), 1000);
    }

    proptest! {
        #[test]
        fn repeats_never_exceed_the_bound_in_any_window(
            ratio in 0.0f64..1.0,
            min in 0u32..5,
            steps in prop::collection::vec((0u64..3000, 0u32..30, 0u32..30), 1..60),
        ) {
            let (budget, start) = (budget(ratio, min), now());
            let (mut at, mut requests, mut repeats) = (start, Vec::new(), Vec::new());
            for (pause, asks, draws) in steps {
                at += Duration::from_millis(pause);
                let second = second(at);
                for _ in 0..asks {
                    budget.request(at);
                    requests.push(second);
                }
                let recent = |all: &[u32]| all.iter().filter(|then| *then + SECONDS > second).count();
                for _ in 0..draws {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a ratio from 0 to 10")]
                    let millionths = (ratio * MILLION).round() as usize;
                    let allowed = recent(&requests) * millionths / 1_000_000 + (min * SECONDS) as usize;
                    let fits = recent(&repeats) < allowed;
                    prop_assert_eq!(budget.draw(at), fits);
                    if fits {
                        repeats.push(second);
                    }
                }
            }
        }
    }
}
