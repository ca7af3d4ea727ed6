//! The targets of one upstream at one moment, with the balancer built over those that may be picked.

use super::balance::{Algorithm, Ask, BALANCERS, Balancer, Members, Pick, TargetIndex, WorkerRng};
use super::slow_start::SlowStart;
use super::ticks::{NEVER, Ticks, ticks};
use super::waiting::Room;
use super::{HedgeLimits, OutlierRules, RetryLimits, Target};
use crate::health::CheckRules;
use crate::model::{Cause, Causes, Moment, TargetState};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Of no document: older than all.
pub(super) const NO_GENERATION: u64 = 0;
/// Newer than all: whoever came for a target under an older document looks where its service's requests go now.
pub(super) const REMOVED: u64 = u64::MAX;

/// Bounds of requests that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitLimits {
    /// Requests that wait at the most.
    pub max_requests: u32,
    /// Bytes of their heads and buffered bodies at the most.
    pub max_bytes: u64,
    /// How long one waits.
    pub timeout: Duration,
}

/// A target in a pool.
#[derive(Clone, Debug)]
pub struct Member {
    /// The target.
    pub target: Arc<Target>,
    /// Its share; 0: never picked.
    pub weight: u16,
}

/// What a pool is built from.
#[derive(Clone)]
pub struct PoolOptions {
    /// Generation of the document that it belongs to.
    pub generation: u64,
    /// Out of [`BALANCERS`](super::BALANCERS).
    pub algorithm: &'static dyn Algorithm,
    /// Every target that is there, also those that may not be picked.
    pub members: Vec<Member>,
    /// Whether a provider feeds it.
    pub fed: bool,
    /// How requests wait while nothing can be picked; `None`: they do not.
    pub hold: Option<WaitLimits>,
    /// For how long after something could last be picked they may.
    pub grace: Duration,
    /// Percent of the weight that must be healthy, else nothing is picked. Kong's `healthchecks.threshold`.
    pub threshold: f64,
    /// Passive checks; `None`: off.
    pub passive: Option<CheckRules>,
    /// Requests in flight that one target may have; `None`: no limit.
    pub max_concurrency: Option<u32>,
    /// How requests wait while all targets have as many; `None`: they do not.
    pub queue: Option<WaitLimits>,
    /// How much of the load may be repeats; `None`: no limit.
    pub retry_budget: Option<RetryLimits>,
    /// When requests are hedged; `None`: never.
    pub hedging: Option<HedgeLimits>,
    /// When targets are ejected; `None`: never.
    pub outlier: Option<OutlierRules>,
    /// How long a new target's share grows; `None`: it has all of it at once.
    pub slow_start: Option<Duration>,
}

/// Targets by state, for `plimsoll_upstream_targets`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct StateCounts {
    pub starting: u32,
    pub healthy: u32,
    pub unhealthy: u32,
    pub draining: u32,
}

/// The targets of one upstream at one moment. Immutable: a change makes a new one.
pub struct Pool {
    options: PoolOptions,
    balancer: Arc<dyn Balancer>,
    usable: Box<[Usable]>,
    slow_start: Option<SlowStart>,
    below_threshold: bool,
    ignored: Causes,
    built: Ticks,
}

/// A target that could be picked when its pool was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usable {
    /// Which one.
    pub index: TargetIndex,
    /// Its share, from 1: its weight, or a multiple of it where others' shares still grow.
    pub weight: u32,
}

impl Pool {
    /// Builds a pool. What the previous one's balancer must not lose (the round-robin cursor) is taken from `previous`.
    #[must_use]
    pub fn build(options: PoolOptions, previous: Option<&Self>, now: Moment) -> Self {
        let below_threshold = below_threshold(&options);
        let ignored = ignored(&options);
        let mut usable: Box<[Usable]> = (0..)
            .map(TargetIndex)
            .zip(&options.members)
            .filter(|(_, member)| !below_threshold && member.weight > 0)
            .filter(|(_, member)| member.target.causes().without(ignored).is_empty())
            .map(|(index, member)| Usable { index, weight: member.weight.into() })
            .collect();
        let slow_start = options.slow_start.map(|over| {
            let before = previous.and_then(|pool| Some(pool.slow_start.as_ref()?.before(pool.usable_targets())));
            let targets = usable.iter().filter_map(|usable| member_at(&options, usable.index));
            SlowStart::new(over, targets, before.as_ref(), now)
        });
        if let Some(slow_start) = &slow_start {
            usable.iter_mut().zip(slow_start.factors()).for_each(|(usable, factor)| usable.weight *= factor);
        }
        let members = Members { all: &options.members, usable: &usable };
        let balancer = options.algorithm.build(&members, previous.map(|pool| &*pool.balancer));
        Self { options, balancer, usable, slow_start, below_threshold, ignored, built: ticks(now) }
    }

