//! One container as it is known, and how an event or an inspect changes it.

use super::signal;
use super::time::rfc3339_ns;
use super::wire::{Attachment, Healthcheck, Inspect, ListItem, NetworkSettings};
use crate::model::{Phase, RuntimeHealth};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) created_ms: u64,
    pub(super) network_mode: String,
    pub(super) attachments: BTreeMap<String, Attachment>,
    pub(super) ports: Vec<u16>,
    pub(super) published: Vec<Published>,
    /// When its HEALTHCHECK first runs, after its start; `None` without one.
    pub(super) first_check_ms: Option<u64>,
    pub(super) life: Life,
    pub(super) started_at: Arc<str>,
    /// The engine's clock, as events are.
    pub(super) started_ns: u64,
    pub(super) health: RuntimeHealth,
    /// Past its first inspect. Before, it cannot be told whether it is well and by which signal it stops.
    pub(super) inspected: bool,
    /// Told to stop, or in doubt; undone when it still runs then.
    pub(super) drain_until_ms: Option<u64>,
    /// Cut off the network that it was reached by, until an inspect says otherwise.
    pub(super) cut: bool,
    /// Where it was last reached in this life.
    pub(super) last_address: Option<IpAddr>,
    /// Why it could not be inspected.
    pub(super) trouble: Option<String>,
    stop_signal: u8,
    stop_timeout_ms: u64,
    /// A signal that came before the first inspect, and when (our clock): judged then.
    early_kill: Option<(u8, u64)>,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Stopped,
    Running,
    Paused,
    Gone { since_ms: u64 },
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Published {
    pub(super) private: u16,
    pub(super) public: u16,
    /// `None`: on all addresses.
    pub(super) address: Option<IpAddr>,
}

impl Container {
    /// One of which nothing is known but that it exists.
    pub(super) fn unknown() -> Self {
        Self {
            name: String::new(),
            labels: BTreeMap::new(),
            created_ms: 0,
            network_mode: String::new(),
            attachments: BTreeMap::new(),
            ports: Vec::new(),
            published: Vec::new(),
            first_check_ms: None,
            life: Life::Stopped,
            started_at: "".into(),
            started_ns: 0,
            health: RuntimeHealth::None,
            inspected: false,
            drain_until_ms: None,
            cut: false,
            last_address: None,
            trouble: None,
            stop_signal: signal::TERM,
            stop_timeout_ms: STOP_TIMEOUT_DEFAULT_MS,
            early_kill: None,
        }
    }

    /// As a list shows one that was not known. It stays out until it is inspected.
    pub(super) fn from_list(item: &ListItem) -> Self {
        let mut ports: Vec<u16> =
            item.ports.iter().filter(|port| port.kind == "tcp").map(|port| port.private_port).collect();
        ports.sort_unstable();
        ports.dedup();
        Self {
            name: item.names.first().map_or_else(String::new, |name| plain_name(name)),
            labels: item.labels.clone(),
            created_ms: item.created.saturating_mul(1000),
            ports,
            life: life_of(&item.state),
            ..Self::unknown()
        }
    }

    /// As it looks from the network that it is reached by.
    pub(super) fn phase(&self) -> Phase {
        match self.life_phase() {
            Phase::Running | Phase::Stopping if self.cut => Phase::Disconnected,
            phase => phase,
        }
    }

    /// As it is, whatever networks it has.
    pub(super) fn life_phase(&self) -> Phase {
        match self.life {
            Life::Gone { .. } => Phase::Gone,
            Life::Stopped => Phase::Stopped,
            _ if !self.inspected => Phase::Stopped,
            Life::Paused => Phase::Paused,
            Life::Running if self.drain_until_ms.is_some() => Phase::Stopping,
            Life::Running => Phase::Running,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.life, Life::Gone { .. })
    }

