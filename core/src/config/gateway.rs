//! The `gateway` key: what Kong has no word for. `Default` is a gateway without the key; a test holds it against the tables.

use super::Pem;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The whole `gateway` key.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Worker threads; `None`: the CPUs that this process may use.
    pub workers: Option<u16>,
    /// A worker a core.
    pub cpu_affinity: bool,
    /// Where clients connect; `None`: http on 8000, and https on 8443 as soon as there is a certificate.
    pub listeners: Option<Vec<Listener>>,
    /// The admin API; `None`: off.
    pub admin: Option<Admin>,
    /// Read-only `/metrics`, `/healthz`, `/readyz`; `None`: off.
    pub status: Option<SocketAddr>,
    /// Whose forwarded headers and PROXY protocol are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Bounds of everything.
    pub limits: Limits,
    /// Times of connections.
    pub timeouts: Timeouts,
    /// HTTP/2 towards clients.
    pub http2: Http2,
    /// What the gateway adds to answers.
    pub headers: AddedHeaders,
    /// One line a request; `None`: off.
    pub access_log: Option<AccessLog>,
    /// The gateway's own log.
    pub log: Log,
    /// What is measured.
    pub metrics: Metrics,
    /// How it ends.
    pub shutdown: Shutdown,
    /// Sources of truth about replicas.
    pub providers: Providers,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            workers: None,
            cpu_affinity: false,
            listeners: None,
            admin: Some(Admin::default()),
            status: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            http2: Http2::default(),
            headers: AddedHeaders::default(),
            access_log: Some(AccessLog::default()),
            log: Log::default(),
            metrics: Metrics::default(),
            shutdown: Shutdown::default(),
            providers: Providers::default(),
        }
    }
}

/// An address that clients connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Unique; a label of metrics.
    pub name: Arc<str>,
    /// Where it is bound.
    pub address: SocketAddr,
    /// `None`: plain.
    pub tls: Option<ListenerTls>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerTls {
    /// 1.2 or 1.3.
    pub min_version: TlsVersion,
    /// PEM of the CAs whose client certificates are asked for and verified.
    pub client_ca: Option<Pem>,
    /// Id of the certificate, or one of its SNIs, for clients that name no known host; `None`: the document's first.
    pub default_certificate: Option<Arc<str>>,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// 1.2 and 1.3.
    #[default]
    V1_2,
    /// 1.3 alone.
    V1_3,
}

/// The admin API.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where it listens.
    pub address: AdminAddress,
    /// File with the bearer token.
    pub token_file: Option<Arc<str>>,
    /// Whether `POST /config` may refer to the environment and to files.
    pub references: bool,
    /// What `POST /config` may say beyond Kong's entities: `process`, `discover`, `scaling`, `files`, `gateway`.
    pub allow: Vec<Arc<str>>,
}

/// Where the admin API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(Arc<str>),
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 8001))),
            token_file: None,
            references: false,
            allow: Vec::new(),
        }
    }
}

/// Bounds. `None` is no bound, unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Client connections; `None`: min(20000, what the file descriptor limit leaves). An idle client counts one, a busy one two.
    pub connections: Option<u32>,
    /// Connections of one client.
    pub connections_per_client: Option<u32>,
    /// Requests of one client.
    pub requests_per_client: Option<RequestRate>,
    /// Bytes of a request line.
    pub request_line: u32,
    /// Bytes of a request's head.
    pub request_headers: u32,
    /// Fields of a request's head.
    pub request_header_count: u16,
    /// Bytes of a request's body.
    pub request_body: Option<u64>,
    /// Bytes of all bodies and queues together.
    pub buffered_bytes: u64,
    /// Bytes of a request's body that are kept for another attempt.
    pub replay_body: u32,
    /// Idle connections kept to one target, over all workers.
    pub upstream_idle_connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_client: None,
            requests_per_client: None,
            request_line: 8 << 10,
            request_headers: 32 << 10,
            request_header_count: 100,
            request_body: None,
            buffered_bytes: 256 << 20,
            replay_body: 64 << 10,
            upstream_idle_connections: 512,
        }
    }
}

/// An allowance of requests that fills up evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests that come back in `per`.
    pub rate: u32,
    /// In which time.
    pub per: Duration,
    /// Requests at once.
    pub burst: u32,
}

/// Times of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Of a client's handshake.
    pub tls_handshake: Duration,
    /// From a request's first byte to the end of its head.
    pub client_header: Duration,
    /// Between two reads of a request's body.
    pub client_body: Duration,
    /// Of a client connection without a request.
    pub client_idle: Duration,
    /// Of a connection to a target without a request.
    pub upstream_idle: Duration,
    /// Of a whole request.
    pub request: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(10),
            client_header: Duration::from_secs(10),
            client_body: Duration::from_secs(60),
            client_idle: Duration::from_secs(75),
            upstream_idle: Duration::from_secs(60),
            request: None,
        }
    }
}

