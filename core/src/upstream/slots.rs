//! How many requests a target has in flight, and why it may not get another: two atomics that are read and written in
//! opposite orders by who picks and by who drains.
//!
//! Who picks counts itself in, then looks at the causes again; who drains sets the cause, then reads the count. Both are
//! sequentially consistent, so one of the two sees the other: a target that is marked and shows no request in flight gets
//! none any more, and may be stopped.

use super::sync::{AtomicU32, Ordering};

/// Count and causes of one target.
#[derive(Debug)]
pub(super) struct Slots {
    inflight: AtomicU32,
    causes: AtomicU32,
}

impl Slots {
    pub(super) fn new(causes: u32) -> Self {
        Self { inflight: AtomicU32::new(0), causes: AtomicU32::new(causes) }
    }

    /// Requests in flight. Exact, but for those who are just taking a slot that they will not get.
    pub(super) fn inflight(&self) -> u32 {
        self.inflight.load(Ordering::SeqCst)
    }

    /// The causes, as bits.
    pub(super) fn causes(&self) -> u32 {
        self.causes.load(Ordering::SeqCst)
    }

    /// Takes a slot, if there is no cause against it and fewer than `max` are taken.
    pub(super) fn take(&self, max: u32) -> bool {
        let before = self.inflight.fetch_add(1, Ordering::SeqCst);
        if before < max && self.causes() == 0 {
            return true;
        }
        self.free();
        false
    }

    /// Gives a slot back.
    pub(super) fn free(&self) {
        self.inflight.fetch_sub(1, Ordering::SeqCst);
    }

    /// Sets the causes under `mask` to `bits`, leaving the others alone; whether that changed anything.
    pub(super) fn replace(&self, mask: u32, bits: u32) -> bool {
        let mut causes = self.causes.load(Ordering::SeqCst);
        loop {
            let next = causes & !mask | bits & mask;
            if next == causes {
                return false;
            }
            match self.causes.compare_exchange(causes, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(current) => causes = current,
            }
        }
    }
}
