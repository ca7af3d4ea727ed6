//! Kong's read-only lists: what is served, the document's and labels' alike.

use super::answer::{Answer, not_found, ok};
use super::routes::{Ask, View};
use plimsoll_core::config::{Certificate, Credentials, Target, Upstream};
use plimsoll_core::config::{certificate_json, route_json, service_json, show_references, target_json, upstream_json};
use plimsoll_core::plan::{Member, PlannedRoute, PlannedUpstream};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /services`.
pub(super) async fn services(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    list((0..view.plan.services.len()).filter_map(|index| service_at(&view, index)).collect())
}

/// `GET /services/{service}`.
pub(super) async fn service(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    one(find_service(&view, ask.name(0)).and_then(|index| service_at(&view, index)))
}

/// `GET /services/{service}/routes`.
pub(super) async fn routes_of_service(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let Some(service) = find_service(&view, ask.name(0)) else { return not_found() };
    let leads_there = |(_, planned): &(usize, &PlannedRoute)| planned.service == Some(service);
    let routes = view.plan.routes.iter().enumerate().filter(leads_there);
    list(routes.map(|(index, planned)| route(&view, index, planned)).collect())
}

/// `GET /routes`.
pub(super) async fn routes(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    list(view.plan.routes.iter().enumerate().map(|(index, planned)| route(&view, index, planned)).collect())
}

/// `GET /routes/{route}`.
pub(super) async fn route_by_name(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    one(find_route(&view, ask.name(0)).map(|(index, planned)| route(&view, index, planned)))
}

/// `GET /routes/{route}/service`.
pub(super) async fn service_of_route(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let service = find_route(&view, ask.name(0)).and_then(|(_, planned)| planned.service);
    one(service.and_then(|index| service_at(&view, index)))
}

/// `GET /upstreams`.
pub(super) async fn upstreams(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let credentials = ask.trusted.credentials();
    list(planned_upstreams(&view).map(|(index, planned)| upstream_at(&view, index, planned, credentials)).collect())
}

/// `GET /upstreams/{upstream}`.
pub(super) async fn upstream(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let asked = find_upstream(&view, ask.name(0));
    let found = planned_upstreams(&view).find(|(_, planned)| asked.is_some_and(|asked| asked.id == planned.id));
    one(found.map(|(index, planned)| upstream_at(&view, index, planned, ask.trusted.credentials())))
}

/// `GET /upstreams/{upstream}/targets`.
pub(super) async fn targets(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let Some(planned) = find_upstream(&view, ask.name(0)) else { return not_found() };
    let place = view.parsed.upstreams.iter().position(|upstream| upstream.name == planned.name).unwrap_or(usize::MAX);
    let written = written_targets(&view, planned).iter().enumerate().map(|(index, target)| {
        let mut out = target_json(target);
        show_references(&view.parsed, &format!("/upstreams/{place}/targets/{index}"), &mut out);
        out
    });
    list(written.chain(discovered(planned).iter().map(target_json)).collect())
}

/// `GET /certificates`.
pub(super) async fn certificates(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let credentials = ask.trusted.credentials();
    list((0..view.plan.certificates.len()).filter_map(|index| certificate_at(&view, index, credentials)).collect())
}

/// `GET /certificates/{certificate}`.
pub(super) async fn certificate(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let asked = ask.name(0);
    let is_it = |one: &&Certificate| *one.id == *asked || one.snis.iter().any(|sni| **sni == *asked);
    let found = view.plan.certificates.iter().position(|one| is_it(&one));
    one(found.and_then(|index| certificate_at(&view, index, ask.trusted.credentials())))
}

/// `GET /snis`.
pub(super) async fn snis(ask: Ask) -> Answer {
    list(all_snis(&ask.gateway.view()))
}

/// `GET /snis/{sni}`.
pub(super) async fn sni(ask: Ask) -> Answer {
    one(all_snis(&ask.gateway.view()).into_iter().find(|sni| sni["name"] == *ask.name(0)))
}

fn all_snis(view: &View) -> Vec<Value> {
    let of = |certificate: &Certificate| {
        let sni = |name: &Arc<str>| json!({"name": &**name, "certificate": {"id": &*certificate.id}});
        certificate.snis.iter().map(sni).collect::<Vec<_>>()
    };
    view.plan.certificates.iter().flat_map(of).collect()
}

/// Everything fits one page.
fn list(data: Vec<Value>) -> Answer {
    ok(&json!({"data": data, "next": null}))
}

fn one(entity: Option<Value>) -> Answer {
    entity.map_or_else(not_found, |entity| ok(&entity))
}

/// Where it is in the plan's list.
fn find_service(view: &View, asked: &str) -> Option<usize> {
    let is_it = |name: &str, id: &str| name == asked || id == asked;
    view.plan.services.iter().position(|planned| is_it(&planned.service.name, &planned.service.id))
}

// Of every list the document's part comes first in the plan: places of references are the same in both.

fn service_at(view: &View, index: usize) -> Option<Value> {
    let mut out = service_json(&view.plan.services.get(index)?.service);
    show_references(&view.parsed, &format!("/services/{index}"), &mut out);
    Some(out)
}

fn find_route<'a>(view: &'a View, asked: &str) -> Option<(usize, &'a PlannedRoute)> {
    let is_it = |planned: &PlannedRoute| *planned.route.name == *asked || *planned.route.id == *asked;
    view.plan.routes.iter().enumerate().find(|(_, planned)| is_it(planned))
}

fn route(view: &View, index: usize, planned: &PlannedRoute) -> Value {
    let service = planned.service.and_then(|index| view.plan.services.get(index)).map(|planned| &planned.service);
    let mut out = route_json(&planned.route, service.map(|service| &*service.id));
    show_references(&view.parsed, &format!("/routes/{index}"), &mut out);
    out
}

fn certificate_at(view: &View, index: usize, credentials: Credentials) -> Option<Value> {
    let mut out = certificate_json(view.plan.certificates.get(index)?, credentials);
    show_references(&view.parsed, &format!("/certificates/{index}"), &mut out);
    Some(out)
}

/// An upstream by name, or by the id that the document has for it. Pools of plain hosts are no entities.
pub(super) fn find_upstream<'a>(view: &'a View, asked: &str) -> Option<&'a PlannedUpstream> {
    let name = view.parsed.upstreams.iter().find(|one| *one.id == *asked).map_or(asked, |one| &*one.name);
    view.plan.upstreams.iter().find(|planned| planned.host.is_none() && *planned.name == *name)
}

fn written<'a>(view: &'a View, planned: &PlannedUpstream) -> Option<&'a Upstream> {
    view.parsed.upstreams.iter().find(|upstream| upstream.name == planned.name)
}

/// Targets that the document itself has for it.
pub(super) fn written_targets<'a>(view: &'a View, planned: &PlannedUpstream) -> &'a [Target] {
    written(view, planned).map_or(&[], |upstream| &upstream.targets)
}

/// Every upstream of the plan, as an entity.
pub(super) fn entities(view: &View) -> Vec<Upstream> {
    planned_upstreams(view).map(|(_, planned)| entity(view, planned)).collect()
}

/// Those that are entities, each with its place in their list.
fn planned_upstreams(view: &View) -> impl Iterator<Item = (usize, &PlannedUpstream)> {
    view.plan.upstreams.iter().filter(|planned| planned.host.is_none()).enumerate()
}

/// As the document has it; of labels alone, with the targets of this moment.
fn entity(view: &View, planned: &PlannedUpstream) -> Upstream {
    written(view, planned).cloned().unwrap_or_else(|| Upstream {
        id: Arc::clone(&planned.name),
        name: Arc::clone(&planned.name),
        settings: planned.settings.clone(),
        targets: discovered(planned),
        discover: Vec::new(),
        tags: Vec::new(),
        place: plimsoll_core::config::Place::default(),
    })
}

/// Without its targets, which have a list of their own.
fn upstream_at(view: &View, index: usize, planned: &PlannedUpstream, credentials: Credentials) -> Value {
    let mut out = upstream_json(&Upstream { targets: Vec::new(), ..entity(view, planned) }, credentials);
    show_references(&view.parsed, &format!("/upstreams/{index}"), &mut out);
    out
}

/// Targets that no document names.
fn discovered(planned: &PlannedUpstream) -> Vec<Target> {
    let target = |member: &Member| Target {
        id: member.id.to_string().into(),
        target: Arc::clone(&member.name),
        host: member.address.ip().to_string().into(),
        port: member.address.port(),
        weight: member.weight,
        tags: Vec::new(),
        place: plimsoll_core::config::Place::default(),
    };
    planned.members.iter().filter(|member| *member.id.provider != *"document").map(target).collect()
}
