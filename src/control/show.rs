//! Showing what is going on: the view, and metrics of providers and upstreams.

use super::handle::Common;
use super::reconciler::Reconciler;
use super::view::{ProviderView, View};
use crate::proxy::worker::Shared;
use crate::telemetry::{MetricsOut, clock, metric};
use plimsoll_core::model::{Facts, Freshness};
use std::sync::{Arc, Weak};

impl Reconciler {
    /// Replaces the view.
    pub(super) fn show(&self, view: View) {
        self.common.view.store(Arc::new(view));
        self.common.changes.send_modify(|count| *count += 1);
    }

    /// Shows what providers say now, before anything was built of it.
    pub(super) fn show_providers(&self) {
        let view = View { providers: self.providers(), ..View::clone(&self.common.view.load()) };
        self.show(view);
    }

    /// What providers say now.
    pub(super) fn providers(&self) -> Vec<ProviderView> {
        let telemetry = &self.common.shared.telemetry;
        for facts in self.facts.iter() {
            let up = if facts.freshness == Freshness::Fresh { 1.0 } else { 0.0 };
            telemetry.set(&metric::PROVIDER_UP, &[&facts.provider], up);
            telemetry.set(&metric::PROVIDER_ERRORS, &[&facts.provider], count(facts.problems.len()));
        }
        self.facts.iter().map(view_of).collect()
    }
}

fn view_of(facts: &Facts) -> ProviderView {
    ProviderView {
        name: Arc::clone(&facts.provider),
        freshness: facts.freshness.clone(),
        replicas: facts.replicas.len(),
        problems: facts.problems.clone(),
    }
}

/// Has upstreams' gauges read at every scrape.
pub(super) fn register_collector(common: &Arc<Common>) {
    let weak: Weak<Common> = Arc::downgrade(common);
    common.shared.telemetry.register_collector(Box::new(move |out| {
        if let Some(common) = weak.upgrade() {
            collect(&common.view.load(), out);
            collect_clients(&common.shared, out);
        }
    }));
}

fn collect(view: &View, out: &mut MetricsOut) {
    for (planned, upstream) in view.plan.upstreams.iter().zip(&view.upstreams) {
        let name = &*planned.name;
        let counts = upstream.counts();
        let states = [
            ("starting", counts.starting),
            ("healthy", counts.healthy),
            ("unhealthy", counts.unhealthy),
            ("draining", counts.draining),
        ];
        for (state, targets) in states {
            out.value(&metric::UPSTREAM_TARGETS, &[name, state], f64::from(targets));
        }
        out.value(&metric::READY_REPLICAS, &[name], f64::from(counts.healthy));
        out.value(&metric::QUEUED, &[name], count(upstream.queued()));
        out.value(&metric::HELD, &[name], count(upstream.held()));
        for member in upstream.pool().targets() {
            let target = &member.target;
            // Where single targets are not counted, none of their series is.
            if target.tag() != 0 {
                let labels = [name, &*target.replica];
                out.value(&metric::TARGET_INFLIGHT, &labels, f64::from(target.inflight()));
            }
        }
    }
}

fn collect_clients(shared: &Shared, out: &mut MetricsOut) {
    let now_ns = clock::moment().micros().saturating_mul(1000);
    if let Some((remembered, forgotten)) = shared.clients.counts(now_ns) {
        out.value(&metric::LIMITED_CLIENTS, &[], count(remembered));
        out.value(&metric::LIMITED_CLIENTS_FORGOTTEN, &[], count(usize::try_from(forgotten).unwrap_or(usize::MAX)));
    }
}

/// As a metric has it.
#[expect(clippy::cast_precision_loss, reason = "counts of things in memory are far below 2^52")]
pub(super) const fn count(things: usize) -> f64 {
    things as f64
}
