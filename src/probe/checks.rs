//! What is probed of one upstream, worked out from its settings.

use super::ProbeOptions;
use crate::tls::{TargetProfile, TargetTls};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use plimsoll_core::config::{ActiveChecks, CheckKind, HealthyRule, UnhealthyRule};
use plimsoll_core::health::{CheckRules, Outcome};
use plimsoll_core::upstream::Target;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// 1 s: how long a bare connect may take that only asks whether a replica is there. Kong's default for probes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Kong's two blocks, active or passive, as the counters take them.
#[must_use]
pub fn check_rules(healthy: &HealthyRule, unhealthy: &UnhealthyRule) -> CheckRules {
    let limit = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
    CheckRules {
        healthy_statuses: healthy.http_statuses.iter().copied().collect(),
        successes: limit(healthy.successes),
        unhealthy_statuses: unhealthy.http_statuses.iter().copied().collect(),
        http_failures: limit(unhealthy.http_failures),
        tcp_failures: limit(unhealthy.tcp_failures),
        timeouts: limit(unhealthy.timeouts),
    }
}

/// Probes of one upstream. Replaced whole when its settings change.
pub(super) struct Checks {
    pub(super) settings: ActiveChecks,
    pub(super) host_header: Option<Arc<str>>,
    pub(super) name: Arc<str>,
    pub(super) rules: CheckRules,
    pub(super) headers: HeaderMap,
    pub(super) path: Uri,
    /// Probes of this upstream at a time.
    pub(super) limit: Semaphore,
    tls: OnceCell<Option<Arc<ClientConfig>>>,
}

impl Checks {
    pub(super) fn new(options: &ProbeOptions) -> Self {
        let settings = options.checks.clone();
        let concurrency = usize::try_from(settings.concurrency).unwrap_or(usize::MAX);
        Self {
            host_header: options.host_header.clone(),
            name: options.upstream.name.clone(),
            rules: check_rules(&settings.healthy, &settings.unhealthy),
            headers: headers(&settings),
            // The document's reader has let through only what begins with a slash; what is no URI all the same asks for `/`.
            path: settings.http_path.parse().unwrap_or_else(|_| Uri::from_static("/")),
            limit: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            tls: OnceCell::new(),
            settings,
        }
    }

    /// Whether these are the probes that `options` asks for.
    pub(super) fn are(&self, options: &ProbeOptions) -> bool {
        self.settings == options.checks && self.host_header == options.host_header
    }

    /// Whether there are active checks at all.
    pub(super) const fn on(&self) -> bool {
        !self.settings.healthy.interval.is_zero() || !self.settings.unhealthy.interval.is_zero()
    }

    /// Between two probes of `target` as it is now; `None`: it is not probed.
    pub(super) fn interval(&self, target: &Target) -> Option<Duration> {
        let rule = if target.counters().unhealthy.is_none() {
            self.settings.healthy.interval
        } else {
            self.settings.unhealthy.interval
        };
        (!rule.is_zero()).then_some(rule)
    }

    /// What is asked when only readiness is to be found out: the active check where there is one, else a connection.
    pub(super) fn readiness_kind(&self) -> CheckKind {
        if self.on() { self.settings.kind } else { CheckKind::Tcp }
    }

    /// How long one probe may take.
    pub(super) fn timeout(&self) -> Duration {
        if self.on() && !self.settings.timeout.is_zero() { self.settings.timeout } else { CONNECT_TIMEOUT }
    }

    /// Whether this outcome lets a target in: an answer that the checks would not hold against it.
    pub(super) fn lets_in(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Connected => true,
            Outcome::Status(status) => {
                self.rules.healthy_statuses.has(status)
                    || self.rules.http_failures == 0
                    || !self.rules.unhealthy_statuses.has(status)
            }
            Outcome::NotHttp | Outcome::TcpFailure | Outcome::Timeout => false,
        }
    }

    /// How an HTTPS probe trusts. Made at the first probe, off the runtime's threads: it may read the system's CAs.
    pub(super) async fn tls(&self, all: &Arc<TargetTls>) -> Option<Arc<ClientConfig>> {
        let profile = TargetProfile { verify: self.settings.https_verify_certificate, http2: false };
        let make = || async {
            let all = Arc::clone(all);
            match tokio::task::spawn_blocking(move || all.config(profile)).await {
                Ok(Ok(config)) => Some(config),
                Ok(Err(error)) => {
                    tracing::warn!(upstream = %self.name, %error, "probes cannot speak TLS");
                    None
                }
                Err(_) => None,
            }
        };
        self.tls.get_or_init(make).await.clone()
    }
}

fn headers(settings: &ActiveChecks) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(crate::telemetry::SERVER));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    for (name, values) in &settings.headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        headers.remove(&name);
        for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
            headers.append(&name, value);
        }
    }
    headers
}
