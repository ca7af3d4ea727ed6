use super::*;
use crate::model::{Cause, Moment};
use crate::upstream::fixtures::{members, now, options, rebuild, upstream};
use crate::upstream::{Acquired, Ask, PoolOptions, Upstream, WaitLimits, WorkerRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// An upstream whose replicas are gone.
fn deserted(change: impl FnOnce(&mut PoolOptions)) -> Arc<Upstream> {
    let mut options = options("round-robin", Vec::new());
    change(&mut options);
    upstream(options).0
}

fn arrive(upstream: &Upstream, replicas: usize) {
    rebuild(upstream, |options| options.members = members(&vec![1; replicas]));
}

fn wait(upstream: &Arc<Upstream>, worker: u16, deadline: Moment) -> Waiter {
    upstream.wait(1, worker, deadline).expect("there is room")
}

fn poll(waiter: &mut Waiter, now: Moment) -> Poll<WaitOver> {
    waiter.poll_ready(&Context::from_waker(Waker::noop()), now)
}

fn ready(waiters: &mut [Waiter], now: Moment) -> Vec<usize> {
    let mut ready = Vec::new();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        if poll(waiter, now) == Poll::Ready(WaitOver::Try) {
            ready.push(number);
        }
    }
    ready
}

#[test]
fn what_was_held_is_let_go_sixteen_a_replica_and_doubles_with_each_round() {
    let (upstream, now) = (deserted(|_| {}), now());
    let mut waiters: Vec<_> = (0..500).map(|_| wait(&upstream, 0, now + Duration::from_secs(60))).collect();
    assert!(ready(&mut waiters, now).is_empty());
    arrive(&upstream, 2);
    let mut rounds = Vec::new();
    loop {
        let round = ready(&mut waiters, now).len();
        if round == 0 {
            break;
        }
        rounds.push(round);
        waiters.drain(..round).for_each(Waiter::answered);
    }
    assert_eq!(rounds, [32, 64, 128, 256, 20]);
    assert_eq!(upstream.held(), 0);
    // Next time begins small again.
    rebuild(&upstream, |options| options.members.clear());
    let mut waiters: Vec<_> = (0..50).map(|_| wait(&upstream, 0, now + Duration::from_secs(60))).collect();
    arrive(&upstream, 1);
    assert_eq!(ready(&mut waiters, now).len(), 16);
}

#[test]
fn a_turn_that_is_not_used_is_passed_on_without_widening_the_window() {
    let (upstream, now) = (deserted(|_| {}), now());
    let mut waiters: Vec<_> = (0..40).map(|_| wait(&upstream, 0, now + Duration::from_secs(60))).collect();
    arrive(&upstream, 1);
    // Its turn has come, though it has not looked yet.
    drop(waiters.remove(0));
    assert_eq!(ready(&mut waiters, now).len(), 16);
    drop(waiters.remove(0));
    assert_eq!(ready(&mut waiters, now).len(), 16);
    assert_eq!(upstream.held(), 22);
    // One that leaves the queue without a turn makes no room.
    drop(waiters.pop());
    assert_eq!((ready(&mut waiters, now).len(), upstream.held()), (16, 21));
}

#[test]
fn slow_answers_do_not_hold_the_others_up_for_more_than_a_second() {
    let (upstream, now) = (deserted(|_| {}), now());
    let mut waiters: Vec<_> = (0..40).map(|_| wait(&upstream, 0, now + Duration::from_secs(60))).collect();
    arrive(&upstream, 1);
    assert_eq!(ready(&mut waiters, now).len(), 16);
    assert_eq!(ready(&mut waiters, now + Duration::from_millis(900)).len(), 16);
    ready(&mut waiters, now + Duration::from_millis(1000));
    assert_eq!(ready(&mut waiters, now + Duration::from_millis(1000)).len(), 32);
}

