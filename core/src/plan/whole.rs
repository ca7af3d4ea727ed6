//! What a plan is, and how one is made.

use super::labelled::Labels;
use super::own::Own;
use super::pools::Pools;
use super::{Input, document, groups, labelled};
use crate::config::{Certificate, Document, Gateway, Route, Service, UpstreamSettings};
use crate::model::{Phase, Problem, RuntimeHealth, TargetId, UpstreamId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is to be served, by names and not yet compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The document's settings of the gateway, or the defaults.
    pub gateway: Gateway,
    /// Whether the document has a `gateway` key: without it, Kong's defaults hold where ours are stricter.
    pub gateway_written: bool,
    /// The document's in its order, then those of labels.
    pub services: Vec<PlannedService>,
    /// The document's in its order, then those of labels: where two rank equal, the earlier one wins.
    pub routes: Vec<PlannedRoute>,
    /// The document's in its order, those of labels, then the plain hosts of services.
    pub upstreams: Vec<PlannedUpstream>,
    /// The document's, in its order.
    pub certificates: Vec<Certificate>,
    /// What was left out, and why; sorted.
    pub problems: Vec<Problem>,
    /// What was decided for want of a word, or leads nowhere yet; sorted.
    pub notes: Vec<Problem>,
}

/// A service and the upstream that it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedService {
    /// The service, as the document or labels say.
    pub service: Service,
    /// Position in [`Plan::upstreams`].
    pub upstream: usize,
}

/// A route and the service that it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRoute {
    /// The route, as the document or labels say.
    pub route: Route,
    /// Position in [`Plan::services`]. A route without a service answers 503.
    pub service: Option<usize>,
    /// Whether labels say it: the router's second tier.
    pub labelled: bool,
}

/// An upstream and who is in its pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedUpstream {
    /// Unique in a plan.
    pub id: UpstreamId,
    /// What people see. Unique in a plan.
    pub name: Arc<str>,
    /// How it is balanced and checked.
    pub settings: UpstreamSettings,
    /// Whether a provider feeds its pool.
    pub fed: bool,
    /// How long requests are held after something could last be picked; zero where no provider feeds it.
    pub grace: Duration,
    /// For the pool behind a plain host: the host as written, which is what is sent as Host.
    pub host: Option<Arc<str>>,
    /// In the order of the document's targets, then of the facts.
    pub members: Vec<Member>,
    /// Names of targets that have no address: `host:port`, and why.
    pub unresolved: Vec<Problem>,
}

/// One target of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub id: TargetId,
    /// Where it is reached.
    pub address: SocketAddr,
    /// What is sent to it as Host, and how it is shown: `host:port`.
    pub name: Arc<str>,
    /// Its container's or process's name; as `name` where it has none.
    pub replica: Arc<str>,
    /// The network that it is reached by, where the document says it.
    pub network: Option<Arc<str>>,
    /// Its share; 0: never picked.
    pub weight: u16,
    /// Where it is in its life.
    pub phase: Phase,
    /// What its runtime's health check says.
    pub health: RuntimeHealth,
}

/// What is left out, and what is only worth saying.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    problems: Vec<Problem>,
    notes: Vec<Problem>,
}

impl Remarks {
    pub(super) fn problem(&mut self, subject: &str, message: String) {
        self.problems.push(Problem { subject: subject.to_owned(), message });
    }

    pub(super) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn note(&mut self, subject: &str, message: String) {
        self.notes.push(Problem { subject: subject.to_owned(), message });
    }
}

/// Makes the plan. What cannot be is left out and named in [`Plan::problems`].
#[must_use]
pub fn plan(input: Input<'_>) -> Plan {
    let Input { document, facts, names, own_ips, doors } = input;
    let gateway = document.gateway.clone().unwrap_or_default();
    let docker = gateway.providers.docker.clone().unwrap_or_default();
    let own = Own::of(&gateway, !document.certificates.is_empty(), own_ips, doors);
    let mut remarks = Remarks::default();
    let replicas = groups::read_all(facts, &docker, &mut remarks);
    let mut pools = Pools::new(names, &own, &docker);
    for upstream in &document.upstreams {
        pools.add_document(upstream, &replicas, &mut remarks);
    }
    let groups = groups::by_identity(&replicas, &mut remarks);
    for group in &groups {
        pools.add_group(group, &mut remarks);
    }
    let mut services = document::services(document, &mut pools, &mut remarks);
    let mut routes = document::routes(document);
    let labels = Labels { document, groups: &groups, allow: &docker.allow };
    labelled::add(&labels, &pools, &mut services, &mut routes, &mut remarks);
    finish(document, gateway, services, routes, pools.upstreams, remarks)
}

fn finish(
    document: &Document,
    gateway: Gateway,
    services: Vec<PlannedService>,
    routes: Vec<PlannedRoute>,
    upstreams: Vec<PlannedUpstream>,
    remarks: Remarks,
) -> Plan {
    let Remarks { mut problems, mut notes } = remarks;
    for list in [&mut problems, &mut notes] {
        list.sort();
        list.dedup();
    }
    Plan {
        gateway,
        gateway_written: document.gateway.is_some(),
        services,
        routes,
        upstreams,
        certificates: document.certificates.clone(),
        problems,
        notes,
    }
}

impl Plan {
    /// Whether `other` differs in members of pools alone: then the snapshot stays as it is.
    #[must_use]
    pub fn same_shape(&self, other: &Self) -> bool {
        self.gateway == other.gateway
            && self.gateway_written == other.gateway_written
            && self.services == other.services
            && self.routes == other.routes
            && self.certificates == other.certificates
            && self.upstreams.len() == other.upstreams.len()
            && self.upstreams.iter().zip(&other.upstreams).all(|(one, other)| one.same_shape(other))
    }
}

impl PlannedUpstream {
    /// Whether `other` differs in members alone.
    #[must_use]
    pub fn same_shape(&self, other: &Self) -> bool {
        self.id == other.id
            && self.name == other.name
            && self.settings == other.settings
            && self.fed == other.fed
            && self.grace == other.grace
            && self.host == other.host
    }
}
