//! What a provider says of a replica → causes of its targets.

use plimsoll_core::config::DockerHealth;
use plimsoll_core::model::{Cause, Causes, Facts, Phase, Replica, RuntimeHealth};
use plimsoll_core::upstream::Target;
use std::cell::OnceCell;
use std::net::IpAddr;

/// Causes that a provider alone sets and clears.
const OWNED: Causes = Causes::NONE
    .with(Cause::Draining)
    .with(Cause::Runtime)
    .with(Cause::Paused)
    .with(Cause::Disconnected)
    .with(Cause::Gone);

/// Who decides that a new target is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It has been decided.
    Decided,
    /// The runtime's health check, which has not yet.
    Runtime,
    /// A probe of ours.
    Probe,
}

/// What a replica's life and health mean for its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Causes, out of [`OWNED`].
    pub(super) causes: Causes,
    /// Who decides on entry.
    pub(super) readiness: Readiness,
}

impl Said {
    /// A replica that its provider no longer knows.
    pub(super) const GONE: Self = Self { causes: Causes::NONE.with(Cause::Gone), readiness: Readiness::Runtime };

    pub(super) const fn of(phase: Phase, health: RuntimeHealth, mode: DockerHealth) -> Self {
        let causes = match phase {
            Phase::Running => Causes::NONE,
            Phase::Stopping => Causes::NONE.with(Cause::Draining),
            Phase::Paused => Causes::NONE.with(Cause::Paused),
            Phase::Disconnected => Causes::NONE.with(Cause::Disconnected),
            Phase::Stopped | Phase::Gone => return Self::GONE,
        };
        if matches!(mode, DockerHealth::Ignore) {
            return Self { causes, readiness: Readiness::Probe };
        }
        match health {
            RuntimeHealth::None => Self { causes, readiness: Readiness::Probe },
            RuntimeHealth::Starting => Self { causes, readiness: Readiness::Runtime },
            RuntimeHealth::Healthy => Self { causes, readiness: Readiness::Decided },
            RuntimeHealth::Unhealthy => Self { causes: causes.with(Cause::Runtime), readiness: Readiness::Decided },
        }
    }

    /// The end of a target that is only now told of, while another one lives at its address already: the next life of the same
    /// replica, or another replica. What is in flight may be with that one, and finishes; what is not is told so by a reset.
    pub(super) fn unless_followed(self, target: &Target, living: &Living<'_>) -> Self {
        let ends = self.causes.has(Cause::Gone) && !target.causes().has(Cause::Gone);
        if ends && living.has_follower_of(target) {
            return Self { causes: Causes::NONE.with(Cause::Draining), ..self };
        }
        self
    }

    /// Sets and clears what the provider owns, in one step. Whether that changed anything, and whether the target was cut
    /// off by it.
    pub(super) fn apply(self, target: &Target) -> (bool, bool) {
        let before = target.causes();
        let mut changed = target.assign(OWNED, self.causes);
        if self.readiness == Readiness::Decided {
            changed |= target.clear(Cause::Starting);
        }
        let cut_off = Causes(self.causes.0 & !before.0).intersects(Causes::CUT_OFF);
        (changed, cut_off)
    }
}

/// The replicas of a provider that live, by where they are reached. Only made once it is looked into.
pub(super) struct Living<'a> {
    facts: &'a Facts,
    sorted: OnceCell<Vec<(IpAddr, &'a Replica)>>,
}

impl<'a> Living<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        Self { facts, sorted: OnceCell::new() }
    }

    fn has_follower_of(&self, target: &Target) -> bool {
        let (id, at) = (&target.id, target.address);
        let sorted = self.sorted.get_or_init(|| {
            let all = self.facts.replicas.iter().flat_map(|one| one.lives_at().map(move |ip| (ip, one)));
            let mut all: Vec<_> = all.collect();
            all.sort_unstable_by_key(|(ip, _)| *ip);
            all
        });
        let first = sorted.partition_point(|(ip, _)| *ip < at.ip());
        let mut there = sorted.iter().skip(first).take_while(|(ip, _)| *ip == at.ip());
        there.any(|(_, replica)| replica.answers_for(id, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_and_health_of_a_replica_become_causes() {
        use Readiness::{Decided, Probe, Runtime};
        let check =
            |phase: Phase, health: RuntimeHealth, mode: DockerHealth, causes: &[Cause], readiness: Readiness| {
                let causes = causes.iter().fold(Causes::NONE, |set, cause| set.with(*cause));
                assert_eq!(Said::of(phase, health, mode), Said { causes, readiness }, "{phase:?} {health:?} {mode:?}");
            };
        let gate = DockerHealth::Gate;
        check(Phase::Running, RuntimeHealth::None, gate, &[], Probe);
        check(Phase::Running, RuntimeHealth::Starting, gate, &[], Runtime);
        check(Phase::Running, RuntimeHealth::Healthy, gate, &[], Decided);
        check(Phase::Running, RuntimeHealth::Unhealthy, gate, &[Cause::Runtime], Decided);
        check(Phase::Running, RuntimeHealth::Unhealthy, DockerHealth::Only, &[Cause::Runtime], Decided);
        check(Phase::Running, RuntimeHealth::Unhealthy, DockerHealth::Ignore, &[], Probe);
        check(Phase::Running, RuntimeHealth::Healthy, DockerHealth::Ignore, &[], Probe);
        check(Phase::Stopping, RuntimeHealth::Healthy, gate, &[Cause::Draining], Decided);
        check(Phase::Stopping, RuntimeHealth::Unhealthy, gate, &[Cause::Draining, Cause::Runtime], Decided);
        check(Phase::Paused, RuntimeHealth::None, gate, &[Cause::Paused], Probe);
        check(Phase::Disconnected, RuntimeHealth::None, gate, &[Cause::Disconnected], Probe);
        check(Phase::Stopped, RuntimeHealth::Healthy, gate, &[Cause::Gone], Runtime);
        check(Phase::Gone, RuntimeHealth::None, gate, &[Cause::Gone], Runtime);
    }
}
