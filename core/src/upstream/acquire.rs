//! From a pick to a taken slot.

use super::ticks::{moment, ticks};
use super::waiting::Took;
use super::{Ask, InFlight, Pick, Pool, Upstream, WorkerRng};
use std::time::Instant;

/// Slots that may be lost to other workers, or to marks, before a pick is given up: each loss means that the next pick sees
/// what happened, so this is never reached but in a storm.
const LOSSES: usize = 64;

/// What asking an upstream for a target came to.
#[derive(Debug)]
pub enum Acquired {
    /// A target, and a slot of it.
    Got(InFlight),
    /// Everything that may be used has been tried by this request, and a provider feeds the pool: wait for
    /// [`Upstream::next_change`] with this `version`, or 50 ms, then ask with nothing tried.
    Tried {
        /// Changes seen so far.
        version: u64,
    },
    /// All that may be used are at their `max_concurrency`, or others wait for a slot already. `queue`: the request may wait
    /// as well ([`Upstream::wait_for_slot`]).
    Full {
        /// There is a queue.
        queue: bool,
    },
    /// None may be used. `hold`: the request may wait ([`Upstream::wait`]).
    Empty {
        /// A provider feeds the pool, holding is on, what is out is not out by verdicts on health alone, and it is not
        /// longer than `grace` since something could be picked.
        hold: bool,
    },
}

impl Upstream {
    /// Picks a target from the pool of this moment and takes a slot of it.
    ///
    /// Targets already tried are avoided, not excluded: where no other is left, a pool that nobody feeds gives them again,
    /// and one that is fed is given the time to change.
    pub fn acquire(&self, ask: &Ask<'_>, rng: &mut WorkerRng) -> Acquired {
        let version = self.changes().version();
        let pool = self.pool();
        let limited = pool.options().max_concurrency.is_some();
        if limited && self.queued() > 0 {
            return Acquired::Full { queue: true };
        }
        let taken = match take(&pool, ask, rng) {
            Err(_) if !ask.tried.is_empty() && pool.pickable_now() > 0 => {
                if pool.options().fed {
                    return Acquired::Tried { version };
                }
                take(&pool, &Ask { tried: &[], ..*ask }, rng)
            }
            taken => taken,
        };
        match taken {
            // What is built now may use all of them.
            Err(Out::Empty) if pool.options().outlier.is_some() && self.is_changing() => Acquired::Tried { version },
            Ok(inflight) if limited => Acquired::Got(inflight.passed_on_by(self.me())),
            taken => self.said(&pool, taken, ask.now),
        }
    }

    fn said(&self, pool: &Pool, taken: Result<InFlight, Out>, now: Instant) -> Acquired {
        match taken {
            Ok(inflight) => Acquired::Got(inflight),
            Err(Out::Full) => Acquired::Full { queue: pool.options().queue.is_some() },
            Err(Out::Empty) => Acquired::Empty { hold: pool.may_recover() && self.within_grace(pool, ticks(now)) },
        }
    }

    /// Gives free slots to those who wait for one.
    pub(super) fn hand_over(&self) {
        let pool = self.pool();
        let line = pool.options().max_concurrency.and_then(|_| self.me());
        self.line().hand_over(|seed, now| {
            // Whoever waits has brought the time along.
            let Some(now) = moment(now) else { return Took::Full };
            let ask = Ask { tried: &[], now, key: 0 };
            match take(&pool, &ask, &mut WorkerRng::with_seed(seed)) {
                Ok(slot) => Took::Slot(slot.passed_on_by(line.clone())),
                Err(Out::Full) => Took::Full,
                Err(Out::Empty) => Took::Empty,
            }
        });
    }
}

/// Why there is no slot.
enum Out {
    Full,
    Empty,
}

fn take(pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Result<InFlight, Out> {
    for _ in 0..LOSSES {
        let index = match pool.pick(ask, rng) {
            Pick::Target(index) => index,
            Pick::Full => return Err(Out::Full),
            Pick::Empty => return Err(Out::Empty),
        };
        let (max, ignored) = (pool.max_concurrency(), pool.ignored());
        let taken = pool.target(index).and_then(|target| InFlight::take(target, max, ignored, pool.generation()));
        if let Some(inflight) = taken {
            return Ok(inflight);
        }
    }
    Err(Out::Full)
}
