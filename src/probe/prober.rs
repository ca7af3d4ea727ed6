//! What is probed from now on: the door of this room.

use super::checks::Checks;
use super::job::Job;
use crate::tls::TargetTls;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use plimsoll_core::config::ActiveChecks;
use plimsoll_core::health::Checker;
use plimsoll_core::model::UpstreamId;
use plimsoll_core::upstream::{Target, Upstream};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::AbortOnDropHandle;

/// 64 active checks at a time over all upstreams, so that a large gateway's probes do not come as a flood.
const CHECKS_AT_ONCE: usize = 64;
/// 64 readiness probes beside them: a new replica does not wait for a slow check of another one.
const READINESS_AT_ONCE: usize = 64;

/// How the targets of one upstream are probed.
#[derive(Clone)]
pub struct ProbeOptions {
    /// Who is told of a change ([`Upstream::changed`]).
    pub upstream: Arc<Upstream>,
    /// Kong's `healthchecks.active`; off where both intervals are zero.
    pub checks: ActiveChecks,
    /// Sent as Host; `None`: the target's name.
    pub host_header: Option<Arc<str>>,
}

/// Probes targets on the control plane's runtime, until it is dropped.
pub struct Prober {
    shared: Arc<Shared>,
    handle: Handle,
}

pub(super) struct Shared {
    pub(super) limit: Semaphore,
    pub(super) readiness_limit: Semaphore,
    pub(super) tls: Arc<TargetTls>,
    upstreams: Mutex<FxHashMap<UpstreamId, Entry>>,
}

/// One upstream's probes.
struct Entry {
    upstream: Arc<Upstream>,
    checks: Arc<Checks>,
    /// By the target's address in memory, which the job keeps from being used again.
    jobs: FxHashMap<usize, (Arc<Job>, AbortOnDropHandle<()>)>,
}

fn key(target: &Arc<Target>) -> usize {
    Arc::as_ptr(target) as usize
}

impl Prober {
    /// A prober without anything to probe. `tls`: how targets are trusted.
    #[must_use]
    pub fn new(handle: Handle, tls: Arc<TargetTls>) -> Self {
        let shared = Shared {
            limit: Semaphore::new(CHECKS_AT_ONCE),
            readiness_limit: Semaphore::new(READINESS_AT_ONCE),
            tls,
            upstreams: Mutex::default(),
        };
        Self { shared: Arc::new(shared), handle }
    }

    /// Says which targets of an upstream are probed from now on, and how; what did not change goes on undisturbed. To be
    /// called at every change of the plan or of the pool, also of a cause: it is what makes the prober look at a target
    /// again. With each target: whether the prober decides that it is ready (a runtime feeds it and has no check of its
    /// own, so it began with [`Cause::Starting`](plimsoll_core::model::Cause::Starting)).
    pub fn set(&self, options: &ProbeOptions, targets: &[(Arc<Target>, bool)]) {
        let mut stopped = Vec::new();
        let mut forgot = Vec::new();
        {
            let mut upstreams = self.shared.upstreams.lock();
            let entry = upstreams.entry(options.upstream.id.clone()).or_insert_with(|| Entry {
                upstream: options.upstream.clone(),
                checks: Arc::new(Checks::new(options)),
                jobs: FxHashMap::default(),
            });
            entry.upstream.clone_from(&options.upstream);
            if !entry.checks.are(options) {
                let before = std::mem::replace(&mut entry.checks, Arc::new(Checks::new(options)));
                if before.on() && !entry.checks.on() {
                    forgot.extend(entry.forget_active());
                }
                entry.jobs.values().for_each(|(job, _)| job.checks.store(entry.checks.clone()));
            }
            let mut previous = std::mem::take(&mut entry.jobs);
            for (target, readiness) in targets {
                let task = previous.remove(&key(target)).unwrap_or_else(|| self.start(target, &entry.checks));
                task.0.readiness.store(*readiness, Ordering::Relaxed);
                task.0.nudge.notify_one();
                entry.jobs.insert(key(target), task);
            }
            stopped.extend(previous.into_values());
        }
        for target in forgot {
            self.shared.changed(&target);
        }
    }

    /// Probes nothing of this upstream any more.
    pub fn remove(&self, upstream: &UpstreamId) {
        let removed = self.shared.upstreams.lock().remove(upstream);
        drop(removed);
    }

    fn start(&self, target: &Arc<Target>, checks: &Arc<Checks>) -> (Arc<Job>, AbortOnDropHandle<()>) {
        let job = Arc::new(Job {
            target: target.clone(),
            // Until it is set, a moment later.
            readiness: AtomicBool::new(false),
            checks: ArcSwap::new(checks.clone()),
            nudge: Notify::new(),
        });
        let task = self.handle.spawn(job.clone().run(self.shared.clone()));
        (job, AbortOnDropHandle::new(task))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        // The tasks hold what is shared: without this, neither would ever go.
        let removed = std::mem::take(&mut *self.shared.upstreams.lock());
        drop(removed);
    }
}

impl Entry {
    /// Takes verdicts back that nothing would ever correct any more. The targets that this changed.
    fn forget_active(&self) -> Vec<Arc<Target>> {
        let found = self.jobs.values().map(|(job, _)| &job.target);
        found
            .filter(|target| target.counters().unhealthy == Some(Checker::Active) && target.forget_checks())
            .cloned()
            .collect()
    }
}

impl Shared {
    /// Tells every upstream in whose pool the target is.
    pub(super) fn changed(&self, target: &Arc<Target>) {
        let told: Vec<Arc<Upstream>> = {
            let upstreams = self.upstreams.lock();
            let holders = upstreams.values().filter(|entry| entry.jobs.contains_key(&key(target)));
            holders.map(|entry| entry.upstream.clone()).collect()
        };
        for upstream in told {
            upstream.changed();
        }
    }
}
