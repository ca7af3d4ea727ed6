//! The `gateway` key, every default written out.

use super::{pairs, pem, put, texts};
use crate::config::units::{print_duration, print_size};
use crate::config::{
    AccessLog, AccessLogFormat, AddedHeaders, Admin, AdminAddress, DockerHealth, DockerProvider, Gateway, Limits,
    Listener, LogPath, Providers, RequestRate, TlsVersion,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The `gateway` key.
#[must_use]
pub fn gateway_json(gateway: &Gateway) -> Value {
    let Gateway { workers, cpu_affinity, limits, timeouts, http2, log, metrics, shutdown, .. } = gateway;
    let mut out = json!({
        "workers": workers.map_or_else(|| "auto".into(), Value::from),
        "cpu_affinity": if *cpu_affinity { Value::from("auto") } else { Value::Bool(false) },
    });
    put(&mut out, "listeners", gateway.listeners.as_ref().map(|all| all.iter().map(listener).collect()));
    let rest = json!({
        "admin": gateway.admin.as_ref().map_or(Value::Bool(false), admin),
        "status": gateway.status.map_or(Value::Bool(false), |address| json!({"address": address.to_string()})),
        "trusted_proxies": gateway.trusted_proxies.iter().map(ToString::to_string).collect::<Value>(),
        "limits": limits_json(limits),
        "timeouts": {
            "tls_handshake": print_duration(timeouts.tls_handshake),
            "client_header": print_duration(timeouts.client_header),
            "client_body": print_duration(timeouts.client_body),
            "client_idle": print_duration(timeouts.client_idle),
            "upstream_idle": print_duration(timeouts.upstream_idle),
            "request": or_none(timeouts.request),
        },
        "http2": {
            "max_concurrent_streams": http2.max_concurrent_streams,
            "max_requests_per_connection": http2.max_requests_per_connection,
            "max_connection_age": or_none(http2.max_connection_age),
        },
        "headers": headers(gateway.headers),
        "access_log": gateway.access_log.as_ref().map_or(Value::Bool(false), access_log),
        "log": {"level": &*log.level, "format": if log.json { "json" } else { "text" }, "queue": print_size(log.queue)},
        "metrics": {"per_route": metrics.per_route, "per_target": metrics.per_target, "buckets": metrics.buckets},
        "shutdown": {
            "delay": print_duration(shutdown.delay),
            "drain_timeout": print_duration(shutdown.drain_timeout),
        },
    });
    if let (Value::Object(out), Value::Object(rest)) = (&mut out, rest) {
        out.extend(rest);
    }
    put(&mut out, "providers", gateway.providers.written.then(|| providers(&gateway.providers)));
    out
}

fn or_none(duration: Option<Duration>) -> Value {
    duration.map_or_else(|| "none".into(), |duration| print_duration(duration).into())
}

fn listener(listener: &Listener) -> Value {
    let tls = listener.tls.as_ref().map_or(Value::Bool(false), |tls| {
        json!({
            "min_version": if tls.min_version == TlsVersion::V1_3 { "1.3" } else { "1.2" },
            "client_ca": tls.client_ca.as_ref().map_or_else(|| "none".into(), pem),
            "default_certificate": tls.default_certificate.as_deref().unwrap_or("none"),
        })
    });
    json!({
        "name": &*listener.name,
        "address": listener.address.to_string(),
        "tls": tls,
        "http2": listener.http2,
        "proxy_protocol": listener.proxy_protocol,
    })
}

fn admin(admin: &Admin) -> Value {
    let address = match &admin.address {
        AdminAddress::Tcp(address) => address.to_string(),
        AdminAddress::Unix(path) => format!("unix:{path}"),
    };
    json!({
        "address": address,
        "token_file": admin.token_file.as_deref().unwrap_or("none"),
        "references": admin.references,
        "allow": texts(&admin.allow),
    })
}

fn limits_json(limits: &Limits) -> Value {
    let count = |limit: Option<u32>, none: &str| limit.map_or_else(|| none.into(), Value::from);
    json!({
        "connections": count(limits.connections, "auto"),
        "connections_per_client": count(limits.connections_per_client, "none"),
        "requests_per_client": limits.requests_per_client.map_or_else(|| "none".into(), request_rate),
        "request_line": print_size(limits.request_line.into()),
        "request_headers": print_size(limits.request_headers.into()),
        "request_header_count": limits.request_header_count,
        "request_body": limits.request_body.map_or_else(|| "none".to_owned(), print_size),
        "buffered_bytes": print_size(limits.buffered_bytes),
        "replay_body": print_size(limits.replay_body.into()),
        "upstream_idle_connections": limits.upstream_idle_connections,
    })
}

fn request_rate(rate: RequestRate) -> Value {
    json!({"rate": rate.rate, "per": print_duration(rate.per), "burst": rate.burst})
}

fn headers(headers: AddedHeaders) -> Value {
    let AddedHeaders { via, server, latency, request_id } = headers;
    let all = [("via", via), ("server", server), ("latency", latency), ("request_id", request_id)];
    let names: Vec<&str> = all.into_iter().filter_map(|(name, on)| on.then_some(name)).collect();
    if names.is_empty() { Value::Bool(false) } else { json!(names) }
}

fn access_log(log: &AccessLog) -> Value {
    let path = match &log.path {
        LogPath::Stdout => "stdout",
        LogPath::Stderr => "stderr",
        LogPath::File(path) => path,
    };
    let format = match log.format {
        AccessLogFormat::Json => "json",
        AccessLogFormat::Combined => "combined",
    };
    json!({"path": path, "format": format})
}

fn providers(providers: &Providers) -> Value {
    json!({
        "sync_timeout": print_duration(providers.sync_timeout),
        "docker": providers.docker.as_ref().map_or(Value::Bool(false), docker),
    })
}

fn docker(docker: &DockerProvider) -> Value {
    let health = match docker.health {
        DockerHealth::Gate => "gate",
        DockerHealth::Ignore => "ignore",
        DockerHealth::Only => "only",
    };
    json!({
        "endpoint": &*docker.endpoint,
        "cert_path": docker.cert_path.as_deref().unwrap_or("none"),
        "network": docker.network.as_deref().unwrap_or("none"),
        "exposed_by_default": docker.exposed_by_default,
        "label_prefix": &*docker.label_prefix,
        "constraints": pairs(&docker.constraints),
        "allow": {
            "projects": texts(&docker.allow.projects),
            "hosts": texts(&docker.allow.hosts),
            "plugins": texts(&docker.allow.plugins),
            "fields": texts(&docker.allow.fields),
        },
        "limits": {
            "labels": print_size(docker.limits.labels.into()),
            "routes": docker.limits.routes,
            "regex": print_size(docker.limits.regex.into()),
        },
        "health": health,
        "grace": print_duration(docker.grace),
    })
}
