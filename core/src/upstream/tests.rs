use super::fixtures::{ask, members, now, options, rebuild, target, upstream};
use super::*;
use crate::health::{CheckRules, Outcome, Verdict};
use crate::model::{Cause, Causes};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

fn rng() -> WorkerRng {
    WorkerRng::with_seed(3)
}

/// The number of the target that was got, or what else came.
fn got(acquired: &Acquired, upstream: &Upstream) -> String {
    match acquired {
        Acquired::Got(inflight) => {
            let pool = upstream.pool();
            let place = pool.targets().iter().position(|member| Arc::ptr_eq(&member.target, inflight.target()));
            place.map_or_else(|| "gone".into(), |place| place.to_string())
        }
        Acquired::Tried { .. } => "tried".into(),
        Acquired::Full { .. } => "full".into(),
        Acquired::Empty { hold } => format!("empty, hold: {hold}"),
    }
}

fn acquire(upstream: &Upstream) -> Acquired {
    upstream.acquire(&ask(&[]), &mut rng())
}

#[test]
fn a_slot_is_counted_while_its_guard_lives() {
    let (upstream, _) = upstream(options("round-robin", members(&[1])));
    let guards: Vec<_> = (0..3).map(|_| acquire(&upstream)).collect();
    assert_eq!(upstream.inflight(), 3);
    drop(guards);
    assert_eq!(upstream.inflight(), 0);
}

#[test]
fn a_guard_outlives_its_pool_and_its_upstream() {
    let (upstream, _) = upstream(options("round-robin", members(&[1])));
    let Acquired::Got(inflight) = acquire(&upstream) else { panic!("nothing to pick") };
    upstream.close();
    drop(upstream);
    assert_eq!((inflight.target().inflight(), inflight.generation()), (1, 1));
}

#[test]
fn a_mark_works_before_the_pool_is_rebuilt() {
    let (upstream, _) = upstream(options("round-robin", members(&[1, 1])));
    upstream.pool().targets()[0].target.set(Cause::Draining);
    for _ in 0..10 {
        assert_eq!(got(&acquire(&upstream), &upstream), "1");
    }
}

#[test]
fn the_last_slot_is_got_once() {
    let mut options = options("round-robin", members(&[1]));
    options.max_concurrency = Some(1);
    let (upstream, _) = upstream(options);
    let first = acquire(&upstream);
    assert_eq!(got(&first, &upstream), "0");
    assert_eq!(got(&acquire(&upstream), &upstream), "full");
    drop(first);
    assert_eq!(got(&acquire(&upstream), &upstream), "0");
}

#[test]
fn where_all_were_tried_a_pool_that_is_fed_is_given_time_and_another_picks_again() {
    for (fed, expected) in [(true, "tried"), (false, "0")] {
        let mut options = options("round-robin", members(&[1]));
        options.fed = fed;
        let (upstream, _) = upstream(options);
        let tried = [Arc::clone(&upstream.pool().targets()[0].target)];
        assert_eq!(got(&upstream.acquire(&ask(&tried), &mut rng()), &upstream), expected);
        assert_eq!(upstream.inflight(), 0);
    }
}

#[test]
fn the_next_change_is_noticed_from_before_the_pick_on() {
    let (upstream, _) = upstream(options("round-robin", members(&[1])));
    let tried = [Arc::clone(&upstream.pool().targets()[0].target)];
    let Acquired::Tried { version } = upstream.acquire(&ask(&tried), &mut rng()) else { panic!("not tried") };
    let mut early = Box::pin(upstream.next_change(version));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(early.as_mut().poll(&mut cx).is_pending());
    rebuild(&upstream, |_| {});
    assert!(early.as_mut().poll(&mut cx).is_ready());
    assert!(Box::pin(upstream.next_change(version)).as_mut().poll(&mut cx).is_ready());
}

/// Targets with these causes when the pool is built; whether a request that finds nothing may wait.
fn check_hold(causes: &[&[Cause]], change: impl FnOnce(&mut PoolOptions), expected: &str) {
    let (upstream, _) = upstream(options("round-robin", members(&[1])));
    rebuild(&upstream, |options| {
        options.members = members(&vec![1; causes.len()]);
        for (member, causes) in options.members.iter().zip(causes) {
            causes.iter().for_each(|cause| assert!(member.target.set(*cause)));
        }
        change(options);
    });
    assert_eq!(got(&acquire(&upstream), &upstream), expected, "{causes:?}");
}

