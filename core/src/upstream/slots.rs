//! How many requests a target has in flight, and why it may not get another, in one word.
//!
//! One word, because who picks and who drains must not miss each other: a slot is taken by one addition, which tells at the
//! same moment whether there was a cause against it, and a mark is set by one exchange, after which the count that is read
//! can only fall. A target that is marked and shows no request in flight gets none any more, and may be stopped.

use crate::upstream::sync::{AtomicU64, Ordering};

/// Causes in the upper half, count in the lower.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU64);

impl Slots {
    pub(crate) fn new(causes: u32) -> Self {
        Self(AtomicU64::new(u64::from(causes) << 32))
    }

    /// Requests in flight. Exact, but for those who are just taking a slot that they will not get.
    pub(crate) fn inflight(&self) -> u32 {
        count(self.0.load(Ordering::Acquire))
    }

    /// The causes, as bits.
    pub(crate) fn causes(&self) -> u32 {
        causes(self.0.load(Ordering::Acquire))
    }

    /// Takes a slot, if there is no cause against it but `ignored` ones, and fewer than `max` are taken.
    ///
    /// Where there is a limit the count never goes over it, not even for a moment: who looks just then would take a slot that
    /// is free for a taken one, and wait.
    pub(crate) fn take(&self, max: u32, ignored: u32) -> bool {
        if max != u32::MAX {
            return self.take_below(max, ignored);
        }
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        if causes(before) & !ignored == 0 {
            return true;
        }
        self.free();
        false
    }

    fn take_below(&self, max: u32, ignored: u32) -> bool {
        let mut word = self.0.load(Ordering::Acquire);
        while causes(word) & !ignored == 0 && count(word) < max {
            match self.0.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(current) => word = current,
            }
        }
        false
    }

    /// Gives a slot back.
    pub(crate) fn free(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Sets the causes under `mask` to `bits`, leaving the others alone; whether that changed anything.
    pub(crate) fn replace(&self, mask: u32, bits: u32) -> bool {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let next = causes(word) & !mask | bits & mask;
            if next == causes(word) {
                return false;
            }
            let next = u64::from(next) << 32 | u64::from(count(word));
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(current) => word = current,
            }
        }
    }
}

const fn causes(word: u64) -> u32 {
    (word >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
const fn count(word: u64) -> u32 {
    word as u32
}
