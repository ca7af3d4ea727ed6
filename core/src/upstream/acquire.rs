//! From a pick to a taken slot.

use super::ticks::{moment, ticks};
use super::waiting::Took;
use super::{Ask, InFlight, Pick, Pool, Upstream, WorkerRng};
use crate::model::Moment;
use std::sync::Arc;

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
        loop {
            let version = self.changes().version();
            let pool = self.pool();
            let acquired = self.acquire_from(&pool, version, ask, rng);
            // What leaves is marked once its pool is replaced: the next one may have others.
            if !matches!(acquired, Acquired::Empty { .. }) || Arc::ptr_eq(&pool, &self.pool()) {
                return acquired;
            }
        }
    }

    #[inline]
    fn acquire_from(&self, pool: &Pool, version: u64, ask: &Ask<'_>, rng: &mut WorkerRng) -> Acquired {
        let limited = pool.options().max_concurrency.is_some();
        if limited && self.queued() > 0 {
            return Acquired::Full { queue: true };
        }
        let taken = match take(pool, ask, rng) {
            Err(out) if !ask.tried.is_empty() && out.leaves_tried_ones(pool) && pool.pickable_now() > 0 => {
                if pool.options().fed {
                    return Acquired::Tried { version };
                }
                take(pool, &Ask { tried: &[], ..*ask }, rng)
            }
            taken => taken,
        };
        match taken {
            // What is built now may use all of them.
            Err(Out::Empty) if pool.options().outlier.is_some() && self.is_changing(version) => {
                Acquired::Tried { version }
            }
            Ok(inflight) if limited => Acquired::Got(inflight.passed_on_by(self.me())),
            taken => self.said(pool, taken, ask.now),
        }
    }

    fn said(&self, pool: &Pool, taken: Result<InFlight, Out>, now: Moment) -> Acquired {
        match taken {
            Ok(inflight) => Acquired::Got(inflight),
            Err(Out::Full) => Acquired::Full { queue: pool.options().queue.is_some() },
            Err(Out::Empty) => Acquired::Empty { hold: pool.may_recover() && self.within_grace(pool, ticks(now)) },
        }
    }

    /// Gives free slots to those who wait for one.
    pub(super) fn hand_over(&self) {
        self.line().hand_over(|tried, seed, now| {
            let pool = self.pool();
            // A look in vain would move the turn of a round robin, too.
            if !pool.has_free_slot() {
                return if pool.pickable_now() > 0 { Took::Full } else { Took::Empty };
            }
            // Whoever waits has brought the time along.
            let now = moment(now);
            let mut rng = WorkerRng::with_seed(seed);
            let taken = match take(&pool, &Ask { tried, now, key: 0 }, &mut rng) {
                Err(Out::Full) if !tried.is_empty() => return Took::NotThis,
                Err(Out::Empty) if !tried.is_empty() => take(&pool, &Ask { tried: &[], now, key: 0 }, &mut rng),
                taken => taken,
            };
            match taken {
                Ok(slot) if pool.options().max_concurrency.is_some() => Took::Slot(slot.passed_on_by(self.me())),
                Ok(slot) => Took::Slot(slot),
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

impl Out {
    /// Whether there is nothing better than targets that the request has tried: none other, or none that it may wait for.
    fn leaves_tried_ones(&self, pool: &Pool) -> bool {
        match self {
            Self::Empty => true,
            Self::Full => pool.options().queue.is_none(),
        }
    }
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
