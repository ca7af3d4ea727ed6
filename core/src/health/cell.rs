//! A target's [`Counters`] in one atomic word.

use crate::health::sync::{AtomicU64, Ordering};
use crate::health::{CheckRules, Checker, Counters, Outcome, Verdict, step};

/// Counters and state of one target, shared by every worker and the prober.
#[derive(Debug, Default)]
pub struct HealthCell(AtomicU64);

impl HealthCell {
    /// The counters now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::unpack(self.0.load(Ordering::SeqCst))
    }

    /// Counts one outcome. One load where it changes nothing, which is nearly always.
    pub fn report(&self, checker: Checker, rules: &CheckRules, outcome: Outcome) -> Option<Verdict> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (next, verdict) = step(Counters::unpack(word), checker, rules, outcome)?;
            match self.0.compare_exchange_weak(word, next.pack(), Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return verdict,
                Err(current) => word = current,
            }
        }
    }

    /// Counters to zero, and the state as given.
    pub fn reset(&self, unhealthy: Option<Checker>) {
        self.0.store(Counters { unhealthy, ..Counters::default() }.pack(), Ordering::SeqCst);
    }
}
