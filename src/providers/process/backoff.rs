//! How long a replica that ended waits before it is started again.

use std::time::Duration;

/// The first pause. Short: most ends are a crash that the next start does not repeat.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a command that can never start costs a process every half minute.
const LONGEST: Duration = Duration::from_secs(30);
/// A replica that ran so long was well: its next pause is the first one again.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Doubling pauses, forgotten once a replica ran for a while.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a life of length `lasted`.
    pub(super) fn pause_after(&mut self, lasted: Duration) -> Duration {
        if lasted >= WELL_AFTER {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_anew_after_a_good_life() {
        let mut backoff = Backoff::default();
        let mut pause = |lasted_s| backoff.pause_after(Duration::from_secs(lasted_s)).as_millis();
        let crashing: Vec<_> = (0..10).map(|_| pause(0)).collect();
        assert_eq!(crashing, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(pause(9), 30_000, "nine seconds are not yet well");
        assert_eq!(pause(10), 100);
        assert_eq!(pause(0), 200);
    }
}
