//! Kong's read-only lists: what is served, the document's and labels' alike.

use super::answer::{Answer, not_found, ok};
use super::routes::{Ask, View};
use plimsoll_core::config::{Certificate, Service, Target, Upstream};
use plimsoll_core::config::{certificate_json, route_json, service_json, target_json, upstream_json};
use plimsoll_core::plan::{Member, PlannedRoute, PlannedUpstream};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /services`.
pub(super) async fn services(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    list(view.plan.services.iter().map(|planned| service_json(&planned.service)).collect())
}

/// `GET /services/{service}`.
pub(super) async fn service(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    one(find_service(&view, ask.name(0)).map(service_json))
}

/// `GET /services/{service}/routes`.
pub(super) async fn routes_of_service(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let Some(service) = find_service(&view, ask.name(0)) else { return not_found() };
    let leads_there = |planned: &&PlannedRoute| planned.route.service.as_ref() == Some(&service.name);
    list(view.plan.routes.iter().filter(leads_there).map(|planned| route(&view, planned)).collect())
}

/// `GET /routes`.
pub(super) async fn routes(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    list(view.plan.routes.iter().map(|planned| route(&view, planned)).collect())
}

/// `GET /routes/{route}`.
pub(super) async fn route_by_name(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    one(find_route(&view, ask.name(0)).map(|planned| route(&view, planned)))
}

/// `GET /routes/{route}/service`.
pub(super) async fn service_of_route(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    one(find_route(&view, ask.name(0)).and_then(|planned| service_of(&view, planned)).map(service_json))
}

/// `GET /upstreams`.
pub(super) async fn upstreams(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    list(entities(&view).iter().map(without_targets).collect())
}

/// `GET /upstreams/{upstream}`.
pub(super) async fn upstream(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    one(find_upstream(&view, ask.name(0)).map(|planned| without_targets(&entity(&view, planned))))
}

/// `GET /upstreams/{upstream}/targets`.
pub(super) async fn targets(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let Some(planned) = find_upstream(&view, ask.name(0)) else { return not_found() };
    let mut targets = written_targets(&view, planned).to_vec();
    targets.extend(discovered(planned));
    list(targets.iter().map(target_json).collect())
}

/// `GET /certificates`.
pub(super) async fn certificates(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    list(view.plan.certificates.iter().map(certificate_json).collect())
}

/// `GET /certificates/{certificate}`.
pub(super) async fn certificate(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let asked = ask.name(0);
    let is_it = |one: &&Certificate| *one.id == *asked || one.snis.iter().any(|sni| **sni == *asked);
    one(view.plan.certificates.iter().find(is_it).map(certificate_json))
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

fn find_service<'a>(view: &'a View, asked: &str) -> Option<&'a Service> {
    let mut services = view.plan.services.iter().map(|planned| &planned.service);
    services.find(|service| *service.name == *asked || *service.id == *asked)
}

fn find_route<'a>(view: &'a View, asked: &str) -> Option<&'a PlannedRoute> {
    view.plan.routes.iter().find(|planned| *planned.route.name == *asked || *planned.route.id == *asked)
}

fn service_of<'a>(view: &'a View, planned: &PlannedRoute) -> Option<&'a Service> {
    planned.service.and_then(|index| view.plan.services.get(index)).map(|planned| &planned.service)
}

fn route(view: &View, planned: &PlannedRoute) -> Value {
    route_json(&planned.route, service_of(view, planned).map(|service| &*service.id))
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
    view.plan.upstreams.iter().filter(|planned| planned.host.is_none()).map(|planned| entity(view, planned)).collect()
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

fn without_targets(upstream: &Upstream) -> Value {
    upstream_json(&Upstream { targets: Vec::new(), ..upstream.clone() })
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
