//! The `gateway` key.

use super::Builder;
use crate::config::overlap::{clash, clash_message};
use crate::config::record::{Record, Value};
use crate::config::{
    AccessLog, AccessLogFormat, AddedHeaders, Admin, AdminAddress, Gateway, Http2, Limits, Log, LogPath, Metrics,
    RequestRate, Shutdown, Timeouts, rule,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A head's spans are 16 bits wide, and what the gateway adds must fit beside what came.
const MAX_HEAD: u64 = 60 << 10;

impl Builder<'_> {
    pub(super) fn gateway(&mut self, record: &Record) {
        self.note_references(record, "/gateway");
        let gateway = Gateway {
            workers: record.optional_integer("workers"),
            cpu_affinity: matches!(record.value("cpu_affinity"), Some(Value::Word("auto"))),
            listeners: record.has("listeners").then(|| self.listeners(record)),
            admin: self.admin(record),
            status: record.record("status").and_then(|status| rule::parse_address(&status.text("address")?)),
            trusted_proxies: record
                .texts("trusted_proxies")
                .iter()
                .filter_map(|net| rule::parse_network(net))
                .collect(),
            limits: self.within_block(record, "limits", Self::limits),
            timeouts: record.record("timeouts").map(timeouts).unwrap_or_default(),
            http2: record.record("http2").map(http2).unwrap_or_default(),
            headers: headers(record),
            access_log: access_log(record),
            log: record.record("log").map(log).unwrap_or_default(),
            metrics: self.within_block(record, "metrics", Self::metrics),
            shutdown: record.record("shutdown").map(shutdown).unwrap_or_default(),
            providers: record.record("providers").map(super::providers::providers).unwrap_or_default(),
        };
        self.check_addresses(record, &gateway);
        self.document.gateway = Some(gateway);
    }

    /// Admin API, status and listeners need an address each.
    fn check_addresses(&mut self, record: &Record, gateway: &Gateway) {
        let admin = match gateway.admin.as_ref().map(|admin| &admin.address) {
            Some(AdminAddress::Tcp(address)) => Some(*address),
            _ => None,
        };
        let listeners = gateway.listeners.iter().flatten();
        let mut taken: Vec<(String, SocketAddr)> =
            listeners.map(|listener| (format!("listener '{}'", listener.name), listener.address)).collect();
        for (name, address) in [("admin", admin), ("status", gateway.status)] {
            let Some(address) = address else { continue };
            if let Some((other, at)) = taken.iter().find(|(_, at)| clash(*at, address)) {
                let message = clash_message(other, *at, address);
                self.complain(record, name, &message, None);
            }
            taken.push((format!("'{name}'"), address));
        }
    }

    /// Builds the block, or its default where it is not written.
    fn within_block<T: Default>(&mut self, record: &Record, name: &str, build: fn(&mut Self, &Record) -> T) -> T {
        let Some(block) = record.record(name) else { return T::default() };
        self.sink.enter(&name.into());
        let built = build(self, block);
        self.sink.leave();
        built
    }

    fn admin(&mut self, record: &Record) -> Option<Admin> {
        match record.value("admin") {
            None => Some(Admin::default()),
            Some(Value::Record(admin)) => {
                self.sink.enter(&"admin".into());
                let built = self.admin_fields(admin);
                self.sink.leave();
                Some(built)
            }
            Some(_) => None,
        }
    }

    fn admin_fields(&mut self, record: &Record) -> Admin {
        let text = record.text("address").unwrap_or_else(|| "".into());
        let address = match text.strip_prefix("unix:") {
            Some(path) => AdminAddress::Unix(path.into()),
            None => rule::parse_address(&text).map_or_else(|| Admin::default().address, AdminAddress::Tcp),
        };
        let token_file = record.written_text("token_file").map(|text| text.value.clone());
        if let AdminAddress::Tcp(tcp) = address
            && !tcp.ip().is_loopback()
            && token_file.is_none()
            && !record.attempted_but_failed("token_file")
        {
            let message = "anything but loopback or a Unix socket wants 'token_file'";
            let help = "write token_file: PATH of a file with a secret, or address: \"127.0.0.1:8001\"";
            self.complain(record, "address", message, Some(help));
        }
        let mut allow: Vec<Arc<str>> = record.texts("allow");
        allow.dedup();
        Admin { address, token_file, references: record.flag("references"), allow }
    }

    fn limits(&mut self, record: &Record) -> Limits {
        for name in ["request_line", "request_headers"] {
            if record.size(name) > MAX_HEAD || record.size(name) == 0 {
                self.complain(record, name, "value should be between 1B and 60KiB", None);
            }
        }
        if u32::try_from(record.size("replay_body")).is_err() {
            self.complain(record, "replay_body", "value should be less than 4GiB", None);
        }
        Limits {
            connections: record.optional_integer("connections"),
            connections_per_client: record.optional_integer("connections_per_client"),
            requests_per_client: self.request_rate(record),
            request_line: record.small_size("request_line"),
            request_headers: record.small_size("request_headers"),
            request_header_count: record.integer("request_header_count"),
            request_body: record.optional_size("request_body"),
            buffered_bytes: record.size("buffered_bytes"),
            replay_body: record.small_size("replay_body"),
            upstream_idle_connections: record.integer("upstream_idle_connections"),
        }
    }

    fn request_rate(&mut self, limits: &Record) -> Option<RequestRate> {
        let record = limits.record("requests_per_client")?;
        let (rate, per) = (record.integer("rate"), record.duration("per"));
        if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&per) && !record.attempted_but_failed("per")
        {
            self.sink.enter(&"requests_per_client".into());
            self.complain(record, "per", "value should be between 1ms and 1h", None);
            self.sink.leave();
        }
        Some(RequestRate { rate, per, burst: record.optional_integer("burst").unwrap_or(rate) })
    }

    fn metrics(&mut self, record: &Record) -> Metrics {
        let buckets = record.numbers("buckets");
        if record.has("buckets") && (buckets.is_empty() || !buckets.is_sorted_by(|a, b| a < b)) {
            self.complain(record, "buckets", "expected numbers in ascending order", None);
        }
        Metrics { per_route: record.flag("per_route"), per_target: record.flag("per_target"), buckets }
    }
}

