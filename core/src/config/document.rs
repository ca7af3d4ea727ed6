//! Kong's entities, typed, with Kong's names, units and defaults. Plain data: what could be wrong with it was found while
//! it was read.

use super::Gateway;
use std::sync::Arc;
use std::time::Duration;

/// Where something stands in a document. Lines and columns start at 1; 0 means that the place is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A whole document. References between entities are by name and are known to resolve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// In document order; a service's nested routes are in `routes`.
    pub services: Vec<Service>,
    /// In document order: where two routes rank equal, the earlier one wins.
    pub routes: Vec<Route>,
    /// In document order, with their targets.
    pub upstreams: Vec<Upstream>,
    /// In document order, with their SNIs.
    pub certificates: Vec<Certificate>,
    /// What Kong has no word for. `None` where the document has no `gateway` key.
    pub gateway: Option<Gateway>,
    /// What was written where a value came from the environment, a file or a vault.
    pub written: Vec<Written>,
}

/// A reference as written, to be printed in place of the value that it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it stands in the document as [`to_json`](super::to_json) prints it, as a JSON pointer (RFC 6901).
    pub pointer: Arc<str>,
    /// `${NAME}` and the like.
    pub text: Arc<str>,
}

/// Kong's service: what a route leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Kong's id: as written, else derived from the name (UUID v5 form), so that it is stable over reloads.
    pub id: Arc<str>,
    /// Unique. Where none is written, the id.
    pub name: Arc<str>,
    /// How targets are spoken to.
    pub protocol: Protocol,
    /// An upstream's name, a host name or an address.
    pub host: Arc<str>,
    /// Used where `host` is no upstream.
    pub port: u16,
    /// Put before the request's path; begins with `/`.
    pub path: Option<Arc<str>>,
    /// Tries after the first one.
    pub retries: u16,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// Between two writes to the target.
    pub write_timeout: Duration,
    /// Between two reads from the target.
    pub read_timeout: Duration,
    /// Routes of a disabled service do not match.
    pub enabled: bool,
    /// Whether certificates of targets are verified; `None`: as the document's kind says.
    pub tls_verify: Option<bool>,
    /// Kong's tags.
    pub tags: Vec<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

/// Protocols of services, and of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Protocol {
    Http,
    Https,
    Grpc,
    Grpcs,
}

impl Protocol {
    /// Kong's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
        }
    }

    /// Whether it is spoken over TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }

    /// Whether it is spoken over HTTP/2.
    #[must_use]
    pub const fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }
}

/// Kong's route: rules that match a request and lead to a service. An empty list is no rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// As [`Service::id`].
    pub id: Arc<str>,
    /// Unique. Where none is written, the id.
    pub name: Arc<str>,
    /// The service's name. A route without one answers 503.
    pub service: Option<Arc<str>>,
    /// Schemes that it answers.
    pub protocols: Vec<Protocol>,
    /// As written: exact (`a.b`), with a port (`a.b:8000`), `*.b` or `a.*`.
    pub hosts: Vec<Arc<str>>,
    /// As written: a prefix (`/a`), or a regex anchored at its start (`~/a/\d+`).
    pub paths: Vec<Arc<str>>,
    /// Upper case.
    pub methods: Vec<Arc<str>>,
    /// Name in lower case, and values, any of which matches. A single value that begins with `~*` is a regex.
    pub headers: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// As `hosts`, without ports. Enforced over TLS only.
    pub snis: Vec<Arc<str>>,
    /// Takes the matched prefix off the path.
    pub strip_path: bool,
    /// Sends the client's Host on.
    pub preserve_host: bool,
    /// How service path and request path are joined.
    pub path_handling: PathHandling,
    /// Among regex paths, higher first.
    pub regex_priority: i64,
    /// What an http request to an https-only route is answered: 426, 301, 302, 307 or 308.
    pub https_redirect_status_code: u16,
    /// Kong's tags.
    pub tags: Vec<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

/// Kong's `path_handling`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PathHandling {
    /// Joined with exactly one slash.
    #[default]
    V0,
    /// Concatenated.
    V1,
}

/// Kong's upstream: a pool of targets with a balancing algorithm and health checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// As [`Service::id`].
    pub id: Arc<str>,
    /// Unique; a service's `host` refers to it.
    pub name: Arc<str>,
    /// How it is balanced and checked.
    pub settings: UpstreamSettings,
    /// Static targets.
    pub targets: Vec<Target>,
    /// What else fills the pool.
    pub discover: Vec<Discover>,
    /// Kong's tags.
    pub tags: Vec<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

