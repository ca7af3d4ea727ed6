//! What the replicas are doing, as facts. Pure.

use super::replica::{ADDRESS, What};
use plimsoll_core::model::{Facts, Freshness, Phase, Problem, Replica, RuntimeHealth, UpstreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The provider's name.
pub(super) const NAME: &str = "process";

/// One replica, as last seen.
#[derive(Clone, Debug)]
pub(super) struct Status {
    upstream: Arc<str>,
    /// Which process and port; the last one's while it is down. `None`: it never ran.
    life: Option<Life>,
    phase: Phase,
    pub(super) ready: bool,
    trouble: Option<String>,
}

#[derive(Clone, Debug)]
struct Life {
    incarnation: Arc<str>,
    port: u16,
    since_ms: u64,
}

impl Status {
    pub(super) const fn new(upstream: Arc<str>) -> Self {
        Self { upstream, life: None, phase: Phase::Stopped, ready: false, trouble: None }
    }

    /// Whether anything was heard of it since it was asked for.
    pub(super) const fn is_known(&self) -> bool {
        self.life.is_some() || self.trouble.is_some()
    }

    /// Takes in what happened.
    pub(super) fn note(&mut self, what: What, now_ms: u64) {
        match what {
            What::Started { incarnation, port } => {
                self.life = Some(Life { incarnation, port, since_ms: now_ms });
                self.phase = Phase::Running;
            }
            What::Ready => {
                self.ready = true;
                self.trouble = None;
            }
            What::Down { why } => {
                self.phase = Phase::Stopped;
                self.ready = false;
                self.trouble = Some(why);
            }
            What::Stopping => self.phase = Phase::Stopping,
            What::Gone => self.phase = Phase::Gone,
        }
    }

    fn replica(&self, id: &Arc<str>) -> Option<Replica> {
        let life = self.life.as_ref()?;
        Some(Replica {
            id: Arc::clone(id),
            incarnation: Arc::clone(&life.incarnation),
            name: id.to_string(),
            group: UpstreamId {
                provider: NAME.into(),
                kind: NAME.into(),
                project: "".into(),
                service: Arc::clone(&self.upstream),
            },
            address: Some(ADDRESS.into()),
            networks: BTreeMap::new(),
            ports: vec![life.port],
            published: Vec::new(),
            labels: BTreeMap::new(),
            phase: self.phase,
            health: RuntimeHealth::None,
            created_ms: life.since_ms,
        })
    }
}

/// The whole view.
pub(super) fn facts<'a>(statuses: impl Iterator<Item = (&'a Arc<str>, &'a Status)>) -> Facts {
    let (mut replicas, mut problems) = (Vec::new(), Vec::new());
    for (id, status) in statuses {
        replicas.extend(status.replica(id));
        problems.extend(status.trouble.iter().map(|why| Problem { subject: id.to_string(), message: why.clone() }));
    }
    replicas.sort_by(|a: &Replica, b| a.id.cmp(&b.id));
    problems.sort();
    Facts { provider: NAME.into(), replicas, problems, freshness: Freshness::Fresh }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_who_it_is_and_a_crash_is_a_problem_until_it_is_ready_again() {
        let id: Arc<str> = "web.1".into();
        let mut status = Status::new("web".into());
        assert_eq!(facts([(&id, &status)].into_iter()).replicas, [], "nothing runs yet");

        let mut check = |what: What, phase, incarnation: &str, problems: &[&str]| {
            status.note(what, 7);
            let facts = facts([(&id, &status)].into_iter());
            let replica = &facts.replicas[0];
            assert_eq!((replica.phase, replica.incarnation.as_ref()), (phase, incarnation));
            assert_eq!(replica.group.display_name(), "web");
            assert_eq!(facts.problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>(), problems);
        };
        let started = |incarnation: &str, port| What::Started { incarnation: incarnation.into(), port };
        check(started("10-1", 20_001), Phase::Running, "10-1", &[]);
        check(What::Ready, Phase::Running, "10-1", &[]);
        check(What::Down { why: "crashed".into() }, Phase::Stopped, "10-1", &["crashed"]);
        check(started("11-2", 20_002), Phase::Running, "11-2", &["crashed"]);
        check(What::Ready, Phase::Running, "11-2", &[]);
        check(What::Stopping, Phase::Stopping, "11-2", &[]);
    }
}
