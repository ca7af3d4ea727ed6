//! What a plan is made from.

use crate::config::Document;
use crate::model::Facts;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Everything that is known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What the user wrote.
    pub document: &'a Document,
    /// One view a provider.
    pub facts: &'a [Facts],
    /// What the names that the document's services and targets use resolve to.
    pub names: &'a Names,
    /// This machine's own addresses, so that a target is recognised that is one of our listeners.
    pub own_ips: &'a [IpAddr],
    /// Where the admin API and the status page are bound; `None`: where the document says.
    pub doors: Option<&'a [SocketAddr]>,
}

/// Resolved names. One that is absent has not been asked for yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    by_name: BTreeMap<(Arc<str>, u16), Result<Vec<SocketAddr>, String>>,
}

impl Names {
    /// Remembers what a name resolved to, or why it did not.
    pub fn insert(&mut self, host: Arc<str>, port: u16, resolved: Result<Vec<SocketAddr>, String>) {
        self.by_name.insert((host, port), resolved);
    }

    /// What a name resolved to. `None`: not known yet.
    #[must_use]
    pub fn resolved(&self, host: &Arc<str>, port: u16) -> Option<Result<&[SocketAddr], &str>> {
        let found = self.by_name.get(&(Arc::clone(host), port))?;
        Some(found.as_ref().map(Vec::as_slice).map_err(String::as_str))
    }

    /// Forgets what `keep` does not hold.
    pub fn retain(&mut self, keep: &[(Arc<str>, u16)]) {
        self.by_name.retain(|name, _| keep.contains(name));
    }
}

/// The names that a plan of `document` needs, sorted: hosts of services and targets that are neither addresses nor upstreams
/// of the document. Some may turn out to be upstreams that labels make.
#[must_use]
pub fn names_wanted(document: &Document) -> Vec<(Arc<str>, u16)> {
    let upstreams: BTreeSet<&str> = document.upstreams.iter().map(|upstream| &*upstream.name).collect();
    let services = document.services.iter().filter(|service| !upstreams.contains(&*service.host));
    let services = services.map(|service| (&service.host, service.port));
    let targets = document.upstreams.iter().flat_map(|upstream| &upstream.targets);
    let targets = targets.map(|target| (&target.host, target.port));
    let names = services.chain(targets).filter(|(host, _)| address(host).is_none());
    let wanted: BTreeSet<(Arc<str>, u16)> = names.map(|(host, port)| (Arc::clone(host), port)).collect();
    wanted.into_iter().collect()
}

/// The address that a host is, with or without an IPv6 address's brackets.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}