#[test]
fn a_cause_that_went_without_a_word_is_noticed_within_a_second() {
    let (upstream, now) = (deserted(|options| options.members = members(&[1])), now());
    let target = Arc::clone(&upstream.pool().targets()[0].target);
    target.set(Cause::Refused);
    let mut waiters = [wait(&upstream, 0, now + Duration::from_secs(60))];
    assert!(ready(&mut waiters, now).is_empty());
    target.clear(Cause::Refused);
    ready(&mut waiters, now + Duration::from_secs(1));
    assert_eq!(ready(&mut waiters, now + Duration::from_secs(1)).len(), 1);
}

#[test]
fn a_cause_that_went_lets_waiters_go_before_the_pool_is_rebuilt() {
    let (upstream, now) = (deserted(|options| options.members = members(&[1])), now());
    let target = Arc::clone(&upstream.pool().targets()[0].target);
    target.set(Cause::Refused);
    let mut waiters = [wait(&upstream, 0, now + Duration::from_secs(60))];
    target.clear(Cause::Refused);
    upstream.changed();
    assert_eq!(ready(&mut waiters, now).len(), 1);
}

#[test]
fn who_comes_to_wait_when_it_is_over_has_a_turn_at_once() {
    let (upstream, now) = (deserted(|_| {}), now());
    arrive(&upstream, 1);
    assert_eq!(ready(&mut [wait(&upstream, 0, now)], now).len(), 1);
}

#[test]
fn the_oldest_deadline_goes_first_and_a_workers_own_where_it_is_not_much_later() {
    let (upstream, now) = (deserted(|_| {}), now());
    let after = |millis| now + Duration::from_millis(millis);
    // Sixteen of worker 0 that go first, then these.
    let mut first: Vec<_> = (0..16).map(|_| wait(&upstream, 0, after(500))).collect();
    let deadlines = [(2, 1000), (1, 1099), (1, 1100), (1, 1250), (2, 1050)];
    let mut waiters = deadlines.map(|(worker, millis)| wait(&upstream, worker, after(millis)));
    arrive(&upstream, 1);
    assert_eq!(ready(&mut first, now).len(), 16);
    let mut order = Vec::new();
    for _ in 0..5 {
        drop(first.pop());
        let ready = ready(&mut waiters, now);
        order.extend(ready.into_iter().filter(|number| !order.contains(number)).collect::<Vec<_>>());
    }
    // Passed on by worker 0, which has none of its own: by deadline alone.
    assert_eq!(order, [0, 4, 1, 2, 3]);

    let own = deserted(|_| {});
    let mut first: Vec<_> = (0..16).map(|_| wait(&own, 1, after(500))).collect();
    let mut waiters = deadlines.map(|(worker, millis)| wait(&own, worker, after(millis)));
    arrive(&own, 1);
    assert_eq!(ready(&mut first, now).len(), 16);
    let mut order = Vec::new();
    for _ in 0..5 {
        drop(first.pop());
        let ready = ready(&mut waiters, now);
        order.extend(ready.into_iter().filter(|number| !order.contains(number)).collect::<Vec<_>>());
    }
    // Worker 1's own at 1099 before the other's at 1000; then 1000 is 100 ms before its next own one, and so on.
    assert_eq!(order, [1, 0, 2, 4, 3]);
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let (upstream, now) = (deserted(|_| {}), now());
    let deadline = now + Duration::from_secs(5);
    let mut waiter = wait(&upstream, 0, deadline);
    assert_eq!(poll(&mut waiter, deadline - Duration::from_millis(1)), Poll::Pending);
    assert_eq!(poll(&mut waiter, deadline), Poll::Ready(WaitOver::TimedOut));
    assert_eq!(poll(&mut waiter, deadline), Poll::Ready(WaitOver::TimedOut));
    assert_eq!(upstream.held(), 0);
}

