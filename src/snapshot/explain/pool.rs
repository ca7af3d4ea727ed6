//! The pool of a service, as it is now.

use super::{Candidate, PoolView};
use crate::snapshot::{Service, Snapshot};
use plimsoll_core::model::Causes;
use plimsoll_core::plan::{Member, PlannedUpstream};
use plimsoll_core::upstream::{Member as Live, Target};

/// The state of targets where no gateway runs that could know.
pub(super) const UNKNOWN: &str = "unknown";

/// What a pool can do for a request right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ability {
    /// Something can be picked.
    Serves,
    /// Nothing can, and requests are held.
    Holds,
    /// Nothing can.
    Fails,
    /// Nothing is known: the snapshot is not served by anyone.
    Unknown,
}

/// The pool of `service`, and what it can do.
pub(super) fn view(snapshot: &Snapshot, service: &Service) -> (PoolView, Ability) {
    let planned = snapshot.plan.upstreams.iter().find(|upstream| upstream.id == service.upstream.id);
    let pool = service.upstream.pool();
    let known = !pool.targets().is_empty();
    let mut targets: Vec<Candidate> = pool.targets().iter().map(|member| live(&member.target, member.weight)).collect();
    if !known {
        targets.extend(planned.into_iter().flat_map(|upstream| &upstream.members).map(offline));
    }
    let ignored = pool.ignored();
    let can_serve = |member: &Live| member.weight > 0 && member.target.causes().without(ignored).is_empty();
    let ability = if pool.targets().iter().any(can_serve) {
        if pool.below_threshold() { Ability::Fails } else { Ability::Serves }
    } else if !known && !targets.is_empty() {
        Ability::Unknown
    } else if pool.options().fed || planned.is_some_and(|upstream| upstream.fed) {
        Ability::Holds
    } else {
        Ability::Fails
    };
    let unresolved = planned.map(unresolved).unwrap_or_default();
    let algorithm = planned.map_or("", |upstream| &upstream.settings.algorithm).to_owned();
    (PoolView { name: service.upstream.name.to_string(), algorithm, targets, unresolved }, ability)
}

fn live(target: &Target, weight: u16) -> Candidate {
    let causes: Causes = target.causes();
    Candidate {
        target: target.name.to_string(),
        replica: target.replica.to_string(),
        address: target.address.to_string(),
        weight,
        state: causes.state().name().to_owned(),
        causes: causes.iter().map(|cause| cause.name().to_owned()).collect(),
        in_flight: target.inflight(),
    }
}

fn offline(member: &Member) -> Candidate {
    Candidate {
        target: member.name.to_string(),
        replica: member.replica.to_string(),
        address: member.address.to_string(),
        weight: member.weight,
        state: UNKNOWN.to_owned(),
        causes: Vec::new(),
        in_flight: 0,
    }
}

fn unresolved(upstream: &PlannedUpstream) -> Vec<String> {
    upstream.unresolved.iter().map(|problem| format!("{}: {}", problem.subject, problem.message)).collect()
}
