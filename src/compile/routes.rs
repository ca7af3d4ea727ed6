//! Routes and the router over their rules.

use super::{Input, mistake};
use crate::snapshot::{Route, Service};
use crate::telemetry::{Telemetry, place_json};
use plimsoll_core::config::{DocumentProblem, PathHandling, Protocol};
use plimsoll_core::model::Problem;
use plimsoll_core::plan::{Plan, PlannedRoute};
use plimsoll_core::router::{Router, RouterProblem, Rules};
use std::sync::Arc;

/// The routes, in the plan's order, which is that of the router's indices.
pub(super) fn compile(telemetry: &Telemetry, plan: &Plan, services: &[Arc<Service>]) -> Vec<Arc<Route>> {
    let routes = plan.routes.iter().map(|planned| {
        let route = &planned.route;
        let service = planned.service.and_then(|index| services.get(index)).map(Arc::clone);
        let service_name = service.as_ref().map_or("", |service| &*service.name);
        let upstream_name = service.as_ref().map_or("", |service| &*service.upstream.name);
        let logged = place_json(&route.name, service_name, upstream_name);
        let secure = |protocol: &Protocol| protocol.is_tls();
        let https_only = route.protocols.iter().any(secure) && route.protocols.iter().all(secure);
        Arc::new(Route {
            name: Arc::clone(&route.name),
            series: telemetry.route(service_name, &route.name),
            logged,
            service,
            https_redirect: https_only.then_some(route.https_redirect_status_code),
            strip_path: route.strip_path,
            preserve_host: route.preserve_host,
            path_v1: route.path_handling == PathHandling::V1,
        })
    });
    routes.collect()
}

/// The router, and labelled routes that are not in it. `None` where rules of the document are at fault.
pub(super) fn router(input: &Input<'_>, problems: &mut Vec<DocumentProblem>) -> Option<(Arc<Router>, Vec<Problem>)> {
    let plan = &**input.plan;
    if let Some(previous) = input.previous
        && same_rules(&previous.snapshot.plan, plan)
    {
        return Some((Arc::clone(&previous.snapshot.router), previous.left_out.clone()));
    }
    let mut rules: Vec<Rules> = plan.routes.iter().map(|route| rules(plan, route)).collect();
    let faults = match Router::compile(&rules) {
        Ok(router) => return Some((Arc::new(router), Vec::new())),
        Err(faults) => faults,
    };
    let mut left_out = Vec::new();
    for RouterProblem { route: index, message } in faults {
        let index = index.0 as usize;
        let Some(planned) = plan.routes.get(index) else { continue };
        let route = &planned.route;
        if planned.labelled {
            let message = format!("{message}: this route is left out");
            left_out.push(Problem { subject: route.name.to_string(), message });
            if let Some(rules) = rules.get_mut(index) {
                *rules = never();
            }
        } else {
            problems.push(mistake(route.place, format!("routes[{}]", route.name), message));
        }
    }
    left_out.dedup();
    if !problems.is_empty() {
        return None;
    }
    match Router::compile(&rules) {
        Ok(router) => Some((Arc::new(router), left_out)),
        Err(faults) => {
            let message = faults.first().map_or_else(String::new, ToString::to_string);
            problems.push(mistake(plimsoll_core::config::Place::default(), "routes".to_owned(), message));
            None
        }
    }
}

fn rules(plan: &Plan, planned: &PlannedRoute) -> Rules {
    let route = &planned.route;
    Rules {
        hosts: route.hosts.clone(),
        paths: route.paths.clone(),
        methods: route.methods.clone(),
        headers: route.headers.clone(),
        snis: route.snis.clone(),
        regex_priority: route.regex_priority,
        tier: tier(planned),
        enabled: enabled(plan, planned),
    }
}

/// Rules that keep their place and match nothing.
const fn never() -> Rules {
    Rules {
        hosts: Vec::new(),
        paths: Vec::new(),
        methods: Vec::new(),
        headers: Vec::new(),
        snis: Vec::new(),
        regex_priority: 0,
        tier: 1,
        enabled: false,
    }
}

fn tier(planned: &PlannedRoute) -> u8 {
    u8::from(planned.labelled)
}

/// Routes of a disabled service do not match; those without one answer 503.
fn enabled(plan: &Plan, planned: &PlannedRoute) -> bool {
    planned.service.and_then(|index| plan.services.get(index)).is_none_or(|planned| planned.service.enabled)
}

/// Whether two plans have the same rules in the same order, so that one router serves both.
fn same_rules(one: &Plan, other: &Plan) -> bool {
    one.routes.len() == other.routes.len()
        && one.routes.iter().zip(&other.routes).all(|(first, second)| {
            let (a, b) = (&first.route, &second.route);
            a.hosts == b.hosts
                && a.paths == b.paths
                && a.methods == b.methods
                && a.headers == b.headers
                && a.snis == b.snis
                && a.regex_priority == b.regex_priority
                && tier(first) == tier(second)
                && enabled(one, first) == enabled(other, second)
                // A route that was left out is told of by its name.
                && (!first.labelled || a.name == b.name)
        })
}
