//! One target's task: what to do next, when, and what its outcome means.

use super::attempt::{Probed, probe};
use super::checks::Checks;
use super::prober::Shared;
use crate::telemetry::clock;
use arc_swap::ArcSwap;
use plimsoll_core::health::Verdict;
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::Target;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

/// Nothing would answer, or nobody wants to know.
const LEFT_ALONE: Causes = Causes::CUT_OFF.with(Cause::Draining);
/// 1 ms: the pause after the first readiness probe that failed. Doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// 100 ms: where the pauses stop growing.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// After a minute without an answer it is asked once a second only.
const PATIENCE: Duration = Duration::from_secs(60);
const LATE_PAUSE: Duration = Duration::from_secs(1);

/// A target that is probed for one upstream.
pub(super) struct Job {
    pub(super) target: Arc<Target>,
    /// Whether it is the prober who says that a new target is ready.
    pub(super) readiness: AtomicBool,
    pub(super) checks: ArcSwap<Checks>,
    /// Something may have changed: look again.
    pub(super) nudge: Notify,
}

/// What is to be done now.
enum Next {
    Nothing,
    Readiness,
    Check { interval: Duration },
}

/// The active check's clock. Survives changes of settings and of causes.
struct Schedule {
    last: Instant,
    /// 0.9 to 1.1, new for every probe; before the first one 0 to 1, so that targets are not all asked at once.
    jitter: f64,
}

impl Job {
    pub(super) async fn run(self: Arc<Self>, shared: Arc<Shared>) {
        let mut schedule = Schedule { last: clock::now(), jitter: fastrand::f64() };
        loop {
            let checks = self.checks.load_full();
            match self.next(&checks) {
                Next::Nothing => self.nudge.notified().await,
                Next::Readiness => self.until_ready(&shared).await,
                Next::Check { interval } => {
                    let due = schedule.last + interval.mul_f64(schedule.jitter);
                    tokio::select! {
                        () = tokio::time::sleep_until(due.into()) => {
                            schedule = Schedule { last: clock::now(), jitter: 0.9 + 0.2 * fastrand::f64() };
                            self.check(&checks, &shared).await;
                        }
                        () = self.nudge.notified() => {}
                    }
                }
            }
        }
    }

    fn next(&self, checks: &Checks) -> Next {
        let causes = self.target.causes();
        if causes.intersects(LEFT_ALONE) {
            return Next::Nothing;
        }
        if causes.has(Cause::Starting) && !self.readiness.load(Ordering::Relaxed) {
            return Next::Nothing;
        }
        if causes.has(Cause::Starting) || causes.has(Cause::Refused) {
            return Next::Readiness;
        }
        checks.interval(&self.target).map_or(Next::Nothing, |interval| Next::Check { interval })
    }

    /// Asks, again and again, until it answers or there is no more reason to ask.
    async fn until_ready(&self, shared: &Shared) {
        let since = clock::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let checks = self.checks.load_full();
            if !matches!(self.next(&checks), Next::Readiness) {
                return;
            }
            let kind = checks.readiness_kind();
            let probed = {
                let _place = place(&checks.limit, &shared.readiness_limit).await;
                probe(kind, &checks, &self.target, &shared.tls).await
            };
            if checks.lets_in(probed.outcome) {
                self.ready(&checks, &probed, shared);
                return;
            }
            tracing::trace!(target = %self.target.name, said = probed.said, "not ready yet");
            let late = clock::now().saturating_duration_since(since) > PATIENCE;
            tokio::time::sleep(if late { LATE_PAUSE } else { pause }).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn ready(&self, checks: &Checks, probed: &Probed, shared: &Shared) {
        let mut changed = self.target.clear(Cause::Refused);
        if self.readiness.load(Ordering::Relaxed) {
            changed |= self.target.clear(Cause::Starting);
        }
        if changed {
            let (upstream, target) = (&*checks.name, &*self.target.name);
            tracing::debug!(upstream, target, replica = %self.target.replica, probe = probed.said, "target is ready");
            shared.changed(&self.target);
        }
    }

    async fn check(&self, checks: &Checks, shared: &Shared) {
        let probed = {
            let _place = place(&checks.limit, &shared.limit).await;
            probe(checks.settings.kind, checks, &self.target, &shared.tls).await
        };
        // It may have been told to stop meanwhile; then its failing says nothing.
        if self.target.causes().intersects(LEFT_ALONE) {
            return;
        }
        // A reload may have taken these checks away: nothing would ever correct their verdict.
        if !std::ptr::eq(checks, Arc::as_ptr(&self.checks.load())) {
            return;
        }
        let Some(verdict) = self.target.probed(&checks.rules, probed.outcome) else { return };
        let (upstream, target, replica) = (&*checks.name, &*self.target.name, &*self.target.replica);
        match verdict {
            Verdict::Healthy => {
                tracing::info!(upstream, target, replica, probe = probed.said, "target is healthy again");
            }
            Verdict::Unhealthy => {
                tracing::warn!(upstream, target, replica, probe = probed.said, "target is unhealthy");
            }
        }
        shared.changed(&self.target);
    }
}

/// A place among the upstream's probes, then among all. Neither semaphore is ever closed.
async fn place<'a>(
    upstream: &'a Semaphore,
    all: &'a Semaphore,
) -> (Option<tokio::sync::SemaphorePermit<'a>>, Option<tokio::sync::SemaphorePermit<'a>>) {
    (upstream.acquire().await.ok(), all.acquire().await.ok())
}
