//! Services, routes and certificates.

use super::{Credentials, filled, lists, pem, put, texts};
use crate::config::{Certificate, PathHandling, Pem, Route, Service};
use serde_json::{Value, json};
use std::time::Duration;

/// A service as Kong shows it.
#[must_use]
pub fn service_json(service: &Service) -> Value {
    let Service { id, name, protocol, host, port, path, retries, enabled, tls_verify, tags, .. } = service;
    let mut out = json!({
        "id": &**id,
        "name": &**name,
        "protocol": protocol.name(),
        "host": &**host,
        "port": port,
    });
    put(&mut out, "path", path.as_deref().map(Value::from));
    put(&mut out, "retries", Some(json!(retries)));
    put(&mut out, "connect_timeout", Some(milliseconds(service.connect_timeout)));
    put(&mut out, "write_timeout", Some(milliseconds(service.write_timeout)));
    put(&mut out, "read_timeout", Some(milliseconds(service.read_timeout)));
    put(&mut out, "enabled", Some(json!(enabled)));
    put(&mut out, "tls_verify", tls_verify.map(Value::from));
    put(&mut out, "tags", filled(tags));
    out
}

/// A route as Kong shows it; `service_id` is the id of the service that it leads to.
#[must_use]
pub fn route_json(route: &Route, service_id: Option<&str>) -> Value {
    let protocols: Value = route.protocols.iter().map(|protocol| protocol.name()).collect();
    let mut out = json!({"id": &*route.id, "name": &*route.name});
    put(&mut out, "service", service_id.map(|id| json!({"id": id})));
    put(&mut out, "protocols", Some(protocols));
    put(&mut out, "hosts", filled(&route.hosts));
    put(&mut out, "paths", filled(&route.paths));
    put(&mut out, "methods", filled(&route.methods));
    put(&mut out, "headers", (!route.headers.is_empty()).then(|| lists(&route.headers)));
    put(&mut out, "snis", filled(&route.snis));
    put(&mut out, "strip_path", Some(json!(route.strip_path)));
    put(&mut out, "preserve_host", Some(json!(route.preserve_host)));
    let handling = if route.path_handling == PathHandling::V1 { "v1" } else { "v0" };
    put(&mut out, "path_handling", Some(json!(handling)));
    put(&mut out, "regex_priority", Some(json!(route.regex_priority)));
    put(&mut out, "https_redirect_status_code", Some(json!(route.https_redirect_status_code)));
    put(&mut out, "tags", filled(&route.tags));
    out
}

/// A certificate. The path of its key's file is no credential.
#[must_use]
pub fn certificate_json(certificate: &Certificate, credentials: Credentials) -> Value {
    let key = match &certificate.key {
        Pem::Text(text) => Value::from(credentials.show(text)),
        file @ Pem::File(_) => pem(file),
    };
    let snis: Value = certificate.snis.iter().map(|name| json!({"name": &**name})).collect();
    let mut out = json!({"id": &*certificate.id, "cert": pem(&certificate.cert), "key": key, "snis": snis});
    put(&mut out, "tags", (!certificate.tags.is_empty()).then(|| texts(&certificate.tags)));
    out
}

/// Kong's times are integers of milliseconds.
fn milliseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
