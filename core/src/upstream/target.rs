//! One replica: who it is, where it is, and what is known of it.

use super::latency::PeakEwma;
use super::outlier::{OutlierRules, Tally};
use super::settle::settle;
use super::slots::Slots;
use super::ticks::{NEVER, Ticks, ticks};
use crate::health::{CheckRules, Checker, Counters, HealthCell, Outcome, Verdict};
use crate::model::{Cause, Causes, Moment, TargetId};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

/// 1 s: how long after a failure a target is taken to be as busy as the others, so that one that fails fast, and so looks
/// idle, does not draw the traffic to it.
const WARY: Ticks = 1_000_000;

/// One replica. It outlives pools and snapshots: what is known of it is kept while anything refers to it.
///
/// Count, causes, failure mark and latency come first: they are what a pick reads, and they lie in the cache line of the
/// `Arc`'s own count, which taking a slot writes anyway.
#[repr(C)]
pub struct Target {
    slots: Slots,
    failed_at: AtomicI64,
    latency: PeakEwma,
    health: HealthCell,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether a runtime feeds it, and so tells when it comes and goes; else it is written in a document.
    pub fed: bool,
    /// Who it is.
    pub id: TargetId,
    /// Its name as shown, and the Host towards it: `host:port`.
    pub name: Arc<str>,
    /// The container's name; the name where there is none.
    pub replica: Arc<str>,
    tag: AtomicU32,
    tally: Tally,
}

impl Target {
    /// A target with the causes that it begins with.
    #[must_use]
    pub fn new(
        id: TargetId,
        address: SocketAddr,
        name: Arc<str>,
        replica: Arc<str>,
        fed: bool,
        initial: Causes,
    ) -> Arc<Self> {
        Arc::new(Self {
            slots: Slots::new(initial.0),
            failed_at: AtomicI64::new(NEVER),
            latency: PeakEwma::default(),
            health: HealthCell::default(),
            address,
            fed,
            id,
            name,
            replica,
            tag: AtomicU32::new(0),
            tally: Tally::default(),
        })
    }

    /// A number that whoever counts hangs on it, 0 until then: the data path finds its counters without a look-up.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag.load(Ordering::Relaxed)
    }

    /// Hangs a number on it.
    pub fn set_tag(&self, tag: u32) {
        self.tag.store(tag, Ordering::Relaxed);
    }

    /// Why it may not be picked, now.
    #[must_use]
    pub fn causes(&self) -> Causes {
        Causes(self.slots.causes())
    }

    /// Sets a cause; whether it was not set. Whoever calls this tells the upstreams of the target
    /// ([`Upstream::changed`](super::Upstream::changed)) when it was.
    pub fn set(&self, cause: Cause) -> bool {
        self.slots.replace(cause as u32, cause as u32)
    }

    /// Clears a cause; whether it was set. As for [`Target::set`], the upstreams are told by the caller.
    pub fn clear(&self, cause: Cause) -> bool {
        self.slots.replace(cause as u32, 0)
    }

    /// Sets the causes of `owned` to exactly `causes`, in one step and leaving others alone; whether that changed anything.
    /// For an owner of several, as a provider is.
    pub fn assign(&self, owned: Causes, causes: Causes) -> bool {
        self.slots.replace(owned.0, causes.0)
    }

    /// Requests in flight on it, over all workers.
    #[must_use]
    pub fn inflight(&self) -> u32 {
        self.slots.inflight()
    }

    /// Notes how long it took to answer: microseconds from the request's first byte sent to its head received.
    pub fn record_latency(&self, micros: u64, now: Moment) {
        self.latency.record(micros, ticks(now));
    }

    /// Peak-EWMA latency as it has faded by now; `None` before the first answer.
    #[must_use]
    pub fn latency(&self, now: Moment) -> Option<Duration> {
        self.latency_micros(ticks(now)).map(|micros| Duration::from_secs_f32(micros / 1e6))
    }

    /// Notes that an attempt on it failed: for a second it is no magnet for traffic.
    pub fn record_failure(&self, now: Moment) {
        self.failed_at.store(ticks(now), Ordering::Relaxed);
    }

    /// Counts what a real request saw. Tips it over and back by itself; the caller tells its upstreams of a verdict.
    pub fn report(&self, rules: &CheckRules, outcome: Outcome) -> Option<Verdict> {
        self.checked(Checker::Passive, rules, outcome)
    }

    /// Counts what a real request saw, for outlier detection. Whether its errors in a row are now as many as eject it; the
    /// caller tells its upstreams.
    pub fn tallied(&self, rules: &OutlierRules, outcome: Outcome) -> bool {
        let in_a_row = self.tally.count(outcome);
        in_a_row > 0 && in_a_row == rules.consecutive_errors
    }

    /// Counts what a probe saw. As [`Target::report`]. A healthy verdict ends a passive one too: in Kong, active checks are
    /// what brings a target back that real requests found bad.
    pub fn probed(&self, rules: &CheckRules, outcome: Outcome) -> Option<Verdict> {
        self.checked(Checker::Active, rules, outcome)
    }

    fn checked(&self, checker: Checker, rules: &CheckRules, outcome: Outcome) -> Option<Verdict> {
        let verdict = self.health.report(checker, rules, outcome)?;
        self.settle_health();
        Some(verdict)
    }

    /// Kong's `PUT …/healthy`: counters to zero, and no verdict of checks or of an operator stands any longer. Whether a
    /// cause went.
    pub fn set_healthy(&self) -> bool {
        self.health.reset(None);
        self.settle_health()
    }

    /// Kong's `PUT …/unhealthy`: counters to zero, and out until an operator or as many successes as checks want say
    /// otherwise (lua-resty-healthcheck, `set_target_status`: it is one state). Whether it was not already.
    pub fn set_unhealthy(&self) -> bool {
        self.health.reset(Some(Checker::Operator));
        self.settle_health()
    }

    /// A verdict that another process came to, and counters to zero. Whether causes changed.
    pub fn set_verdict(&self, unhealthy: Option<Checker>) -> bool {
        self.health.reset(unhealthy);
        self.settle_health()
    }

    /// Forgets what checks found, as when a reload takes them away. Whether a cause went.
    pub fn forget_checks(&self) -> bool {
        self.health.reset(None);
        self.settle_health()
    }

    /// Counters and state of its checks, for `GET /upstreams/U/health`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.health.counters()
    }

    fn settle_health(&self) -> bool {
        settle(&self.health, &self.slots)
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) const fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn latency_micros(&self, now: Ticks) -> Option<f32> {
        self.latency.estimate(now)
    }

    /// Whether it failed less than a second ago.
    pub(super) fn failed_lately(&self, now: Ticks) -> bool {
        now.saturating_sub(self.failed_at.load(Ordering::Relaxed)) < WARY
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} in flight, [{}])", self.id, self.address, self.inflight(), self.causes())
    }
}
