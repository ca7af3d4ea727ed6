//! What was built becomes what is served.
//!
//! In this order: sockets are bound, pools of upstreams that nobody uses yet are filled, the snapshot is swapped, pools
//! that requests use are swapped (one that is newer than a request's snapshot makes it look at the present one), and only
//! then what left is marked and closed.

use super::build::Built;
use super::handle::Applied;
use super::reconciler::Reconciler;
use super::view::View;
use super::{ApplyError, pools};
use crate::probe::ProbeOptions;
use crate::telemetry::{clock, metric};
use plimsoll_core::config::{ActiveChecks, DockerHealth};
use plimsoll_core::model::Moment;
use plimsoll_core::plan::PlannedUpstream;
use plimsoll_core::upstream::{Pool, Upstream};
use std::sync::Arc;

impl Reconciler {
    /// Puts in place what was built, whole or not at all.
    pub(super) fn publish(&mut self, built: Built) -> Result<Applied, ApplyError> {
        if built.is_new {
            let before = self.bound.bind(&built.listeners, built.compiled.snapshot.generation)?;
            let settings = &mut self.settings;
            if let Err(error) =
                settings.apply(built.gateway(), &self.workshop.folder, &self.common.shared, built.is_said)
            {
                self.bound.back_to(before);
                return Err(error);
            }
            self.generation = built.compiled.snapshot.generation;
        }
        let previous = self.built.replace(Arc::new(built));
        let Some(built) = self.built.clone() else { return Err(ApplyError::Internal) };
        let now = clock::moment();
        let mut later = Vec::new();
        self.know_members(&built, now);
        for (planned, upstream) in built.plan.upstreams.iter().zip(&built.upstreams) {
            let Some(pool) = self.new_pool(planned, upstream, now) else { continue };
            if upstream.pool().is_placeholder() {
                self.retired.pool(upstream.publish(pool));
            } else {
                later.push((upstream, pool));
            }
        }
        if built.is_new {
            self.retired.snapshot(self.common.shared.publish(Arc::clone(&built.compiled.snapshot)));
        }
        for (upstream, pool) in later {
            self.retired.pool(upstream.publish(pool));
        }
        let closed = {
            let mut registry = self.workshop.registry.lock();
            registry.let_go();
            registry.close_all_but(&built.plan, now)
        };
        for (id, pool) in closed {
            self.prober.remove(&id);
            self.retired.pool(pool);
        }
        for (planned, upstream) in built.plan.upstreams.iter().zip(&built.upstreams) {
            self.look_after(planned, upstream);
        }
        if built.is_said
            && let Some(stopped) = self.sources.follow(&built.known.document)
        {
            self.forget_provider(stopped);
        }
        self.bound.close_unwanted();
        self.names.only(plimsoll_core::plan::names_wanted(&built.known.document));
        self.note_applied(&built, previous.as_deref());
        // The old one's plan may be large.
        self.workshop.thread.free(previous);
        let warnings = built.known.warnings.iter().chain(&built.compiled.warnings).cloned().collect();
        let document = Arc::clone(&built.known.document);
        Ok(Applied { generation: self.generation, document, warnings })
    }

    /// Causes of targets have changed: new pools for their upstreams.
    pub(super) fn rebuild_pools(&mut self) {
        let due = self.take_due_pools();
        let Some(built) = self.built.clone() else { return };
        let now = clock::moment();
        for (planned, upstream) in built.plan.upstreams.iter().zip(&built.upstreams) {
            if !due.contains(&planned.id) {
                continue;
            }
            self.workshop.registry.lock().judge(&planned.id, now);
            if let Some(pool) = self.new_pool(planned, upstream, now) {
                self.retired.pool(upstream.publish(pool));
                self.look_after(planned, upstream);
            }
        }
        self.common.changes.send_modify(|count| *count += 1);
    }

    /// Makes the targets that are new, and marks them with what is said now: the plan may be a little older.
    fn know_members(&self, built: &Built, now: Moment) {
        let health = self.health();
        let mut registry = self.workshop.registry.lock();
        for planned in &built.plan.upstreams {
            registry.members(planned, health, now);
        }
        for facts in self.facts.iter() {
            registry.mark(facts, health);
        }
    }

