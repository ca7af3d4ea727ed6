//! Round robin: exact shares, in the order of [`Schedule`], from one counter that all workers share.
//!
//! The counter survives every rebuild that changes nothing; a change of targets begins a new cycle, so that shares are exact
//! from its first request on, with the targets turned by where the last cycle stood, so that a pool that is rebuilt often
//! does not begin with the same target each time. Retries, and requests that come upon a target which has just been marked,
//! draw a position at random and leave the counter alone: first attempts stay exact.

use super::schedule::Schedule;
use super::{Algorithm, Ask, Balancer, Look, Members, Pick, WorkerRng, at, first_free, look_at};
use crate::model::TargetId;
use crate::upstream::Pool;
use crossbeam_utils::CachePadded;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Positions that are tried at random before every target is looked at.
const DRAWS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct RoundRobin;

struct Wheel {
    schedule: Schedule,
    /// Which usable target a place of the schedule is: place + turned, around.
    turned: usize,
    /// What the schedule was made for.
    shares: Vec<(TargetId, u32)>,
    cursor: Arc<CachePadded<AtomicU64>>,
}

impl Algorithm for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn doc(&self) -> &'static str {
        "Targets in turn, each exactly as often as its weight says."
    }

    fn example(&self) -> &'static str {
        "upstreams:\n- name: web\n  algorithm: round-robin\n  targets:\n  - {target: \"10.0.0.5:8080\", weight: 100}\n  - {target: \"10.0.0.6:8080\", weight: 50}\n"
    }

    fn build(&self, members: &Members<'_>, previous: Option<&dyn Balancer>) -> Arc<dyn Balancer> {
        let shares: Vec<(TargetId, u32)> = members
            .usable
            .iter()
            .filter_map(|usable| Some((members.all.get(usable.index.0 as usize)?.target.id.clone(), usable.weight)))
            .collect();
        let previous = previous.and_then(|previous| (previous as &dyn Any).downcast_ref::<Wheel>());
        let count = shares.len();
        let (cursor, turned) = match previous {
            Some(wheel) if wheel.shares == shares => (Arc::clone(&wheel.cursor), wheel.turned),
            Some(wheel) => (Arc::default(), wheel.next_turn() % count.max(1)),
            None => (Arc::default(), 0),
        };
        let weights: Vec<u32> = (0..count).filter_map(|place| Some(shares.get((place + turned) % count)?.1)).collect();
        Arc::new(Wheel { schedule: Schedule::new(&weights), turned, shares, cursor })
    }
}

impl Wheel {
    /// The usable target whose turn it is at `position`.
    fn place(&self, position: u64) -> usize {
        let place = self.schedule.at(position) + self.turned;
        if place < self.shares.len() { place } else { place - self.shares.len() }
    }

    /// Where the next cycle may begin.
    fn next_turn(&self) -> usize {
        self.place(self.cursor.load(Ordering::Relaxed))
    }
}

impl Balancer for Wheel {
    fn pick(&self, pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Pick {
        if self.shares.is_empty() {
            return Pick::Empty;
        }
        let mut position = if ask.tried.is_empty() {
            self.cursor.fetch_add(1, Ordering::Relaxed)
        } else {
            rng.u64(..self.schedule.cycle())
        };
        for _ in 0..DRAWS {
            let place = self.place(position);
            if let Look::Free(_) = look_at(pool, place, ask) {
                return at(pool, place);
            }
            position = rng.u64(..self.schedule.cycle());
        }
        first_free(pool, ask, rng)
    }
}