    /// A pool without targets that nobody feeds: what an upstream has before the first one, and after its last.
    pub(super) fn empty(generation: u64) -> Self {
        let algorithm: &'static dyn Algorithm = BALANCERS[0];
        let options = PoolOptions {
            generation,
            algorithm,
            members: Vec::new(),
            fed: false,
            hold: None,
            grace: Duration::ZERO,
            threshold: 0.0,
            passive: None,
            max_concurrency: None,
            queue: None,
            retry_budget: None,
            hedging: None,
            outlier: None,
            slow_start: None,
        };
        let balancer = algorithm.build(&Members { all: &[], usable: &[] }, None);
        let (usable, slow_start) = (Box::default(), None);
        Self { options, balancer, usable, slow_start, below_threshold: false, ignored: Causes::NONE, built: NEVER }
    }

    /// When it was built.
    pub(super) const fn built(&self) -> Ticks {
        self.built
    }

    /// Every target that is there, also those that may not be picked.
    #[must_use]
    pub fn targets(&self) -> &[Member] {
        &self.options.members
    }

    /// What it was built from.
    #[must_use]
    pub const fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Generation of the document that it belongs to; of a [placeholder](Self::is_placeholder) one that no document has.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.options.generation
    }

    /// Whether it only fills the place of one: nothing was published yet, or the upstream was removed.
    #[must_use]
    pub const fn is_placeholder(&self) -> bool {
        matches!(self.options.generation, NO_GENERATION | REMOVED)
    }

    /// Passive checks; `None`: off.
    #[must_use]
    pub const fn passive(&self) -> Option<&CheckRules> {
        self.options.passive.as_ref()
    }

    /// When targets are ejected; `None`: never.
    #[must_use]
    pub const fn outlier(&self) -> Option<&OutlierRules> {
        self.options.outlier.as_ref()
    }

    /// Causes that count for nothing: so few targets could be used, when it was built, that verdicts are not believed.
    #[must_use]
    pub const fn ignored(&self) -> Causes {
        self.ignored
    }

    /// Whether too little of its weight was healthy, when it was built, for anything to be picked.
    #[must_use]
    pub const fn below_threshold(&self) -> bool {
        self.below_threshold
    }

    /// Targets that could be picked when it was built: what the balancer chooses from.
    #[must_use]
    pub const fn usable(&self) -> &[Usable] {
        &self.usable
    }

    /// The target at `index`, which a [`Pick`] of this pool named.
    #[must_use]
    pub fn target(&self, index: TargetIndex) -> Option<&Arc<Target>> {
        member_at(&self.options, index)
    }

    fn usable_targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.usable.iter().filter_map(|usable| self.target(usable.index))
    }

    /// Whether shares of new targets have grown since it was built: it is to be built anew.
    #[must_use]
    pub fn has_outgrown(&self, now: Moment) -> bool {
        self.slow_start.as_ref().is_some_and(|slow_start| slow_start.has_grown(now))
    }

    /// What part of its share the target at `index` has, from 0.1 to 1, where shares of new targets grow and it is usable.
    #[must_use]
    pub fn share(&self, index: u32) -> Option<f64> {
        let place = self.usable.iter().position(|usable| usable.index.0 == index)?;
        Some(self.slow_start.as_ref()?.part(place))
    }

    /// Chooses a target. Takes no slot: that is [`Upstream::acquire`](super::Upstream::acquire).
    pub fn pick(&self, ask: &Ask<'_>, rng: &mut WorkerRng) -> Pick {
        if self.usable.is_empty() { Pick::Empty } else { self.balancer.pick(self, ask, rng) }
    }

    /// Targets by state, now.
    #[must_use]
    pub fn counts(&self) -> StateCounts {
        let mut counts = StateCounts::default();
        for member in self.targets() {
            match member.target.causes().state() {
                TargetState::Starting => counts.starting += 1,
                TargetState::Healthy => counts.healthy += 1,
                TargetState::Unhealthy => counts.unhealthy += 1,
                TargetState::Draining => counts.draining += 1,
                TargetState::Gone => {}
            }
        }
        counts
    }

    /// How many of the usable targets can be picked right now. One that became well since the pool was built does not
    /// count: no balancer knows of it.
    pub(super) fn pickable_now(&self) -> u32 {
        let is_free = |target: &Arc<Target>| target.causes().without(self.ignored).is_empty();
        let pickable = |usable: &&Usable| self.target(usable.index).is_some_and(is_free);
        u32::try_from(self.usable.iter().filter(pickable).count()).unwrap_or(u32::MAX)
    }

    /// Whether one of the usable targets can be picked and has a slot right now.
    pub(super) fn has_free_slot(&self) -> bool {
        let max = self.max_concurrency();
        let is_free =
            |target: &Arc<Target>| target.causes().without(self.ignored).is_empty() && target.inflight() < max;
        self.usable.iter().any(|usable| self.target(usable.index).is_some_and(is_free))
    }

    /// Whether waiting makes sense where nothing can be picked: not where every target that is there is out by a verdict
    /// on its health, or is not to be picked at all. Those that are draining, refuse or start are about to be replaced.
    pub(super) fn may_recover(&self) -> bool {
        if !self.options.fed || self.options.hold.is_none() || self.below_threshold {
            return false;
        }
        let mut present = self.targets().iter().filter(|member| !member.target.causes().has(Cause::Gone)).peekable();
        present.peek().is_none() || present.any(|member| member.weight > 0 && !member.target.causes().only_health())
    }

    /// What those who are let go may go to.
    pub(super) fn room(&self) -> Room {
        Room { replicas: self.pickable_now(), each: self.max_concurrency() }
    }

    pub(super) fn max_concurrency(&self) -> u32 {
        self.options.max_concurrency.unwrap_or(u32::MAX)
    }
}

