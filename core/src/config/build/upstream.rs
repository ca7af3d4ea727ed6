//! Upstreams, their targets, and what else fills them.

use super::health::healthchecks;
use super::{Builder, Found, What};
use crate::config::record::{Record, Value};
use crate::config::{
    Discover, Healthchecks, Hedging, Outlier, ProcessSource, RetryBudget, Target, Upstream, UpstreamSettings, Waiting,
    rule,
};
use std::sync::Arc;

/// Kong's, where a target names none.
const DEFAULT_PORT: u16 = 8000;

impl Builder<'_> {
    pub(super) fn upstream(&mut self, record: &Record) {
        let (id, name) = self.identity(record, "upstreams", "");
        let number = self.document.upstreams.len();
        self.names.register("upstreams", &name, number);
        self.names.register("upstreams", &id, number);
        self.note_references(record, &format!("/upstreams/{number}"));
        let healthchecks = record.record("healthchecks").map_or_else(Healthchecks::default, healthchecks);
        let discover = record.record("discover").map(|record| self.discover(record)).unwrap_or_default();
        self.document.upstreams.push(Upstream {
            id,
            name,
            settings: UpstreamSettings {
                algorithm: record.word("algorithm").into(),
                host_header: record.text("host_header"),
                healthchecks,
                hold: waiting(record, "hold"),
                max_concurrency: record.optional_integer("max_concurrency"),
                queue: waiting(record, "queue"),
                retry_budget: record.record("retry_budget").map(retry_budget),
                hedging: record.record("hedging").map(hedging),
                outlier: record.record("outlier").map(outlier),
                slow_start: record.optional_duration("slow_start"),
            },
            targets: Vec::new(),
            discover,
            tags: record.texts("tags"),
            place: record.mark.place,
        });
    }

    pub(super) fn target(&mut self, found: &Found<'_>) {
        let What::Record(record) = found.what else { return };
        if found.parent.is_none() && !record.attempted("upstream") {
            self.sink.push(record.mark, "in 'upstream': required field missing", None);
        }
        let (Some(owner), Some(text)) = (self.owner(found, "upstream"), record.written_text("target")) else { return };
        let Some((upstream_id, upstream_name)) =
            self.document.upstreams.get(owner).map(|upstream| (upstream.id.clone(), upstream.name.clone()))
        else {
            return;
        };
        let (host, port) = rule::split_port(&text.value);
        let port = port.and_then(Result::ok).unwrap_or(DEFAULT_PORT);
        let target: Arc<str> = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]:{port}").into(),
            false => format!("{host}:{port}").into(),
        };
        let key: Arc<str> = format!("{target} of {upstream_name}").into();
        if self.names.claim("targets", "target", &key, text_place(record)).is_some() {
            let message = format!(
                "uniqueness violation: 'targets' entity with target set to '{}' already declared",
                text.shown()
            );
            self.sink.push(record.mark_of("target"), message, None);
            return;
        }
        // Kong's ids of nested targets come from the target as written and the upstream's id.
        let id = self.id(record, "targets", &format!("{}:{upstream_id}", text.value));
        let bare = host.trim_start_matches('[').trim_end_matches(']').into();
        let target = Target {
            id,
            target,
            host: bare,
            port,
            weight: record.integer("weight"),
            tags: record.texts("tags"),
            place: record.mark.place,
        };
        let Some(upstream) = self.document.upstreams.get_mut(owner) else { return };
        let number = upstream.targets.len();
        upstream.targets.push(target);
        self.note_references(record, &format!("/upstreams/{owner}/targets/{number}"));
    }

    fn discover(&mut self, record: &Record) -> Vec<Discover> {
        let mut all = Vec::new();
        if let Some(docker) = record.record("docker") {
            if ["project", "service", "labels"].iter().all(|name| !docker.attempted(name)) {
                let help = "every container of the engine would be a target";
                let message = "at least one of these fields must be non-empty: 'project', 'service', 'labels'";
                self.sink.push(docker.mark, format!("in 'docker': {message}"), Some(help.to_owned()));
            }
            all.push(Discover::Docker {
                project: docker.text("project"),
                service: docker.text("service"),
                labels: docker.pairs("labels"),
                port: docker.optional_integer("port"),
                network: docker.text("network"),
            });
        }
        if let Some(process) = record.record("process") {
            let command = process.texts("command");
            if process.has("command") && command.first().is_none_or(|program| program.is_empty()) {
                self.complain(process, "command", "length must be at least 1", Some("the first word is the program"));
            }
            all.push(Discover::Process(ProcessSource {
                command,
                replicas: process.integer("replicas"),
                env: process.pairs("env"),
                working_directory: process.text("working_directory"),
            }));
        }
        if all.is_empty() && !["docker", "process", "swarm", "dns", "file"].iter().any(|name| record.attempted(name)) {
            let message = "in 'discover': at least one of these fields must be non-empty: 'docker', 'process'";
            self.sink.push(record.mark, message, None);
        }
        all
    }
}

fn text_place(record: &Record) -> crate::config::Place {
    record.mark_of("target").place
}

fn waiting(record: &Record, name: &str) -> Option<Option<Waiting>> {
    match record.value(name)? {
        Value::Record(bounds) => Some(Some(Waiting {
            max_requests: bounds.integer("max_requests"),
            max_bytes: bounds.size("max_bytes"),
            timeout: bounds.duration("timeout"),
        })),
        _ => Some(None),
    }
}

fn retry_budget(record: &Record) -> RetryBudget {
    RetryBudget { ratio: record.number("ratio"), min_per_second: record.integer("min_per_second") }
}

fn hedging(record: &Record) -> Hedging {
    Hedging { after: record.duration("after"), max_ratio: record.number("max_ratio") }
}

fn outlier(record: &Record) -> Outlier {
    Outlier {
        consecutive_errors: record.integer("consecutive_errors"),
        success_rate_deviations: record.number("success_rate_deviations"),
        ejection: record.duration("ejection"),
        max_ejected: record.number("max_ejected"),
        panic_below: record.number("panic_below"),
    }
}
