//! What others are shown of the gateway.

use plimsoll_core::config::Document;
use plimsoll_core::model::{Causes, Freshness, Problem, TargetId, UpstreamId};
use plimsoll_core::plan::Plan;
use plimsoll_core::upstream::Upstream;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Source;

/// The gateway at one moment.
#[derive(Clone)]
pub struct View {
    /// The snapshot that is served; 0: none yet.
    pub generation: u64,
    /// What it was made from, with the members of this moment.
    pub plan: Arc<Plan>,
    /// The plan's upstreams, in its order.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The document that is served, as it was said.
    pub document: Arc<str>,
    /// The same, read.
    pub parsed: Arc<Document>,
    /// Who said it.
    pub source: Source,
    /// What works in it, but hardly as meant.
    pub warnings: Vec<String>,
    /// When it was applied, milliseconds since the Unix epoch.
    pub applied_ms: u64,
    /// Why the last document was not applied; `None`: it was.
    pub last_error: Option<Arc<str>>,
    /// Addresses of listeners, as they were bound.
    pub listeners: BTreeMap<Arc<str>, SocketAddr>,
    /// One a provider.
    pub providers: Vec<ProviderView>,
    /// What the plan left out, and why: of the document, of labels, of the snapshot.
    pub problems: Vec<Problem>,
    /// Whether every provider's first view is in what is served.
    pub synchronised: bool,
}

/// A provider at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderView {
    /// Its name.
    pub name: Arc<str>,
    /// Whether its view is current.
    pub freshness: Freshness,
    /// Replicas that it knows.
    pub replicas: usize,
    /// What it could not make sense of.
    pub problems: Vec<Problem>,
}

/// An upstream at one moment.
#[derive(Clone, Debug)]
pub struct UpstreamView {
    /// Who it is.
    pub id: UpstreamId,
    /// Its name as shown.
    pub name: Arc<str>,
    /// Requests that wait for a target.
    pub held: usize,
    /// Requests that wait because all targets are full.
    pub queued: usize,
    /// Its targets.
    pub targets: Vec<TargetView>,
}

/// A target at one moment.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// Who it is.
    pub id: TargetId,
    /// `host:port`.
    pub name: Arc<str>,
    /// Its container's or process's name; as `name` where it has none.
    pub replica: Arc<str>,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Its share.
    pub weight: u16,
    /// Why it may not be picked.
    pub causes: Causes,
    /// Requests in flight.
    pub inflight: u32,
    /// What part of its share it has, from 0.1 to 1, where shares of new targets grow and it may be picked.
    pub share: Option<f64>,
}

impl View {
    /// The upstream that is shown under a name.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        let place = self.plan.upstreams.iter().position(|planned| *planned.name == *name)?;
        self.upstreams.get(place)
    }

    /// The upstreams with their targets.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamView> {
        let both = self.plan.upstreams.iter().zip(&self.upstreams);
        let views = both.map(|(planned, upstream)| UpstreamView {
            id: planned.id.clone(),
            name: Arc::clone(&planned.name),
            held: upstream.held(),
            queued: upstream.queued(),
            targets: targets(upstream),
        });
        views.collect()
    }
}

fn targets(upstream: &Upstream) -> Vec<TargetView> {
    let pool = upstream.pool();
    let targets = (0..).zip(pool.targets()).map(|(index, member)| TargetView {
        id: member.target.id.clone(),
        name: Arc::clone(&member.target.name),
        replica: Arc::clone(&member.target.replica),
        address: member.target.address,
        weight: member.weight,
        causes: member.target.causes(),
        inflight: member.target.inflight(),
        share: pool.share(index),
    });
    targets.collect()
}
