//! How many descriptors the process has open on behalf of clients, besides theirs.

use std::sync::atomic::{AtomicU32, Ordering};

/// Of the process, as the limit of descriptors is. Written only when a connection is made or ends.
static OPEN: AtomicU32 = AtomicU32::new(0);

/// Counts a connection to a target, or an end of a pipe to one, while it lives.
#[derive(Debug)]
pub struct Counted(());

impl Counted {
    pub(crate) fn new() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Descriptors of connections to targets, and of pipes to them, that are open at this moment, idle ones among them, over all
/// workers.
#[must_use]
pub fn descriptors_to_targets() -> u32 {
    OPEN.load(Ordering::Relaxed)
}
