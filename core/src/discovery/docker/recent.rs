//! Which events were seen: `since` is inclusive, so after a reconnect the last ones come again.

use rustc_hash::FxHashSet;
use std::collections::VecDeque;

/// The last events' keys, in bounded number.
#[derive(Debug, Default)]
pub(super) struct Recent {
    order: VecDeque<Key>,
    known: FxHashSet<Key>,
}

/// Time in nanoseconds, id, action.
type Key = (u64, String, String);

impl Recent {
    /// Whether it is new.
    pub(super) fn insert(&mut self, time_ns: u64, id: &str, action: &str) -> bool {
        let key = (time_ns, id.to_owned(), action.to_owned());
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// An engine replays at the most the 256 events that it keeps (moby daemon/events/events.go, `eventsLimit`).
const KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_seen_once_and_memory_is_bounded() {
        let mut recent = Recent::default();
        assert!(recent.insert(1, "a", "die"));
        assert!(!recent.insert(1, "a", "die"));
        assert!(recent.insert(1, "a", "start") && recent.insert(2, "a", "die") && recent.insert(1, "b", "die"));
        for time in 10..5000 {
            assert!(recent.insert(time, "c", "kill"));
        }
        assert_eq!((recent.order.len(), recent.known.len()), (KEPT, KEPT));
    }
}
