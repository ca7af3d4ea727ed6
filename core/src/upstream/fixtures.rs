//! Targets, pools and upstreams for tests.

use super::{
    Acquired, Ask, InFlight, Member, Pool, PoolOptions, Signal, Target, Upstream, WaitLimits, WorkerRng, balancer,
};
use crate::model::{Causes, Moment, TargetId, UpstreamId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A signal that counts.
#[derive(Default)]
pub(super) struct Calls(AtomicU32);

impl Signal for Calls {
    fn upstream_changed(&self, _: &UpstreamId) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Calls {
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) fn now() -> Moment {
    Moment::from_micros(3_600_000_000)
}

pub(super) fn target(number: u16) -> Arc<Target> {
    let id = TargetId { provider: "docker".into(), id: format!("c{number}").into(), incarnation: "1".into(), port: 80 };
    let address = SocketAddr::from(([10, 0, 0, 1], number));
    Target::new(id, address, address.to_string().into(), format!("web-{number}").into(), true, Causes::NONE)
}

/// Members with these weights.
pub(super) fn members(weights: &[u16]) -> Vec<Member> {
    (1..).zip(weights).map(|(number, weight)| Member { target: target(number), weight: *weight }).collect()
}

pub(super) fn options(algorithm: &str, members: Vec<Member>) -> PoolOptions {
    PoolOptions {
        generation: 1,
        algorithm: balancer(algorithm).unwrap(),
        members,
        fed: true,
        hold: Some(WaitLimits { max_requests: 1000, max_bytes: 1000, timeout: Duration::from_secs(60) }),
        grace: Duration::from_secs(60),
        threshold: 0.0,
        passive: None,
        max_concurrency: None,
        queue: None,
        retry_budget: None,
        hedging: None,
        outlier: None,
        slow_start: None,
    }
}

pub(super) fn pool(algorithm: &str, weights: &[u16]) -> Pool {
    Pool::build(options(algorithm, members(weights)), None, now())
}

/// An upstream with a first pool.
pub(super) fn upstream(options: PoolOptions) -> (Arc<Upstream>, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let upstream = Upstream::new(UpstreamId::document("web"), "web".into(), Arc::clone(&calls) as Arc<dyn Signal>);
    upstream.publish(Arc::new(Pool::build(options, None, now())));
    (upstream, calls)
}

/// Publishes the pool anew, as the control plane does after a change.
pub(super) fn rebuild(upstream: &Upstream, change: impl FnOnce(&mut PoolOptions)) {
    let old = Arc::clone(&upstream.pool());
    let mut options = old.options().clone();
    change(&mut options);
    upstream.publish(Arc::new(Pool::build(options, Some(&old), now())));
}

pub(super) fn ask(tried: &[Arc<Target>]) -> Ask<'_> {
    Ask { tried, now: now(), key: 0 }
}

pub(super) fn hold(target: &Arc<Target>, count: usize) -> Vec<InFlight> {
    (0..count).map(|_| InFlight::take(target, u32::MAX, Causes::NONE, 1).unwrap()).collect()
}

pub(super) fn acquire_any(upstream: &Upstream) -> Acquired {
    upstream.acquire(&ask(&[]), &mut WorkerRng::with_seed(1))
}
