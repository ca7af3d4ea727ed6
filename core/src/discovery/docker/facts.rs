//! From the model to what the other rooms are told.

use super::address::Reach;
use super::container::{Container, Life};
use super::model::Model;
use crate::config::DockerHealth;
use crate::model::{Facts, Freshness, Phase, Problem, Replica, RuntimeHealth, UpstreamId, Way};
use std::net::IpAddr;
use std::sync::Arc;

/// Whether a replica in this state takes requests, as far as the runtime goes.
pub(super) fn may_serve(replica: &Replica) -> bool {
    replica.phase == Phase::Running
        && replica.address.is_some()
        && matches!(replica.health, RuntimeHealth::None | RuntimeHealth::Healthy)
}

impl Model {
    /// Everything that is known, whole. `freshness` is the caller's, who knows how the engine is reached.
    #[must_use]
    pub fn facts(&self, freshness: Freshness) -> Facts {
        let replicas = self.containers.keys().filter_map(|id| self.replica(id)).collect();
        let mut problems: Vec<Problem> = self.containers.values().flat_map(|one| self.problems_of(one)).collect();
        if self.left_out > 0 {
            problems.push(Problem {
                subject: PROVIDER.to_owned(),
                message: format!(
                    "{} containers were left out: the engine has more than can be followed",
                    self.left_out
                ),
            });
        }
        problems.sort();
        Facts { provider: PROVIDER.into(), replicas, problems, freshness }
    }

    /// One container as a replica; `None` if it is none: not known yet, or a one-off or hook of Compose.
    pub(super) fn replica(&self, id: &str) -> Option<Replica> {
        let (id, container) = self.containers.get_key_value(id)?;
        if container.name.is_empty() || is_aside(container) {
            return None;
        }
        let view = self.view();
        let reach = view.reach(container);
        let owner = view.network_owner(container);
        let (mut phase, mut life) = (container.phase(), container.life_phase());
        let mut incarnation = Arc::clone(&container.started_at);
        if let Some(owner) = owner.filter(|owner| !std::ptr::eq(*owner, container)) {
            // It lives in the other's network: what cuts off the other cuts off this one.
            phase = graver(phase, owner.phase());
            life = graver(life, owner.life_phase());
            incarnation = format!("{incarnation}+{}", owner.started_at).into();
        }
        if matches!(phase, Phase::Running | Phase::Stopping)
            && reach.address.is_none()
            && container.last_address.is_some()
        {
            phase = Phase::Disconnected;
        }
        let way = |address: Option<IpAddr>| match life {
            Phase::Running | Phase::Stopping if address.is_none() => Way { address, phase: Phase::Disconnected },
            _ => Way { address, phase: life },
        };
        let networks = view.networks_of(container).into_iter().map(|(name, address)| (name, way(address))).collect();
        let health = if self.settings.health == DockerHealth::Ignore { RuntimeHealth::None } else { container.health };
        let Reach { address, published, .. } = reach;
        Some(Replica {
            id: Arc::clone(id),
            incarnation,
            name: container.name.clone(),
            group: self.group(container),
            address: match phase {
                Phase::Running | Phase::Stopping | Phase::Paused => address,
                // Where requests in flight still hang.
                Phase::Disconnected => container.last_address,
                Phase::Stopped | Phase::Gone => None,
            },
            networks,
            ports: container.ports.clone(),
            published,
            labels: container.labels.clone(),
            phase,
            health,
            created_ms: container.created_ms,
        })
    }

    /// The upstream that a container is a replica of. Compose's and Swarm's labels say so; else its own name does.
    pub(super) fn group(&self, container: &Container) -> UpstreamId {
        let label = |name: &str| container.labels.get(name).map_or("", String::as_str);
        let (kind, project, service) = match (label(COMPOSE_PROJECT), label(COMPOSE_SERVICE), label(SWARM_SERVICE)) {
            (project, service, _) if !project.is_empty() && !service.is_empty() => ("compose", project, service),
            (_, _, service) if !service.is_empty() => ("swarm", "", service),
            _ => ("container", "", container.name.as_str()),
        };
        UpstreamId { provider: PROVIDER.into(), kind: kind.into(), project: project.into(), service: service.into() }
    }

    fn problems_of(&self, container: &Container) -> Vec<Problem> {
        let enable = container.labels.get(&format!("{}.enable", self.settings.label_prefix));
        let exposed = enable.map_or(self.settings.exposed_by_default, |value| value == "true");
        if !exposed || is_aside(container) || matches!(container.life, Life::Stopped | Life::Gone { .. }) {
            return Vec::new();
        }
        let problem = |message| Problem { subject: container.name.clone(), message };
        let mut problems = Vec::new();
        if let Some(error) = &container.trouble {
            problems.push(problem(format!("it could not be inspected: {error}")));
        }
        if !container.inspected {
            return problems;
        }
        problems.extend(self.view().reach(container).trouble.map(problem));
        let late = container.first_check_ms.filter(|first_ms| *first_ms > self.settings.hold_ms);
        if let Some(first_ms) = late.filter(|_| self.settings.health != DockerHealth::Ignore) {
            problems.push(problem(format!(
                "its HEALTHCHECK first runs {} s after its start, later than requests are held ({} s): shorten its \
                 interval, or set start_period and start_interval (API 1.44 and later)",
                first_ms / 1000,
                self.settings.hold_ms / 1000
            )));
        }
        problems
    }
}

/// A one-off (`compose run`) or a hook: of the service by its labels, but no replica of it.
pub(super) fn is_aside(container: &Container) -> bool {
    let one_off = container.labels.get("com.docker.compose.oneoff");
    one_off.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || container.labels.contains_key("com.docker.compose.hook")
}

/// The phase of the two that keeps more requests away.
fn graver(one: Phase, other: Phase) -> Phase {
    let rank = |phase: Phase| match phase {
        Phase::Gone => 5,
        Phase::Stopped => 4,
        Phase::Disconnected => 3,
        Phase::Paused => 2,
        Phase::Stopping => 1,
        Phase::Running => 0,
    };
    let other = match other {
        // Its network went with its owner, but this container is still there.
        Phase::Gone | Phase::Stopped => Phase::Disconnected,
        // A network does not freeze.
        Phase::Paused => Phase::Running,
        other => other,
    };
    if rank(other) > rank(one) { other } else { one }
}

const PROVIDER: &str = "docker";
const COMPOSE_PROJECT: &str = "com.docker.compose.project";
const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const SWARM_SERVICE: &str = "com.docker.swarm.service.name";
