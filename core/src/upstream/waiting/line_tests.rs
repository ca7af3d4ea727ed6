use super::*;
use crate::model::{Cause, Moment};
use crate::upstream::fixtures::{members, now, options, rebuild, upstream};
use crate::upstream::{Acquired, Ask, InFlight, Upstream, WaitLimits, WorkerRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// An upstream with one target that takes one request, and who has it.
fn full() -> (Arc<Upstream>, InFlight) {
    let mut options = options("least-connections", members(&[1]));
    options.max_concurrency = Some(1);
    options.queue = options.hold;
    let upstream = upstream(options).0;
    let Acquired::Got(slot) = acquire(&upstream) else { panic!("the target is free") };
    (upstream, slot)
}

fn acquire(upstream: &Upstream) -> Acquired {
    upstream.acquire(&Ask { tried: &[], now: now(), key: 0 }, &mut WorkerRng::with_seed(1))
}

fn in_line(upstream: &Arc<Upstream>, now: Moment) -> SlotWaiter {
    upstream.wait_for_slot(&[], 1, (now, now + Duration::from_secs(60))).expect("there is room")
}

/// Who got a slot, in the order in which each passes it on.
fn served(waiters: Vec<SlotWaiter>, now: Moment) -> Vec<usize> {
    let mut waiters: Vec<_> = waiters.into_iter().map(Some).collect();
    let mut order = Vec::new();
    while let Some(number) = waiters.iter_mut().position(|waiter| {
        let poll = waiter.as_mut().map(|waiter| waiter.poll_slot(&Context::from_waker(Waker::noop()), now));
        matches!(poll, Some(Poll::Ready(SlotOver::Slot(_))))
    }) {
        order.push(number);
        waiters[number] = None;
    }
    order
}

#[test]
fn a_slot_goes_to_the_oldest_and_nobody_who_comes_later_gets_ahead() {
    let (upstream, slot) = full();
    let waiters: Vec<_> = (0..3).map(|_| in_line(&upstream, now())).collect();
    assert!(matches!(acquire(&upstream), Acquired::Full { queue: true }));
    drop(slot);
    assert!(matches!(acquire(&upstream), Acquired::Full { queue: true }), "it is handed over");
    assert_eq!(served(waiters, now()), [0, 1, 2]);
    assert_eq!((upstream.queued(), upstream.inflight()), (0, 0));
}

#[test]
fn who_has_tried_a_target_waits_for_another_and_lets_the_next_have_it() {
    let mut options = options("round-robin", members(&[1, 1]));
    options.max_concurrency = Some(1);
    options.queue = options.hold;
    let upstream = upstream(options).0;
    let slots = [(); 2].map(|()| match acquire(&upstream) {
        Acquired::Got(slot) => slot,
        other => panic!("{other:?}"),
    });
    let targets = slots.each_ref().map(|slot| Arc::clone(slot.target()));
    let [first, second] = slots;
    let times = (now(), now() + Duration::from_secs(60));
    let mut picky = upstream.wait_for_slot(&targets[..1], 1, times).expect("there is room");
    let mut next = in_line(&upstream, now());
    drop(first);
    let poll = |waiter: &mut SlotWaiter| match waiter.poll_slot(&Context::from_waker(Waker::noop()), now()) {
        Poll::Ready(SlotOver::Slot(slot)) => Some(slot),
        _ => None,
    };
    assert!(poll(&mut picky).is_none(), "it failed there");
    let got = poll(&mut next).expect("the next one has no reason not to");
    assert!(Arc::ptr_eq(got.target(), &targets[0]));
    drop(second);
    let got = poll(&mut picky).expect("the other's slot");
    assert!(Arc::ptr_eq(got.target(), &targets[1]));
}

#[test]
fn where_every_target_was_tried_any_will_do() {
    let (upstream, slot) = full();
    let tried = [Arc::clone(slot.target())];
    let mut waiter =
        upstream.wait_for_slot(&tried, 1, (now(), now() + Duration::from_secs(60))).expect("there is room");
    drop(slot);
    let over = waiter.poll_slot(&Context::from_waker(Waker::noop()), now());
    assert!(matches!(over, Poll::Ready(SlotOver::Slot(_))), "{over:?}");
}

#[test]
fn once_it_is_overloaded_the_newest_goes_first() {
    let (upstream, slot) = full();
    let (began, later) = (now(), now() + Duration::from_secs(7));
    let waiters = vec![in_line(&upstream, began), in_line(&upstream, began), in_line(&upstream, later)];
    drop(slot);
    assert_eq!(served(waiters, later), [2, 1, 0]);
    // The line was empty: the oldest again.
    let Acquired::Got(slot) = acquire(&upstream) else { panic!("the target is free") };
    let waiters = vec![in_line(&upstream, later), in_line(&upstream, later)];
    drop(slot);
    assert_eq!(served(waiters, later), [0, 1]);
}

#[test]
fn those_in_line_are_sent_on_when_every_target_is_out() {
    let (upstream, slot) = full();
    let mut waiter = in_line(&upstream, now());
    slot.target().set(Cause::Draining);
    upstream.changed();
    let over = waiter.poll_slot(&Context::from_waker(Waker::noop()), now());
    assert!(matches!(over, Poll::Ready(SlotOver::Again)), "{over:?}");
}

#[test]
fn a_line_is_bounded_and_ends_with_its_upstream() {
    let (upstream, _slot) = full();
    let limits = WaitLimits { max_requests: 2, max_bytes: 10, timeout: Duration::from_secs(1) };
    rebuild(&upstream, |options| options.queue = Some(limits));
    let times = (now(), now() + Duration::from_secs(1));
    let mut first = upstream.wait_for_slot(&[], 6, times).expect("there is room");
    assert_eq!(upstream.wait_for_slot(&[], 6, times).err(), Some(Shed::Bytes));
    let _second = upstream.wait_for_slot(&[], 1, times).expect("there is room");
    assert_eq!(upstream.wait_for_slot(&[], 1, times).err(), Some(Shed::Requests));
    drop(upstream.close());
    let over = first.poll_slot(&Context::from_waker(Waker::noop()), times.0);
    assert!(matches!(over, Poll::Ready(SlotOver::Closed)), "{over:?}");
}

#[test]
fn threads_that_wait_for_slots_all_get_one_and_never_more_than_there_are() {
    let mut options = options("round-robin", members(&[1, 1]));
    options.max_concurrency = Some(2);
    options.queue = Some(WaitLimits { max_requests: 100, max_bytes: 100, timeout: Duration::from_secs(60) });
    let upstream = upstream(options).0;
    let most = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let slot = match acquire(&upstream) {
                        Acquired::Got(slot) => slot,
                        _ => until_slot(&upstream),
                    };
                    let target = slot.target().inflight() as usize;
                    most.fetch_max(target, Ordering::Relaxed);
                    drop(slot);
                }
            });
        }
    });
    assert_eq!((upstream.queued(), upstream.inflight()), (0, 0));
    assert!(most.into_inner() <= 2);
}

/// Waits in this thread.
fn until_slot(upstream: &Arc<Upstream>) -> InFlight {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut waiter = in_line(upstream, now());
    loop {
        match waiter.poll_slot(&Context::from_waker(&waker), now()) {
            Poll::Ready(SlotOver::Slot(slot)) => return slot,
            Poll::Ready(over) => panic!("{over:?}"),
            Poll::Pending => std::thread::park_timeout(Duration::from_secs(20)),
        }
    }
}