/// HTTP/2 towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Streams of one connection at a time.
    pub max_concurrent_streams: u32,
    /// Requests of one connection, then GOAWAY.
    pub max_requests_per_connection: u32,
    /// Age of a connection, then GOAWAY.
    pub max_connection_age: Option<Duration>,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { max_concurrent_streams: 128, max_requests_per_connection: 100_000, max_connection_age: None }
    }
}

/// What the gateway adds to answers (Kong's `headers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent switches of the document")]
pub struct AddedHeaders {
    /// `Via`, both ways.
    pub via: bool,
    /// `Server`, on the gateway's own answers.
    pub server: bool,
    /// `X-Kong-Upstream-Latency`, `X-Kong-Proxy-Latency`, `X-Kong-Response-Latency`.
    pub latency: bool,
    /// `X-Kong-Request-Id`, both ways.
    pub request_id: bool,
}

impl Default for AddedHeaders {
    fn default() -> Self {
        Self { via: true, server: true, latency: true, request_id: true }
    }
}

/// The access log.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Where lines go.
    pub path: LogPath,
    /// How lines look.
    pub format: AccessLogFormat,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { path: LogPath::Stdout, format: AccessLogFormat::Json }
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPath {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, relative to the document's folder.
    File(Arc<str>),
}

/// How access log lines look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// An object a line.
    Json,
    /// Apache's combined.
    Combined,
}

/// The gateway's own log, on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub level: Arc<str>,
    /// JSON instead of text.
    pub json: bool,
    /// Bytes of lines that wait for whoever reads stderr; what is over is dropped and counted.
    pub queue: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), json: false, queue: 1 << 20 }
    }
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Duration histograms by route too.
    pub per_route: bool,
    /// Series of single targets.
    pub per_target: bool,
    /// Upper bounds of histograms' buckets, seconds, ascending.
    pub buckets: Vec<f64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            per_route: false,
            per_target: true,
            buckets: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
        }
    }
}

/// How the gateway ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// `readyz` fails for so long before the drain begins.
    pub delay: Duration,
    /// The drain's length at the most.
    pub drain_timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { delay: Duration::ZERO, drain_timeout: Duration::from_secs(8) }
    }
}

/// Sources of truth about replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct Providers {
    /// How long `readyz` waits at start for first facts.
    pub sync_timeout: Duration,
    /// Whether the document has the `providers` key at all.
    pub written: bool,
    /// Docker; `None`: off, or (where `written` is false) on if its socket is there.
    pub docker: Option<DockerProvider>,
}

impl Default for Providers {
    fn default() -> Self {
        Self { sync_timeout: Duration::from_secs(10), written: false, docker: None }
    }
}

/// The Docker provider.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerProvider {
    /// `auto`, `unix:PATH`, `tcp:HOST:PORT`.
    pub endpoint: Arc<str>,
    /// Folder with `ca.pem`, `cert.pem`, `key.pem` for TCP with TLS.
    pub cert_path: Option<Arc<str>>,
    /// Preferred network by name.
    pub network: Option<Arc<str>>,
    /// Whether containers without `enable` are exposed.
    pub exposed_by_default: bool,
    /// Prefix of labels.
    pub label_prefix: Arc<str>,
    /// Labels that a container must have.
    pub constraints: Vec<(Arc<str>, Arc<str>)>,
    /// What labels may say.
    pub allow: LabelAllow,
    /// Bounds of one container's labels.
    pub limits: LabelLimits,
    /// What HEALTHCHECK decides.
    pub health: DockerHealth,
    /// How long a service that lost its last replica keeps its route.
    pub grace: Duration,
}

impl Default for DockerProvider {
    fn default() -> Self {
        Self {
            endpoint: "auto".into(),
            cert_path: None,
            network: None,
            exposed_by_default: false,
            label_prefix: "plimsoll".into(),
            constraints: Vec::new(),
            allow: LabelAllow::default(),
            limits: LabelLimits::default(),
            health: DockerHealth::Gate,
            grace: Duration::from_secs(60),
        }
    }
}

/// What labels may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelAllow {
    /// Compose projects, as patterns with `*`; their order decides who owns a host.
    pub projects: Vec<Arc<str>>,
    /// Hosts that labels may claim, as patterns with `*`.
    pub hosts: Vec<Arc<str>>,
    /// Plugins; `default` is the closed list of harmless ones.
    pub plugins: Vec<Arc<str>>,
    /// Fields of the upstream beyond the default ones; `default` is the closed list.
    pub fields: Vec<Arc<str>>,
}

impl Default for LabelAllow {
    fn default() -> Self {
        Self {
            projects: vec!["*".into()],
            hosts: vec!["*".into()],
            plugins: vec!["default".into()],
            fields: vec!["default".into()],
        }
    }
}

/// Bounds of one container's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelLimits {
    /// Bytes of labels with our prefix.
    pub labels: u32,
    /// Routes.
    pub routes: u16,
    /// Bytes of regexes.
    pub regex: u32,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self { labels: 16 << 10, routes: 64, regex: 64 << 10 }
    }
}

/// What a container's HEALTHCHECK decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DockerHealth {
    /// It lets a container in, and takes it out; our own checks do too.
    #[default]
    Gate,
    /// Nothing.
    Ignore,
    /// It alone decides.
    Only,
}
