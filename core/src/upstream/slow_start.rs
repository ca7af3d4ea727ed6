//! Slow start: a target that joins a pool which serves already, or comes back to it, begins with a tenth of its share, and
//! has the whole of it after some time. Caches fill and compilers warm up meanwhile.
//!
//! Shares are told by weights, and so hold for every balancer, and cost a pick nothing: a pool is built anew for each step.
//! They are relative: where all targets are new, as after a start or a recreate, nobody is held back.

use super::Target;
use super::ticks::{NEVER, Ticks, ticks};
use crate::model::Moment;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;

/// Steps of a share.
const STEPS: u32 = 10;

/// Since when the usable targets of a pool have been that, in their order.
#[derive(Debug)]
pub(super) struct SlowStart {
    over: Ticks,
    since: Box<[Ticks]>,
    steps: Box<[u32]>,
}

/// What the pool before knew of its usable targets, which it keeps alive, so that an address means one of them.
pub(super) type Before = FxHashMap<*const Target, Ticks>;

impl SlowStart {
    /// Of targets that are usable now. `before`: those of the pool before; `None` if this is the first one.
    pub(super) fn new<'a>(
        over: Duration,
        targets: impl Iterator<Item = &'a Arc<Target>>,
        before: Option<&Before>,
        now: Moment,
    ) -> Self {
        let now = ticks(now);
        let since: Box<[Ticks]> = targets
            .map(|target| before.map_or(NEVER, |before| before.get(&Arc::as_ptr(target)).copied().unwrap_or(now)))
            .collect();
        let over = Ticks::try_from(over.as_micros()).unwrap_or(Ticks::MAX);
        let steps = since.iter().map(|since| step(now.saturating_sub(*since), over)).collect();
        Self { over, since, steps }
    }

    /// What the weight of each usable target is multiplied by, in their order: 1 for all where they are level.
    pub(super) fn factors(&self) -> impl Iterator<Item = u32> {
        let first = self.steps.first().copied().unwrap_or(STEPS);
        let level = self.steps.iter().all(|step| *step == first);
        self.steps.iter().map(move |step| if level { 1 } else { *step })
    }

    /// What part of its share the usable target at `place` has, from 0.1 to 1.
    pub(super) fn part(&self, place: usize) -> f64 {
        f64::from(self.steps.get(place).copied().unwrap_or(STEPS)) / f64::from(STEPS)
    }

    /// What the next pool is to know of these targets.
    pub(super) fn before<'a>(&self, targets: impl Iterator<Item = &'a Arc<Target>>) -> Before {
        targets.map(Arc::as_ptr).zip(self.since.iter().copied()).collect()
    }

    /// Whether a share has grown since the pool was built.
    pub(super) fn has_grown(&self, now: Moment) -> bool {
        let now = ticks(now);
        self.since.iter().zip(&self.steps).any(|(since, was)| step(now.saturating_sub(*since), self.over) != *was)
    }
}

/// How many tenths of the time have passed, from 1: the first is given in advance.
fn step(age: Ticks, over: Ticks) -> u32 {
    if age >= over {
        return STEPS;
    }
    let done = age.max(0).saturating_mul(Ticks::from(STEPS)) / over.max(1);
    u32::try_from(done).map_or(STEPS, |done| done.clamp(1, STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Cause;
    use crate::upstream::fixtures::{members, now, options, target};
    use crate::upstream::{Member, Pool, PoolOptions};
    use proptest::prelude::*;

    const OVER: Duration = Duration::from_secs(30);

    fn slow(members: Vec<Member>) -> PoolOptions {
        PoolOptions { slow_start: Some(OVER), ..options("round-robin", members) }
    }

    fn weights(pool: &Pool) -> Vec<u32> {
        pool.usable().iter().map(|usable| usable.weight).collect()
    }

    #[test]
    fn targets_of_a_first_pool_have_their_shares_at_once() {
        let pool = Pool::build(slow(members(&[1, 3])), None, now());
        assert_eq!(weights(&pool), [1, 3]);
        assert!(!pool.has_outgrown(now() + OVER));
    }

    #[test]
    fn one_that_joins_grows_from_a_tenth_to_its_weight() {
        let (start, mut all) = (now(), members(&[1, 2]));
        let mut pool = Pool::build(slow(all.clone()), None, start);
        all.push(Member { target: target(9), weight: 4 });
        for (after, expected) in [(0, 4), (2, 4), (3, 4), (6, 8), (15, 20), (29, 36)] {
            pool = Pool::build(slow(all.clone()), Some(&pool), start + Duration::from_secs(after));
            assert_eq!(weights(&pool), [10, 20, expected], "after {after} s");
        }
        assert!(!pool.has_outgrown(start + Duration::from_millis(29_999)));
        assert!(pool.has_outgrown(start + OVER));
        let pool = Pool::build(slow(all), Some(&pool), start + OVER);
        assert_eq!(weights(&pool), [1, 2, 4]);
    }

    #[test]
    fn one_that_comes_back_is_new_again_and_the_others_are_not() {
        let (start, all) = (now(), members(&[1, 1]));
        let first = Pool::build(slow(all.clone()), None, start);
        all[0].target.set(Cause::Active);
        let without = Pool::build(slow(all.clone()), Some(&first), start);
        assert_eq!(weights(&without), [1]);
        all[0].target.clear(Cause::Active);
        let back = Pool::build(slow(all), Some(&without), start + OVER);
        assert_eq!((weights(&back), back.share(0), back.share(1)), (vec![1, 10], Some(0.1), Some(1.0)));
    }

    #[test]
    fn where_all_are_new_none_is_held_back() {
        let start = now();
        let first = Pool::build(slow(members(&[1, 3])), None, start);
        let recreated =
            Pool::build(slow((7..9).map(|n| Member { target: target(n), weight: n }).collect()), Some(&first), start);
        assert_eq!(weights(&recreated), [7, 8], "their shares are what their weights say");
    }

    #[test]
    fn a_slow_start_that_is_written_later_holds_nobody_back_who_was_there() {
        let (start, all) = (now(), members(&[1, 1]));
        let before = Pool::build(options("round-robin", all.clone()), None, start);
        assert_eq!(before.share(0), None);
        assert_eq!(weights(&Pool::build(slow(all), Some(&before), start)), [1, 1]);
    }

    proptest! {
        #[test]
        fn shares_never_shrink_with_age_and_are_whole_in_the_end(over in 1i64..1 << 50, ages in prop::collection::vec(0i64..1 << 51, 2)) {
            let (younger, older) = (ages[0].min(ages[1]), ages[0].max(ages[1]));
            prop_assert!(step(younger, over) <= step(older, over));
            prop_assert!((1..=STEPS).contains(&step(younger, over)));
            prop_assert_eq!(step(over, over), STEPS);
        }
    }
}
