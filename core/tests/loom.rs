//! Every interleaving of the parts that hand something from one thread to another.
//!
//! The files themselves are compiled a second time here, with loom's atomics and mutex in the place of the real ones: what
//! is checked is the code that runs, not a model of it.
#![expect(clippy::expect_used, reason = "a test may stop")]
#![expect(dead_code, unreachable_pub, reason = "the crate's own files, of which this uses a part")]

#[path = "../src/health/cell.rs"]
mod cell;
#[path = "../src/upstream/waiting/changes.rs"]
mod changes;
#[path = "../src/upstream/waiting/line.rs"]
mod line;
#[path = "../src/upstream/waiting/pace.rs"]
mod pace;
#[path = "../src/upstream/waiting/queue.rs"]
mod queue;
#[path = "../src/upstream/retry_budget.rs"]
mod retry_budget;
#[path = "../src/upstream/settle.rs"]
mod settle;
#[path = "../src/upstream/slots.rs"]
mod slots;

/// The paths by which those files know each other.
mod health {
    pub(super) mod sync {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    }

    pub(crate) use super::cell::HealthCell;
    pub(crate) use plimsoll_core::health::{CheckRules, Checker, Counters, Outcome, Verdict, step};
}

mod upstream {
    pub(super) use super::slots;

    pub(super) mod ticks {
        pub(crate) type Ticks = i64;
    }

    pub(super) mod sync {
        pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

        #[derive(Debug)]
        pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

        impl<T> Mutex<T> {
            pub(crate) fn new(value: T) -> Self {
                Self(loom::sync::Mutex::new(value))
            }

            pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
                self.0.lock().expect("loom's mutex is never poisoned")
            }
        }
    }
}

use changes::Changes;
use health::{CheckRules, Checker, HealthCell, Outcome};
use line::{InLine, InLineFor, Number, Took};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering, fence};
use loom::thread;
use pace::Room;
use plimsoll_core::model::{self, Cause, Moment};
use queue::{Found, Place, Shed, Waiters};
use retry_budget::{RetryBudget, RetryLimits};
use settle::settle;
use slots::Slots;
use std::task::{Wake, Waker};

/// Three preemptions: what loom's authors found to uncover nearly every bug, in seconds where all would take minutes.
const PREEMPTIONS: usize = 3;

fn every_interleaving(of: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(of);
}

/// Wakes a thread that waits; loom finds the interleavings in which nobody calls it.
struct Call(loom::sync::Notify);

impl Wake for Call {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.notify();
    }
}

fn waker() -> (std::sync::Arc<Call>, Waker) {
    let call = std::sync::Arc::new(Call(loom::sync::Notify::new()));
    (std::sync::Arc::clone(&call), Waker::from(call))
}

/// What an upstream does around the queue: `Upstream::wait`, `Upstream::publish`, `Waiter`.
struct Hold {
    waiters: Waiters,
    pickable: AtomicBool,
}

impl Hold {
    /// One request a round, so that turns have to be passed on.
    fn new() -> Arc<Self> {
        Arc::new(Self { waiters: Waiters::new(1), pickable: AtomicBool::new(false) })
    }

    fn room(&self) -> Room {
        Room { replicas: u32::from(self.pickable.load(Ordering::Relaxed)), each: 1 }
    }

    fn wait(&self) -> Result<Place, Shed> {
        let place = self.waiters.enter(0, 0, 1, (10, 10))?;
        fence(Ordering::SeqCst);
        self.waiters.let_go(self.room(), None);
        Ok(place)
    }

    fn publish(&self) {
        self.pickable.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.waiters.count() > 0 {
            self.waiters.let_go(self.room(), None);
        }
    }

    fn until_over(&self, place: Place) -> Found {
        let (call, waker) = waker();
        loop {
            match self.waiters.look(place, &waker, 0) {
                Found::Waiting { .. } => call.0.wait(),
                over => return over,
            }
        }
    }
}

#[test]
fn who_waits_while_a_pool_is_published_gets_a_turn() {
    every_interleaving(|| {
        let hold = Hold::new();
        let publisher = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || hold.publish())
        };
        let place = hold.wait().expect("there is room");
        assert_eq!(hold.until_over(place), Found::Turn);
        publisher.join().expect("no panic");
    });
}

