//! Who is known: upstreams and targets by identity, for longer than any snapshot or pool.
//!
//! What goes stays five minutes, in bounded number: a target that flaps, or an upstream that a reload takes away and the
//! next one brings back, finds itself with its counts, its health and its latency.

use super::causes::{Living, Readiness, Said};
use crate::telemetry::{Series, Telemetry, metric};
use plimsoll_core::config::DockerHealth;
use plimsoll_core::health::Checker;
use plimsoll_core::model::{Cause, Causes, Facts, Freshness, Moment, Replica, TargetId, TargetState, UpstreamId};
use plimsoll_core::plan::{Member as Planned, Plan, PlannedUpstream};
use plimsoll_core::upstream::{EjectedBy, Member, OutlierChange, Outliers, Pool, Signal, Target, Upstream};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long what has gone is kept.
const KEPT: Duration = Duration::from_secs(300);
/// Targets that have gone and are kept; the oldest leave early. Some 300 bytes each.
const GONE_MAX: usize = 10_000;
/// The provider of targets that are written in a document.
const WRITTEN: &str = "document";

/// Every upstream and target.
pub(super) struct Registry {
    signal: Arc<dyn Signal>,
    telemetry: Arc<Telemetry>,
    upstreams: FxHashMap<UpstreamId, Known>,
    /// No longer planned, and still in the pools that are served.
    leaving: Vec<Arc<Target>>,
}

struct Known {
    upstream: Arc<Upstream>,
    targets: FxHashMap<TargetId, KnownTarget>,
    outliers: Outliers,
    left: Option<Moment>,
}

struct KnownTarget {
    target: Arc<Target>,
    /// Keeps what it is counted under.
    _series: Series,
    readiness: Readiness,
    /// The network that the document wants it to be reached by.
    network: Option<Arc<str>>,
    left: Option<Moment>,
    /// The state that the log was last told of.
    told: Option<TargetState>,
}

/// What marks did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marked {
    /// Targets whose causes changed.
    pub(super) changed: usize,
    /// Whether one was cut off.
    pub(super) cut_off: bool,
}

impl Registry {
    pub(super) fn new(signal: Arc<dyn Signal>, telemetry: Arc<Telemetry>) -> Self {
        Self { signal, telemetry, upstreams: FxHashMap::default(), leaving: Vec::new() }
    }

    /// The identities of a plan's upstreams, in its order. New ones are made.
    pub(super) fn upstreams_of(&mut self, plan: &Plan) -> Vec<Arc<Upstream>> {
        plan.upstreams.iter().map(|planned| self.upstream(planned)).collect()
    }

    fn upstream(&mut self, planned: &PlannedUpstream) -> Arc<Upstream> {
        if let Some(known) = self.upstreams.get_mut(&planned.id) {
            known.left = None;
            return Arc::clone(&known.upstream);
        }
        let (id, name, signal) = (planned.id.clone(), Arc::clone(&planned.name), Arc::clone(&self.signal));
        let upstream = Upstream::new(id, name, signal);
        let (targets, outliers) = (FxHashMap::default(), Outliers::default());
        let known = Known { upstream: Arc::clone(&upstream), targets, outliers, left: None };
        self.upstreams.insert(planned.id.clone(), known);
        upstream
    }

    /// The targets of a planned upstream. New ones are made, with what the plan says of them; what is said of those that are
    /// known is [`Self::mark`]'s alone, since a plan may be older than that. Those that are no longer planned begin to be
    /// forgotten, and [`Self::let_go`] is to follow.
    pub(super) fn members(&mut self, planned: &PlannedUpstream, mode: DockerHealth, now: Moment) -> Vec<Member> {
        let telemetry = Arc::clone(&self.telemetry);
        let Some(known) = self.upstreams.get_mut(&planned.id) else { return Vec::new() };
        let wanted: FxHashSet<&TargetId> = planned.members.iter().map(|member| &member.id).collect();
        for (id, target) in &mut known.targets {
            if target.left.is_none() && !wanted.contains(id) {
                target.left = Some(now);
                self.leaving.push(Arc::clone(&target.target));
            }
        }
        let members = planned.members.iter().map(|member| {
            let (target, old) = known.target(member, &planned.name, mode, &telemetry);
            self.leaving.extend(old);
            Member { target, weight: member.weight }
        });
        members.collect()
    }

    /// The pools that are served have others in place of those that are no longer planned. Idle connections to these are
    /// closed; what is in flight finishes. Marked any earlier, a target that is its pool's last would leave a moment without.
    pub(super) fn let_go(&mut self) {
        for target in self.leaving.drain(..) {
            target.set(Cause::Draining);
        }
    }

