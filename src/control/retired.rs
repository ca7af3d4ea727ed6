//! What was published and has been replaced. It is freed here, when nobody else holds it any more: letting ten thousand
//! routes go takes 24 ms on whichever thread lets go last, and that must not be a worker.

use super::compile_thread::CompileThread;
use crate::snapshot::Snapshot;
use plimsoll_core::upstream::Pool;
use std::sync::Arc;

/// Snapshots and pools that somebody may still hold.
#[derive(Default)]
pub(super) struct Retired {
    snapshots: Vec<Arc<Snapshot>>,
    pools: Vec<Arc<Pool>>,
}

impl Retired {
    pub(super) fn snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshots.push(snapshot);
    }

    pub(super) fn pool(&mut self, pool: Arc<Pool>) {
        self.pools.push(pool);
    }

    /// Frees what nobody else holds, off this thread.
    pub(super) fn sweep(&mut self, thread: &CompileThread) {
        // Nobody can take a new reference: neither is reachable any longer.
        let free_snapshots: Vec<_> = self.snapshots.extract_if(.., |one| Arc::strong_count(one) == 1).collect();
        let free_pools: Vec<_> = self.pools.extract_if(.., |one| Arc::strong_count(one) == 1).collect();
        if !free_snapshots.is_empty() || !free_pools.is_empty() {
            thread.free((free_snapshots, free_pools));
        }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.snapshots.len() + self.pools.len()
    }
}
