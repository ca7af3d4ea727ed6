//! All upstreams of a plan: the document's, those of labels, and plain hosts.

use super::groups::{Group, Known};
use super::members::{self, Wanted, Written};
use super::own::Own;
use super::whole::Remarks;
use super::{Names, PlannedUpstream};
use crate::config::{Discover, DockerProvider, Upstream, UpstreamSettings};
use crate::model::{Replica, UpstreamId};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;

/// Upstreams as they are collected.
pub(super) struct Pools<'a> {
    pub(super) upstreams: Vec<PlannedUpstream>,
    by_id: FxHashMap<UpstreamId, usize>,
    by_name: FxHashMap<Arc<str>, usize>,
    names: &'a Names,
    own: &'a Own<'a>,
    grace: Duration,
}

impl<'a> Pools<'a> {
    pub(super) fn new(names: &'a Names, own: &'a Own<'a>, docker: &DockerProvider) -> Self {
        let (by_id, by_name) = (FxHashMap::default(), FxHashMap::default());
        Self { upstreams: Vec::new(), by_id, by_name, names, own, grace: docker.grace }
    }

    /// The upstream of this identity.
    pub(super) fn of_identity(&self, id: &UpstreamId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The upstream that people know by this name.
    pub(super) fn of_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Adds an upstream of the document, with its targets and what it discovers.
    pub(super) fn add_document(&mut self, upstream: &Upstream, replicas: &[Known<'_>], remarks: &mut Remarks) {
        let fed = !upstream.discover.is_empty();
        let id = identity_of(upstream).filter(|id| !self.by_id.contains_key(id));
        let id = id.unwrap_or_else(|| UpstreamId::document(&upstream.name));
        let mut members = Vec::new();
        let mut unresolved = Vec::new();
        let (names, own, upstream_name) = (self.names, self.own, &*upstream.name);
        let mut written =
            Written { upstream: upstream_name, names, own, members: &mut members, unresolved: &mut unresolved };
        for target in &upstream.targets {
            written.target(target, remarks);
        }
        for source in &upstream.discover {
            for known in replicas.iter().filter(|known| feeds(source, upstream, known.replica)) {
                let wanted = match source {
                    Discover::Docker { port, network, .. } => Wanted { port: *port, network: network.as_ref() },
                    Discover::Process(_) => Wanted::default(),
                };
                if let Some(member) = members::of_replica(known, wanted, own, remarks)
                    && !members.iter().any(|other| other.id == member.id)
                {
                    members.push(member);
                }
            }
        }
        self.push(PlannedUpstream {
            id,
            name: Arc::clone(&upstream.name),
            settings: upstream.settings.clone(),
            fed,
            grace: if fed { self.grace } else { Duration::ZERO },
            host: None,
            members,
            unresolved,
        });
    }

    /// Adds the upstream that exposed replicas form, unless the document has one that takes them.
    pub(super) fn add_group(&mut self, group: &Group<'_>, remarks: &mut Remarks) {
        if self.by_id.contains_key(group.id) {
            return;
        }
        if let Some(other) = self.of_name(&group.name).and_then(|other| self.upstreams.get(other)) {
            let message = match &*other.id.kind {
                "upstream" => "the document has an upstream of this name that does not discover it: \
                               these containers are left out; add `discover` to join them"
                    .to_owned(),
                _ => format!("{} has this name already: {} is left out; rename one", other.id, group.id),
            };
            remarks.problem(&group.name, message);
            return;
        }
        let mut members = Vec::new();
        for known in &group.replicas {
            members.extend(members::of_replica(known, Wanted::default(), self.own, remarks));
        }
        // The group is sorted by age, facts by id: an order that a restart does not change.
        members.sort_by(|one, other| one.id.cmp(&other.id));
        self.push(PlannedUpstream {
            id: group.id.clone(),
            name: Arc::clone(&group.name),
            settings: group.said.upstream.clone(),
            fed: true,
            grace: self.grace,
            host: None,
            members,
            unresolved: Vec::new(),
        });
    }

    /// The upstream that a service's host means: one of that name, else the plain host.
    pub(super) fn of_host(&mut self, host: &Arc<str>, port: u16, remarks: &mut Remarks) -> usize {
        if let Some(named) = self.of_name(host) {
            return named;
        }
        let id = UpstreamId::host(host, port);
        if let Some(known) = self.of_identity(&id) {
            return known;
        }
        let mut members = Vec::new();
        let mut unresolved = Vec::new();
        let (names, own, upstream) = (self.names, self.own, &*id.service);
        Written { upstream, names, own, members: &mut members, unresolved: &mut unresolved }.host(host, port, remarks);
        self.push(PlannedUpstream {
            name: Arc::clone(&id.service),
            id,
            settings: UpstreamSettings::default(),
            fed: false,
            grace: Duration::ZERO,
            host: Some(Arc::clone(host)),
            members,
            unresolved,
        })
    }

    fn push(&mut self, upstream: PlannedUpstream) -> usize {
        let index = self.upstreams.len();
        self.by_id.insert(upstream.id.clone(), index);
        self.by_name.insert(Arc::clone(&upstream.name), index);
        self.upstreams.push(upstream);
        index
    }
}

/// The identity of an upstream that discovers exactly one Compose service: the service's own, so that its pool stays when
/// labels alone had made it before.
fn identity_of(upstream: &Upstream) -> Option<UpstreamId> {
    upstream.discover.iter().find_map(|source| match source {
        Discover::Docker { project: Some(project), service: Some(service), labels, .. } if labels.is_empty() => {
            Some(UpstreamId {
                provider: "docker".into(),
                kind: "compose".into(),
                project: Arc::clone(project),
                service: Arc::clone(service),
            })
        }
        _ => None,
    })
}

/// Whether `replica` is one that `source` means.
fn feeds(source: &Discover, upstream: &Upstream, replica: &Replica) -> bool {
    let group = &replica.group;
    match source {
        Discover::Docker { project, service, labels, .. } => {
            *group.provider == *"docker"
                && project.as_ref().is_none_or(|project| *project == group.project)
                && service.as_ref().is_none_or(|service| *service == group.service)
                && labels.iter().all(|(key, value)| replica.labels.get(&**key).is_some_and(|own| **own == **value))
        }
        Discover::Process(_) => *group.provider == *"process" && group.service == upstream.name,
    }
}
