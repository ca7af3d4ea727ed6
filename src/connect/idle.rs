//! Idle connections of one worker.

use super::{Counted, Stream};
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::{IdleLimit, Target};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds of a worker's tick, by which idleness is measured.
const TICK_MS: u64 = 100;

/// A connection to a target that speaks HTTP/1.1.
#[derive(Debug)]
pub struct TargetConnection {
    /// The bytes' way.
    pub stream: Stream,
    /// Bytes of plain text written to it so far, for the "never acknowledged" rule.
    pub written: u64,
    /// Whether it has carried a request before.
    pub reused: bool,
    /// When the target said it would close it, in seconds of idleness (`Keep-Alive: timeout`).
    pub idle_limit: Option<u32>,
    /// For how long it had been idle when it was taken, ticks.
    idle: u32,
    /// What is known of how long its target's upstream bears idle connections.
    learnt: Arc<IdleLimit>,
    /// It takes a descriptor of the process.
    pub counted: Counted,
}

impl TargetConnection {
    /// A connection that was just made. In a box, since it goes from hand to hand with every request that it carries.
    #[must_use]
    pub fn new(stream: Stream, learnt: Arc<IdleLimit>) -> Box<Self> {
        let counted = Counted::new();
        Box::new(Self { stream, written: 0, reused: false, idle_limit: None, idle: 0, learnt, counted })
    }

    /// Its target closed it instead of answering: it had been idle for too long.
    pub fn found_closed(&self) {
        self.learnt.found_closed(age(self.idle));
    }
}

/// A number of ticks.
const fn age(ticks: u32) -> Duration {
    Duration::from_millis(ticks as u64 * TICK_MS)
}

struct Idle {
    connection: Box<TargetConnection>,
    /// The worker's tick since which it is idle.
    since: u32,
    /// The worker's tick at which it is closed.
    expires: u32,
}

impl Idle {
    /// Whether it may be used; the target that closed it may have taught something.
    fn is_good(&self, tick: u32) -> bool {
        let idle = || age(tick.saturating_sub(self.since));
        if self.connection.stream.has_unread() {
            self.connection.learnt.found_closed(idle());
            return false;
        }
        if self.expires <= tick {
            self.connection.learnt.found_good(idle());
            return false;
        }
        true
    }
}

struct Entry {
    /// Keeps the key's address from being used again, and tells whether the target is still there.
    target: Arc<Target>,
    idle: Vec<Idle>,
}

/// Idle connections, by target and connect profile.
#[derive(Default)]
pub struct IdlePool {
    entries: RefCell<FxHashMap<(usize, u64), Entry>>,
}

fn key(target: &Arc<Target>, profile: u64) -> (usize, u64) {
    (Arc::as_ptr(target) as usize, profile)
}

impl IdlePool {
    /// The connection that was idle for the shortest time, if one is still good. `once`: for a request that cannot be
    /// repeated, and so must not meet a target that is about to close the connection.
    #[must_use]
    pub fn take(&self, target: &Arc<Target>, profile: u64, tick: u32, once: bool) -> Option<Box<TargetConnection>> {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&key(target, profile))?;
        while let Some(mut idle) = entry.idle.pop() {
            if !idle.is_good(tick) {
                continue;
            }
            idle.connection.idle = tick.saturating_sub(idle.since);
            if once && !idle.connection.learnt.allows(age(idle.connection.idle)) {
                // The others have been idle for longer.
                entry.idle.push(idle);
                return None;
            }
            return Some(idle.connection);
        }
        None
    }

    /// Keeps a connection that has just carried a request for the next one, unless `cap` are kept to this target already.
    /// `now`, `expires`: ticks.
    pub fn put(
        &self,
        target: &Arc<Target>,
        profile: u64,
        mut connection: Box<TargetConnection>,
        (now, expires): (u32, u32),
        cap: usize,
    ) {
        if connection.idle > 0 {
            connection.learnt.found_good(age(connection.idle));
            connection.idle = 0;
        }
        if target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining)) {
            return;
        }
        let mut entries = self.entries.borrow_mut();
        let entry = entries
            .entry(key(target, profile))
            .or_insert_with(|| Entry { target: Arc::clone(target), idle: Vec::new() });
        if entry.idle.len() < cap {
            connection.reused = true;
            entry.idle.push(Idle { connection, since: now, expires });
        }
    }

    /// Closes what has been idle too long, or leads to a target that went. Called once a tick.
    pub fn sweep(&self, tick: u32) {
        self.entries.borrow_mut().retain(|_, entry| {
            if entry.target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining)) {
                return false;
            }
            entry.idle.retain(|idle| idle.is_good(tick));
            !entry.idle.is_empty()
        });
    }

    /// How many connections are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.borrow().values().map(|entry| entry.idle.len()).sum()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all of them.
    pub fn clear(&self) {
        self.entries.borrow_mut().clear();
    }
}