/// What can be said of an upstream by a document or by labels.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// A balancer's name, known to exist: `round-robin`, `least-connections`, `power-of-two`.
    pub algorithm: Arc<str>,
    /// Sent as Host, as written.
    pub host_header: Option<Arc<str>>,
    /// Active and passive checks.
    pub healthchecks: Healthchecks,
    /// How requests wait while nothing can be picked. `None` where not written: on with its defaults where a provider
    /// feeds the pool; `Some(None)`: switched off.
    pub hold: Option<Option<Waiting>>,
    /// Requests that one target has in flight at the most.
    pub max_concurrency: Option<u32>,
    /// How requests wait while all targets have as many. `None` where not written: on with its defaults where
    /// `max_concurrency` is written; `Some(None)`: switched off.
    pub queue: Option<Option<Waiting>>,
    /// How much of the load may be repeats; `None`: what the services' `retries` say.
    pub retry_budget: Option<RetryBudget>,
    /// When a second target is asked too; `None`: never.
    pub hedging: Option<Hedging>,
    /// When targets are ejected; `None`: never.
    pub outlier: Option<Outlier>,
    /// How long a new target's share grows; `None`: it has all of it at once.
    pub slow_start: Option<Duration>,
}

/// When targets that do worse than they should are ejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Errors in a row; 0: off.
    pub consecutive_errors: u32,
    /// Standard deviations below the mean success rate; 0: off.
    pub success_rate_deviations: f64,
    /// How long a first ejection lasts.
    pub ejection: Duration,
    /// The part of the pool that may be ejected.
    pub max_ejected: f64,
    /// Where less than this part of the pool may be used, all of it is.
    pub panic_below: f64,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive_errors: 5,
            success_rate_deviations: 3.0,
            ejection: Duration::from_secs(30),
            max_ejected: 0.3,
            panic_below: 0.5,
        }
    }
}

/// Bounds of an upstream's repeats, over about ten seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Repeats for each request.
    pub ratio: f64,
    /// Repeats a second that are allowed besides.
    pub min_per_second: u32,
}

/// When a request that is slow to be answered is sent to a second target too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    /// How long the first target may take to begin its answer.
    pub after: Duration,
    /// The part of an upstream's requests, over about ten seconds.
    pub max_ratio: f64,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { after: Duration::from_millis(200), max_ratio: 0.05 }
    }
}

/// Bounds of a queue of waiting requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Requests that wait at the most.
    pub max_requests: u32,
    /// Bytes of their heads and buffered bodies at the most.
    pub max_bytes: u64,
    /// How long one waits.
    pub timeout: Duration,
}

impl Waiting {
    /// `hold`, where a provider feeds the pool and nothing is written.
    pub const HOLD: Self = Self { max_requests: 1000, max_bytes: 64 << 20, timeout: Duration::from_secs(60) };
    /// `queue`, where `max_concurrency` is written and it is not.
    pub const QUEUE: Self = Self { timeout: Duration::from_secs(5), ..Self::HOLD };
}

/// Kong's target.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// As [`Service::id`].
    pub id: Arc<str>,
    /// As written, with the port added where it was not: `host:port`.
    pub target: Arc<str>,
    /// The host alone: a name or an address, without brackets.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
    /// Its share; 0: never picked.
    pub weight: u16,
    /// Kong's tags.
    pub tags: Vec<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

/// Where a pool's targets come from, besides `targets`.
#[derive(Clone, Debug, PartialEq)]
pub enum Discover {
    /// Containers of a Docker engine.
    Docker {
        /// Compose project.
        project: Option<Arc<str>>,
        /// Compose service.
        service: Option<Arc<str>>,
        /// Labels that a container must have.
        labels: Vec<(Arc<str>, Arc<str>)>,
        /// The container's port; `None`: the label's, or the only exposed one.
        port: Option<u16>,
        /// The network that it is reached by; `None`: the label's, or the one that the provider chooses.
        network: Option<Arc<str>>,
    },
    /// Processes that Plimsoll starts and watches.
    Process(ProcessSource),
}

/// Local processes to start.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSource {
    /// Program and arguments; `{port}` is replaced by the port.
    pub command: Vec<Arc<str>>,
    /// How many copies.
    pub replicas: u16,
    /// Added to the environment; `PORT` is set too.
    pub env: Vec<(Arc<str>, Arc<str>)>,
    /// Where it runs, relative to the document's folder.
    pub working_directory: Option<Arc<str>>,
}

