//! How many waiting requests may be under way at a time.

/// 65,536: a window past which pacing has no purpose.
const WINDOW_MAX: u32 = 65_536;

/// What those who are let go may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Replicas that can be picked now.
    pub(crate) replicas: u32,
    /// Requests that one may have in flight.
    pub(crate) each: u32,
}

/// A window over the requests that were let go and have not been answered yet.
#[derive(Debug)]
pub(super) struct Pace {
    per_replica: u32,
    window: u32,
    under_way: u32,
}

impl Pace {
    pub(super) const fn new(per_replica: u32) -> Self {
        Self { per_replica, window: 0, under_way: 0 }
    }

    /// How many more may go.
    pub(super) fn allowance(&mut self, Room { replicas, each }: Room) -> u32 {
        if replicas == 0 {
            // Whoever comes back next may be new: begin small again.
            self.window = 0;
            return 0;
        }
        self.window = self.window.max(self.per_replica.saturating_mul(replicas)).min(WINDOW_MAX);
        self.window.min(each.saturating_mul(replicas)).saturating_sub(self.under_way)
    }

    /// One was let go.
    pub(super) const fn gone(&mut self) {
        self.under_way += 1;
    }

    /// One that was let go is done with its turn. Each answer widens the window by one: it doubles with each round.
    pub(super) const fn done(&mut self, answered: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        if answered {
            self.window = self.window.saturating_add(1);
        }
    }

    /// Nothing came back for long: those under way are slow, not lost in a queue, and hold nobody up any longer.
    pub(super) const fn forgive(&mut self) {
        self.under_way = 0;
    }

    /// Nobody waits. When nobody is under way either, the next time begins small again.
    pub(super) const fn rest(&mut self) {
        if self.under_way == 0 {
            self.window = 0;
        }
    }
}
