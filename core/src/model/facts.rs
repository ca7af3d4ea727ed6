//! What a provider says exists right now, and how fresh that is. Trouble with a provider is a state of its facts, not an
//! error: what was last known goes on serving.

use super::{TargetId, UpstreamId};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Everything one provider knows, whole. A provider sends its whole view each time, never a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The provider's name: `docker`, `process`, `file`.
    pub provider: Arc<str>,
    /// Every replica it knows of, dead ones that still exist included, sorted by id.
    pub replicas: Vec<Replica>,
    /// What it could not make sense of.
    pub problems: Vec<Problem>,
    /// Whether the view is current.
    pub freshness: Freshness,
}

/// How current a provider's facts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Not one complete view has come yet.
    Waiting,
    /// True now, as far as the provider can tell.
    Fresh,
    /// The source is out of reach; the view is the last one known.
    Stale {
        /// Milliseconds since the Unix epoch.
        since_ms: u64,
        /// What went wrong, in words.
        cause: String,
    },
}

/// One replica as its runtime describes it. Labels are not interpreted here.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// The runtime's id.
    pub id: Arc<str>,
    /// Which life of that id (Docker: `StartedAt`).
    pub incarnation: Arc<str>,
    /// The name that people know it by.
    pub name: String,
    /// The upstream that replicas of the same service form.
    pub group: UpstreamId,
    /// Where we would reach it; `None` while it has no address, or none that we share a network with.
    pub address: Option<IpAddr>,
    /// Its networks by name, and how it is reached on each.
    pub networks: BTreeMap<Arc<str>, Way>,
    /// Exposed TCP ports, ascending, without repetition.
    pub ports: Vec<u16>,
    /// Ports at which it is reached instead, where only published ports are reachable: (its port, ours).
    pub published: Vec<(u16, u16)>,
    /// Labels, as they are.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    pub phase: Phase,
    /// The runtime's own health check.
    pub health: RuntimeHealth,
    /// When it was created, milliseconds since the Unix epoch: the newest one's labels win.
    pub created_ms: u64,
}

impl Replica {
    /// How it is reached by a network; without one, by that which its provider chose.
    #[must_use]
    pub fn by(&self, network: Option<&str>) -> Way {
        let Some(name) = network else { return Way { address: self.address, phase: self.phase } };
        self.networks.get(name).copied().unwrap_or_else(|| {
            let alive = matches!(self.phase, Phase::Running | Phase::Stopping);
            Way { address: None, phase: if alive { Phase::Disconnected } else { self.phase } }
        })
    }

    /// Where it is reached on any of its networks, if it lives.
    pub fn lives_at(&self) -> impl Iterator<Item = IpAddr> {
        let lives = matches!(self.phase, Phase::Running | Phase::Stopping | Phase::Paused);
        let all = self.address.into_iter().chain(self.networks.values().filter_map(|way| way.address));
        all.filter(move |_| lives)
    }

    /// Whether what is sent to a target with this identity, at an address where this one lives, is for this one to answer: it is
    /// the same replica, or has that port.
    #[must_use]
    pub fn answers_for(&self, target: &TargetId, at: SocketAddr) -> bool {
        match self.published.as_slice() {
            // What it does not expose may be named by a label. But on the loopback address it is not alone.
            [] => {
                let unknown = self.ports.is_empty() && !at.ip().is_loopback();
                unknown || self.id == target.id || self.ports.contains(&at.port())
            }
            published => published.iter().any(|(_, reached)| *reached == at.port()),
        }
    }
}

/// How a replica is reached on one of its networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where; `None`: from here, not at all.
    pub address: Option<IpAddr>,
    /// Where the replica is in its life, as it looks from this network.
    pub phase: Phase,
}

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Exists, but does not run: created, exited, restarting.
    Stopped,
    /// Runs.
    Running,
    /// Was sent its stop signal, or KILL; still runs.
    Stopping,
    /// Frozen by the runtime.
    Paused,
    /// Runs, but was cut off from the network that we reach it by.
    Disconnected,
    /// Removed. Kept in the facts for the provider's `grace`, so that its service's route stays.
    Gone,
}

/// What the runtime's own health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuntimeHealth {
    /// It has none.
    None,
    /// Its check has not decided yet.
    Starting,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

/// Something that a provider or the plan left out, and why. Shown in the log and in `GET /providers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Problem {
    /// What it is about: a container's name, a label, a service.
    pub subject: String,
    /// What is wrong and the way out, in lower case, one line.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "172.18.0.2:80";
    const SHARED: &str = "127.0.0.1:80";

    fn replica(ports: &[u16], published: &[(u16, u16)]) -> Replica {
        Replica {
            id: "a".into(),
            incarnation: "2".into(),
            name: "a".to_owned(),
            group: UpstreamId::document("web"),
            address: Some(IpAddr::from([172, 18, 0, 2])),
            networks: BTreeMap::new(),
            ports: ports.to_vec(),
            published: published.to_vec(),
            labels: BTreeMap::new(),
            phase: Phase::Running,
            health: RuntimeHealth::None,
            created_ms: 0,
        }
    }

    #[test]
    fn what_is_sent_to_an_address_is_for_the_same_replica_or_for_whom_the_port_leads_to() {
        let check = |replica: Replica, id: &str, at: &str, expected: bool| {
            let target = TargetId { provider: "docker".into(), id: id.into(), incarnation: "1".into(), port: 80 };
            assert_eq!(replica.answers_for(&target, at.parse().unwrap()), expected, "{replica:?} for {id} at {at}");
        };
        check(replica(&[80], &[]), "a", OWN, true);
        check(replica(&[81], &[]), "a", OWN, true);
        check(replica(&[80], &[]), "b", OWN, true);
        check(replica(&[81], &[]), "b", OWN, false);
        check(replica(&[], &[]), "b", OWN, true);
        check(replica(&[], &[]), "b", SHARED, false);
        check(replica(&[80], &[]), "b", SHARED, true);
        check(replica(&[80], &[(80, 32768)]), "a", SHARED, false);
        check(replica(&[80], &[(80, 32768)]), "b", "127.0.0.1:32768", true);
    }

    #[test]
    fn one_that_does_not_live_lives_nowhere() {
        let check = |phase: Phase, expected: usize| {
            let back = Way { address: Some(IpAddr::from([172, 19, 0, 2])), phase };
            let networks = BTreeMap::from([("back".into(), back)]);
            let one = Replica { phase, networks, ..replica(&[80], &[]) };
            assert_eq!(one.lives_at().count(), expected, "{phase:?}");
        };
        check(Phase::Running, 2);
        check(Phase::Stopping, 2);
        check(Phase::Paused, 2);
        check(Phase::Disconnected, 0);
        check(Phase::Stopped, 0);
        check(Phase::Gone, 0);
    }
}
