//! One request's place in the queue.

use super::queue::{Found, Place};
use crate::model::Moment;
use crate::upstream::Upstream;
use crate::upstream::ticks::ticks;
use std::sync::Arc;
use std::task::{Context, Poll};

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitOver {
    /// Its turn: acquire again. When that comes to nothing, wait again, with the same deadline, and drop this waiter.
    Try,
    /// Its time is over.
    TimedOut,
    /// The upstream was removed: ask anew where its service's requests go now.
    Closed,
}

/// A request that waits, then has its turn. Keep it until the answer's head has come and call [`Waiter::answered`]: that
/// is what paces those behind it. Dropped before, it leaves the queue, or passes its turn on.
#[derive(Debug)]
#[must_use = "dropping it leaves the queue"]
pub struct Waiter {
    upstream: Arc<Upstream>,
    place: Place,
    worker: u16,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Turn,
    Over(WaitOver),
}

impl Waiter {
    pub(in crate::upstream) const fn new(upstream: Arc<Upstream>, place: Place, worker: u16) -> Self {
        Self { upstream, place, worker, stage: Stage::Waits }
    }

    /// Whether the wait is over. Its waker is called when a turn comes or the upstream closes; the deadline is the
    /// caller's to watch: poll again when it has passed, and now and then before (a worker's tick will do).
    pub fn poll_ready(&mut self, cx: &Context<'_>, now: Moment) -> Poll<WaitOver> {
        match self.stage {
            Stage::Waits => {}
            Stage::Turn => return Poll::Ready(WaitOver::Try),
            Stage::Over(over) => return Poll::Ready(over),
        }
        let (stage, over) = match self.upstream.waiters().look(self.place, cx.waker(), ticks(now)) {
            Found::Waiting { stalled } => {
                if stalled {
                    self.upstream.let_go();
                }
                return Poll::Pending;
            }
            Found::Turn => (Stage::Turn, WaitOver::Try),
            Found::Late => (Stage::Over(WaitOver::TimedOut), WaitOver::TimedOut),
            Found::Closed => (Stage::Over(WaitOver::Closed), WaitOver::Closed),
        };
        self.stage = stage;
        Poll::Ready(over)
    }

    /// The target has answered: two more may go.
    pub fn answered(mut self) {
        self.finish(true);
    }

    fn finish(&mut self, answered: bool) {
        let had_turn = match self.stage {
            Stage::Waits => !self.upstream.waiters().leave(self.place),
            Stage::Turn => true,
            Stage::Over(_) => false,
        };
        self.stage = Stage::Over(WaitOver::Try);
        if had_turn {
            self.upstream.turn_over(answered, self.worker);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.finish(false);
    }
}