    /// The pool that an upstream should have, unless it is the one that it has.
    fn new_pool(&self, planned: &PlannedUpstream, upstream: &Upstream, now: Moment) -> Option<Arc<Pool>> {
        let health = self.health();
        let members = self.workshop.registry.lock().members(planned, health, now);
        let options = pools::options(planned, members, self.generation, health);
        // Before causes are read: a change after this is told again.
        let changed = upstream.take_changed();
        let present = upstream.pool();
        let same = || !present.has_outgrown(now) && pools::same(present.options(), &options);
        if !changed && !present.is_placeholder() && same() {
            return None;
        }
        Some(Arc::new(Pool::build(options, Some(&present), now)))
    }

    /// Has its targets probed, and tells the log what became of them.
    fn look_after(&self, planned: &PlannedUpstream, upstream: &Arc<Upstream>) {
        let mut registry = self.workshop.registry.lock();
        registry.tell(&upstream.id);
        let targets = registry.probed(&upstream.id);
        let settings = &planned.settings;
        if upstream.pool().passive().is_none() {
            registry.forget_passive(&upstream.id);
        }
        drop(registry);
        let decided_elsewhere = self.health() == DockerHealth::Only && *planned.id.provider == *"docker";
        let checks = if decided_elsewhere { ActiveChecks::default() } else { settings.healthchecks.active.clone() };
        let options =
            ProbeOptions { upstream: Arc::clone(upstream), checks, host_header: settings.host_header.clone() };
        self.prober.set(&options, &targets);
    }

    fn note_applied(&self, built: &Built, previous: Option<&Built>) {
        let telemetry = &self.common.shared.telemetry;
        let now_ms = clock::now_ms();
        if built.is_new {
            telemetry.set(&metric::CONFIG_GENERATION, &[], float(self.generation));
            // Those of a document that stays were told when it was said.
            for warning in built.known.warnings.iter().chain(&built.compiled.warnings).filter(|_| built.is_said) {
                tracing::warn!("{warning}");
            }
            let (routes, services, upstreams) =
                (built.plan.routes.len(), built.plan.services.len(), built.plan.upstreams.len());
            tracing::info!(generation = self.generation, routes, services, upstreams, "serving");
        }
        if built.is_said {
            telemetry.set(&metric::CONFIG_RELOAD_OK, &[], 1.0);
            telemetry.set(&metric::CONFIG_RELOAD_TIME, &[], float(now_ms / 1000));
        }
        let problems = problems(built);
        let told = previous.map(self::problems).unwrap_or_default();
        for problem in problems.iter().filter(|problem| !told.contains(problem)) {
            tracing::warn!(subject = %problem.subject, "{}", problem.message);
        }
        for note in &built.plan.notes {
            if previous.is_none_or(|previous| !previous.plan.notes.contains(note)) {
                tracing::info!(subject = %note.subject, "{}", note.message);
            }
        }
        let warnings = built.known.warnings.iter().chain(&built.compiled.warnings).cloned().collect();
        let before = self.common.view.load();
        self.show(View {
            generation: self.generation,
            plan: Arc::clone(&built.plan),
            upstreams: built.upstreams.clone(),
            document: Arc::clone(&built.known.said.text),
            parsed: Arc::clone(&built.known.document),
            source: built.known.said.source,
            warnings,
            applied_ms: if built.is_said { now_ms } else { before.applied_ms },
            last_error: before.last_error.clone().filter(|_| !built.is_said),
            listeners: self.bound.addresses(),
            providers: self.providers(),
            problems,
            synchronised: self.is_synchronised() || before.synchronised,
        });
    }

    pub(super) fn note_refused(&self, error: &ApplyError) {
        self.common.shared.telemetry.set(&metric::CONFIG_RELOAD_OK, &[], 0.0);
        let mut view = View::clone(&self.common.view.load());
        view.last_error = Some(error.brief().into());
        self.show(view);
    }
}

/// Everything that was left out.
fn problems(built: &Built) -> Vec<plimsoll_core::model::Problem> {
    built.plan.problems.iter().chain(&built.compiled.left_out).cloned().collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds and generations are far below 2^52")]
const fn float(value: u64) -> f64 {
    value as f64
}
