//! Replicas and what their labels say, and the groups that exposed ones form.

use super::whole::Remarks;
use crate::config::DockerProvider;
use crate::discovery::labels::{LabelSettings, Labelled, read_labels};
use crate::model::{Facts, Phase, Replica, UpstreamId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A replica whose labels are not at fault.
pub(super) struct Known<'a> {
    pub(super) replica: &'a Replica,
    /// `None`: not exposed.
    pub(super) said: Option<Labelled>,
    /// The port and weight that a label names, also on a container that is not exposed.
    pub(super) port: Option<u16>,
    pub(super) weight: u16,
}

/// The exposed replicas of one identity.
pub(super) struct Group<'a> {
    pub(super) id: &'a UpstreamId,
    pub(super) name: Arc<str>,
    pub(super) replicas: Vec<&'a Known<'a>>,
    /// The labels that count.
    pub(super) said: &'a Labelled,
}

/// Kong's default of a target's weight.
pub(super) const DEFAULT_WEIGHT: u16 = 100;
/// The provider whose labels are read.
const LABELLED: &str = "docker";

/// Reads the labels of all replicas. Ones with bad labels are left out and named.
pub(super) fn read_all<'a>(facts: &'a [Facts], docker: &DockerProvider, remarks: &mut Remarks) -> Vec<Known<'a>> {
    let settings = LabelSettings::of(docker);
    let mut known = Vec::new();
    for replica in facts.iter().flat_map(|facts| &facts.replicas) {
        if *replica.group.provider != *LABELLED {
            known.push(Known { replica, said: None, port: None, weight: DEFAULT_WEIGHT });
            continue;
        }
        match read_labels(replica, &settings) {
            Ok(Some(said)) => {
                let (port, weight) = (said.port, said.weight);
                known.push(Known { replica, said: Some(said), port, weight });
            }
            Ok(None) => {
                let number = |field: &str| replica.labels.get(&format!("{}.target.{field}", docker.label_prefix));
                let number = |field: &str| number(field).and_then(|value| value.parse().ok());
                let (port, weight) = (number("port"), number("weight").unwrap_or(DEFAULT_WEIGHT));
                known.push(Known { replica, said: None, port, weight });
            }
            // What is gone cannot be mended.
            Err(_) if replica.phase == Phase::Gone => {}
            Err(problem) => remarks.add(problem),
        }
    }
    known
}

/// Groups exposed replicas, in an order in which the first to take a name keeps it.
pub(super) fn by_identity<'a>(known: &'a [Known<'a>], remarks: &mut Remarks) -> Vec<Group<'a>> {
    let mut by_id: BTreeMap<(u8, &UpstreamId), Vec<(&Known<'_>, &Labelled)>> = BTreeMap::new();
    for known in known {
        if let Some(said) = &known.said {
            let id = &known.replica.group;
            by_id.entry((kind_rank(&id.kind), id)).or_default().push((known, said));
        }
    }
    by_id.into_iter().filter_map(|((_, id), replicas)| Group::of(id, replicas, remarks)).collect()
}

/// Anyone may name a container as they like, so kinds with narrower names go first.
fn kind_rank(kind: &str) -> u8 {
    match kind {
        "compose" => 0,
        "swarm" => 1,
        _ => 2,
    }
}

impl<'a> Group<'a> {
    fn of(id: &'a UpstreamId, mut all: Vec<(&'a Known<'a>, &'a Labelled)>, remarks: &mut Remarks) -> Option<Self> {
        all.sort_by_key(|(known, _)| {
            let replica = known.replica;
            (life_rank(replica.phase), Reverse(replica.created_ms), Reverse(&replica.id))
        });
        let (newest, said) = *all.first()?;
        let name: Arc<str> = id.display_name().into();
        let alive = life_rank(newest.replica.phase);
        let others = all.iter().filter(|(known, other)| life_rank(known.replica.phase) == alive && !agree(said, other));
        let others: Vec<&str> = others.map(|(known, _)| known.replica.name.as_str()).collect();
        if !others.is_empty() {
            let (newest, others) = (&newest.replica.name, others.join(", "));
            let message =
                format!("its replicas' labels disagree: those of {newest} count, the newest, not those of {others}");
            remarks.problem(&name, message);
        }
        let replicas = all.into_iter().map(|(known, _)| known).collect();
        Some(Self { id, name, replicas, said })
    }
}

/// Labels of replicas that serve go before those of replicas that end, those before what only exists or existed: a container
/// that was created and never started decides nothing.
fn life_rank(phase: Phase) -> u8 {
    match phase {
        Phase::Running | Phase::Paused | Phase::Disconnected => 0,
        Phase::Stopping => 1,
        Phase::Stopped => 2,
        Phase::Gone => 3,
    }
}

/// Whether two replicas say the same of what they share. Port, weight and network are each one's own.
fn agree(one: &Labelled, other: &Labelled) -> bool {
    one.routes == other.routes
        && one.service == other.service
        && one.upstream == other.upstream
        && one.scheme == other.scheme
}