    /// Sets and clears at once, before anything is planned anew, what a provider says of the targets that it feeds.
    pub(super) fn mark(&mut self, facts: &Facts, mode: DockerHealth) -> Marked {
        let mut marked = Marked::default();
        if facts.freshness == Freshness::Waiting {
            return marked;
        }
        let replicas: FxHashMap<(&str, &str), &Replica> =
            facts.replicas.iter().map(|replica| ((&*replica.id, &*replica.incarnation), replica)).collect();
        let living = Living::of(facts);
        for known in self.upstreams.values_mut() {
            let mut changed = 0;
            for (id, target) in known.targets.iter_mut().filter(|(id, _)| id.provider == facts.provider) {
                let mode = mode_of(id, mode);
                let said = replicas.get(&(&*id.id, &*id.incarnation)).map_or(Said::GONE, |replica| {
                    let way = replica.by(target.network.as_deref());
                    let said = Said::of(way.phase, replica.health, mode);
                    // It is reached at another address from now on. What is in flight at the old one may yet finish.
                    let moved = way.address != Some(target.target.address.ip());
                    if moved { Said { causes: said.causes.with(Cause::Draining), ..said } } else { said }
                });
                let said = said.unless_followed(&target.target, &living);
                // One that left the plan is out for a reason that its provider does not know.
                if target.left.is_some() && said.causes.is_empty() {
                    continue;
                }
                target.readiness = said.readiness;
                let (did, cut_off) = said.apply(&target.target);
                changed += usize::from(did);
                marked.cut_off |= cut_off;
            }
            if changed > 0 {
                marked.changed += changed;
                known.upstream.changed();
            }
        }
        marked
    }

    /// Tells the log of targets whose state is another one than it was last told.
    pub(super) fn tell(&mut self, id: &UpstreamId) {
        let Some(known) = self.upstreams.get_mut(id) else { return };
        for target in known.targets.values_mut() {
            let causes = target.target.causes();
            let state = causes.state();
            if target.told.replace(state) != Some(state) {
                let Target { replica, address, .. } = &*target.target;
                let (upstream, state) = (&*known.upstream.name, state.name());
                let causes = (!causes.is_empty()).then(|| tracing::field::display(causes));
                tracing::info!(%upstream, target = %replica, %address, causes, "target is {state}");
            }
        }
    }

    /// The targets of an upstream, each with whether a probe of ours decides that it is ready.
    pub(super) fn probed(&self, id: &UpstreamId) -> Vec<(Arc<Target>, bool)> {
        let Some(known) = self.upstreams.get(id) else { return Vec::new() };
        let present = known.targets.values().filter(|known| known.left.is_none());
        let decides = |known: &KnownTarget| known.target.fed && known.readiness == Readiness::Probe;
        present.map(|known| (Arc::clone(&known.target), decides(known))).collect()
    }

    /// Closes upstreams that are not in the plan; gives their last pools.
    pub(super) fn close_all_but(&mut self, plan: &Plan, now: Moment) -> Vec<(UpstreamId, Arc<Pool>)> {
        let planned: FxHashSet<&UpstreamId> = plan.upstreams.iter().map(|planned| &planned.id).collect();
        let mut pools = Vec::new();
        for (id, known) in &mut self.upstreams {
            if known.left.is_some() || planned.contains(id) {
                continue;
            }
            known.left = Some(now);
            pools.push((id.clone(), known.upstream.close()));
            for target in known.targets.values_mut().filter(|target| target.left.is_none()) {
                target.left = Some(now);
                target.target.set(Cause::Draining);
            }
        }
        pools
    }

    /// Forgets what went long ago.
    pub(super) fn forget(&mut self, now: Moment) {
        let stays = |left: Option<Moment>| left.is_none_or(|left| now.since(left) < KEPT);
        for known in self.upstreams.values_mut() {
            known.targets.retain(|_, target| stays(target.left) || target.target.inflight() > 0);
        }
        let telemetry = &self.telemetry;
        self.upstreams.retain(|_, known| {
            let kept = stays(known.left) || !known.targets.is_empty();
            if !kept {
                EjectedBy::ALL
                    .iter()
                    .for_each(|by| telemetry.remove(&metric::EJECTIONS, &[&*known.upstream.name, by.name()]));
            }
            kept
        });
        let left = |known: &Known| known.targets.values().filter_map(|target| target.left).collect::<Vec<_>>();
        let mut gone: Vec<Moment> = self.upstreams.values().flat_map(left).collect();
        if gone.len() > GONE_MAX {
            gone.sort_unstable();
            let Some(oldest) = gone.get(gone.len() - GONE_MAX).copied() else { return };
            for known in self.upstreams.values_mut() {
                known.targets.retain(|_, target| target.left.is_none_or(|left| left >= oldest));
            }
        }
    }