#[test]
fn a_turn_that_is_over_goes_to_the_next() {
    every_interleaving(|| {
        let hold = Hold::new();
        let other = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || {
                let place = hold.wait().expect("there is room");
                assert_eq!(hold.until_over(place), Found::Turn);
                hold.waiters.done(false, hold.room(), 0);
            })
        };
        hold.publish();
        let place = hold.wait().expect("there is room");
        assert_eq!(hold.until_over(place), Found::Turn);
        hold.waiters.done(false, hold.room(), 0);
        other.join().expect("no panic");
        assert_eq!(hold.waiters.count(), 0);
    });
}

#[test]
fn who_leaves_as_its_turn_comes_passes_it_on() {
    every_interleaving(|| {
        let hold = Hold::new();
        let leaver = hold.wait().expect("there is room");
        let leaving = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || {
                if !hold.waiters.leave(leaver) {
                    hold.waiters.done(false, hold.room(), 0);
                }
            })
        };
        let publisher = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || hold.publish())
        };
        let place = hold.wait().expect("there is room");
        assert_eq!(hold.until_over(place), Found::Turn);
        leaving.join().expect("no panic");
        publisher.join().expect("no panic");
    });
}

#[test]
fn nobody_is_left_behind_when_an_upstream_closes() {
    every_interleaving(|| {
        let hold = Hold::new();
        let closing = {
            let hold = Arc::clone(&hold);
            thread::spawn(move || hold.waiters.close())
        };
        match hold.wait() {
            Ok(place) => assert_eq!(hold.until_over(place), Found::Closed),
            Err(shed) => assert_eq!(shed, Shed::Closed),
        }
        closing.join().expect("no panic");
        assert_eq!(hold.waiters.count(), 0);
    });
}

#[test]
fn a_change_wakes_who_waits_for_the_next_one() {
    every_interleaving(|| {
        let changes = Arc::new(Changes::new());
        let seen = changes.version();
        let changing = {
            let changes = Arc::clone(&changes);
            thread::spawn(move || changes.bump())
        };
        let (call, waker) = waker();
        let mut number = None;
        while !changes.poll(seen, &mut number, &waker) {
            call.0.wait();
        }
        changing.join().expect("no panic");
    });
}

#[test]
fn a_target_that_is_marked_and_shows_nothing_in_flight_gets_nothing_more() {
    every_interleaving(|| {
        let slots = Arc::new(Slots::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let draining = {
            let (slots, stopped) = (Arc::clone(&slots), Arc::clone(&stopped));
            thread::spawn(move || {
                assert!(slots.replace(1, 1));
                if slots.inflight() == 0 {
                    stopped.store(true, Ordering::Release);
                }
            })
        };
        if slots.take(u32::MAX, 0) {
            assert!(!stopped.load(Ordering::Acquire), "a request on a target that was stopped");
            slots.free();
        }
        draining.join().expect("no panic");
        assert_eq!(slots.inflight(), 0);
        assert!(!slots.take(u32::MAX, 0));
    });
}

#[test]
fn the_last_slot_is_taken_once_and_marks_survive_it() {
    every_interleaving(|| {
        let slots = Arc::new(Slots::new(0));
        let other = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots.take(1, 0))
        };
        let marking = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots.replace(4, 4))
        };
        let taken = [slots.take(1, 0), other.join().expect("no panic")];
        assert!(marking.join().expect("no panic"));
        let count = taken.into_iter().filter(|taken| *taken).count();
        assert!(count <= 1);
        assert_eq!((slots.inflight() as usize, slots.causes()), (count, 4));
    });
}

/// What an upstream does around the line: `Upstream::acquire`, `Upstream::wait_for_slot`, `InFlight`.
struct OneSlot {
    slots: Slots,
    line: InLineFor<(), ()>,
}

impl OneSlot {
    fn taken() -> Arc<Self> {
        let one = Self { slots: Slots::new(0), line: InLineFor::new() };
        assert!(one.slots.take(1, 0));
        Arc::new(one)
    }

    fn hand_over(&self) {
        self.line.hand_over(|(), _, _| if self.slots.take(1, 0) { Took::Slot(()) } else { Took::Full });
    }

    fn free(&self) {
        self.slots.free();
        fence(Ordering::SeqCst);
        if self.line.count() > 0 {
            self.hand_over();
        }
    }

    fn enter(&self) -> Number {
        let place = self.line.enter((), 0, (0, 1), (10, 10)).expect("there is room");
        fence(Ordering::SeqCst);
        self.hand_over();
        place
    }

