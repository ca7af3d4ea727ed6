//! Names that the document's services and targets use, kept resolved.
//!
//! A name is asked for again when its answer's time is over (a TTL, but at least a second and at most a minute). What was
//! known is taken away where name servers say twice in a row that the name has no address. Where they say nothing (down,
//! SERVFAIL), the last good addresses stay in use, for an hour. Answers are sorted and told only when they changed, so that a server that rotates its records causes no new pool.
//!
//! IPv4 addresses are taken where a name has any, else IPv6, as Kong's default order of records does. Not here: SRV, and
//! names of replicas that a provider finds by itself.

mod system;
mod watch;

pub use system::SystemResolver;
pub use watch::watch;

use futures_util::future::BoxFuture;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Who answers: the system's name servers, or a test.
pub trait Resolve: Send + Sync + 'static {
    /// Asks for a host name's addresses.
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'static, Result<Answer, ResolveError>>;
}

/// Addresses, and how long they may be used; what is longer or shorter than the bounds is cut to them by [`watch()`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// What is left of the TTL.
    pub valid_for: Duration,
}

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// It was answered: there is no such name (NXDOMAIN), or it has no address (NODATA).
    #[error("the name has no address")]
    NoAddress,
    /// It was not answered: a timeout, SERVFAIL, no name server. What this says of it.
    #[error("{0}")]
    NoAnswer(String),
}
