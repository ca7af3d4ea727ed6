//! The guard of one request on one target.

use super::{Target, Upstream};
use crate::model::Causes;
use std::sync::Arc;

/// One taken slot of a target. Dropping it frees the slot. It owns its target, so that a request that runs for days keeps
/// neither a pool nor a snapshot alive.
#[derive(Debug)]
pub struct InFlight {
    target: Arc<Target>,
    generation: u64,
    /// Whose requests may wait for the slot.
    line: Option<Arc<Upstream>>,
}

impl InFlight {
    /// Takes a slot; `None` when another worker took the last one, or the target has just been marked: pick again.
    pub(super) fn take(target: &Arc<Target>, max: u32, ignored: Causes, generation: u64) -> Option<Self> {
        let taken = target.slots().take(max, ignored.0);
        taken.then(|| Self { target: Arc::clone(target), generation, line: None })
    }

    /// The slot goes on to requests of this upstream that wait for one.
    pub(super) fn passed_on_by(mut self, upstream: Option<Arc<Upstream>>) -> Self {
        self.line = upstream;
        self
    }

    /// The target.
    #[must_use]
    pub const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Generation of the document behind the pool that it was picked from: a newer one than the request's own means that
    /// protocol, TLS, Host and timeouts come from the current snapshot.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.target.slots().free();
        if let Some(upstream) = &self.line {
            upstream.slot_freed();
        }
    }
}
