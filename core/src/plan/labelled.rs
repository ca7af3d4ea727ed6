//! Services and routes that labels say.

use super::claims::{Claims, Owner};
use super::groups::Group;
use super::pools::Pools;
use super::whole::Remarks;
use super::{PlannedRoute, PlannedService};
use crate::config::{Document, LabelAllow, Protocol, Route, Service};
use crate::discovery::labels::{Labelled, glob};
use crate::model::UpstreamId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What decides about labelled routes.
pub(super) struct Labels<'a> {
    pub(super) document: &'a Document,
    pub(super) groups: &'a [Group<'a>],
    pub(super) allow: &'a LabelAllow,
}

/// Who owns hosts: a project, or a service or container that belongs to none. In the order in which they claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Party<'a> {
    /// The first pattern of `allow.projects` that it fits.
    pattern: usize,
    name: &'a str,
    /// Empty for a project.
    kind: &'a str,
}

/// Kong's default of a service's `retries`.
const RETRIES: u16 = 5;
/// Kong's default of a service's timeouts.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Number of the owner that comes before every party.
const DOCUMENT: Owner = Owner(0);

/// Adds every labelled route that may be, and the services that they lead to.
pub(super) fn add(
    labels: &Labels<'_>,
    pools: &Pools<'_>,
    services: &mut Vec<PlannedService>,
    routes: &mut Vec<PlannedRoute>,
    remarks: &mut Remarks,
) {
    let mut claims = Claims::default();
    for host in labels.document.routes.iter().flat_map(|route| &route.hosts) {
        claims.claim(host, DOCUMENT);
    }
    let referred: BTreeSet<&str> = labels.document.services.iter().map(|service| &*service.host).collect();
    let mut service_names: BTreeSet<Arc<str>> = services.iter().map(|one| Arc::clone(&one.service.name)).collect();
    let mut route_names: BTreeSet<Arc<str>> = routes.iter().map(|one| Arc::clone(&one.route.name)).collect();
    for (owner, parties, group) in labels.by_party() {
        let Some(upstream) = pools.of_identity(group.id) else { continue };
        if group.said.routes.is_empty() {
            if !referred.contains(&*group.name) {
                remarks.note(&group.name, "no route leads to it: no label names one, nor does the document".to_owned());
            }
            continue;
        }
        if service_names.contains(&group.name) {
            let message = "the document has a service of this name: the labels' routes are left out; rename it";
            remarks.problem(&group.name, message.to_owned());
            continue;
        }
        let before = routes.len();
        for (label, route) in &group.said.routes {
            let name = route_name(&group.name, label);
            if let Err(message) = claim(route, owner, &parties, &mut claims) {
                remarks.problem(&name, message);
            } else if !route_names.insert(Arc::clone(&name)) {
                remarks.problem(&name, "another route has this name: this one is left out; rename it".to_owned());
            } else {
                routes.push(planned_route(route, name, &group.name, services.len()));
            }
        }
        if routes.len() > before {
            service_names.insert(Arc::clone(&group.name));
            services.push(PlannedService { service: service(&group.name, group.said), upstream });
        }
    }
}

impl<'a> Labels<'a> {
    /// The groups in the order in which they claim, each with its owner's number, and all owners by number.
    fn by_party(&self) -> Vec<(Owner, Arc<[Party<'a>]>, &'a Group<'a>)> {
        let mut order: Vec<(Party<'_>, &Group<'_>)> =
            self.groups.iter().map(|group| (self.party(group.id), group)).collect();
        order.sort_by(|(one, first), (other, second)| one.cmp(other).then_with(|| first.id.cmp(second.id)));
        let mut parties: Vec<Party<'_>> = order.iter().map(|(party, _)| *party).collect();
        parties.dedup();
        let all: Arc<[Party<'_>]> = parties.into();
        let mut number = 0;
        let mut last = None;
        let mut numbered = Vec::with_capacity(order.len());
        for (party, group) in order {
            number += u32::from(last != Some(party));
            last = Some(party);
            numbered.push((Owner(number), Arc::clone(&all), group));
        }
        numbered
    }

    fn party(&self, id: &'a UpstreamId) -> Party<'a> {
        let fits = |pattern: &Arc<str>| glob(pattern, &id.project);
        let pattern = self.allow.projects.iter().position(fits).unwrap_or(usize::MAX);
        if id.project.is_empty() {
            Party { pattern, name: &id.service, kind: &id.kind }
        } else {
            Party { pattern, name: &id.project, kind: "" }
        }
    }
}

/// Takes all hosts of a route, or none.
fn claim(route: &Route, owner: Owner, parties: &[Party<'_>], claims: &mut Claims) -> Result<(), String> {
    if route.hosts.is_empty() {
        return Err("it names no host: this route is left out".to_owned());
    }
    for host in &route.hosts {
        let Some(other) = claims.other_owner(host, owner) else { continue };
        let other = match (other.0 as usize).checked_sub(1).and_then(|index| parties.get(index)) {
            None => "the document".to_owned(),
            Some(Party { name, kind: "", .. }) => format!("the project {name}"),
            Some(Party { name, kind, .. }) => format!("the {kind} {name}"),
        };
        return Err(format!(
            "the host {host} belongs to {other}, or overlaps with one that does: this route is left out"
        ));
    }
    route.hosts.iter().for_each(|host| claims.claim(host, owner));
    Ok(())
}

/// `web.shop` for the labels `route.…`, `web.shop.NAME` for `routes.NAME.…`.
fn route_name(group: &Arc<str>, label: &str) -> Arc<str> {
    if label.is_empty() { Arc::clone(group) } else { format!("{group}.{label}").into() }
}

fn planned_route(route: &Route, name: Arc<str>, service: &Arc<str>, index: usize) -> PlannedRoute {
    let (id, service) = (Arc::clone(&name), Some(Arc::clone(service)));
    PlannedRoute { route: Route { id, name, service, ..route.clone() }, service: Some(index), labelled: true }
}

fn service(name: &Arc<str>, said: &Labelled) -> Service {
    let fields = &said.service;
    let protocol = said.scheme.or(fields.protocol).unwrap_or(Protocol::Http);
    Service {
        id: Arc::clone(name),
        name: Arc::clone(name),
        protocol,
        host: Arc::clone(name),
        port: if protocol.is_tls() { 443 } else { 80 },
        path: fields.path.clone(),
        retries: fields.retries.unwrap_or(RETRIES),
        connect_timeout: fields.connect_timeout.unwrap_or(TIMEOUT),
        write_timeout: fields.write_timeout.unwrap_or(TIMEOUT),
        read_timeout: fields.read_timeout.unwrap_or(TIMEOUT),
        enabled: true,
        tls_verify: None,
        tags: Vec::new(),
        place: crate::config::Place::default(),
    }
}
