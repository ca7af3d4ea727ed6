//! `upstream.…`: how the replicas are balanced and checked. Kong's names, units and bounds.

use super::table::Field;
use super::values::{self, is_token, shown};
use crate::config::{CheckKind, Hedging, Outlier, RetryBudget, UpstreamSettings, Waiting};
use std::sync::Arc;
use std::time::Duration;

/// Balancing algorithms that a label may name.
pub const ALGORITHMS: &[&str] = &["round-robin", "least-connections", "power-of-two"];

/// Fields that need their name in `allow.fields`: they spend the gateway's memory or act on the runtime.
pub(super) const BY_ALLOWANCE: &[&str] = &["queue", "hold", "retry_budget", "hedging", "outlier", "scaling", "recycle"];

/// Fields of an upstream that this version does not have yet, or not for labels.
pub(super) const NOT_YET: &[&str] = &[
    "scaling",
    "recycle",
    "hash_on",
    "hash_fallback",
    "hash_on_header",
    "hash_fallback_header",
    "hash_on_cookie",
    "hash_on_cookie_path",
    "hash_on_query_arg",
    "hash_fallback_query_arg",
    "hash_on_uri_capture",
    "hash_fallback_uri_capture",
];

/// A row whose setter cannot fail otherwise than by its value.
macro_rules! field {
    ($name:literal, $doc:literal, $example:literal, |$u:ident, $value:ident| $place:expr => $read:expr) => {
        Field {
            name: $name,
            doc: $doc,
            example: $example,
            set: |$u: &mut UpstreamSettings, _, $value| {
                $place = $read;
                Ok(())
            },
        }
    };
}