#[test]
fn requests_are_held_where_what_is_missing_may_come_back() {
    use Cause::{Active, Draining, Gone, Passive, Refused, Runtime, Starting};
    let (yes, no) = ("empty, hold: true", "empty, hold: false");
    check_hold(&[], |_| {}, yes);
    check_hold(&[&[Draining]], |_| {}, yes);
    check_hold(&[&[Starting], &[Passive]], |_| {}, yes);
    check_hold(&[&[Refused]], |_| {}, yes);
    check_hold(&[&[Gone]], |_| {}, yes);
    check_hold(&[&[Draining, Passive]], |_| {}, yes);
    // Out by verdicts on health alone.
    check_hold(&[&[Passive]], |_| {}, no);
    check_hold(&[&[Active], &[Runtime], &[Gone]], |_| {}, no);
    // Not meant to be picked.
    check_hold(&[&[]], |options| options.members[0].weight = 0, no);
    // Below the threshold.
    check_hold(&[&[], &[Starting]], |options| options.threshold = 60.0, no);
    check_hold(&[&[], &[Starting]], |options| options.threshold = 50.0, "0");
    check_hold(&[&[], &[Draining]], |options| options.threshold = 60.0, "0");
    // Not fed, or switched off.
    check_hold(&[], |options| options.fed = false, no);
    check_hold(&[], |options| options.hold = None, no);
}

#[test]
fn grace_counts_from_when_something_could_last_be_picked() {
    let (upstream, _) = upstream(options("round-robin", members(&[1])));
    let at = |upstream: &Upstream, seconds| {
        let ask = Ask { now: now() + Duration::from_secs(seconds), ..ask(&[]) };
        got(&upstream.acquire(&ask, &mut rng()), upstream)
    };
    rebuild(&upstream, |options| options.members.clear());
    assert_eq!(at(&upstream, 59), "empty, hold: true");
    assert_eq!(at(&upstream, 61), "empty, hold: false");
    // Another pool with nothing in it changes nothing about that.
    rebuild(&upstream, |options| options.generation = 2);
    assert_eq!(at(&upstream, 61), "empty, hold: false");
    // Marked, not yet rebuilt: it could be picked a moment ago.
    rebuild(&upstream, |options| options.members = members(&[1]));
    upstream.pool().targets()[0].target.set(Cause::Draining);
    assert_eq!(at(&upstream, 3600), "empty, hold: true");
}

#[test]
fn a_changed_upstream_is_signalled_once_until_the_control_plane_takes_note() {
    let (upstream, calls) = upstream(options("round-robin", members(&[1])));
    upstream.changed();
    upstream.changed();
    assert_eq!(calls.count(), 1);
    assert!(upstream.take_changed());
    assert!(!upstream.take_changed());
    upstream.changed();
    assert_eq!(calls.count(), 2);
}

#[test]
fn a_closed_upstream_has_nothing_until_it_is_published_again() {
    let (upstream, _) = upstream(options("round-robin", members(&[1])));
    let last = upstream.close();
    assert_eq!(last.targets().len(), 1);
    assert_eq!(got(&acquire(&upstream), &upstream), "empty, hold: false");
    upstream.publish(last);
    assert_eq!(got(&acquire(&upstream), &upstream), "0");
}

#[test]
fn targets_are_counted_by_state() {
    let (upstream, _) = upstream(options("round-robin", members(&[1; 6])));
    let causes = [Cause::Starting, Cause::Draining, Cause::Passive, Cause::Paused, Cause::Gone];
    for (member, cause) in upstream.pool().targets().iter().zip(causes) {
        member.target.set(cause);
    }
    assert_eq!(upstream.counts(), StateCounts { starting: 1, healthy: 1, unhealthy: 2, draining: 1 });
}

#[test]
fn each_owner_sets_and_clears_its_own_causes_alone() {
    let target = target(1);
    assert!(target.set(Cause::Draining));
    assert!(!target.set(Cause::Draining));
    assert!(target.set(Cause::Active));
    let owned = Causes::NONE.with(Cause::Draining).with(Cause::Runtime);
    assert!(target.assign(owned, Causes::NONE.with(Cause::Runtime)));
    assert_eq!(target.causes(), Causes::NONE.with(Cause::Active).with(Cause::Runtime));
    assert!(target.clear(Cause::Active));
    assert!(!target.clear(Cause::Active));
    let _busy = hold_none(&target);
    assert_eq!(target.inflight(), 0);
}

/// A target with a cause gives no slot.
fn hold_none(target: &Arc<Target>) -> Option<InFlight> {
    InFlight::take(target, u32::MAX, Causes::NONE, 1)
}