    fn until_slot(&self, place: Number) {
        let (call, waker) = waker();
        loop {
            match self.line.look(place, &waker, 0) {
                InLine::Waiting => call.0.wait(),
                over => return assert!(matches!(over, InLine::Slot(()))),
            }
        }
    }
}

#[test]
fn a_slot_that_is_freed_while_somebody_gets_in_line_is_handed_over() {
    every_interleaving(|| {
        let one = OneSlot::taken();
        let other = {
            let one = Arc::clone(&one);
            thread::spawn(move || one.free())
        };
        let place = one.enter();
        one.until_slot(place);
        other.join().expect("no panic");
        assert_eq!((one.slots.inflight(), one.line.count()), (1, 0));
    });
}

#[test]
fn who_leaves_the_line_as_a_slot_comes_passes_it_on() {
    every_interleaving(|| {
        let one = OneSlot::taken();
        let (first, second) = (one.enter(), one.enter());
        let other = {
            let one = Arc::clone(&one);
            thread::spawn(move || one.free())
        };
        if one.line.leave(first).is_some() {
            one.free();
        }
        one.until_slot(second);
        other.join().expect("no panic");
        assert_eq!((one.slots.inflight(), one.line.count()), (1, 0));
    });
}

/// A target's health word and its causes: `Target::report`, `Target::set_healthy`, `Target::set_unhealthy`.
struct Checked {
    health: HealthCell,
    slots: Slots,
}

impl Checked {
    fn new() -> Arc<Self> {
        Arc::new(Self { health: HealthCell::default(), slots: Slots::new(0) })
    }

    fn set(&self, unhealthy: Option<Checker>) {
        self.health.reset(unhealthy);
        settle(&self.health, &self.slots);
    }

    fn fail(&self) {
        // One failure tips it over.
        let rules = CheckRules { tcp_failures: 1, ..CheckRules::default() };
        if self.health.report(Checker::Passive, &rules, Outcome::TcpFailure).is_some() {
            settle(&self.health, &self.slots);
        }
    }

    fn assert_settled(&self) {
        let causes = match self.health.counters().unhealthy {
            None => 0,
            Some(Checker::Active) => Cause::Active as u32,
            Some(Checker::Passive) => Cause::Passive as u32,
            Some(Checker::Operator) => Cause::Manual as u32,
        };
        assert_eq!(self.slots.causes(), causes);
    }
}

#[test]
fn of_two_opposite_verdicts_the_causes_follow_the_later_one() {
    every_interleaving(|| {
        let checked = Checked::new();
        let other = {
            let checked = Arc::clone(&checked);
            thread::spawn(move || checked.fail())
        };
        checked.set(None);
        other.join().expect("no panic");
        checked.assert_settled();
    });
}

#[test]
fn an_operators_word_and_a_checks_end_in_one_cause() {
    every_interleaving(|| {
        let checked = Checked::new();
        let other = {
            let checked = Arc::clone(&checked);
            thread::spawn(move || checked.fail())
        };
        checked.set(Some(Checker::Operator));
        other.join().expect("no panic");
        checked.assert_settled();
    });
}

fn budget(ratio: f64) -> RetryBudget {
    let budget = RetryBudget::new();
    budget.set(Some(RetryLimits { ratio, min_per_second: 0 }));
    budget
}

const fn at(second: u64) -> Moment {
    Moment::from_micros(second * 1_000_000)
}

#[test]
fn two_workers_do_not_both_draw_the_last_repeat_and_one_that_was_refused_leaves_nothing_behind() {
    every_interleaving(|| {
        let budget = Arc::new(budget(1.0));
        budget.request(at(0));
        let other = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.draw(at(0)))
        };
        let drawn = usize::from(budget.draw(at(0))) + usize::from(other.join().expect("no panic"));
        assert!(drawn <= 1, "more than there is");
        assert_eq!(drawn + usize::from(budget.draw(at(0))), 1);
    });
}

#[test]
fn no_request_is_lost_while_a_place_goes_on_to_its_next_second() {
    every_interleaving(|| {
        let budget = Arc::new(budget(1.0));
        budget.request(at(0));
        let other = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.request(at(10)))
        };
        budget.request(at(10));
        other.join().expect("no panic");
        // The first one has left the window; the two that came at the same time have not.
        assert_eq!((0..3).filter(|_| budget.draw(at(10))).count(), 2);
    });
}
