//! A set of names, kept resolved.

use super::{Answer, Resolve, ResolveError};
use futures_util::{FutureExt, Stream};
use plimsoll_core::plan::Names;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// A TTL of zero would mean a query for every attempt.
const VALID_MIN: Duration = Duration::from_secs(1);
/// Longer TTLs than a minute would keep a moved target's old address too long.
pub(super) const VALID_MAX: Duration = Duration::from_secs(60);
/// Between two tries of a name that cannot be resolved: doubling from [`VALID_MIN`].
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How often in a row it must be said that a name has no address before that is believed: a name server that is just being
/// filled, or one of several that is behind, says so once.
const NO_ADDRESS_MIN: u32 = 2;
/// One hour: how long addresses stay in use whose name is no longer answered for. An outage of name servers should not
/// become one of everything behind the gateway; but in the end addresses are given to somebody else, and requests, with
/// what they hold, would go there. Kong's `dns_stale_ttl`.
const STALE_MAX: Duration = Duration::from_secs(3600);
/// Queries at a time.
const QUERIES_MAX: usize = 32;

/// Hosts with the ports that they are used with.
type Wanted = Vec<(Arc<str>, u16)>;

/// Resolves what `wanted` says, and says it again whenever an answer changed. A name is absent until it was answered for
/// the first time. Ends when `wanted`'s sender is gone.
pub fn watch(resolver: Arc<dyn Resolve>, wanted: Receiver<Wanted>) -> impl Stream<Item = Names> + Send + 'static {
    let watched = Watched { resolver, wanted, hosts: BTreeMap::new(), queries: JoinSet::new(), first: true };
    futures_util::stream::unfold(watched, Watched::next)
}

struct Watched {
    resolver: Arc<dyn Resolve>,
    wanted: Receiver<Wanted>,
    hosts: BTreeMap<Arc<str>, Host>,
    queries: JoinSet<(Arc<str>, Result<Answer, ResolveError>)>,
    first: bool,
}

/// What is known of a name.
struct Host {
    /// The last good answer, sorted; else the last error. `None`: not answered yet.
    known: Option<Result<Vec<IpAddr>, ResolveError>>,
    /// In a row.
    failures: u32,
    /// How often in a row it was said that there is no address.
    no_address: u32,
    /// Until when the addresses may be used without an answer, while there is none.
    stale_until: Option<Instant>,
    due: Instant,
    asked: bool,
}

impl Watched {
    async fn next(mut self) -> Option<(Names, Self)> {
        let mut changed = std::mem::take(&mut self.first) && self.follow();
        while !changed {
            self.ask();
            let due = self.hosts.values().filter(|host| !host.asked).map(|host| host.due).min();
            let full = self.queries.len() >= QUERIES_MAX;
            tokio::select! {
                still = self.wanted.changed() => {
                    still.ok()?;
                    changed = self.follow();
                }
                Some(done) = self.queries.join_next() => changed = self.answered(done.ok()),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !full => {}
            }
            // What is there already is told together.
            while let Some(done) = self.queries.try_join_next() {
                changed |= self.answered(done.ok());
            }
        }
        Some((self.names(), self))
    }

    /// Takes over the names that are wanted now. Whether there is something to tell about them: none is wanted, or some
    /// are known, perhaps with another port.
    fn follow(&mut self) -> bool {
        let wanted = self.wanted.borrow_and_update();
        let hosts: BTreeSet<&Arc<str>> = wanted.iter().map(|(host, _)| host).collect();
        let now = Instant::now();
        self.hosts.retain(|host, _| hosts.contains(host));
        for host in hosts {
            let fresh = || Host { known: None, failures: 0, no_address: 0, stale_until: None, due: now, asked: false };
            self.hosts.entry(host.clone()).or_insert_with(fresh);
        }
        self.hosts.is_empty() || self.hosts.values().any(|host| host.known.is_some())
    }

    /// Starts the queries that are due.
    fn ask(&mut self) {
        let now = Instant::now();
        for (name, host) in &mut self.hosts {
            if self.queries.len() >= QUERIES_MAX {
                return;
            }
            if !host.asked && host.due <= now {
                host.asked = true;
                let (name, query) = (name.clone(), AssertUnwindSafe(self.resolver.resolve(name.clone())));
                let failed = |_| Err(ResolveError::NoAnswer("the query panicked".to_owned()));
                self.queries.spawn(async move { (name, query.catch_unwind().await.unwrap_or_else(failed)) });
            }
        }
    }

    /// Takes an answer in. Whether something changed.
    fn answered(&mut self, done: Option<(Arc<str>, Result<Answer, ResolveError>)>) -> bool {
        let Some((name, answer)) = done else { return false };
        // It may not be wanted any longer.
        let Some(host) = self.hosts.get_mut(&name) else { return false };
        host.take(&name, answer)
    }

    fn names(&self) -> Names {
        let mut names = Names::default();
        for (host, port) in self.wanted.borrow().iter() {
            if let Some(known) = self.hosts.get(host).and_then(|host| host.known.as_ref()) {
                let with_port =
                    |addresses: &Vec<IpAddr>| addresses.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
                names.insert(host.clone(), *port, known.as_ref().map(with_port).map_err(ToString::to_string));
            }
        }
        names
    }
}

impl Host {
    /// Takes an answer in. Whether something changed.
    fn take(&mut self, name: &str, answer: Result<Answer, ResolveError>) -> bool {
        self.asked = false;
        let (known, wait) = match answer {
            Ok(answer) => (Ok(self.resolved(name, answer.addresses)), answer.valid_for.clamp(VALID_MIN, VALID_MAX)),
            Err(error) => {
                let known = self.failed(name, error);
                let wait = VALID_MIN.saturating_mul(1 << (self.failures - 1).min(5)).min(RETRY_MAX);
                let left = self.stale_until.map(|until| until.saturating_duration_since(Instant::now()));
                (known, left.map_or(wait, |left| wait.min(left)))
            }
        };
        self.due = Instant::now() + wait;
        let changed = self.known.as_ref() != Some(&known);
        self.known = Some(known);
        changed
    }

    fn resolved(&mut self, name: &str, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        if self.failures > 0 {
            tracing::info!(host = name, "name resolves again");
        }
        (self.failures, self.no_address, self.stale_until) = (0, 0, None);
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// What is known after a failure: the addresses of before, as long as they may be used.
    fn failed(&mut self, name: &str, error: ResolveError) -> Result<Vec<IpAddr>, ResolveError> {
        let now = Instant::now();
        let is_first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        self.no_address = if error == ResolveError::NoAddress { self.no_address.saturating_add(1) } else { 0 };
        let Some(Ok(addresses)) = &self.known else {
            if is_first {
                tracing::warn!(host = name, %error, "name does not resolve: it has no address yet");
            }
            return Err(error);
        };
        let until = *self.stale_until.get_or_insert(now + STALE_MAX);
        if self.no_address < NO_ADDRESS_MIN && now < until {
            if is_first {
                let most = STALE_MAX.as_secs();
                tracing::warn!(host = name, %error, "name does not resolve: its last addresses stay in use ({most} s at most)");
            }
            return Ok(addresses.clone());
        }
        self.stale_until = None;
        tracing::warn!(host = name, %error, "name does not resolve: its last addresses are no longer used");
        Err(error)
    }
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