    /// A signal was sent. Whether that is a request to end.
    pub(super) fn kill(&mut self, signal: u8, now_ms: u64) -> bool {
        if !self.inspected {
            self.early_kill = Some((signal, now_ms));
            return false;
        }
        let ends = self.life != Life::Stopped && (signal == signal::KILL || signal == self.stop_signal);
        if ends {
            let drain_ms = self.stop_timeout_ms.saturating_add(STOP_PATIENCE_MS);
            self.drain_until_ms = Some(now_ms.saturating_add(drain_ms));
        }
        ends
    }

    /// It may have ended: told to stop, until the next inspect. Whether that is news.
    pub(super) fn doubt(&mut self, now_ms: u64) -> bool {
        let runs = self.inspected && self.life == Life::Running && self.drain_until_ms.is_none();
        if runs {
            self.drain_until_ms = Some(now_ms);
        }
        runs
    }

    /// Its process ended.
    pub(super) fn stop(&mut self) {
        if !self.is_gone() {
            self.life = Life::Stopped;
            self.drain_until_ms = None;
            self.cut = false;
        }
    }

    /// It left a network; whether it was on it.
    pub(super) fn detach(&mut self, name: &str, id: &str) -> bool {
        let before = self.attachments.len();
        self.attachments.retain(|own, attachment| own != name && (id.is_empty() || attachment.network_id != id));
        self.attachments.len() < before
    }

    /// Takes all that an inspect says.
    pub(super) fn absorb(&mut self, inspect: &Inspect, now_ms: u64) {
        let config = &inspect.config;
        let network = &inspect.network_settings;
        self.name = plain_name(&inspect.name);
        self.labels.clone_from(&config.labels);
        self.created_ms = rfc3339_ns(&inspect.created).map_or(self.created_ms, |ns| ns / 1_000_000);
        self.network_mode.clone_from(&inspect.host_config.network_mode);
        self.attachments.clone_from(&network.networks);
        self.ports = tcp_ports(config.exposed_ports.keys().chain(network.ports.keys()));
        self.published = published(network);
        self.stop_signal = signal::number(&config.stop_signal).unwrap_or(signal::TERM);
        self.stop_timeout_ms = stop_timeout_ms(config.stop_timeout);
        self.first_check_ms = config.healthcheck.as_ref().and_then(first_check_ms);
        self.trouble = None;
        self.absorb_state(inspect, now_ms);
    }

    fn absorb_state(&mut self, inspect: &Inspect, now_ms: u64) {
        let state = &inspect.state;
        let same_life = self.inspected && *self.started_at == *state.started_at;
        if !same_life {
            self.started_at = state.started_at.as_str().into();
            self.started_ns = rfc3339_ns(&state.started_at).unwrap_or(0);
            self.drain_until_ms = None;
            self.health = RuntimeHealth::None;
            self.last_address = None;
        }
        self.cut = false;
        let was_known = std::mem::replace(&mut self.inspected, true);
        self.life = life_of(&state.status);
        if self.life == Life::Stopped {
            // What its check said last would be read as if it were still said.
            self.drain_until_ms = None;
            return;
        }
        self.health = match state.health.status.as_str() {
            // Checks are forgotten when the daemon restarts ("best-effort", moby daemon/health.go), while the container
            // lives on: what was known of this life is still the best that is known.
            "starting" if same_life && self.health != RuntimeHealth::None => self.health,
            status => health_of(status),
        };
        if self.drain_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
            self.drain_until_ms = None;
        }
        if !was_known && let Some((signal, at_ms)) = self.early_kill.take() {
            self.kill(signal, at_ms);
        }
    }

    /// Whether a list's entry shows something that the model does not hold. `now_ns`: the engine's clock.
    pub(super) fn differs(&self, item: &ListItem, now_ns: u64) -> bool {
        let life = life_of(&item.state);
        let renamed = item.names.first().is_none_or(|name| plain_name(name) != self.name);
        if self.life != life || renamed {
            return true;
        }
        if life == Life::Stopped {
            return false;
        }
        let addresses = |networks: &BTreeMap<String, Attachment>| -> Vec<(String, String, String)> {
            let of =
                |(name, at): (&String, &Attachment)| (name.clone(), at.ip_address.clone(), at.ipv6_address.clone());
            networks.iter().map(of).collect()
        };
        let health = [("(healthy)", RuntimeHealth::Healthy), ("(unhealthy)", RuntimeHealth::Unhealthy)];
        let sick = health.iter().any(|(mark, health)| item.status.ends_with(mark) && self.health != *health);
        let up_ns = super::time::uptime_at_most_s(&item.status).map(|s| (s + UPTIME_SLACK_S) * 1_000_000_000);
        let restarted = up_ns.is_some_and(|up_ns| now_ns.saturating_sub(self.started_ns) > up_ns);
        sick || restarted || addresses(&self.attachments) != addresses(&item.network_settings.networks)
    }
}