pub(super) const FIELDS: &[Field<UpstreamSettings>] = &[
    field!("algorithm", "The balancing algorithm.", "least-connections", |u, v| u.algorithm => algorithm(v)?),
    field!("host_header", "Sent as Host.", "shop.internal", |u, v| u.host_header => Some(host_header(v)?)),
    field!("healthchecks.threshold", "Percent of the weight that must be healthy.", "50",
        |u, v| u.healthchecks.threshold => values::percent(v)?),
    field!("healthchecks.active.type", "What probes speak.", "http", |u, v| u.healthchecks.active.kind => kind(v)?),
    field!("healthchecks.active.timeout", "A probe's time, in seconds.", "1",
        |u, v| u.healthchecks.active.timeout => values::seconds(v)?),
    field!("healthchecks.active.concurrency", "Probes of the upstream at a time.", "10",
        |u, v| u.healthchecks.active.concurrency => u32::from(values::small(v, 1..=PROBES_MAX)?)),
    field!("healthchecks.active.http_path", "What an HTTP probe asks for.", "/healthz",
        |u, v| u.healthchecks.active.http_path => values::plain_path(v)?),
    field!("healthchecks.active.https_verify_certificate", "Whether probes verify certificates.", "true",
        |u, v| u.healthchecks.active.https_verify_certificate => values::boolean(v)?),
    field!("healthchecks.active.https_sni", "The name that an HTTPS probe asks for.", "shop.internal",
        |u, v| u.healthchecks.active.https_sni => Some(host_header(v)?)),
    Field {
        name: "healthchecks.active.headers.*",
        doc: "Values of a header of HTTP probes.",
        example: "plimsoll",
        set: |upstream, key, value| {
            if !is_token(key) {
                return Err("names no header that a probe can send".to_owned());
            }
            let values = values::list(value)?;
            upstream.healthchecks.active.headers.push((key.into(), values));
            Ok(())
        },
    },
    field!("healthchecks.active.healthy.interval", "Between probes of healthy targets, in seconds; 0: off.", "5",
        |u, v| u.healthchecks.active.healthy.interval => interval(v)?),
    field!("healthchecks.active.healthy.http_statuses", "Statuses that count as success.", "200,302",
        |u, v| u.healthchecks.active.healthy.http_statuses => values::statuses(v)?),
    field!("healthchecks.active.healthy.successes", "Successes that make a target healthy; 0: never.", "2",
        |u, v| u.healthchecks.active.healthy.successes => count(v)?),
    field!("healthchecks.active.unhealthy.interval", "Between probes of unhealthy targets, in seconds; 0: off.", "1",
        |u, v| u.healthchecks.active.unhealthy.interval => interval(v)?),
    field!("healthchecks.active.unhealthy.http_statuses", "Statuses that count as failure.", "429,500,503",
        |u, v| u.healthchecks.active.unhealthy.http_statuses => values::statuses(v)?),
    field!("healthchecks.active.unhealthy.tcp_failures", "Failures to connect that make it unhealthy; 0: off.", "2",
        |u, v| u.healthchecks.active.unhealthy.tcp_failures => count(v)?),
    field!("healthchecks.active.unhealthy.timeouts", "Timeouts that make it unhealthy; 0: off.", "2",
        |u, v| u.healthchecks.active.unhealthy.timeouts => count(v)?),
    field!("healthchecks.active.unhealthy.http_failures", "Failures by status that make it unhealthy; 0: off.", "3",
        |u, v| u.healthchecks.active.unhealthy.http_failures => count(v)?),
    field!("healthchecks.passive.type", "What counts.", "http", |u, v| u.healthchecks.passive.kind => kind(v)?),
    field!("healthchecks.passive.healthy.http_statuses", "Statuses that count as success.", "200,204",
        |u, v| u.healthchecks.passive.healthy.http_statuses => values::statuses(v)?),
    field!("healthchecks.passive.healthy.successes", "Successes that make a target healthy; 0: never.", "5",
        |u, v| u.healthchecks.passive.healthy.successes => count(v)?),
    field!("healthchecks.passive.unhealthy.http_statuses", "Statuses that count as failure.", "500,503",
        |u, v| u.healthchecks.passive.unhealthy.http_statuses => values::statuses(v)?),
    field!("healthchecks.passive.unhealthy.tcp_failures", "Connections failed that make it unhealthy; 0: off.", "3",
        |u, v| u.healthchecks.passive.unhealthy.tcp_failures => count(v)?),
    field!("healthchecks.passive.unhealthy.timeouts", "Timeouts that make it unhealthy; 0: off.", "3",
        |u, v| u.healthchecks.passive.unhealthy.timeouts => count(v)?),
    field!("healthchecks.passive.unhealthy.http_failures", "Failures by status that make it unhealthy; 0: off.", "5",
        |u, v| u.healthchecks.passive.unhealthy.http_failures => count(v)?),
    Field {
        name: "hold",
        doc: "`false`: requests do not wait for a replica. Where `allow.fields` names it.",
        example: "false",
        set: |upstream, _, value| {
            let on = values::boolean(value)?;
            upstream.hold = Some(on.then_some(Waiting::HOLD));
            Ok(())
        },
    },
    field!("hold.max_requests", "Requests that wait for a replica. Where `allow.fields` names `hold`.", "1000",
        |u, v| hold(u).max_requests => u32::from(values::small(v, 1..=u16::MAX)?)),
    field!("hold.max_bytes", "Bytes of them. Where `allow.fields` names `hold`.", "64MiB",
        |u, v| hold(u).max_bytes => values::size(v)?),
    field!("hold.timeout", "How long one waits. Where `allow.fields` names `hold`.", "60s",
        |u, v| hold(u).timeout => values::duration(v)?),
    field!("max_concurrency", "Requests that one replica has in flight at the most.", "64",
        |u, v| u.max_concurrency => Some(u32::from(values::small(v, 1..=u16::MAX)?))),
    field!("slow_start", "A new replica's share grows to its weight over this time.", "30s",
        |u, v| u.slow_start => Some(values::duration(v)?)),
    Field {
        name: "queue",
        doc: "`false`: requests do not wait while all replicas are at `max_concurrency`. Where `allow.fields` names it.",
        example: "false",
        set: |upstream, _, value| {
            let on = values::boolean(value)?;
            upstream.queue = Some(on.then_some(Waiting::QUEUE));
            Ok(())
        },
    },
    field!("queue.max_requests", "Requests that wait for a slot. Where `allow.fields` names `queue`.", "1000",
        |u, v| queue(u).max_requests => u32::from(values::small(v, 1..=u16::MAX)?)),
    field!("queue.max_bytes", "Bytes of them. Where `allow.fields` names `queue`.", "64MiB",
        |u, v| queue(u).max_bytes => values::size(v)?),
    field!("queue.timeout", "How long one waits. Where `allow.fields` names `queue`.", "5s",
        |u, v| queue(u).timeout => values::duration(v)?),
    field!("retry_budget.ratio", "Repeats for each request. Where `allow.fields` names `retry_budget`.", "0.2",
        |u, v| retry_budget(u).ratio => values::ratio(v)?),
    field!("retry_budget.min_per_second", "Repeats a second besides. Where `allow.fields` names `retry_budget`.", "10",
        |u, v| retry_budget(u).min_per_second => u32::from(values::small(v, 0..=u16::MAX)?)),
    field!("hedging.after", "After so long a second replica is asked too. Where `allow.fields` names `hedging`.", "200ms",
        |u, v| hedging(u).after => values::duration(v)?),
    field!("hedging.max_ratio", "The part of the requests. Where `allow.fields` names `hedging`.", "0.05",
        |u, v| hedging(u).max_ratio => values::ratio(v)?),
    field!("outlier.consecutive_errors", "Errors in a row that eject; 0: off. Where `allow.fields` names `outlier`.", "5",
        |u, v| outlier(u).consecutive_errors => u32::from(values::small(v, 0..=u16::MAX)?)),
    field!("outlier.success_rate_deviations", "Deviations below the mean that eject. Where `allow.fields` names `outlier`.",
        "3", |u, v| outlier(u).success_rate_deviations => values::percent(v)?),
    field!("outlier.ejection", "How long a first ejection lasts. Where `allow.fields` names `outlier`.", "30s",
        |u, v| outlier(u).ejection => values::duration(v)?),
    field!("outlier.max_ejected", "The part that may be ejected. Where `allow.fields` names `outlier`.", "0.3",
        |u, v| outlier(u).max_ejected => values::ratio(v)?),
    field!("outlier.panic_below", "Less than this part usable: use all. Where `allow.fields` names `outlier`.", "0.5",
        |u, v| outlier(u).panic_below => values::ratio(v)?),
];

