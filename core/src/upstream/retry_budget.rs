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

use crate::model::Moment;
use crate::upstream::sync::{AtomicU64, Ordering};

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
