//! The account of a load.

use super::request::Kind;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How many failures are printed one by one.
const PRINTED: usize = 20;

pub(super) enum Outcome {
    Right { replica: String },
    Refused { reason: String },
    Lost { reason: String, begun: bool },
}

/// A request that was answered right.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The replica that answered.
    pub replica: String,
    /// When it was due, milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// From when it was due to the last byte of its answer.
    pub latency: Duration,
}

/// A request that was not.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What kind of request: `GET`, `POST, new connection`.
    pub kind: &'static str,
    /// Whether it was a POST.
    pub post: bool,
    /// Why, in words.
    pub reason: String,
    /// Whether a byte of an answer had come.
    pub begun: bool,
    /// When it was due, milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// From when it was due to when it failed.
    pub after: Duration,
}

/// Where every request of a load ended up.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests started.
    pub sent: usize,
    /// Answered by the right service, with every byte in place.
    pub right: Vec<Answered>,
    /// Refused by the gateway with a reason: 503 with a message, 404.
    pub refused: Vec<Failed>,
    /// Everything else: no answer, half an answer, a wrong one, 502, 504.
    pub lost: Vec<Failed>,
}

#[derive(Default)]
pub(super) struct Tally(Mutex<Report>);

impl Tally {
    pub(super) fn sent(&self) {
        self.0.lock().sent += 1;
    }

    pub(super) fn add(&self, kind: Kind, due_ms: u64, latency: Duration, outcome: Outcome) {
        let failed =
            |reason, begun| Failed { kind: kind.name(), post: kind.is_post(), reason, begun, due_ms, after: latency };
        let mut report = self.0.lock();
        match outcome {
            Outcome::Right { replica } => report.right.push(Answered { replica, due_ms, latency }),
            Outcome::Refused { reason } => report.refused.push(failed(reason, false)),
            Outcome::Lost { reason, begun } => report.lost.push(failed(reason, begun)),
        }
    }

    pub(super) fn report(&self) -> Report {
        self.0.lock().clone()
    }
}

impl Report {
    /// Everything that was not answered right.
    pub fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.lost.iter().chain(&self.refused)
    }

    /// Panics unless every request was answered right.
    pub fn assert_none_lost(&self) {
        let failed = self.failed().count();
        assert!(failed == 0 && !self.right.is_empty(), "{failed} of {} requests failed\n{self}", self.sent);
    }

    /// Panics unless every GET was answered right whose answer had not begun.
    pub fn assert_no_get_lost(&self) {
        let gets = self.failed().filter(|failed| !failed.post && !failed.begun).count();
        assert!(gets == 0 && !self.right.is_empty(), "{gets} GETs of {} requests failed\n{self}", self.sent);
    }

    /// Panics unless all answers were shared so that the busiest of `replicas` is ahead of the idlest by one at the most.
    pub fn assert_even(&self, replicas: usize) {
        let shares = self.shares();
        let (least, most) = (shares.values().min().copied(), shares.values().max().copied());
        let even = shares.len() == replicas && most.zip(least).is_some_and(|(most, least)| most - least <= 1);
        assert!(even, "not shared evenly over {replicas}: {shares:?}\n{self}");
    }

    /// Answers by replica.
    #[must_use]
    pub fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for answered in &self.right {
            *shares.entry(answered.replica.clone()).or_default() += 1;
        }
        shares
    }

    /// When the first request was due that this replica answered, milliseconds since the Unix epoch.
    #[must_use]
    pub fn first_by(&self, replica: &str) -> Option<u64> {
        self.right.iter().filter(|answered| answered.replica == replica).map(|answered| answered.due_ms).min()
    }

    /// The latency that `percent` of the right answers did not exceed.
    #[must_use]
    pub fn latency(&self, percent: f64) -> Duration {
        let mut all: Vec<_> = self.right.iter().map(|answered| answered.latency).collect();
        all.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into what is in memory")]
        let at = (all.len() as f64 * percent / 100.0).ceil() as usize;
        all.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (refused, lost) = (self.refused.len(), self.lost.len());
        write!(f, "load: {} sent, {} right, {refused} refused, {lost} lost; latency", self.sent, self.right.len())?;
        for percent in [50.0, 99.0, 100.0] {
            write!(f, " p{percent} {:?}", self.latency(percent))?;
        }
        let mut reasons = BTreeMap::<_, usize>::new();
        for failed in self.failed() {
            *reasons.entry((&failed.reason, failed.kind, failed.begun)).or_default() += 1;
        }
        for ((reason, kind, begun), count) in reasons {
            write!(f, "\n  {count} × {kind}: {reason}{}", if begun { ", answer begun" } else { "" })?;
        }
        for failed in self.failed().take(PRINTED) {
            write!(f, "\n  at {} ms, {} after {:?}: {}", failed.due_ms, failed.kind, failed.after, failed.reason)?;
        }
        Ok(())
    }
}