    /// Takes passive verdicts back: without passive checks nothing would ever correct them.
    pub(super) fn forget_passive(&self, id: &UpstreamId) {
        let Some(known) = self.upstreams.get(id) else { return };
        let found = known.targets.values().map(|known| &known.target);
        let judged = |target: &&Arc<Target>| target.counters().unhealthy == Some(Checker::Passive);
        if found.filter(judged).fold(false, |changed, target| target.forget_checks() | changed) {
            known.upstream.changed();
        }
    }

    /// Ejects what does badly, and brings back what was ejected for long enough.
    pub(super) fn judge(&mut self, id: &UpstreamId, now: Moment) {
        if let Some(known) = self.upstreams.get_mut(id) {
            known.judge(&self.telemetry, now);
        }
    }

    /// As [`Self::judge`], for every upstream.
    pub(super) fn judge_all(&mut self, now: Moment) {
        self.upstreams.values_mut().for_each(|known| known.judge(&self.telemetry, now));
    }

    /// Upstreams whose new targets have earned more of their shares.
    pub(super) fn outgrown(&self, now: Moment) -> Vec<UpstreamId> {
        let outgrown = self.upstreams.values().filter(|known| known.upstream.pool().has_outgrown(now));
        outgrown.map(|known| known.upstream.id.clone()).collect()
    }

    /// Whether no request is in flight on any target with this identity.
    pub(super) fn is_idle(&self, id: &TargetId) -> bool {
        self.upstreams.values().filter_map(|known| known.targets.get(id)).all(|known| known.target.inflight() == 0)
    }
}

impl Known {
    fn judge(&mut self, telemetry: &Telemetry, now: Moment) {
        let pool = self.upstream.pool();
        let changes = match pool.outlier() {
            Some(rules) => self.outliers.judge(rules, pool.targets(), now),
            None => self.outliers.end(self.targets.values().map(|known| &known.target)),
        };
        drop(pool);
        for (target, change) in &changes {
            let (upstream, causes) = (&*self.upstream.name, target.causes());
            let Target { replica, address, .. } = &**target;
            match change {
                OutlierChange::Ejected { by, time } => {
                    let (by, seconds) = (by.name(), time.as_secs_f64());
                    tracing::warn!(%upstream, target = %replica, %address, by, seconds, "target is ejected");
                    telemetry.add(&metric::EJECTIONS, &[upstream, by], 1.0);
                }
                OutlierChange::Returned => {
                    tracing::info!(%upstream, target = %replica, %address, "target is ejected no longer");
                }
            }
            // That was its line.
            if let Some(known) = self.targets.get_mut(&target.id) {
                known.told = Some(causes.state());
            }
        }
        if !changes.is_empty() {
            self.upstream.changed();
        }
    }

    /// The target of a planned member; and where it is the same replica at another address, the one of before.
    fn target(
        &mut self,
        member: &Planned,
        upstream: &str,
        mode: DockerHealth,
        telemetry: &Telemetry,
    ) -> (Arc<Target>, Option<Arc<Target>>) {
        let said = Said::of(member.phase, member.health, mode_of(&member.id, mode));
        if let Some(known) = self.targets.get_mut(&member.id)
            && known.target.address == member.address
        {
            known.network.clone_from(&member.network);
            if known.left.take().is_some() && said.apply(&known.target).0 {
                self.upstream.changed();
            }
            return (Arc::clone(&known.target), None);
        }
        let fed = *member.id.provider != *WRITTEN;
        let initial = if fed { Causes::NONE.with(Cause::Starting) } else { Causes::NONE };
        let (name, replica) = (Arc::clone(&member.name), Arc::clone(&member.replica));
        let target = Target::new(member.id.clone(), member.address, name, replica, fed, initial);
        let series = telemetry.target(upstream, &member.replica);
        target.set_tag(series.id().to_bits());
        said.apply(&target);
        let known = KnownTarget {
            target: Arc::clone(&target),
            readiness: said.readiness,
            network: member.network.clone(),
            left: None,
            told: None,
            _series: series,
        };
        let old = self.targets.insert(member.id.clone(), known);
        (target, old.map(|old| old.target))
    }
}

/// Only Docker has health checks that a document may set aside.
fn mode_of(id: &TargetId, docker: DockerHealth) -> DockerHealth {
    if *id.provider == *"docker" { docker } else { DockerHealth::Gate }
}
