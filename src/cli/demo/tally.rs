//! What the load has seen, counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Shares and times are of the last so long.
const WINDOW: Duration = Duration::from_secs(3);

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) replica: String,
    pub(super) pid: i32,
    /// From the moment the request was due.
    pub(super) latency: Duration,
}

/// Everything since the start, and the last few seconds in detail.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) lost: u64,
    /// The last reason, for who wants to know.
    pub(super) last_loss: Option<String>,
    replicas: BTreeMap<String, Replica>,
    recent: VecDeque<(Instant, Seen)>,
}

/// One replica, over all its lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) pid: i32,
    pub(super) answered: u64,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) pid: i32,
    pub(super) answered: u64,
    /// Of the recent answers, 0 to 1.
    pub(super) share: f64,
}

impl Tally {
    /// Takes in an answer.
    pub(super) fn answer(&mut self, now: Instant, seen: Seen) {
        self.answered += 1;
        let replica = self.replicas.entry(seen.replica.clone()).or_default();
        replica.pid = seen.pid;
        replica.answered += 1;
        self.recent.push_back((now, seen));
    }

    /// Takes in a request that got no answer, or a bad one.
    pub(super) fn lose(&mut self, why: String) {
        self.lost += 1;
        self.last_loss = Some(why);
    }

    /// Process id of a replica as last seen.
    pub(super) fn pid(&self, name: &str) -> Option<i32> {
        self.replicas.get(name).map(|replica| replica.pid)
    }

    /// Requests that are under way.
    pub(super) const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.answered).saturating_sub(self.lost)
    }

    /// The table, by name.
    pub(super) fn rows(&mut self, now: Instant) -> Vec<Row> {
        self.forget(now);
        let all = self.recent.len().max(1);
        let row = |(name, replica): (&String, &Replica)| {
            let own = self.recent.iter().filter(|(_, seen)| &seen.replica == name).count();
            #[expect(clippy::cast_precision_loss, reason = "a few hundred answers")]
            let share = own as f64 / all as f64;
            Row { name: name.clone(), pid: replica.pid, answered: replica.answered, share }
        };
        self.replicas.iter().map(row).collect()
    }

    /// Answers a second, lately.
    pub(super) fn rate(&mut self, now: Instant) -> u64 {
        self.forget(now);
        let Some((first, _)) = self.recent.front() else { return 0 };
        // Early on, the window is shorter than it will be.
        let ms = now.saturating_duration_since(*first).as_millis().max(200);
        let per_second = self.recent.len() as u128 * 1_000 / ms;
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    /// Median and 99th percentile of recent answers.
    pub(super) fn latencies(&mut self, now: Instant) -> Option<(Duration, Duration)> {
        self.forget(now);
        let mut sorted: Vec<_> = self.recent.iter().map(|(_, seen)| seen.latency).collect();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
        Some((*at(50)?, *at(99)?))
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_last_seconds_and_counts_of_all_time() {
        let start = tokio::time::Instant::now().into_std();
        let mut tally = Tally::default();
        let mut answer = |name: &str, pid, at_ms| {
            let seen = Seen { replica: name.to_owned(), pid, latency: Duration::from_millis(at_ms) };
            tally.answer(start + Duration::from_millis(at_ms), seen);
        };
        answer("web.2", 12, 0);
        answer("web.1", 11, 4_000);
        answer("web.2", 22, 4_001);
        answer("web.1", 11, 4_002);
        answer("web.1", 11, 4_003);
        let now = start + Duration::from_millis(4_100);
        let row = |name: &str, pid, answered, share| Row { name: name.to_owned(), pid, answered, share };
        assert_eq!(tally.rows(now), [row("web.1", 11, 3, 0.75), row("web.2", 22, 2, 0.25)]);
        assert_eq!(tally.latencies(now), Some((Duration::from_millis(4_002), Duration::from_millis(4_003))));
        assert_eq!(tally.latencies(now + Duration::from_secs(9)), None);
    }
}
