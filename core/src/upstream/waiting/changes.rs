//! Waiting for a pool's next change: what a request does that has tried every target of a pool that a provider feeds.

use crate::upstream::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, fence};
use std::task::Waker;

/// Counts changes, and wakes who waits for the next one. The protocol is that of the folder: enter, then look; change,
/// then look.
#[derive(Debug)]
pub(crate) struct Changes {
    version: AtomicU64,
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    entered: u64,
    list: Vec<(u64, Waker)>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            waiting: Mutex::new(Waiting { entered: 0, list: Vec::new() }),
        }
    }

    /// The number of changes so far. Read before the pool is.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Something changed, and can be seen.
    pub(crate) fn bump(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            let mut waiting = self.waiting.lock();
            let called = std::mem::take(&mut waiting.list);
            self.count.store(0, Ordering::SeqCst);
            drop(waiting);
            called.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    /// Whether there was a change since `seen`. If not, `waker` is called at the next one. `number`: who this is, from the
    /// first call on.
    pub(crate) fn poll(&self, seen: u64, number: &mut Option<u64>, waker: &Waker) -> bool {
        if self.version() != seen {
            return true;
        }
        let mut waiting = self.waiting.lock();
        let number = *number.get_or_insert(waiting.entered);
        waiting.entered = waiting.entered.max(number + 1);
        match waiting.list.iter_mut().find(|(known, _)| *known == number) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.list.push((number, waker.clone())),
        }
        self.count.store(waiting.list.len(), Ordering::SeqCst);
        drop(waiting);
        fence(Ordering::SeqCst);
        self.version() != seen
    }

    /// The one with this number waits no longer.
    pub(crate) fn leave(&self, number: u64) {
        let mut waiting = self.waiting.lock();
        waiting.list.retain(|(known, _)| *known != number);
        self.count.store(waiting.list.len(), Ordering::SeqCst);
    }
}
