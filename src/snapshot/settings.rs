//! Settings of the whole gateway, as requests read them.

use ipnet::IpNet;
use plimsoll_core::config::{AddedHeaders, Http2, Limits, Timeouts};
use plimsoll_core::limits::Rate;
use plimsoll_core::protocol::HeadLimits;
use std::net::IpAddr;
use std::sync::Arc;

/// What is sent to a target as Host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The target's own `host:port`.
    Target,
    /// As written.
    Written(Arc<str>),
}

/// Limits, timeouts, trust, and what is added to answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The document's limits.
    pub limits: Limits,
    /// The document's timeouts.
    pub timeouts: Timeouts,
    /// The document's HTTP/2 settings.
    pub http2: Http2,
    /// Bounds of a request's head, as the codec takes them.
    pub head_limits: HeadLimits,
    /// What is added to answers.
    pub headers: AddedHeaders,
    /// Requests of one client, where they are limited.
    pub request_rate: Option<Rate>,
    /// Whose forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Settings {
    /// Whether forwarded headers of this peer are believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}