#[test]
fn verdicts_set_and_clear_their_causes() {
    let rules = CheckRules {
        healthy_statuses: [200].into_iter().collect(),
        successes: 1,
        tcp_failures: 1,
        ..CheckRules::default()
    };
    let target = target(1);
    let causes = |cause| Causes::NONE.with(cause);
    assert_eq!(target.report(&rules, Outcome::TcpFailure), Some(Verdict::Unhealthy));
    assert_eq!(target.causes(), causes(Cause::Passive));
    assert_eq!(target.probed(&rules, Outcome::Status(200)), Some(Verdict::Healthy));
    assert_eq!(target.causes(), Causes::NONE);
    assert_eq!(target.probed(&rules, Outcome::TcpFailure), Some(Verdict::Unhealthy));
    assert_eq!(target.causes(), causes(Cause::Active));
    target.set(Cause::Draining);
    assert_eq!(target.report(&rules, Outcome::Status(200)), Some(Verdict::Healthy));
    assert_eq!(target.causes(), causes(Cause::Draining));
}

#[test]
fn an_operator_overrules_checks_until_they_find_otherwise() {
    let rules = CheckRules {
        healthy_statuses: [200].into_iter().collect(),
        successes: 2,
        tcp_failures: 2,
        ..CheckRules::default()
    };
    let off = CheckRules::default();
    let target = target(1);
    target.report(&rules, Outcome::TcpFailure);
    assert!(target.set_unhealthy());
    assert!(!target.set_unhealthy());
    assert_eq!(target.counters().tcp_failures, 0);
    let manual = Causes::NONE.with(Cause::Manual);
    target.probed(&off, Outcome::Status(200));
    target.report(&off, Outcome::Status(200));
    target.report(&rules, Outcome::TcpFailure);
    assert_eq!(target.probed(&rules, Outcome::Status(200)), None);
    assert_eq!(
        target.causes(),
        manual,
        "where successes do not count it stays out, and where they do one is not enough"
    );
    assert_eq!(target.probed(&rules, Outcome::Status(200)), Some(Verdict::Healthy));
    assert_eq!(target.causes(), Causes::NONE);
    // It overrules what was found before, too.
    target.probed(&rules, Outcome::TcpFailure);
    target.probed(&rules, Outcome::TcpFailure);
    assert!(target.set_unhealthy());
    assert_eq!(target.causes(), manual);
    assert!(target.set_healthy());
    assert_eq!((target.causes(), target.counters()), (Causes::NONE, crate::health::Counters::default()));
    assert!(!target.set_healthy());
}

#[test]
fn opposite_verdicts_at_once_leave_causes_and_counters_agreed() {
    let rules = CheckRules {
        healthy_statuses: [200].into_iter().collect(),
        successes: 1,
        tcp_failures: 1,
        ..CheckRules::default()
    };
    let target = target(1);
    for _ in 0..200 {
        std::thread::scope(|scope| {
            scope.spawn(|| target.report(&rules, Outcome::TcpFailure));
            scope.spawn(|| target.probed(&rules, Outcome::Status(200)));
            scope.spawn(|| target.probed(&rules, Outcome::TcpFailure));
        });
        assert_eq!(target.counters().unhealthy.is_none(), target.causes().is_empty());
    }
}

#[test]
fn a_drained_target_takes_no_request_even_from_many_threads() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    /// Slots that each thread takes before the mark, and again after it.
    const EACH: usize = 2000;
    let (upstream, _) = upstream(options("least-connections", members(&[1, 1])));
    let target = Arc::clone(&upstream.pool().targets()[0].target);
    let (marked, before, ready) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (upstream, target, marked, before, ready) = (&upstream, &target, &marked, &before, &ready);
            scope.spawn(move || {
                let mut rng = WorkerRng::with_seed(seed);
                let (mut early, mut late) = (0, 0);
                while late < EACH {
                    // Read before the slot is asked for: what was asked for earlier may still be of the target.
                    let is_marked = marked.load(Ordering::Acquire);
                    let Acquired::Got(slot) = upstream.acquire(&ask(&[]), &mut rng) else { panic!("one is left") };
                    let is_drained = Arc::ptr_eq(slot.target(), target);
                    assert!(!(is_marked && is_drained), "slot {late} after the mark is the drained target's");
                    before.fetch_add(usize::from(is_drained), Ordering::Relaxed);
                    (early, late) = (early + usize::from(!is_marked), late + usize::from(is_marked));
                    if early == EACH && !is_marked {
                        ready.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while ready.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        target.set(Cause::Draining);
        marked.store(true, Ordering::Release);
    });
    assert!(before.load(Ordering::Relaxed) > EACH, "until then it had about half of them");
    assert_eq!(upstream.inflight(), 0);
}
