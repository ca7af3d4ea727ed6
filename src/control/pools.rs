//! From a planned upstream and its targets to a pool.

use crate::probe::check_rules;
use plimsoll_core::config::{CheckKind, DockerHealth, PassiveChecks, Waiting};
use plimsoll_core::health::CheckRules;
use plimsoll_core::plan::PlannedUpstream;
use plimsoll_core::upstream::{
    BALANCERS, HedgeLimits, Member, OutlierRules, PoolOptions, RetryLimits, WaitLimits, balancer,
};
use std::sync::Arc;

/// What the pool of a planned upstream is built from.
pub(super) fn options(
    planned: &PlannedUpstream,
    members: Vec<Member>,
    generation: u64,
    health: DockerHealth,
) -> PoolOptions {
    let settings = &planned.settings;
    let limits = |waiting: Waiting| WaitLimits {
        max_requests: waiting.max_requests,
        max_bytes: waiting.max_bytes,
        timeout: waiting.timeout,
    };
    let hold = settings.hold.unwrap_or_else(|| planned.fed.then_some(Waiting::HOLD)).map(limits);
    let queue = settings.max_concurrency.and_then(|_| settings.queue.unwrap_or(Some(Waiting::QUEUE))).map(limits);
    let passive = rules(&settings.healthchecks.passive);
    let decided_elsewhere = health == DockerHealth::Only && *planned.id.provider == *"docker";
    PoolOptions {
        generation,
        algorithm: balancer(&settings.algorithm).unwrap_or(BALANCERS[0]),
        members,
        fed: planned.fed,
        hold,
        grace: planned.grace,
        threshold: settings.healthchecks.threshold,
        passive: (!decided_elsewhere && passive.can_fail()).then_some(passive),
        max_concurrency: settings.max_concurrency,
        queue,
        retry_budget: settings
            .retry_budget
            .map(|budget| RetryLimits { ratio: budget.ratio, min_per_second: budget.min_per_second }),
        hedging: settings.hedging.map(|hedging| HedgeLimits { after: hedging.after, max_ratio: hedging.max_ratio }),
        outlier: settings.outlier.map(|outlier| OutlierRules {
            consecutive_errors: outlier.consecutive_errors,
            success_rate_deviations: outlier.success_rate_deviations,
            ejection: outlier.ejection,
            max_ejected: outlier.max_ejected,
            panic_below: outlier.panic_below,
        }),
        slow_start: settings.slow_start.filter(|over| !over.is_zero()),
    }
}

/// Whether a pool built from either would be the same one, as far as causes are the same.
pub(super) fn same(one: &PoolOptions, other: &PoolOptions) -> bool {
    one.algorithm.name() == other.algorithm.name()
        && one.fed == other.fed
        && one.hold == other.hold
        && one.grace == other.grace
        && one.threshold.to_bits() == other.threshold.to_bits()
        && one.passive == other.passive
        && one.max_concurrency == other.max_concurrency
        && one.queue == other.queue
        && one.retry_budget == other.retry_budget
        && one.hedging == other.hedging
        && one.outlier == other.outlier
        && one.slow_start == other.slow_start
        && one.members.len() == other.members.len()
        && one
            .members
            .iter()
            .zip(&other.members)
            .all(|(a, b)| a.weight == b.weight && Arc::ptr_eq(&a.target, &b.target))
}

/// Of type `tcp`, statuses say nothing.
fn rules(checks: &PassiveChecks) -> CheckRules {
    let rules = check_rules(&checks.healthy, &checks.unhealthy);
    match checks.kind {
        CheckKind::Tcp => CheckRules { http_failures: 0, ..rules },
        _ => rules,
    }
}