fn member_at(options: &PoolOptions, index: TargetIndex) -> Option<&Arc<Target>> {
    options.members.get(index.0 as usize).map(|member| &member.target)
}

/// Envoy's panic, where outliers are ejected: if fewer than so many of the targets may be used, all that are there are, since
/// it is less likely that nearly all are ill than that the verdicts are wrong, or that the rest would fall under the load.
/// What is not ready or told to go is no part of the reckoning; what refuses, or was set by hand, is not used all the same.
fn ignored(options: &PoolOptions) -> Causes {
    const VERDICTS: Causes =
        Causes::NONE.with(Cause::Runtime).with(Cause::Active).with(Cause::Passive).with(Cause::Ejected);
    const NOT_THERE: Causes = Causes::NONE.with(Cause::Draining).with(Cause::Gone).with(Cause::Starting);
    let Some(rules) = options.outlier else { return Causes::NONE };
    let (mut there, mut usable) = (0u32, 0u32);
    for member in options.members.iter().filter(|member| member.weight > 0) {
        let causes = member.target.causes();
        there += u32::from(!causes.intersects(NOT_THERE));
        usable += u32::from(causes.is_empty());
    }
    if f64::from(usable) < rules.panic_below * f64::from(there) { VERDICTS } else { Causes::NONE }
}

/// Kong's threshold, over the targets that are meant to serve: one that was told to stop is not ill.
fn below_threshold(options: &PoolOptions) -> bool {
    const LEAVING: Causes = Causes::NONE.with(Cause::Draining).with(Cause::Gone);
    let (mut total, mut healthy) = (0u64, 0u64);
    for member in &options.members {
        let causes = member.target.causes();
        if !causes.intersects(LEAVING) {
            total += u64::from(member.weight);
            healthy += if causes.is_empty() { u64::from(member.weight) } else { 0 };
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "sums of 16-bit weights are far below 2^52")]
    let percent = healthy as f64 * 100.0 / total.max(1) as f64;
    total > 0 && percent < options.threshold
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("generation", &self.options.generation)
            .field("algorithm", &self.options.algorithm.name())
            .field("usable", &self.usable.len())
            .field("members", &self.options.members)
            .finish_non_exhaustive()
    }
}
