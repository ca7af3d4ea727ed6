//! A set of names, kept resolved.

use super::{Answer, Resolve};
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
    queries: JoinSet<(Arc<str>, Result<Answer, String>)>,
    first: bool,
}

/// What is known of a name.
struct Host {
    /// The last good answer, sorted; else the last error. `None`: not answered yet.
    known: Option<Result<Vec<IpAddr>, String>>,
    failures: u32,
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
            let fresh = || Host { known: None, failures: 0, due: now, asked: false };
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
                let failed = |_| Err("the query panicked".to_owned());
                self.queries.spawn(async move { (name, query.catch_unwind().await.unwrap_or_else(failed)) });
            }
        }
    }

    /// Takes an answer in. Whether something changed.
    fn answered(&mut self, done: Option<(Arc<str>, Result<Answer, String>)>) -> bool {
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
                names.insert(host.clone(), *port, known.as_ref().map(with_port).map_err(Clone::clone));
            }
        }
        names
    }
}

impl Host {
    fn take(&mut self, name: &str, answer: Result<Answer, String>) -> bool {
        self.asked = false;
        let (known, wait) = match answer {
            Ok(answer) => {
                if self.failures > 0 {
                    tracing::info!(host = name, "name resolves again");
                }
                self.failures = 0;
                let mut addresses = answer.addresses;
                addresses.sort_unstable();
                addresses.dedup();
                (Ok(addresses), answer.valid_for.clamp(VALID_MIN, VALID_MAX))
            }
            Err(error) => {
                let kept = matches!(self.known, Some(Ok(_)));
                if self.failures == 0 {
                    let then = if kept { "its last addresses stay in use" } else { "it has no address yet" };
                    tracing::warn!(host = name, %error, "name does not resolve: {then}");
                }
                self.failures = self.failures.saturating_add(1);
                let wait = VALID_MIN.saturating_mul(1 << (self.failures - 1).min(5)).min(RETRY_MAX);
                (self.known.clone().filter(|_| kept).unwrap_or(Err(error)), wait)
            }
        };
        self.due = Instant::now() + wait;
        let changed = self.known.as_ref() != Some(&known);
        self.known = Some(known);
        changed
    }
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
