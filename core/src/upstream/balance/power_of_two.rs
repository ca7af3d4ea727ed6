//! Power of two choices (Mitzenmacher, 2001): of two targets drawn at random, the one that costs less, where the cost is
//! peak-EWMA latency × (requests in flight + 1) / weight, as in Finagle's and linkerd's balancers.
//!
//! A target without a latency sample is compared by its load alone, so that a new one is neither flooded nor shunned. One
//! that failed less than a second ago costs at least what the other does: it fails fast, and is no magnet for that.

use super::{Algorithm, Ask, Balancer, Look, Members, Pick, WorkerRng, at, first_free, look_at};
use crate::upstream::ticks::{Ticks, ticks};
use crate::upstream::{Pool, Target};
use std::sync::Arc;

/// Draws for each of the two before every target is looked at.
const DRAWS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct PowerOfTwo;

struct TwoChoices;

impl Algorithm for PowerOfTwo {
    fn name(&self) -> &'static str {
        "power-of-two"
    }

    fn doc(&self) -> &'static str {
        "Of two targets drawn at random, the one that answers sooner for its load: latency (peak EWMA) times requests in flight."
    }

    fn example(&self) -> &'static str {
        "upstreams:\n- name: web\n  algorithm: power-of-two\n  targets:\n  - {target: \"10.0.0.5:8080\"}\n  - {target: \"10.0.0.6:8080\"}\n"
    }

    fn build(&self, _: &Members<'_>, _: Option<&dyn Balancer>) -> Arc<dyn Balancer> {
        Arc::new(TwoChoices)
    }
}

impl Balancer for TwoChoices {
    fn pick(&self, pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Pick {
        let Some((one, first)) = draw(pool, ask, rng, None) else {
            return first_free(pool, ask, rng);
        };
        let Some((other, second)) = draw(pool, ask, rng, Some(one)) else {
            return at(pool, one);
        };
        let cheaper = first.cheaper_than(&second, ticks(ask.now));
        at(pool, if cheaper { one } else { other })
    }
}

/// One that was drawn.
struct Drawn<'a> {
    target: &'a Target,
    weight: f32,
}

/// Draws a free target other than `not`, in a few tries.
fn draw<'a>(pool: &'a Pool, ask: &Ask<'_>, rng: &mut WorkerRng, not: Option<usize>) -> Option<(usize, Drawn<'a>)> {
    let count = pool.usable().len();
    let choices = count.checked_sub(usize::from(not.is_some())).filter(|choices| *choices > 0)?;
    for _ in 0..DRAWS {
        let place = rng.usize(..choices);
        // Leaves `not` out without a second draw.
        let place = if not.is_some_and(|not| place >= not) { place + 1 } else { place };
        if let Look::Free(target) = look_at(pool, place, ask) {
            #[expect(clippy::cast_precision_loss, reason = "exact below 2^24, which no weight in tenths reaches")]
            let weight = pool.usable().get(place).map_or(1.0, |usable| usable.weight as f32);
            return Some((place, Drawn { target, weight }));
        }
    }
    None
}

impl Drawn<'_> {
    /// Whether this one, which was drawn first, costs no more.
    fn cheaper_than(&self, other: &Self, now: Ticks) -> bool {
        let (mut own, mut others) = (self.load(), other.load());
        if let (Some(own_latency), Some(other_latency)) =
            (self.target.latency_micros(now), other.target.latency_micros(now))
        {
            own *= own_latency;
            others *= other_latency;
        }
        match (self.target.failed_lately(now), other.target.failed_lately(now)) {
            (true, false) => own = own.max(others),
            (false, true) => others = others.max(own),
            _ => {}
        }
        own <= others
    }

    fn load(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 16 million requests in flight")]
        let load = (self.target.inflight() + 1) as f32;
        load / self.weight
    }
}
