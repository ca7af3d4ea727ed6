//! Outliers: targets that do worse than they should are ejected from their pool for a while.
//!
//! The semantics are those of Envoy's outlier detection (envoyproxy.io, "Outlier detection"; its
//! `outlier_detection_impl.cc`), with its values where a document has no word for one:
//!
//! - By consecutive errors: so many attempts in a row ended with a 5xx, a broken connection or a timeout.
//! - By success rate, at the end of every interval of 10 s: where at least 5 targets had 100 attempts or more, those whose rate
//!   lies more than so many standard deviations below the mean. (One of n targets is never more than √(n-1) deviations from
//!   their mean: a factor of 3 can act on pools of eleven and more.)
//! - An ejection lasts its base time, times how often the target has been ejected; at most 300 s, or the base time where that
//!   is more. Each interval that ends with the target in the pool takes one off the count.
//! - At most a part of the pool is ejected at a time, rounded down, but one where there are two or more (Envoy:
//!   `always_eject_one_host`) and the part is not 0. Where the pool shrinks below what is ejected, those that would return first return at once.
//!
//! Workers count ([`Tally`]); the control plane alone judges, sets [`Cause::Ejected`] and clears it. A target that bears the
//! cause and of which nothing is known here, as one that left its pool and came back, returns at once: nothing stays stuck.

use super::{Member, Target};
use crate::health::Outcome;
use crate::model::{Cause, Causes, Moment, TargetId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often success rates are compared.
const INTERVAL: Duration = Duration::from_secs(10);
/// Targets with enough attempts, without which rates are not compared.
const TARGETS_MIN: usize = 5;
/// Attempts in an interval, without which a target's rate says nothing.
const ATTEMPTS_MIN: u32 = 100;
/// The longest ejection, but for a base time that is longer.
const EJECTION_MAX: Duration = Duration::from_secs(300);
/// Those that are told to go, or have gone, are no part of the pool that is judged.
const LEAVING: Causes = Causes::NONE.with(Cause::Draining).with(Cause::Gone);

/// When targets are ejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierRules {
    /// Errors in a row; 0: off.
    pub consecutive_errors: u32,
    /// Standard deviations below the mean success rate; 0: off.
    pub success_rate_deviations: f64,
    /// The base time of an ejection.
    pub ejection: Duration,
    /// The part of the pool that may be ejected, from 0 to 1.
    pub max_ejected: f64,
    /// Where less than this part of the pool may be used, all of it is.
    pub panic_below: f64,
}

/// What attempts on a target came to. Workers count, the control plane reads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    in_a_row: AtomicU32,
    good: AtomicU32,
    bad: AtomicU32,
}

impl Tally {
    /// Counts an attempt; how many errors in a row there are now.
    pub(super) fn count(&self, outcome: Outcome) -> u32 {
        let good = match outcome {
            Outcome::Status(status) => status < 500,
            Outcome::Connected => true,
            Outcome::NotHttp | Outcome::TcpFailure | Outcome::Timeout => false,
        };
        if !good {
            self.bad.fetch_add(1, Ordering::Relaxed);
            return self.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        }
        self.good.fetch_add(1, Ordering::Relaxed);
        // Nearly always it is zero, and a line that nobody writes is shared for nothing.
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        0
    }

    fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// The success rate since the last time, where there were enough attempts.
    fn take_rate(&self) -> Option<f64> {
        let good = self.good.swap(0, Ordering::Relaxed);
        let all = good.saturating_add(self.bad.swap(0, Ordering::Relaxed));
        (all >= ATTEMPTS_MIN).then(|| f64::from(good) / f64::from(all))
    }

    fn reset(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
        self.good.store(0, Ordering::Relaxed);
        self.bad.store(0, Ordering::Relaxed);
    }
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutlierChange {
    /// It is ejected.
    Ejected {
        /// Why.
        by: EjectedBy,
        /// For how long.
        time: Duration,
    },
    /// It is back.
    Returned,
}

/// Why a target was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectedBy {
    /// Errors in a row.
    ConsecutiveErrors,
    /// Its success rate.
    SuccessRate,
}

impl EjectedBy {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::ConsecutiveErrors, Self::SuccessRate];

    /// As the log and metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveErrors => "consecutive_errors",
            Self::SuccessRate => "success_rate",
        }
    }
}

/// What is known of the outliers of one upstream. Belongs to the control plane.
#[derive(Debug, Default)]
pub struct Outliers {
    known: Vec<Known>,
    interval_ends: Option<Moment>,
}

#[derive(Debug)]
struct Known {
    id: TargetId,
    until: Option<Moment>,
    /// How often it was ejected, less the intervals that it has been well for.
    times: u32,
}

impl Known {
    fn was_well(&mut self) {
        self.times = self.times.saturating_sub(1);
    }
}

/// Targets, and what became of them.
type Changes = Vec<(Arc<Target>, OutlierChange)>;

