//! Upstreams with their targets and checks.

use super::{Credentials, filled, pairs, put, texts};
use crate::config::units::{print_duration, print_size};
use crate::config::{
    ActiveChecks, CheckKind, Discover, HealthyRule, Outlier, PassiveChecks, Target, UnhealthyRule, Upstream,
    UpstreamSettings, Waiting,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// An upstream with its targets.
#[must_use]
pub fn upstream_json(upstream: &Upstream, credentials: Credentials) -> Value {
    let Upstream { id, name, settings, targets, discover, tags, place: _ } = upstream;
    let UpstreamSettings {
        algorithm,
        host_header,
        healthchecks,
        hold,
        max_concurrency,
        queue,
        retry_budget,
        hedging,
        outlier,
        slow_start,
    } = settings;
    let mut out = json!({"id": &**id, "name": &**name, "algorithm": &**algorithm});
    put(&mut out, "host_header", host_header.as_deref().map(Value::from));
    let checks = json!({
        "active": active(&healthchecks.active, credentials),
        "passive": passive(&healthchecks.passive),
        "threshold": healthchecks.threshold,
    });
    put(&mut out, "healthchecks", Some(checks));
    put(&mut out, "hold", hold.map(|hold| hold.map_or(Value::Bool(false), waiting)));
    put(&mut out, "max_concurrency", max_concurrency.map(Value::from));
    put(&mut out, "queue", queue.map(|queue| queue.map_or(Value::Bool(false), waiting)));
    let budget = retry_budget.map(|budget| json!({"ratio": budget.ratio, "min_per_second": budget.min_per_second}));
    put(&mut out, "retry_budget", budget);
    let hedging =
        hedging.map(|hedging| json!({"after": print_duration(hedging.after), "max_ratio": hedging.max_ratio}));
    put(&mut out, "hedging", hedging);
    put(&mut out, "outlier", outlier.map(outlier_json));
    put(&mut out, "slow_start", slow_start.map(|over| print_duration(over).into()));
    put(&mut out, "targets", (!targets.is_empty()).then(|| targets.iter().map(target_json).collect()));
    put(&mut out, "discover", (!discover.is_empty()).then(|| discover_json(discover, credentials)));
    put(&mut out, "tags", filled(tags));
    out
}

/// A target as Kong shows it.
#[must_use]
pub fn target_json(target: &Target) -> Value {
    let mut out = json!({"id": &*target.id, "target": &*target.target, "weight": target.weight});
    put(&mut out, "tags", filled(&target.tags));
    out
}

fn waiting(waiting: Waiting) -> Value {
    json!({
        "max_requests": waiting.max_requests,
        "max_bytes": print_size(waiting.max_bytes),
        "timeout": print_duration(waiting.timeout),
    })
}

fn outlier_json(outlier: Outlier) -> Value {
    json!({
        "consecutive_errors": outlier.consecutive_errors,
        "success_rate_deviations": outlier.success_rate_deviations,
        "ejection": print_duration(outlier.ejection),
        "max_ejected": outlier.max_ejected,
        "panic_below": outlier.panic_below,
    })
}

fn active(checks: &ActiveChecks, credentials: Credentials) -> Value {
    let mut out = json!({
        "type": kind(checks.kind),
        "timeout": seconds(checks.timeout),
        "concurrency": checks.concurrency,
        "http_path": &*checks.http_path,
        "https_verify_certificate": checks.https_verify_certificate,
    });
    // Names of fields that hold credentials (Authorization, Cookie, X-Api-Key, …) are no closed list: all values are.
    let headers = checks.headers.iter().map(|(name, values)| {
        (name.to_string(), values.iter().map(|value| Value::from(credentials.show(value))).collect())
    });
    put(&mut out, "headers", (!checks.headers.is_empty()).then(|| Value::Object(headers.collect())));
    put(&mut out, "https_sni", checks.https_sni.as_deref().map(Value::from));
    put(&mut out, "healthy", Some(healthy(&checks.healthy, true)));
    put(&mut out, "unhealthy", Some(unhealthy(&checks.unhealthy, true)));
    out
}

fn passive(checks: &PassiveChecks) -> Value {
    json!({
        "type": kind(checks.kind),
        "healthy": healthy(&checks.healthy, false),
        "unhealthy": unhealthy(&checks.unhealthy, false),
    })
}

const fn kind(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Http => "http",
        CheckKind::Https => "https",
        CheckKind::Tcp => "tcp",
        CheckKind::Grpc => "grpc",
        CheckKind::Grpcs => "grpcs",
    }
}

fn healthy(rule: &HealthyRule, interval: bool) -> Value {
    let mut out = json!({"http_statuses": rule.http_statuses, "successes": rule.successes});
    put(&mut out, "interval", interval.then(|| seconds(rule.interval)));
    out
}

fn unhealthy(rule: &UnhealthyRule, interval: bool) -> Value {
    let mut out = json!({
        "http_statuses": rule.http_statuses,
        "tcp_failures": rule.tcp_failures,
        "timeouts": rule.timeouts,
        "http_failures": rule.http_failures,
    });
    put(&mut out, "interval", interval.then(|| seconds(rule.interval)));
    out
}

/// Kong's numbers of seconds, as integers where they are whole.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 { json!(duration.as_secs()) } else { json!(duration.as_secs_f64()) }
}

fn discover_json(discover: &[Discover], credentials: Credentials) -> Value {
    let mut out = Map::new();
    for source in discover {
        match source {
            Discover::Docker { project, service, labels, port, network } => {
                let mut docker = json!({});
                put(&mut docker, "project", project.as_deref().map(Value::from));
                put(&mut docker, "service", service.as_deref().map(Value::from));
                put(&mut docker, "labels", (!labels.is_empty()).then(|| pairs(labels)));
                put(&mut docker, "port", port.map(Value::from));
                put(&mut docker, "network", network.as_deref().map(Value::from));
                out.insert("docker".to_owned(), docker);
            }
            Discover::Process(source) => {
                // What stands in an environment is a secret as likely as not.
                let env: Map<String, Value> =
                    source.env.iter().map(|(name, value)| (name.to_string(), credentials.show(value).into())).collect();
                let mut process = json!({"command": texts(&source.command), "replicas": source.replicas});
                put(&mut process, "env", (!env.is_empty()).then(|| Value::Object(env)));
                put(&mut process, "working_directory", source.working_directory.as_deref().map(Value::from));
                out.insert("process".to_owned(), process);
            }
        }
    }
    Value::Object(out)
}