#[test]
fn waiting_is_bounded_in_number_and_bytes() {
    let limits = |max_requests, max_bytes| {
        deserted(|options| options.hold = Some(WaitLimits { max_requests, max_bytes, timeout: Duration::from_secs(1) }))
    };
    let later = now() + Duration::from_secs(1);
    let number = limits(2, 100);
    let kept: Vec<_> = (0..2).map(|_| wait(&number, 0, later)).collect();
    assert_eq!(number.wait(0, 0, later).err(), Some(Shed::Requests));
    drop(kept);
    assert!(number.wait(0, 0, later).is_ok());

    let bytes = limits(10, 100);
    let kept = bytes.wait(60, 0, later).expect("there is room");
    assert_eq!(bytes.wait(41, 0, later).err(), Some(Shed::Bytes));
    assert!(bytes.wait(40, 0, later).is_ok());
    drop(kept);
    assert!(bytes.wait(100, 0, later).is_ok());
    assert_eq!(deserted(|options| options.hold = None).wait(1, 0, later).err(), Some(Shed::Off));
}

#[test]
fn a_removed_upstream_sends_its_waiters_away() {
    let (upstream, now) = (deserted(|_| {}), now());
    let mut waiter = wait(&upstream, 0, now + Duration::from_secs(60));
    let called = Arc::new(Called::default());
    assert!(waiter.poll_ready(&Context::from_waker(&Waker::from(Arc::clone(&called))), now).is_pending());
    upstream.close();
    assert_eq!(called.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut waiter, now), Poll::Ready(WaitOver::Closed));
    assert_eq!(upstream.held(), 0);
}

#[derive(Default)]
struct Called(AtomicUsize);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn only_those_whose_turn_has_come_are_woken() {
    let (upstream, now) = (deserted(|_| {}), now());
    let called = Arc::new(Called::default());
    let waker = Waker::from(Arc::clone(&called));
    let mut waiters: Vec<_> = (0..100).map(|_| wait(&upstream, 0, now + Duration::from_secs(60))).collect();
    for waiter in &mut waiters {
        assert!(waiter.poll_ready(&Context::from_waker(&waker), now).is_pending());
    }
    arrive(&upstream, 1);
    assert_eq!(called.0.load(Ordering::Relaxed), 16);
}

#[test]
fn threads_that_wait_while_replicas_come_and_go_all_get_through() {
    let upstream = deserted(|_| {});
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let upstream = &upstream;
            scope.spawn(move || {
                let mut rng = WorkerRng::with_seed(u64::from(worker));
                for _ in 0..5_000 {
                    served(upstream, worker, &mut rng);
                }
            });
        }
        for round in 0..2_000 {
            arrive(&upstream, round % 3);
            std::thread::yield_now();
        }
        arrive(&upstream, 1);
    });
    assert_eq!((upstream.held(), upstream.inflight()), (0, 0));
}

/// One request, which waits by parking its thread: a lost wake-up would hang it.
fn served(upstream: &Arc<Upstream>, worker: u16, rng: &mut WorkerRng) {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let start = now();
    let mut turn: Option<Waiter> = None;
    loop {
        match upstream.acquire(&Ask { tried: &[], now: start, key: 0 }, rng) {
            Acquired::Got(inflight) => {
                drop(inflight);
                if let Some(turn) = turn {
                    turn.answered();
                }
                return;
            }
            Acquired::Empty { hold: true } => {}
            other => panic!("{other:?}"),
        }
        let mut waiter = wait(upstream, worker, start + Duration::from_secs(600));
        while waiter.poll_ready(&Context::from_waker(&waker), start).is_pending() {
            std::thread::park();
        }
        turn = Some(waiter);
    }
}

#[test]
fn what_was_held_is_let_go_at_most_as_replicas_may_have_at_a_time() {
    let (upstream, now) = (deserted(|options| options.max_concurrency = Some(3)), now());
    let mut waiters: Vec<_> = (0..50).map(|_| wait(&upstream, 0, now + Duration::from_secs(60))).collect();
    arrive(&upstream, 2);
    assert_eq!(ready(&mut waiters, now).len(), 6);
}
