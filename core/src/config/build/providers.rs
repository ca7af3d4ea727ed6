//! Providers.

use crate::config::record::Record;
use crate::config::{DockerHealth, DockerProvider, LabelAllow, LabelLimits, Providers};

pub(super) fn providers(record: &Record) -> Providers {
    Providers {
        sync_timeout: record.duration("sync_timeout"),
        written: true,
        docker: record.record("docker").map(docker),
    }
}

fn docker(record: &Record) -> DockerProvider {
    let default = DockerProvider::default();
    let text = |name: &str| record.written_text(name).map(|text| text.value.clone());
    DockerProvider {
        endpoint: record.text("endpoint").unwrap_or(default.endpoint),
        cert_path: text("cert_path"),
        network: text("network"),
        exposed_by_default: record.flag("exposed_by_default"),
        label_prefix: record.text("label_prefix").unwrap_or(default.label_prefix),
        constraints: record.pairs("constraints"),
        allow: record.record("allow").map(allow).unwrap_or_default(),
        limits: record.record("limits").map(limits).unwrap_or_default(),
        health: match record.word("health") {
            "ignore" => DockerHealth::Ignore,
            "only" => DockerHealth::Only,
            _ => DockerHealth::Gate,
        },
        grace: record.duration("grace"),
    }
}

fn allow(record: &Record) -> LabelAllow {
    LabelAllow {
        projects: record.texts("projects"),
        hosts: record.texts("hosts"),
        plugins: record.texts("plugins"),
        fields: record.texts("fields"),
    }
}

fn limits(record: &Record) -> LabelLimits {
    LabelLimits {
        labels: record.small_size("labels"),
        routes: record.integer("routes"),
        regex: record.small_size("regex"),
    }
}