fn timeouts(record: &Record) -> Timeouts {
    Timeouts {
        tls_handshake: record.duration("tls_handshake"),
        client_header: record.duration("client_header"),
        client_body: record.duration("client_body"),
        client_idle: record.duration("client_idle"),
        upstream_idle: record.duration("upstream_idle"),
        request: record.optional_duration("request"),
    }
}

fn http2(record: &Record) -> Http2 {
    Http2 {
        max_concurrent_streams: record.integer("max_concurrent_streams"),
        max_requests_per_connection: record.integer("max_requests_per_connection"),
        max_connection_age: record.optional_duration("max_connection_age"),
    }
}

fn headers(record: &Record) -> AddedHeaders {
    let words = record.texts("headers");
    let has = |name: &str| words.iter().any(|word| &**word == name);
    AddedHeaders { via: has("via"), server: has("server"), latency: has("latency"), request_id: has("request_id") }
}

fn access_log(record: &Record) -> Option<AccessLog> {
    let record = match record.value("access_log") {
        None => return Some(AccessLog::default()),
        Some(Value::Record(record)) => record,
        Some(_) => return None,
    };
    let path = match record.written_text("path") {
        Some(text) => LogPath::File(text.value.clone()),
        None if record.word("path") == "stderr" => LogPath::Stderr,
        None => LogPath::Stdout,
    };
    let format = if record.word("format") == "combined" { AccessLogFormat::Combined } else { AccessLogFormat::Json };
    Some(AccessLog { path, format })
}

fn log(record: &Record) -> Log {
    Log { level: record.word("level").into(), json: record.word("format") == "json", queue: record.size("queue") }
}

fn shutdown(record: &Record) -> Shutdown {
    Shutdown { delay: record.duration("delay"), drain_timeout: record.duration("drain_timeout") }
}
