//! Least connections: the target with the fewest requests in flight for its weight, (count + 1) / weight at its least.
//!
//! Counts are exact over all workers, one atomic a target. The search begins at a random place, so that of several that
//! are level not all workers choose the same. A target that fails at once always looks idle: for a second after a failure
//! its count is taken as at least the mean of those that did not fail.

use super::{Algorithm, Ask, Balancer, Look, Members, Pick, TargetIndex, Usable, WorkerRng, look};
use crate::upstream::Pool;
use crate::upstream::ticks::ticks;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct LeastConnections;

struct Scan;

impl Algorithm for LeastConnections {
    fn name(&self) -> &'static str {
        "least-connections"
    }

    fn doc(&self) -> &'static str {
        "The target with the fewest requests in flight for its weight, counted exactly over all workers."
    }

    fn example(&self) -> &'static str {
        "upstreams:\n- name: web\n  algorithm: least-connections\n  targets:\n  - {target: \"10.0.0.5:8080\"}\n  - {target: \"10.0.0.6:8080\"}\n"
    }

    fn build(&self, _: &Members<'_>, _: Option<&dyn Balancer>) -> Arc<dyn Balancer> {
        Arc::new(Scan)
    }
}

impl Balancer for Scan {
    fn pick(&self, pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Pick {
        let now = ticks(ask.now);
        let (mut full, mut wary) = (false, false);
        // Targets that did not fail lately, and their requests.
        let (mut steady, mut total) = (0u64, 0u64);
        let mut best = Least::default();
        let usable = pool.usable();
        let start = if usable.is_empty() { 0 } else { rng.usize(..usable.len()) };
        let (before, after) = usable.split_at(start);
        for part in [after, before] {
            for usable in part {
                match look(pool, usable, ask) {
                    Look::Free(target) => {
                        let count = u64::from(target.inflight());
                        if target.failed_lately(now) {
                            wary = true;
                        } else {
                            steady += 1;
                            total += count;
                        }
                        best.offer(usable, count + 1);
                    }
                    Look::Full => full = true,
                    Look::Out => {}
                }
            }
        }
        if wary && steady > 0 {
            // Again, with counts times `steady`, so that the mean is a whole number.
            best = Least::default();
            for usable in after.iter().chain(before) {
                if let Look::Free(target) = look(pool, usable, ask) {
                    let count = u64::from(target.inflight()) * steady;
                    let count = if target.failed_lately(now) { count.max(total) } else { count };
                    best.offer(usable, count + steady);
                }
            }
        }
        match best.index {
            Some(index) => Pick::Target(index),
            None if full => Pick::Full,
            None => Pick::Empty,
        }
    }
}

/// The least cost / weight so far; of equal ones the first.
#[derive(Default)]
struct Least {
    index: Option<TargetIndex>,
    cost: u64,
    weight: u64,
}

impl Least {
    fn offer(&mut self, usable: &Usable, cost: u64) {
        let weight = u64::from(usable.weight);
        if self.index.is_none() || cost.saturating_mul(self.weight) < self.cost.saturating_mul(weight) {
            *self = Self { index: Some(usable.index), cost, weight };
        }
    }
}
