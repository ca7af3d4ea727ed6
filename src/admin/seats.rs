//! Who is connected to a door. When it is full, whoever has been silent for longest makes room for who comes: a probe must
//! get through, however many others connect and say nothing.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// Connections of a door.
pub(super) struct Seats {
    inner: Mutex<Inner>,
    /// One was given up, or became silent.
    freed: Notify,
    count_max: usize,
}

#[derive(Default)]
struct Inner {
    /// Counts connections and requests: what is lower was longer ago.
    now: u64,
    taken: Vec<Taken>,
}

struct Taken {
    id: u64,
    /// A request of it is being answered.
    busy: bool,
    /// When it connected, or was last answered.
    since: u64,
    leave: Arc<Notify>,
}

impl Inner {
    fn next(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// Who has been silent for longest.
    fn silent(&self) -> Option<usize> {
        let silent = self.taken.iter().enumerate().filter(|(_, taken)| !taken.busy);
        silent.min_by_key(|(_, taken)| taken.since).map(|(at, _)| at)
    }
}

impl Seats {
    /// So many.
    #[must_use]
    pub(super) fn new(count_max: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), freed: Notify::new(), count_max })
    }

    /// Waits until one is free or can be made free.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let inner = self.inner.lock();
                if inner.taken.len() < self.count_max || inner.silent().is_some() {
                    return;
                }
            }
            freed.await;
        }
    }

    /// Takes one for a connection; where none is free, whoever has been silent for longest is asked to leave.
    #[must_use]
    pub(super) fn take(self: &Arc<Self>) -> Seat {
        let mut inner = self.inner.lock();
        if inner.taken.len() >= self.count_max
            && let Some(at) = inner.silent()
        {
            inner.taken.swap_remove(at).leave.notify_one();
        }
        let (id, leave) = (inner.next(), Arc::new(Notify::new()));
        inner.taken.push(Taken { id, busy: false, since: id, leave: Arc::clone(&leave) });
        drop(inner);
        Seat { seats: Arc::clone(self), id, leave }
    }

    fn set_busy(&self, id: u64, busy: bool) {
        let mut inner = self.inner.lock();
        let since = inner.next();
        if let Some(taken) = inner.taken.iter_mut().find(|taken| taken.id == id) {
            (taken.busy, taken.since) = (busy, since);
        }
        drop(inner);
        if !busy {
            self.freed.notify_one();
        }
    }
}

/// A connection's. Free again when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    id: u64,
    leave: Arc<Notify>,
}

impl Seat {
    /// Waits until it has to make room.
    pub(super) async fn wanted(&self) {
        self.leave.notified().await;
    }

    /// Nobody asks it to leave while it is answered, until this is dropped.
    #[must_use]
    pub(super) fn answering(&self) -> Answering {
        self.seats.set_busy(self.id, true);
        Answering { seats: Arc::clone(&self.seats), id: self.id }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.inner.lock().taken.retain(|taken| taken.id != self.id);
        self.seats.freed.notify_one();
    }
}

/// A request being answered.
pub(super) struct Answering {
    seats: Arc<Seats>,
    id: u64,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.seats.set_busy(self.id, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn has_to_leave(seat: &Seat) -> bool {
        seat.wanted().now_or_never().is_some()
    }

    #[tokio::test]
    async fn who_has_been_silent_for_longest_makes_room() {
        let seats = Seats::new(3);
        let taken = [seats.take(), seats.take(), seats.take()];
        let busy = taken[0].answering();
        // It has spoken since the third came.
        drop(taken[1].answering());
        let fourth = seats.take();
        assert_eq!(taken.each_ref().map(has_to_leave), [false, false, true]);
        let fifth = seats.take();
        assert_eq!(taken.each_ref().map(has_to_leave), [false, true, false]);
        drop(busy);
        assert!(!has_to_leave(&fourth) && !has_to_leave(&fifth));
        assert_eq!(seats.inner.lock().taken.len(), 3);
    }

    #[tokio::test]
    async fn where_all_are_being_answered_who_comes_waits() {
        let seats = Seats::new(1);
        let seat = seats.take();
        let answering = seat.answering();
        assert!(seats.room().now_or_never().is_none());
        drop(answering);
        assert!(seats.room().now_or_never().is_some());
        let answering = seat.answering();
        let room = seats.room();
        drop((answering, seat));
        room.await;
        assert!(seats.inner.lock().taken.is_empty());
    }
}
