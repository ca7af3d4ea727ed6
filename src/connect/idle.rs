//! Idle connections of one worker.

use super::{Counted, Stream};
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::Target;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::sync::Arc;

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
    /// It takes a descriptor of the process.
    pub counted: Counted,
}

impl TargetConnection {
    /// A connection that was just made.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self { stream, written: 0, reused: false, idle_limit: None, counted: Counted::new() }
    }
}

struct Idle {
    connection: TargetConnection,
    /// The worker's tick at which it is closed.
    expires: u32,
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
    /// The connection that was idle for the shortest time, if one is still good.
    #[must_use]
    pub fn take(&self, target: &Arc<Target>, profile: u64, tick: u32) -> Option<TargetConnection> {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&key(target, profile))?;
        while let Some(idle) = entry.idle.pop() {
            if idle.expires > tick && !idle.connection.stream.has_unread() {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, unless `cap` are kept to this target already.
    pub fn put(&self, target: &Arc<Target>, profile: u64, mut connection: TargetConnection, expires: u32, cap: usize) {
        if target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining)) {
            return;
        }
        let mut entries = self.entries.borrow_mut();
        let entry = entries
            .entry(key(target, profile))
            .or_insert_with(|| Entry { target: Arc::clone(target), idle: Vec::new() });
        if entry.idle.len() < cap {
            connection.reused = true;
            entry.idle.push(Idle { connection, expires });
        }
    }

    /// Closes what has been idle too long, or leads to a target that went. Called once a tick.
    pub fn sweep(&self, tick: u32) {
        self.entries.borrow_mut().retain(|_, entry| {
            if entry.target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining)) {
                return false;
            }
            entry.idle.retain(|idle| idle.expires > tick && !idle.connection.stream.has_unread());
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
