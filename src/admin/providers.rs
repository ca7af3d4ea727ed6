//! What providers see, and what was made of it.

use super::answer::{Answer, ok};
use super::routes::Ask;
use crate::control::ProviderView;
use plimsoll_core::model::{Freshness, Problem};
use serde_json::{Value, json};

/// `GET /providers`.
pub(super) async fn list(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let upstreams: Vec<Value> = view
        .upstreams()
        .iter()
        .filter(|upstream| &*upstream.id.provider != "document")
        .map(|upstream| {
            let targets: Vec<Value> = upstream
                .targets
                .iter()
                .map(|target| {
                    json!({
                        "replica": &*target.replica,
                        "target": &*target.name,
                        "address": target.address,
                        "state": target.causes.state().name(),
                        "causes": target.causes.iter().map(|cause| cause.name()).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({
                "provider": &*upstream.id.provider,
                "name": &*upstream.name,
                "kind": &*upstream.id.kind,
                "project": &*upstream.id.project,
                "service": &*upstream.id.service,
                "targets": targets,
            })
        })
        .collect();
    ok(&json!({
        "providers": view.providers.iter().map(provider).collect::<Vec<_>>(),
        "upstreams": upstreams,
        "left_out": problems(&view.problems),
        "notes": problems(&view.plan.notes),
    }))
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
