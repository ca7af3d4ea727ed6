//! A target's causes follow its health word.

use crate::health::{Checker, HealthCell};
use crate::model::{Cause, Causes};
use crate::upstream::slots::Slots;
use crate::upstream::sync::{Ordering, fence};

/// Those that the health word decides.
const OWNED: Causes = Causes::NONE.with(Cause::Active).with(Cause::Passive).with(Cause::Manual);

/// Makes the causes say what the health word says; whether that changed any. Two threads with opposite verdicts may come here
/// in the wrong order; looking again until nothing moved makes the later word win.
pub(crate) fn settle(health: &HealthCell, slots: &Slots) -> bool {
    let mut changed = false;
    loop {
        // Each writes one word and then looks at the other. Without a fence in between, two threads may both see what was there
        // before, and the causes would stay at a verdict that is over.
        fence(Ordering::SeqCst);
        let found = health.counters().unhealthy;
        changed |= slots.replace(OWNED.0, causes(found).0);
        fence(Ordering::SeqCst);
        if health.counters().unhealthy == found {
            return changed;
        }
    }
}

fn causes(unhealthy: Option<Checker>) -> Causes {
    match unhealthy {
        None => Causes::NONE,
        Some(Checker::Active) => Causes::NONE.with(Cause::Active),
        Some(Checker::Passive) => Causes::NONE.with(Cause::Passive),
        Some(Checker::Operator) => Causes::NONE.with(Cause::Manual),
    }
}
