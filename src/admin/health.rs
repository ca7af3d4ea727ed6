//! How targets are, and setting that by hand.

use super::answer::{Answer, empty, later, message, not_found, ok};
use super::entities::{find_upstream, written_targets};
use super::routes::{Ask, View};
use crate::control::{TargetView, UpstreamView};
use http::StatusCode;
use plimsoll_core::config::Healthchecks;
use plimsoll_core::model::TargetState;
use plimsoll_core::plan::PlannedUpstream;
use serde_json::{Value, json};

/// `GET /upstreams/{upstream}/health`.
pub(super) async fn targets(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let Some(planned) = find_upstream(&view, ask.name(0)) else { return not_found() };
    let Some(upstream) = view.upstreams().into_iter().find(|one| one.id == planned.id) else { return not_found() };
    let mut data = if ask.parameter("balancer_health") == Some("1") {
        vec![balancer(&view, planned, &upstream)]
    } else {
        upstream.targets.iter().map(|one| target(&view, planned, one)).collect()
    };
    if ask.parameter("balancer_health") != Some("1") {
        data.extend(planned.unresolved.iter().map(|problem| {
            json!({"target": problem.subject, "health": "DNS_ERROR", "state": "unhealthy", "causes": [problem.message]})
        }));
        return ok(&json!({"data": data, "next": null, "held": upstream.held, "queued": upstream.queued}));
    }
    ok(&json!({"data": data.pop()}))
}

fn target(view: &View, planned: &PlannedUpstream, one: &TargetView) -> Value {
    let written = written_targets(view, planned).iter().find(|written| written.target == one.name);
    let causes: Vec<&str> = one.causes.iter().map(|cause| cause.name()).collect();
    let mut shown = json!({
        "id": written.map_or_else(|| one.id.to_string(), |written| written.id.to_string()),
        "replica": &*one.replica,
        "target": &*one.name,
        "weight": one.weight,
        "health": word(one, is_checked(&planned.settings.healthchecks)),
        "state": one.causes.state().name(),
        "causes": causes,
        "in_flight": one.inflight,
        "data": {"addresses": [{
            "ip": one.address.ip(),
            "port": one.address.port(),
            "weight": one.weight,
            "health": word(one, is_checked(&planned.settings.healthchecks)),
        }]},
    });
    if let (Some(share), Some(shown)) = (one.share, shown.as_object_mut()) {
        shown.insert("share".to_owned(), share.into());
    }
    shown
}

/// Kong's word.
fn word(target: &TargetView, checked: bool) -> &'static str {
    match target.causes.state() {
        TargetState::Healthy if checked => "HEALTHY",
        TargetState::Healthy => "HEALTHCHECKS_OFF",
        _ => "UNHEALTHY",
    }
}

fn is_checked(checks: &Healthchecks) -> bool {
    let (active, passive) = (&checks.active, &checks.passive.unhealthy);
    !active.healthy.interval.is_zero()
        || !active.unhealthy.interval.is_zero()
        || passive.tcp_failures > 0
        || passive.timeouts > 0
        || passive.http_failures > 0
}

fn balancer(view: &View, planned: &PlannedUpstream, upstream: &UpstreamView) -> Value {
    let is_well = |target: &&TargetView| target.causes.is_empty() && target.weight > 0;
    let some = upstream.targets.iter().any(|target| is_well(&target));
    let below = view.upstream(&planned.name).is_some_and(|one| one.pool().below_threshold());
    json!({
        "id": &*planned.name,
        "name": &*planned.name,
        "health": if some && !below { "HEALTHY" } else { "UNHEALTHY" },
        "details": {"targets": upstream.targets.iter().map(|one| target(view, planned, one)).collect::<Vec<_>>()},
    })
}

/// `PUT …/targets/{target}/healthy`.
pub(super) async fn set_healthy(ask: Ask) -> Answer {
    set(&ask, None, true)
}

/// `PUT …/targets/{target}/unhealthy`.
pub(super) async fn set_unhealthy(ask: Ask) -> Answer {
    set(&ask, None, false)
}

/// `PUT …/targets/{target}/{address}/healthy`.
pub(super) async fn set_address_healthy(ask: Ask) -> Answer {
    set(&ask, Some(ask.name(2)), true)
}

/// `PUT …/targets/{target}/{address}/unhealthy`.
pub(super) async fn set_address_unhealthy(ask: Ask) -> Answer {
    set(&ask, Some(ask.name(2)), false)
}

fn set(ask: &Ask, address: Option<&str>, healthy: bool) -> Answer {
    let view = ask.gateway.view();
    let Some(planned) = find_upstream(&view, ask.name(0)) else { return not_found() };
    let targets = written_targets(&view, planned);
    let target = targets.iter().find(|one| *one.id == *ask.name(1)).map_or_else(|| ask.name(1), |one| &*one.target);
    match ask.gateway.set_health(&planned.name, target, address, healthy) {
        Ok(true) => empty(StatusCode::NO_CONTENT),
        Ok(false) => message(StatusCode::NOT_FOUND, "Target not found"),
        Err(error) => later(&error.to_string()),
    }
}
