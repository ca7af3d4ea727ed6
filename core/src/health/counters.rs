//! The state machine: counters and state of one target, and what one report does to them.

use super::{CheckRules, Outcome};

/// Who reports: decides which cause an unhealthy verdict sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checker {
    /// Probes.
    Active,
    /// What real requests saw.
    Passive,
    /// Nobody: it was set so by hand.
    Operator,
}

/// A report tipped a target over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is well again.
    Healthy,
    /// It is not well.
    Unhealthy,
}

/// Counters and state of one target. Counters stop at 255, past every limit.
///
/// Kong's two states in between, `mostly_healthy` and `mostly_unhealthy`, are not stored: they say that counters of the
/// other kind are not zero, and are read off them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Successes in a row.
    pub successes: u8,
    /// Answers with a bad status since the last counted success.
    pub http_failures: u8,
    /// Failures to connect since the last counted success.
    pub tcp_failures: u8,
    /// Timeouts since the last counted success.
    pub timeouts: u8,
    /// Who found it unhealthy; `None`: it is healthy.
    pub unhealthy: Option<Checker>,
}

/// What a report counts as: which counter, and the limit at which it decides. `None`: nothing.
enum Counts {
    Success(u8),
    Http(u8),
    Tcp(u8),
    Timeout(u8),
}

fn classify(rules: &CheckRules, outcome: Outcome) -> Option<Counts> {
    let counts = match outcome {
        Outcome::Status(status) if rules.healthy_statuses.has(status) => Counts::Success(rules.successes),
        Outcome::Status(status) if rules.unhealthy_statuses.has(status) => Counts::Http(rules.http_failures),
        Outcome::Status(_) => return None,
        Outcome::NotHttp => Counts::Http(rules.http_failures),
        Outcome::Connected => Counts::Success(rules.successes),
        Outcome::TcpFailure => Counts::Tcp(rules.tcp_failures),
        Outcome::Timeout => Counts::Timeout(rules.timeouts),
    };
    let (Counts::Success(limit) | Counts::Http(limit) | Counts::Tcp(limit) | Counts::Timeout(limit)) = counts;
    (limit != 0).then_some(counts)
}

/// What `outcome` makes of `counters`: the new ones, if anything changes, and a verdict, if it tips the target over.
#[must_use]
pub fn step(
    counters: Counters,
    checker: Checker,
    rules: &CheckRules,
    outcome: Outcome,
) -> Option<(Counters, Option<Verdict>)> {
    let counts = classify(rules, outcome)?;
    let mut next = counters;
    if let Counts::Success(limit) = counts {
        // Fully healthy: nothing to count.
        if counters.unhealthy.is_none() && !counters.any_failure() {
            return None;
        }
        next = Counters { successes: counters.successes.saturating_add(1), ..Counters::default() };
        if next.successes >= limit {
            return Some((next, counters.unhealthy.map(|_| Verdict::Healthy)));
        }
        next.unhealthy = counters.unhealthy;
        return Some((next, None));
    }
    // Fully unhealthy: nothing to count.
    if counters.unhealthy.is_some() && counters.successes == 0 {
        return None;
    }
    next.successes = 0;
    let (counter, limit) = match counts {
        Counts::Http(limit) => (&mut next.http_failures, limit),
        Counts::Tcp(limit) => (&mut next.tcp_failures, limit),
        Counts::Timeout(limit) | Counts::Success(limit) => (&mut next.timeouts, limit),
    };
    *counter = counter.saturating_add(1);
    if *counter < limit {
        return Some((next, None));
    }
    next.unhealthy = counters.unhealthy.or(Some(checker));
    Some((next, counters.unhealthy.is_none().then_some(Verdict::Unhealthy)))
}

impl Counters {
    const fn any_failure(self) -> bool {
        self.http_failures != 0 || self.tcp_failures != 0 || self.timeouts != 0
    }

    /// As one word, for an atomic.
    #[must_use]
    pub const fn pack(self) -> u64 {
        let unhealthy = match self.unhealthy {
            None => 0,
            Some(Checker::Active) => 1,
            Some(Checker::Passive) => 2,
            Some(Checker::Operator) => 3,
        };
        u64::from_le_bytes([self.successes, self.http_failures, self.tcp_failures, self.timeouts, unhealthy, 0, 0, 0])
    }

    /// Back from [`Counters::pack`].
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        let [successes, http_failures, tcp_failures, timeouts, unhealthy, ..] = word.to_le_bytes();
        let unhealthy = match unhealthy {
            0 => None,
            1 => Some(Checker::Active),
            2 => Some(Checker::Passive),
            _ => Some(Checker::Operator),
        };
        Self { successes, http_failures, tcp_failures, timeouts, unhealthy }
    }
}
