//! What a request reads: everything that the document and the labels say, compiled, immutable, and swapped whole.
//!
//! A request keeps the snapshot it started with. Pools are not in here: they hang on the upstreams, which outlive
//! snapshots, so that every attempt sees the pool of its own moment.

pub mod explain;
mod settings;

pub use settings::{HostRule, Settings};

use crate::telemetry::Series;
use crate::tls::Certificates;
use plimsoll_core::config::Protocol;
use plimsoll_core::plan::Plan;
use plimsoll_core::router::{RouteIndex, Router};
use plimsoll_core::upstream::Upstream;
use rustc_hash::FxHashMap;
use rustls::{ClientConfig, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One whole of what is being served.
pub struct Snapshot {
    /// Counts up with every snapshot that is published.
    pub generation: u64,
    /// Compiled rules; its route indices point into `routes`.
    pub router: Arc<Router>,
    /// In the router's order.
    pub routes: Vec<Arc<Route>>,
    /// By name, for an attempt that meets a pool newer than its own snapshot.
    pub services: FxHashMap<Arc<str>, Arc<Service>>,
    /// Limits, timeouts and what is added to answers.
    pub settings: Arc<Settings>,
    /// By name.
    pub listeners: FxHashMap<Arc<str>, Arc<Listener>>,
    /// What it was compiled from.
    pub plan: Arc<Plan>,
}

impl Snapshot {
    /// The route at an index that this snapshot's router gave.
    #[must_use]
    pub fn route(&self, index: RouteIndex) -> Option<&Arc<Route>> {
        self.routes.get(index.0 as usize)
    }
}

/// A compiled route.
pub struct Route {
    /// Its name in the document.
    pub name: Arc<str>,
    /// Its series.
    pub series: Series,
    /// What it adds to lines of the access log.
    pub logged: Box<[u8]>,
    /// Where it leads; without a service it answers 503.
    pub service: Option<Arc<Service>>,
    /// What a plain request is answered if only https (or grpcs) is allowed; `None`: plain requests are served.
    pub https_redirect: Option<u16>,
    /// Takes the matched prefix off the path.
    pub strip_path: bool,
    /// Sends the client's Host on.
    pub preserve_host: bool,
    /// Kong's `path_handling: v1`.
    pub path_v1: bool,
}

/// A compiled service.
pub struct Service {
    /// Its name in the document.
    pub name: Arc<str>,
    /// Its series.
    pub series: Series,
    /// How targets are spoken to.
    pub protocol: Protocol,
    /// Put before the request's path.
    pub path: Option<Arc<str>>,
    /// Tries after the first one.
    pub retries: u16,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// Between two writes to a target.
    pub write_timeout: Duration,
    /// Between two reads from a target.
    pub read_timeout: Duration,
    /// Where its targets are.
    pub upstream: Arc<Upstream>,
    /// The upstream's series.
    pub upstream_series: Series,
    /// What is sent as Host, unless the route preserves the client's.
    pub host: HostRule,
    /// How its targets are connected to.
    pub connect: ConnectProfile,
    /// Its host is a name that does not resolve: 503 instead of looking for a target.
    pub unresolved: bool,
}

/// Everything that shapes a connection to a target. Two services never share a connection that one of them would not
/// have made.
#[derive(Clone)]
pub struct ConnectProfile {
    /// Hash of all of it, apart from the name asked for by SNI, which is the Host of the attempt.
    pub hash: u64,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<ClientConfig>>,
    /// HTTP/2 instead of HTTP/1.1.
    pub http2: bool,
}

/// A compiled listener.
pub struct Listener {
    /// Its name in the document.
    pub name: Arc<str>,
    /// Its series.
    pub series: Series,
    /// Where it is bound, as the document says.
    pub address: SocketAddr,
    /// TLS, if it is spoken.
    pub tls: Option<ListenerTls>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// TLS of a listener.
pub struct ListenerTls {
    /// What handshakes go by.
    pub config: Arc<ServerConfig>,
    /// Which host is served with which certificate.
    pub certificates: Arc<Certificates>,
}

impl ListenerTls {
    /// Whether a connection that was opened for `sni` may carry requests for `host`: both are served with one certificate.
    #[must_use]
    pub fn belongs(&self, sni: &str, host: &str) -> bool {
        let index = self.certificates.index();
        index.certificate_for(sni) == index.certificate_for(host)
    }
}
