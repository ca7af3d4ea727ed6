//! Every metric by name, in the order in which a scrape prints them. The reference page is made from this table.

/// A metric's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub struct Family {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Type,
    /// Label names; values are bounded: names from the document, codes, fixed words.
    pub labels: &'static [&'static str],
    /// One line.
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Family =
                Family { name: $name, kind: Type::$kind, labels: &[$($label),*], help: $help };
        )*
        /// All of them.
        pub const FAMILIES: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    BUILD_INFO: Gauge "plimsoll_build_info" ["version", "commit"] "Always 1.";
    REQUESTS: Counter "plimsoll_http_requests_total" ["service", "route", "code"] "Requests answered.";
    REQUEST_DURATION: Histogram "plimsoll_http_request_duration_seconds" ["service"]
        "First byte of the request to last byte of the answer.";
    ROUTE_DURATION: Histogram "plimsoll_http_request_duration_seconds" ["service", "route"]
        "First byte of the request to last byte of the answer.";
    UPSTREAM_DURATION: Histogram "plimsoll_http_upstream_duration_seconds" ["upstream"]
        "The part spent waiting for the upstream's response head.";
    BYTES: Counter "plimsoll_http_bytes_total" ["service", "direction"] "Bytes from (in) and to (out) clients.";
    CLIENT_CONNECTIONS: Gauge "plimsoll_client_connections" ["listener"] "Client connections now.";
    CLIENT_CONNECTIONS_TOTAL: Counter "plimsoll_client_connections_total" ["listener"] "Client connections accepted.";
    CLIENT_CONNECTIONS_REFUSED: Counter "plimsoll_client_connections_refused_total" ["listener", "reason"]
        "Client connections closed before anything was served on them: limits, the PROXY protocol.";
    LIMITED_CLIENTS: Gauge "plimsoll_limited_clients" []
        "Clients that are remembered where requests of each are limited: those whose allowance is not whole.";
    LIMITED_CLIENTS_FORGOTTEN: Counter "plimsoll_limited_clients_forgotten_total" []
        "Clients that were forgotten before their allowance was whole, since others needed the place.";
    UPSTREAM_INFLIGHT: Gauge "plimsoll_upstream_inflight_requests" ["upstream"] "Requests in flight now.";
    CONCURRENCY: Counter "plimsoll_upstream_concurrency_seconds_total" ["upstream"]
        "Time integral of requests in flight: its rate is the exact average concurrency.";
    QUEUED: Gauge "plimsoll_upstream_queued_requests" ["upstream"] "Requests that wait because all targets are full.";
    HELD: Gauge "plimsoll_upstream_held_requests" ["upstream"] "Requests that wait because no target can be picked.";
    WAIT: Histogram "plimsoll_upstream_wait_seconds" ["upstream"] "How long requests were queued or held.";
    READY_REPLICAS: Gauge "plimsoll_upstream_ready_replicas" ["upstream"] "Targets that may be picked.";
    UPSTREAM_TARGETS: Gauge "plimsoll_upstream_targets" ["upstream", "state"]
        "Targets by state: starting, healthy, unhealthy, draining.";
    EJECTIONS: Counter "plimsoll_upstream_ejections_total" ["upstream", "reason"] "Targets ejected as outliers.";
    TARGET_INFLIGHT: Gauge "plimsoll_target_inflight_requests" ["upstream", "target"] "Requests in flight now.";
    TARGET_REQUESTS: Counter "plimsoll_target_requests_total" ["upstream", "target"] "Attempts on the target.";
    TARGET_FAILURES: Counter "plimsoll_target_failures_total" ["upstream", "target", "kind"]
        "Attempts on the target that failed.";
    RETRIES: Counter "plimsoll_retries_total" ["upstream", "reason"] "Attempts after the first.";
    RETRIES_REFUSED: Counter "plimsoll_retries_refused_total" ["upstream", "reason"]
        "Attempts that would have been safe and were not made: the upstream's retry budget was used up.";
    HEDGES: Counter "plimsoll_upstream_hedges_total" ["upstream", "outcome"]
        "Requests that were slow to be answered, by what came of asking a second target.";
    LOST: Counter "plimsoll_requests_lost_total" ["upstream", "reason"]
        "Requests that the gateway or the pool failed: 502, 504, no target, an answer cut after its head.";
    SHED: Counter "plimsoll_requests_shed_total" ["upstream", "reason"]
        "Requests refused on purpose: queue full, hold full, limits, overload, memory.";
    BUFFERED: Gauge "plimsoll_buffered_bytes" []
        "Bytes that buffers hold of heads and bodies under way, as far as there is a limit to them.";
    MEMORY_LIMIT: Gauge "plimsoll_memory_limit_bytes" []
        "Memory that the gateway's cgroup may use; only where there is a limit.";
    MEMORY_USED: Gauge "plimsoll_memory_used_bytes" []
        "Memory that the cgroup uses of that, without pages of files, which the kernel takes back.";
    CONFIG_GENERATION: Gauge "plimsoll_config_generation" [] "Number of the snapshot that is served.";
    HANDOVER_FAILURES: Counter "plimsoll_handover_failures_total" [] "Times that a new process could not take over (USR2).";
    CONFIG_RELOAD_OK: Gauge "plimsoll_config_last_reload_successful" [] "Whether the last reload was applied.";
    CONFIG_RELOAD_TIME: Gauge "plimsoll_config_last_reload_timestamp_seconds" [] "When the last reload was applied.";
    CONFIG_RETIRED: Gauge "plimsoll_config_retired" []
        "Snapshots and pools that were replaced and that requests still hold.";
    PROVIDER_UP: Gauge "plimsoll_provider_up" ["provider"] "Whether the provider's facts are fresh.";
    PROVIDER_EVENTS: Counter "plimsoll_provider_events_total" ["provider"] "Events received.";
    PROVIDER_CORRECTIONS: Counter "plimsoll_provider_corrections_total" ["provider"]
        "Differences that a full listing found and no event had told.";
    PROVIDER_ERRORS: Gauge "plimsoll_provider_errors" ["provider"] "Replicas left out because of a mistake.";
    LOG_DROPPED: Counter "plimsoll_log_dropped_total" []
        "Lines of the gateway's own log dropped because nobody read standard error, or it could not be written to.";
    ACCESS_LOG_DROPPED: Counter "plimsoll_access_log_dropped_total" []
        "Access log lines dropped because their reader was too slow or could not be written to.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" [] "Total user and system CPU time spent in seconds.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" [] "Number of open file descriptors.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] "Maximum number of open file descriptors.";
    PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" [] "Virtual memory size in bytes.";
    PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" [] "Resident memory size in bytes.";
    PROCESS_START_TIME: Gauge "process_start_time_seconds" []
        "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS: Gauge "process_threads" [] "Number of OS threads in the process.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_metric_is_named_in_prometheus_style_and_explained() {
        let mut names = HashSet::new();
        for family in FAMILIES {
            assert!(names.insert((family.name, family.labels)), "{} twice", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Type::Counter, "{}", family.name);
            assert_eq!(family.kind == Type::Histogram, family.name.ends_with("_seconds") && family.kind != Type::Gauge);
        }
    }
}
