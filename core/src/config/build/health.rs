//! Health checks.

use crate::config::record::Record;
use crate::config::{ActiveChecks, CheckKind, Healthchecks, HealthyRule, PassiveChecks, UnhealthyRule};
use std::time::Duration;

pub(super) fn healthchecks(record: &Record) -> Healthchecks {
    Healthchecks {
        active: record.record("active").map(active).unwrap_or_default(),
        passive: record.record("passive").map(passive).unwrap_or_default(),
        threshold: record.number("threshold"),
    }
}

fn active(record: &Record) -> ActiveChecks {
    let default = ActiveChecks::default();
    ActiveChecks {
        kind: kind(record),
        timeout: record.seconds("timeout"),
        concurrency: record.integer("concurrency"),
        http_path: record.text("http_path").unwrap_or(default.http_path),
        headers: record.lists("headers"),
        https_verify_certificate: record.flag("https_verify_certificate"),
        https_sni: record.text("https_sni"),
        healthy: record.record("healthy").map_or(default.healthy, |r| healthy(r, r.seconds("interval"))),
        unhealthy: record.record("unhealthy").map_or(default.unhealthy, |r| unhealthy(r, r.seconds("interval"))),
    }
}

fn passive(record: &Record) -> PassiveChecks {
    let default = PassiveChecks::default();
    PassiveChecks {
        kind: kind(record),
        healthy: record.record("healthy").map_or(default.healthy, |r| healthy(r, Duration::ZERO)),
        unhealthy: record.record("unhealthy").map_or(default.unhealthy, |r| unhealthy(r, Duration::ZERO)),
    }
}

fn kind(record: &Record) -> CheckKind {
    match record.word("type") {
        "https" => CheckKind::Https,
        "tcp" => CheckKind::Tcp,
        "grpc" => CheckKind::Grpc,
        "grpcs" => CheckKind::Grpcs,
        _ => CheckKind::Http,
    }
}

fn healthy(record: &Record, interval: Duration) -> HealthyRule {
    HealthyRule { interval, http_statuses: record.integers("http_statuses"), successes: record.integer("successes") }
}

fn unhealthy(record: &Record, interval: Duration) -> UnhealthyRule {
    UnhealthyRule {
        interval,
        http_statuses: record.integers("http_statuses"),
        tcp_failures: record.integer("tcp_failures"),
        timeouts: record.integer("timeouts"),
        http_failures: record.integer("http_failures"),
    }
}
