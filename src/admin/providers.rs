//! What providers see, and what was made of it.

use super::answer::{Answer, ok};
use super::routes::Ask;
use crate::control::{ProviderView, TargetView, UpstreamView};
use plimsoll_core::model::{Freshness, Problem};
use serde_json::{Value, json};

/// `GET /providers`.
pub(super) async fn list(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let both = view.plan.upstreams.iter().zip(view.upstreams());
    let upstreams: Vec<Value> = both.filter(|(planned, _)| planned.fed).map(|(_, one)| upstream(&one)).collect();
    ok(&json!({
        "providers": view.providers.iter().map(provider).collect::<Vec<_>>(),
        "upstreams": upstreams,
        "left_out": problems(&view.problems),
        "notes": problems(&view.plan.notes),
    }))
}

/// An upstream that a provider feeds.
fn upstream(upstream: &UpstreamView) -> Value {
    let target = |target: &TargetView| {
        json!({
            "replica": &*target.replica,
            "target": &*target.name,
            "address": target.address,
            "state": target.causes.state().name(),
            "causes": target.causes.iter().map(|cause| cause.name()).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": &*upstream.name,
        "provider": &*upstream.id.provider,
        "kind": &*upstream.id.kind,
        "project": &*upstream.id.project,
        "service": &*upstream.id.service,
        "targets": upstream.targets.iter().map(target).collect::<Vec<_>>(),
    })
}

fn provider(provider: &ProviderView) -> Value {
    let (state, since_ms, cause) = match &provider.freshness {
        Freshness::Waiting => ("waiting", None, None),
        Freshness::Fresh => ("fresh", None, None),
        Freshness::Stale { since_ms, cause } => ("stale", Some(*since_ms), Some(cause.to_string())),
    };
    json!({
        "name": &*provider.name,
        "state": state,
        "since_ms": since_ms,
        "cause": cause,
        "replicas": provider.replicas,
        "problems": problems(&provider.problems),
    })
}

fn problems(list: &[Problem]) -> Vec<Value> {
    list.iter().map(|problem| json!({"subject": problem.subject, "message": problem.message})).collect()
}