impl Outliers {
    /// Ejects and brings back. To be called when a target has reached its errors in a row, and every second or so.
    pub fn judge(&mut self, rules: &OutlierRules, members: &[Member], now: Moment) -> Changes {
        let present: Vec<&Arc<Target>> = members
            .iter()
            .filter(|member| member.weight > 0 && !member.target.causes().intersects(LEAVING))
            .map(|member| &member.target)
            .collect();
        self.known.retain(|known| present.iter().any(|target| target.id == known.id));
        let mut changes = Changes::new();
        for target in present.iter().filter(|target| is_ejected(target)) {
            if self.until(target).is_none_or(|until| until <= now) {
                self.bring_back(target, &mut changes);
            }
        }
        let cap = cap(rules, present.len());
        self.keep_to(cap, &present, &mut changes);
        let failing = |target: &&Arc<Target>| {
            rules.consecutive_errors > 0 && target.tally().in_a_row() >= rules.consecutive_errors
        };
        let failing = present.iter().copied().filter(failing);
        let mut found: Vec<_> = failing.map(|target| (target, EjectedBy::ConsecutiveErrors)).collect();
        let interval_over = self.interval_ends.is_none_or(|ends| ends <= now);
        if interval_over {
            let is_first = self.interval_ends.replace(now + INTERVAL).is_none();
            let by_rate = outliers(rules, &present);
            found.extend(by_rate.into_iter().filter(|_| !is_first).map(|one| (one, EjectedBy::SuccessRate)));
        }
        for (target, by) in found {
            let ejected = present.iter().filter(|target| is_ejected(target)).count();
            if !is_ejected(target) && ejected < cap {
                changes.push((Arc::clone(target), self.eject(target, by, rules, now)));
            }
        }
        if interval_over {
            self.known.iter_mut().filter(|known| known.until.is_none()).for_each(Known::was_well);
            self.known.retain(|known| known.times > 0 || known.until.is_some());
        }
        changes
    }

    /// Detection is off: whoever is ejected comes back, of all that are known.
    pub fn end<'a>(&mut self, targets: impl Iterator<Item = &'a Arc<Target>>) -> Changes {
        let mut changes = Changes::new();
        if self.interval_ends.is_some() {
            targets.filter(|target| is_ejected(target)).for_each(|target| self.bring_back(target, &mut changes));
            *self = Self::default();
        }
        changes
    }

    fn until(&self, target: &Target) -> Option<Moment> {
        self.known.iter().find(|known| known.id == target.id)?.until
    }

    fn bring_back(&mut self, target: &Arc<Target>, changes: &mut Changes) {
        if let Some(known) = self.known.iter_mut().find(|known| known.id == target.id) {
            known.until = None;
        }
        target.tally().reset();
        target.clear(Cause::Ejected);
        changes.push((Arc::clone(target), OutlierChange::Returned));
    }

    fn keep_to(&mut self, cap: usize, present: &[&Arc<Target>], changes: &mut Changes) {
        let mut ejected: Vec<&Arc<Target>> = present.iter().copied().filter(|target| is_ejected(target)).collect();
        ejected.sort_by_key(|target| self.until(target));
        let over = ejected.len().saturating_sub(cap);
        ejected.iter().take(over).for_each(|target| self.bring_back(target, changes));
    }

    fn eject(&mut self, target: &Target, by: EjectedBy, rules: &OutlierRules, now: Moment) -> OutlierChange {
        let place = self.known.iter().position(|known| known.id == target.id);
        let times = place.and_then(|place| self.known.get(place)).map_or(0, |known| known.times).saturating_add(1);
        let time = rules.ejection.saturating_mul(times).min(EJECTION_MAX.max(rules.ejection));
        let known = Known { id: target.id.clone(), until: Some(now + time), times };
        match place.and_then(|place| self.known.get_mut(place)) {
            Some(before) => *before = known,
            None => self.known.push(known),
        }
        target.set(Cause::Ejected);
        OutlierChange::Ejected { by, time }
    }
}

fn is_ejected(target: &Target) -> bool {
    target.causes().has(Cause::Ejected)
}

/// How many of so many may be ejected at a time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a part of a count"
)]
fn cap(rules: &OutlierRules, present: usize) -> usize {
    let part = (rules.max_ejected.clamp(0.0, 1.0) * present as f64) as usize;
    part.max(usize::from(present > 1 && rules.max_ejected > 0.0))
}

/// Those whose success rate is too far below the mean, worst first. Begins a new count.
#[expect(clippy::cast_precision_loss, reason = "a count of targets")]
fn outliers<'a>(rules: &OutlierRules, present: &[&'a Arc<Target>]) -> Vec<&'a Arc<Target>> {
    let rated = present.iter().map(|target| (*target, target.tally().take_rate()));
    let mut rated: Vec<(&Arc<Target>, f64)> =
        rated.filter(|(target, _)| !is_ejected(target)).filter_map(|(target, rate)| Some((target, rate?))).collect();
    if rules.success_rate_deviations <= 0.0 || rated.len() < TARGETS_MIN {
        return Vec::new();
    }
    let count = rated.len() as f64;
    let mean = rated.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rated.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    let least = mean - rules.success_rate_deviations * variance.sqrt();
    // Rounding alone makes none an outlier where all are alike.
    rated.retain(|(_, rate)| *rate < least - 1e-9);
    rated.sort_by(|one, other| one.1.total_cmp(&other.1));
    rated.into_iter().map(|(target, _)| target).collect()
}

#[cfg(test)]
mod tests;