/// Docker's words for where a container is. `restarting` has `Running` true, but no process and no address.
fn life_of(status: &str) -> Life {
    match status {
        "running" => Life::Running,
        "paused" => Life::Paused,
        _ => Life::Stopped,
    }
}

/// Docker's words for what a HEALTHCHECK says.
pub(super) fn health_of(status: &str) -> RuntimeHealth {
    match status.trim() {
        "starting" => RuntimeHealth::Starting,
        "healthy" => RuntimeHealth::Healthy,
        "unhealthy" => RuntimeHealth::Unhealthy,
        _ => RuntimeHealth::None,
    }
}

/// Without the slash that the API puts before it.
pub(super) fn plain_name(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

fn tcp_port(key: &str) -> Option<u16> {
    key.strip_suffix("/tcp").and_then(|port| port.parse().ok()).filter(|port| *port > 0)
}

fn tcp_ports<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<u16> {
    let mut ports: Vec<u16> = keys.filter_map(|key| tcp_port(key)).take(PORTS_MAX).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn published(network: &NetworkSettings) -> Vec<Published> {
    let mut all = Vec::new();
    for (key, bindings) in network.ports.iter().take(PORTS_MAX) {
        let Some(private) = tcp_port(key) else { continue };
        for binding in bindings.iter().flatten() {
            let Some(public) = binding.host_port.parse().ok().filter(|port| *port > 0) else { continue };
            let address = binding.host_ip.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
            all.push(Published { private, public, address });
        }
    }
    all.sort();
    all
}

/// Zero is Podman's "not set"; a negative one waits for ever.
fn stop_timeout_ms(seconds: Option<i64>) -> u64 {
    match seconds {
        None | Some(0) => STOP_TIMEOUT_DEFAULT_MS,
        Some(seconds) => u64::try_from(seconds).map_or(STOP_TIMEOUT_MAX_MS, |s| s.saturating_mul(1000)),
    }
    .min(STOP_TIMEOUT_MAX_MS)
}

/// moby daemon/health.go: the first run comes an interval after the start, or a start interval where there is a start
/// period (API 1.44 and later, which alone say a start interval).
fn first_check_ms(check: &Healthcheck) -> Option<u64> {
    if check.test.first().is_none_or(|first| first == "NONE") {
        return None;
    }
    let interval_ms = if check.interval == 0 { CHECK_INTERVAL_DEFAULT_MS } else { check.interval / 1_000_000 };
    let early = check.start_period > 0 && check.start_interval > 0;
    Some(if early { interval_ms.min(check.start_interval / 1_000_000) } else { interval_ms })
}

/// Docker's, where the container sets none.
const STOP_TIMEOUT_DEFAULT_MS: u64 = 10_000;
/// One that still runs so long after its stop timeout does not mean to stop.
const STOP_PATIENCE_MS: u64 = 5_000;
/// A day: longer than any drain, and far from overflow.
const STOP_TIMEOUT_MAX_MS: u64 = 86_400_000;
/// Docker's interval of health checks.
const CHECK_INTERVAL_DEFAULT_MS: u64 = 30_000;
/// Ports of one container; `EXPOSE 1-65535` is possible.
const PORTS_MAX: usize = 1024;
/// Seconds that clocks and the list's own time may be apart.
const UPTIME_SLACK_S: u64 = 3;