/// Kong's certificate.
#[derive(Clone, PartialEq)]
pub struct Certificate {
    /// As [`Service::id`].
    pub id: Arc<str>,
    /// PEM text, or a path to a file with it.
    pub cert: Pem,
    /// PEM text, or a path to a file with it.
    pub key: Pem,
    /// Names that it is served for; may be wildcards.
    pub snis: Vec<Arc<str>>,
    /// Kong's tags.
    pub tags: Vec<Arc<str>>,
    /// Where it stands.
    pub place: Place,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("id", &self.id).field("snis", &self.snis).finish_non_exhaustive()
    }
}

/// PEM, inline or in a file. Without a Debug that could show a key.
#[derive(Clone, PartialEq)]
pub enum Pem {
    /// The text itself.
    Text(Arc<str>),
    /// A path, relative to the document's folder.
    File(Arc<str>),
}

/// Kong's `healthchecks`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Healthchecks {
    /// Probes.
    pub active: ActiveChecks,
    /// What real requests saw.
    pub passive: PassiveChecks,
    /// Percent of the pool's weight that must be healthy, else the whole upstream answers 503.
    pub threshold: f64,
}

/// Kong's `healthchecks.active`. Intervals of zero switch a kind of probe off.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveChecks {
    /// What is spoken.
    pub kind: CheckKind,
    /// A probe's time.
    pub timeout: Duration,
    /// Probes of one upstream at a time.
    pub concurrency: u32,
    /// What an HTTP probe asks for.
    pub http_path: Arc<str>,
    /// Headers of an HTTP probe.
    pub headers: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Whether an HTTPS probe verifies the target's certificate.
    pub https_verify_certificate: bool,
    /// The name an HTTPS probe asks for.
    pub https_sni: Option<Arc<str>>,
    /// Probing of healthy targets: interval, and what makes an unhealthy one healthy again.
    pub healthy: HealthyRule,
    /// Probing of unhealthy targets: interval, and what makes a healthy one unhealthy.
    pub unhealthy: UnhealthyRule,
}

/// Kong's `healthchecks.passive`.
#[derive(Clone, Debug, PartialEq)]
pub struct PassiveChecks {
    /// What counts.
    pub kind: CheckKind,
    /// What makes an unhealthy target healthy (`interval` is not used).
    pub healthy: HealthyRule,
    /// What makes a healthy target unhealthy (`interval` is not used).
    pub unhealthy: UnhealthyRule,
}

/// Kong's check types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum CheckKind {
    #[default]
    Http,
    Https,
    Tcp,
    Grpc,
    Grpcs,
}

/// Kong's `healthy` block.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthyRule {
    /// Between probes; zero: off.
    pub interval: Duration,
    /// Statuses that count as success.
    pub http_statuses: Vec<u16>,
    /// Successes in a row that make a target healthy; 0: never.
    pub successes: u16,
}

/// Kong's `unhealthy` block. A threshold of 0 switches that reason off.
#[derive(Clone, Debug, PartialEq)]
pub struct UnhealthyRule {
    /// Between probes; zero: off.
    pub interval: Duration,
    /// Statuses that count as failure.
    pub http_statuses: Vec<u16>,
    /// Failures to connect, or connections broken.
    pub tcp_failures: u16,
    /// Timeouts.
    pub timeouts: u16,
    /// Answers with a status of `http_statuses`.
    pub http_failures: u16,
}

impl Default for ActiveChecks {
    fn default() -> Self {
        Self {
            kind: CheckKind::Http,
            timeout: Duration::from_secs(1),
            concurrency: 10,
            http_path: "/".into(),
            headers: Vec::new(),
            https_verify_certificate: true,
            https_sni: None,
            healthy: HealthyRule { interval: Duration::ZERO, http_statuses: vec![200, 302], successes: 0 },
            unhealthy: UnhealthyRule {
                interval: Duration::ZERO,
                http_statuses: vec![429, 404, 500, 501, 502, 503, 504, 505],
                tcp_failures: 0,
                timeouts: 0,
                http_failures: 0,
            },
        }
    }
}

impl Default for PassiveChecks {
    fn default() -> Self {
        let good = (200..=208).chain([226]).chain(300..=308).collect();
        Self {
            kind: CheckKind::Http,
            healthy: HealthyRule { interval: Duration::ZERO, http_statuses: good, successes: 0 },
            unhealthy: UnhealthyRule {
                interval: Duration::ZERO,
                http_statuses: vec![429, 500, 503],
                tcp_failures: 0,
                timeouts: 0,
                http_failures: 0,
            },
        }
    }
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            algorithm: "round-robin".into(),
            host_header: None,
            healthchecks: Healthchecks::default(),
            hold: None,
            max_concurrency: None,
            queue: None,
            retry_budget: None,
            hedging: None,
            outlier: None,
            slow_start: None,
        }
    }
}