/// The `hedging` that a label changes a part of.
fn hedging(upstream: &mut UpstreamSettings) -> &mut Hedging {
    upstream.hedging.get_or_insert_default()
}

/// The `outlier` that a label changes a part of.
fn outlier(upstream: &mut UpstreamSettings) -> &mut Outlier {
    upstream.outlier.get_or_insert_default()
}

/// The `hold` that a label changes a part of.
fn hold(upstream: &mut UpstreamSettings) -> &mut Waiting {
    upstream.hold.get_or_insert(None).get_or_insert(Waiting::HOLD)
}

/// The `queue` that a label changes a part of.
fn queue(upstream: &mut UpstreamSettings) -> &mut Waiting {
    upstream.queue.get_or_insert(None).get_or_insert(Waiting::QUEUE)
}

/// The `retry_budget` that a label changes a part of.
fn retry_budget(upstream: &mut UpstreamSettings) -> &mut RetryBudget {
    upstream.retry_budget.get_or_insert(RetryBudget { ratio: 0.2, min_per_second: 10 })
}

fn algorithm(value: &str) -> Result<Arc<str>, String> {
    match ALGORITHMS.iter().find(|name| **name == value) {
        Some(name) => Ok((*name).into()),
        None if ["consistent-hashing", "latency"].contains(&value) => {
            Err(format!("{} is not available in this version; there are {}", shown(value), ALGORITHMS.join(", ")))
        }
        None => Err(format!("wants one of {}, not {}", ALGORITHMS.join(", "), shown(value))),
    }
}

fn kind(value: &str) -> Result<CheckKind, String> {
    match value {
        "http" => Ok(CheckKind::Http),
        "https" => Ok(CheckKind::Https),
        "tcp" => Ok(CheckKind::Tcp),
        "grpc" => Ok(CheckKind::Grpc),
        "grpcs" => Ok(CheckKind::Grpcs),
        _ => Err(format!("wants http, https, tcp, grpc or grpcs, not {}", shown(value))),
    }
}

/// It stands in a request's head as it is.
fn host_header(value: &str) -> Result<Arc<str>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if !value.is_empty() && value.len() <= 255 && value.bytes().all(plain) {
        Ok(value.into())
    } else {
        Err(format!("wants a host name, not {}", shown(value)))
    }
}

fn count(value: &str) -> Result<u16, String> {
    values::small(value, 0..=255)
}

/// Zero is off. Less than 100 ms would be a flood that a stranger's label orders.
fn interval(value: &str) -> Result<Duration, String> {
    let interval = values::seconds(value)?;
    if interval.is_zero() || interval >= INTERVAL_MIN {
        Ok(interval)
    } else {
        Err(format!("wants 0 or at least 0.1 seconds, not {}", shown(value)))
    }
}

/// The shortest interval of probes.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Probes of one upstream at a time that a label may ask for; Kong's own bound is 2³¹.
const PROBES_MAX: u16 = 1000;
