//! Peak-EWMA: a target's latency, which rises at once with a slow answer and falls slowly with quick ones.
//!
//! As in Finagle's `p2c/PeakEwma.scala` and tower's `load/peak_ewma.rs`: a sample above the estimate replaces it; one below
//! is blended in by how long ago the last one came; and the estimate fades while none comes, so that a target that was slow
//! once is tried again. Theirs is behind a mutex; ours is one word, estimate (f32, µs) and time (u32, ms), so that every
//! worker may add a sample.

use super::ticks::Ticks;
use std::sync::atomic::{AtomicU64, Ordering};

/// 10 s: time after which a sample weighs 1/e. Finagle's and linkerd's default.
const DECAY_MS: f32 = 10_000.0;

/// One target's estimate. All zero: no sample yet.
#[derive(Debug, Default)]
pub(super) struct PeakEwma(AtomicU64);

impl PeakEwma {
    /// Adds a sample.
    pub(super) fn record(&self, micros: u64, now: Ticks) {
        // An estimate of zero would mean "no sample".
        #[expect(clippy::cast_precision_loss, reason = "an estimate need not be exact")]
        let sample = (micros as f32).max(1.0);
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = match unpack(word) {
                Some((estimate, at_ms)) if estimate > sample => {
                    let keep = keep(at_ms, now);
                    estimate * keep + sample * (1.0 - keep)
                }
                _ => sample,
            };
            let next = pack(next, millis(now));
            match self.0.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }

    /// The estimate as it has faded by now, µs; `None` without a sample.
    pub(super) fn estimate(&self, now: Ticks) -> Option<f32> {
        unpack(self.0.load(Ordering::Relaxed)).map(|(estimate, at_ms)| estimate * keep(at_ms, now))
    }
}

/// What is left, by now, of an estimate made at `at_ms`.
fn keep(at_ms: u32, now: Ticks) -> f32 {
    // Another worker's clock may be a little ahead of ours, and the number wraps after 49 days.
    let elapsed_ms = millis(now).wrapping_sub(at_ms).cast_signed().max(0);
    #[expect(clippy::cast_precision_loss, reason = "a weight need not be exact")]
    (-(elapsed_ms as f32) / DECAY_MS).exp()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wraps after 49 days: see `keep`")]
const fn millis(now: Ticks) -> u32 {
    now.div_euclid(1000) as u32
}

fn pack(estimate: f32, at_ms: u32) -> u64 {
    u64::from(estimate.to_bits()) << 32 | u64::from(at_ms)
}

#[expect(clippy::cast_possible_truncation, reason = "each half on its own")]
fn unpack(word: u64) -> Option<(f32, u32)> {
    let estimate = f32::from_bits((word >> 32) as u32);
    (estimate > 0.0).then_some((estimate, word as u32))
}
