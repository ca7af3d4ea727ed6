//! How a target is chosen, in two steps: `build` runs when a pool is made and may take its time; `pick` runs for every
//! attempt on every worker, takes no lock and allocates nothing.
//!
//! An algorithm is a file of this folder and a line in [`BALANCERS`]. A pick reads the causes of what it chooses, passes
//! over targets that were marked since the pool was built, and avoids those that the request has tried; it never takes the
//! slot itself.

mod least_connections;
mod power_of_two;
mod round_robin;
mod schedule;

use super::{Member, Pool, Target, Usable};
use crate::model::Moment;
use least_connections::LeastConnections;
use power_of_two::PowerOfTwo;
use round_robin::RoundRobin;
use std::any::Any;
use std::sync::Arc;

/// Every algorithm.
pub const BALANCERS: &[&dyn Algorithm] = &[&RoundRobin, &LeastConnections, &PowerOfTwo];

/// The algorithm called `name`.
#[must_use]
pub fn balancer(name: &str) -> Option<&'static dyn Algorithm> {
    BALANCERS.iter().copied().find(|algorithm| algorithm.name() == name)
}

/// A worker's random numbers.
pub type WorkerRng = fastrand::Rng;

/// A way to choose targets, as `algorithm` of an upstream names it.
pub trait Algorithm: Send + Sync {
    /// Its name in documents and labels.
    fn name(&self) -> &'static str;
    /// One line for reference pages.
    fn doc(&self) -> &'static str;
    /// An upstream that uses it, for reference pages.
    fn example(&self) -> &'static str;
    /// Makes what [`Balancer::pick`] needs. `previous` is the balancer of the pool before, of whatever algorithm.
    fn build(&self, members: &Members<'_>, previous: Option<&dyn Balancer>) -> Arc<dyn Balancer>;
}

/// What an algorithm made for one pool.
pub trait Balancer: Any + Send + Sync {
    /// Chooses among the usable targets of `pool`, the one it was built for.
    fn pick(&self, pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Pick;
}

/// What a balancer is built over.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    /// Every target that is there.
    pub all: &'a [Member],
    /// Those to choose from: weight above 0, and no cause against them when the pool was built.
    pub usable: &'a [Usable],
}

/// What a pick depends on, besides the pool.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Targets that this request has tried: avoided.
    pub tried: &'a [Arc<Target>],
    /// The time.
    pub now: Moment,
    /// What an algorithm that hashes hashes; others ignore it.
    pub key: u64,
}

/// What a pick came to. `Full` and `Empty` lead to different queues, metrics and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This one, if its slot can be taken.
    Target(TargetIndex),
    /// All that may be used are at their `max_concurrency`.
    Full,
    /// None may be used.
    Empty,
}

/// A target's place in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetIndex(pub u32);

/// What keeps a usable target from being picked at this moment.
#[derive(Clone, Copy)]
enum Look<'a> {
    Free(&'a Arc<Target>),
    Full,
    Out,
}

/// Looks at one of the usable targets.
#[inline]
fn look<'a>(pool: &'a Pool, usable: &Usable, ask: &Ask<'_>) -> Look<'a> {
    let Some(target) = pool.target(usable.index) else { return Look::Out };
    if !target.causes().without(pool.ignored()).is_empty() || ask.tried.iter().any(|tried| Arc::ptr_eq(tried, target)) {
        Look::Out
    } else if target.inflight() >= pool.max_concurrency() {
        Look::Full
    } else {
        Look::Free(target)
    }
}

/// Looks at the usable target at `place`.
fn look_at<'a>(pool: &'a Pool, place: usize, ask: &Ask<'_>) -> Look<'a> {
    pool.usable().get(place).map_or(Look::Out, |usable| look(pool, usable, ask))
}

/// The pick of the usable target at `place`.
fn at(pool: &Pool, place: usize) -> Pick {
    pool.usable().get(place).map_or(Pick::Empty, |usable| Pick::Target(usable.index))
}

/// The first usable target that is free, from a random place on: the last resort of algorithms that guess.
fn first_free(pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Pick {
    let mut found = Pick::Empty;
    for place in from_anywhere(pool.usable().len(), rng) {
        match look_at(pool, place, ask) {
            Look::Free(_) => return at(pool, place),
            Look::Full => found = Pick::Full,
            Look::Out => {}
        }
    }
    found
}

/// All places below `count`, beginning at a random one.
fn from_anywhere(count: usize, rng: &mut WorkerRng) -> impl Iterator<Item = usize> + Clone + use<> {
    let start = if count == 0 { 0 } else { rng.usize(..count) };
    (start..count).chain(0..start)
}

#[cfg(test)]
mod tests;
