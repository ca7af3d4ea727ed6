//! Who an upstream and a target are. Addresses are not identities: a runtime hands a dead replica's address to the next
//! one within moments.

use std::fmt;
use std::sync::Arc;

/// An upstream's identity. It outlives snapshots: a reload finds the same pool, counters and waiters under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId {
    /// Who says it exists: `document`, `docker`.
    pub provider: Arc<str>,
    /// What it is there: `upstream` and `host` (a service's plain host) in a document; `compose`, `swarm`, `container`.
    pub kind: Arc<str>,
    /// The Compose project; empty where there is none.
    pub project: Arc<str>,
    /// The Compose service, the container's name, the upstream's name, or `host:port`.
    pub service: Arc<str>,
}

impl UpstreamId {
    /// An upstream that the document declares under `upstreams`.
    #[must_use]
    pub fn document(name: &str) -> Self {
        Self { provider: "document".into(), kind: "upstream".into(), project: "".into(), service: name.into() }
    }

    /// The pool behind a service that names a plain host instead of an upstream.
    #[must_use]
    pub fn host(host: &str, port: u16) -> Self {
        Self {
            provider: "document".into(),
            kind: "host".into(),
            project: "".into(),
            service: format!("{host}:{port}").into(),
        }
    }

    /// The name that people see: `web.shop` for service `web` of project `shop`, else the service alone.
    /// A dash would not do as a separator: both parts may hold dashes.
    #[must_use]
    pub fn display_name(&self) -> String {
        if self.project.is_empty() { self.service.to_string() } else { format!("{}.{}", self.service, self.project) }
    }
}

impl fmt::Display for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.kind, self.display_name())
    }
}

/// A target's identity: the runtime's id of the replica, its incarnation and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId {
    /// Who says it exists: `document`, `docker`, `dns`, `file`, `process`.
    pub provider: Arc<str>,
    /// The runtime's id. Where no runtime has one: `host:port` as written, with the address it resolved to.
    pub id: Arc<str>,
    /// Which life of that id: Docker's `StartedAt`, a process's pid and start time, else empty.
    pub incarnation: Arc<str>,
    /// The port on the replica.
    pub port: u16,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.id)?;
        if !self.incarnation.is_empty() {
            write!(f, "@{}", self.incarnation)?;
        }
        write!(f, ":{}", self.port)
    }
}
