//! Whether it lives, whether it serves, and how it is.

use super::answer::{Answer, json, ok, with};
use super::routes::Ask;
use crate::telemetry::SERVER;
use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use serde_json::{Value, json};

const TEXT: &str = "text/plain; charset=utf-8";

/// `GET /`.
pub(super) async fn node(_: Ask) -> Answer {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    ok(&json!({
        "tagline": "Welcome to Plimsoll",
        "server": SERVER,
        "version": env!("CARGO_PKG_VERSION"),
        "hostname": hostname,
        "configuration": {"database": "off"},
    }))
}

/// `GET /healthz`.
pub(super) async fn alive(_: Ask) -> Answer {
    with(StatusCode::OK, TEXT, "alive\n".to_owned())
}

/// `GET /readyz`.
pub(super) async fn ready(ask: Ask) -> Answer {
    match ask.gateway.not_ready() {
        None => with(StatusCode::OK, TEXT, "ready\n".to_owned()),
        Some(reason) => with(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {reason}\n")),
    }
}

/// `GET /status`.
pub(super) async fn status(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let ready = ask.gateway.not_ready();
    let listeners = view.listeners.iter().map(|(name, address)| json!({"name": &**name, "address": address}));
    let listeners: Vec<Value> = listeners.collect();
    json(
        StatusCode::OK,
        &json!({
            "server": {
                "connections_active": ask.gateway.connections(),
                "total_requests": ask.gateway.telemetry().requests(),
            },
            "memory": {"resident_bytes": resident_bytes()},
            "configuration_hash": hash(&view.document),
            "generation": view.generation,
            "applied_ms": view.applied_ms,
            "ready": ready.is_none(),
            "reason": ready,
            "warnings": view.warnings,
            "last_error": view.last_error.as_deref(),
            "listeners": listeners,
        }),
    )
}

/// Of a document: 32 digits, as Kong's.
pub(super) fn hash(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Linux counts in pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
