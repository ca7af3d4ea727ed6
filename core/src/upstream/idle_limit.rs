//! After how long without a request an upstream's targets close a connection, learnt from what they do.
//!
//! A target that closes an idle connection just as the next request is on its way is the classic 502 of a proxy. A request
//! that may be repeated is; one that may not (a POST) must not take such a connection at all. Servers seldom say their limit
//! (Node's is 5 s, gunicorn's 2 s, uvicorn's 5 s), so it is taken from the connections that were found closed, and from
//! those that were found good:
//! - until something is known, a connection may have been idle for [`UNPROVEN`];
//! - one that was used with success after longer raises that;
//! - one that the target closed lowers it. A replica that dies closes its connections, too, whatever their age: so ages
//!   below [`LEAST`] teach nothing, and one that lives for clearly longer than what was learnt makes that forgotten.
//!
//! Shared by the targets of an upstream, since replicas are alike and each lives for a day at best; and by all workers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Shorter than every limit that a server in use comes with.
const UNPROVEN: u32 = 700;
/// No server is less patient. Under load most connections are younger: a replica's death must not cost the others a new
/// connection for each POST.
const LEAST: u32 = 500;
/// What is learnt is true to two ticks of the worker that saw it; what the target's clock, a busy target and the way to it
/// add is taken off as well.
const MARGIN: u32 = 300;

/// What is known of an upstream's idle limit. In milliseconds; 0: nothing.
#[derive(Debug, Default)]
pub struct IdleLimit {
    /// The least age at which a connection was found closed.
    closed: AtomicU32,
    /// The greatest age at which one was found good.
    good: AtomicU32,
}

impl IdleLimit {
    /// Whether a connection that has been idle for so long may carry a request that cannot be repeated.
    #[must_use]
    pub fn allows(&self, idle: Duration) -> bool {
        let idle = millis(idle);
        let margin = |limit: u32| limit.saturating_sub(MARGIN.max(limit / 8));
        let limit = match self.closed.load(Ordering::Relaxed) {
            0 => UNPROVEN.max(margin(self.good.load(Ordering::Relaxed))),
            closed => margin(closed),
        };
        idle < limit
    }

    /// A connection was found closed by its target after it had been idle for so long.
    pub fn found_closed(&self, idle: Duration) {
        let idle = millis(idle);
        if idle < LEAST {
            return;
        }
        let known = self.closed.load(Ordering::Relaxed);
        // Until then it was good.
        if known == 0 || idle < known || disproves(idle, known) {
            self.closed.store(idle, Ordering::Relaxed);
        }
        self.good.fetch_min(idle, Ordering::Relaxed);
    }

    /// A connection carried a request well after it had been idle for so long, or was still open then.
    pub fn found_good(&self, idle: Duration) {
        let idle = millis(idle);
        if idle <= UNPROVEN {
            return;
        }
        self.good.fetch_max(idle, Ordering::Relaxed);
        let closed = self.closed.load(Ordering::Relaxed);
        if closed != 0 && disproves(idle, closed) {
            self.closed.store(0, Ordering::Relaxed);
        }
    }

    /// The limit as learnt; `None` while no connection was found closed.
    #[must_use]
    pub fn learnt(&self) -> Option<Duration> {
        let closed = self.closed.load(Ordering::Relaxed);
        (closed != 0).then(|| Duration::from_millis(closed.into()))
    }
}

/// Whether a connection that lived for so long shows that `closed` was no limit: a server's patience varies, but not so much.
const fn disproves(idle: u32, closed: u32) -> bool {
    idle > closed.saturating_mul(2).saturating_add(1000)
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn until_something_is_known_only_a_connection_used_lately_will_do() {
        let limit = IdleLimit::default();
        assert!(limit.allows(ms(600)));
        assert!(!limit.allows(ms(700)));
    }

    #[test]
    fn a_connection_that_was_good_after_long_allows_others_nearly_as_long() {
        let limit = IdleLimit::default();
        limit.found_good(ms(8000));
        assert!(limit.allows(ms(6900)));
        assert!(!limit.allows(ms(7000)));
    }

    #[test]
    fn what_the_target_closes_is_not_used_from_a_margin_before() {
        let limit = IdleLimit::default();
        limit.found_good(ms(1900));
        limit.found_closed(ms(2100));
        limit.found_closed(ms(2300));
        assert!(limit.allows(ms(1700)));
        assert!(!limit.allows(ms(1800)));
        assert_eq!(limit.learnt(), Some(ms(2100)));
    }

    #[test]
    fn a_replica_that_died_teaches_nothing_for_good() {
        let limit = IdleLimit::default();
        limit.found_closed(ms(100));
        assert_eq!(limit.learnt(), None, "nobody's limit");
        limit.found_closed(ms(600));
        assert!(limit.allows(ms(200)) && !limit.allows(ms(300)));
        limit.found_good(ms(2200));
        assert!(!limit.allows(ms(300)), "this may still be a server whose patience varies");
        limit.found_good(ms(2300));
        assert!(limit.allows(ms(1900)));
        assert_eq!(limit.learnt(), None);
    }

    #[test]
    fn a_connection_that_the_target_closed_late_shows_that_an_early_end_was_no_limit() {
        let limit = IdleLimit::default();
        limit.found_closed(ms(600));
        limit.found_closed(ms(2200));
        assert_eq!(limit.learnt(), Some(ms(600)), "patience varies");
        limit.found_closed(ms(5000));
        assert_eq!(limit.learnt(), Some(ms(5000)));
    }

    proptest! {
        #[test]
        fn a_server_with_a_fixed_limit_is_never_asked_within_its_last_moments(
            limit in 500_u64..90_000,
            seen in prop::collection::vec((any::<bool>(), 0_u64..100_000, 0_u64..200), 1..60),
        ) {
            let learnt = IdleLimit::default();
            // Closed in time, and noticed up to two ticks later.
            learnt.found_closed(ms(limit));
            for (good, age, late) in seen {
                if good {
                    learnt.found_good(ms(age % limit));
                } else {
                    learnt.found_closed(ms(limit + late));
                }
            }
            for age in limit.saturating_sub(200)..limit + 100 {
                prop_assert!(!learnt.allows(ms(age)));
            }
        }
    }
}
