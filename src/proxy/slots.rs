//! Deadlines and interruptions of a worker's connections: a slot each, in one slab, swept by the worker's tick.
//!
//! No timer is armed or dropped per request: arming is a store. So timeouts are true to a tick (100 ms), never early. The
//! slab also knows which target each attempt is on, so that attempts are given up at once when their target vanishes.

use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::Target;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Length of a tick.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Why a wait ended before what was waited for came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// The deadline of this wait has passed.
    TimedOut,
    /// The deadline of the whole request has passed.
    RequestTimedOut,
    /// The target vanished: dead, paused, cut off.
    GivenUp,
    /// Others need the memory in which it has kept the same bytes for long.
    Overloaded,
    /// The worker drains and this connection is idle, or the drain's time is over.
    Drained,
}

/// What a slot's connection is doing, which decides how a drain treats it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// The slot is free.
    #[default]
    None,
    /// An HTTP/1 connection waits for a request.
    Idle,
    /// An HTTP/2 connection: told to end, it finishes its streams by itself.
    Http2,
    /// A WebSocket: told to end, it says so to its client.
    WebSocket,
    /// Something is under way.
    Busy,
}

#[derive(Default)]
struct Entry {
    /// Tick at which the wait ends; 0: none.
    deadline: Cell<u32>,
    /// Tick at which the request ends; 0: none.
    request_deadline: Cell<u32>,
    interrupt: Cell<Option<Interrupt>>,
    waker: RefCell<Option<Waker>>,
    target: RefCell<Option<Arc<Target>>>,
    role: Cell<Role>,
    /// Tick since which a client does not take what is kept for it; 0: nothing is.
    stalled: Cell<u32>,
    /// Bytes of memory that this takes.
    kept: Cell<usize>,
}

/// All slots of a worker.
#[derive(Default)]
pub(crate) struct Slots {
    entries: RefCell<Vec<Rc<Entry>>>,
    free: RefCell<Vec<usize>>,
    now: Cell<u32>,
}

/// A connection's or stream's slot. Free again when dropped.
pub(crate) struct Slot {
    slots: Rc<Slots>,
    entry: Rc<Entry>,
    index: usize,
}

/// Ticks that a duration takes, rounded up, and one more since the current tick has partly passed.
fn ticks(duration: Duration) -> u32 {
    const PER_SECOND: u64 = 10;
    const EACH: u32 = 100;
    debug_assert_eq!(TICK, Duration::from_millis(EACH.into()));
    let ticks = duration.as_secs().saturating_mul(PER_SECOND) + u64::from(duration.subsec_millis().div_ceil(EACH));
    u32::try_from(ticks).unwrap_or(u32::MAX / 2).saturating_add(1)
}

impl Slots {
    /// A new slot.
    #[must_use]
    pub(crate) fn open(self: &Rc<Self>) -> Slot {
        let free = self.free.borrow_mut().pop();
        let mut entries = self.entries.borrow_mut();
        let index = free.unwrap_or_else(|| {
            entries.push(Rc::default());
            entries.len() - 1
        });
        // An index from `free`, or the one that was just pushed.
        let entry = entries.get(index).map(Rc::clone).unwrap_or_default();
        entry.role.set(Role::Busy);
        Slot { slots: Rc::clone(self), entry, index }
    }

    /// The current tick, from 1.
    #[must_use]
    pub(crate) fn tick(&self) -> u32 {
        self.now.get()
    }

    /// How many ticks from now a duration ends.
    #[must_use]
    pub(crate) fn after(&self, duration: Duration) -> u32 {
        self.now.get().saturating_add(ticks(duration))
    }

    /// Counts the tick up and wakes what is over time.
    pub(crate) fn sweep(&self) {
        let now = self.now.get() + 1;
        self.now.set(now);
        for entry in self.entries.borrow().iter() {
            let due = |deadline: &Cell<u32>| deadline.get() != 0 && deadline.get() <= now;
            if due(&entry.deadline) {
                entry.interrupt_with(Interrupt::TimedOut);
            } else if due(&entry.request_deadline) {
                entry.interrupt_with(Interrupt::RequestTimedOut);
            }
        }
    }

    /// Gives up the attempts whose targets vanished. Called when the control plane says that some did.
    pub(crate) fn give_up_cut_off(&self) {
        for entry in self.entries.borrow().iter() {
            let cut_off =
                entry.target.borrow().as_ref().is_some_and(|target| target.causes().intersects(Causes::CUT_OFF));
            if cut_off {
                entry.interrupt_with(Interrupt::GivenUp);
            }
        }
    }

    /// Gives up those who have kept the same bytes waiting for longest, and longer than `after` ticks, until that frees so much.
    pub(crate) fn cut_stalled(&self, mut excess: usize, after: u32) {
        let now = self.now.get();
        let entries = self.entries.borrow();
        let is_old = |entry: &&Rc<Entry>| (1..now.saturating_sub(after)).contains(&entry.stalled.get());
        let mut stalled: Vec<_> = entries.iter().filter(is_old).collect();
        stalled.sort_by_key(|entry| entry.stalled.get());
        for entry in stalled {
            if excess == 0 {
                return;
            }
            excess = excess.saturating_sub(entry.kept.get());
            entry.stalled.set(0);
            entry.interrupt_with(Interrupt::Overloaded);
        }
    }

    /// Ends connections in that role; busy ones are cut.
    pub(crate) fn drain(&self, role: Role) {
        for entry in self.entries.borrow().iter() {
            if entry.role.get() == role {
                entry.interrupt_with(Interrupt::Drained);
            }
        }
    }

    /// How many slots are in use.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len() - self.free.borrow().len()
    }

    /// Whether none is in use.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Entry {
    fn interrupt_with(&self, why: Interrupt) {
        // Who waits a pause out waits no longer for it.
        if why != Interrupt::GivenUp {
            self.deadline.set(0);
        }
        if why == Interrupt::RequestTimedOut {
            self.request_deadline.set(0);
        }
        self.interrupt.set(Some(why));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Slot {
    /// Bounds the next wait, and forgets an interruption of the last one unless it still holds.
    #[inline]
    pub(crate) fn arm(&self, after: Duration) {
        self.entry.deadline.set(self.slots.after(after));
        if self.entry.interrupt.get() == Some(Interrupt::TimedOut) {
            self.entry.interrupt.set(None);
        }
    }

    /// Takes the bound of the wait off.
    #[inline]
    pub(crate) fn disarm(&self) {
        self.entry.deadline.set(0);
        if self.entry.interrupt.get() == Some(Interrupt::TimedOut) {
            self.entry.interrupt.set(None);
        }
    }

    /// Forgets whatever interrupted the last wait.
    pub(crate) fn forget(&self) {
        self.entry.interrupt.set(None);
    }

    /// Bounds the whole request, or takes that bound off.
    pub(crate) fn arm_request(&self, after: Option<Duration>) {
        self.entry.request_deadline.set(after.map_or(0, |after| self.slots.after(after)));
        if self.entry.interrupt.get() == Some(Interrupt::RequestTimedOut) {
            self.entry.interrupt.set(None);
        }
    }

    /// Says which target the attempt is on, so that it can be given up; `None`: on none.
    #[inline]
    pub(crate) fn on_target(&self, target: Option<&Arc<Target>>) {
        *self.entry.target.borrow_mut() = target.map(Arc::clone);
        if self.entry.interrupt.get() == Some(Interrupt::GivenUp) {
            self.entry.interrupt.set(None);
        }
    }

    /// Whether what was given up may go on: its target is but paused (or no longer even that), and finishes what it has when
    /// that is over. The interruption is forgotten then, and the wait's bound still holds.
    pub(crate) fn waits_out_pause(&self) -> bool {
        const FOR_GOOD: Causes = Causes::NONE.with(Cause::Disconnected).with(Cause::Gone);
        let is_there = |target: &Arc<Target>| !target.causes().intersects(FOR_GOOD);
        let waits = self.entry.interrupt.get() == Some(Interrupt::GivenUp)
            && self.entry.target.borrow().as_ref().is_some_and(is_there);
        if waits {
            self.entry.interrupt.set(None);
        }
        waits
    }

    /// Says that so many bytes of memory are kept until the client takes what is in them. What was said so before holds on.
    pub(crate) fn stalls(&self, kept: usize) {
        if self.entry.stalled.get() == 0 {
            self.entry.stalled.set(self.slots.now.get().max(1));
            self.entry.kept.set(kept);
        }
    }

    /// The client has taken it.
    #[inline]
    pub(crate) fn flows(&self) {
        self.entry.stalled.set(0);
        if self.entry.interrupt.get() == Some(Interrupt::Overloaded) {
            self.entry.interrupt.set(None);
        }
    }

    /// Says what the connection is doing.
    #[inline]
    pub(crate) fn set_role(&self, role: Role) {
        self.entry.role.set(role);
    }

    /// Ready when the wait is interrupted. Registers the task otherwise.
    #[inline]
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Interrupt> {
        if let Some(interrupt) = self.entry.interrupt.get() {
            return Poll::Ready(interrupt);
        }
        let mut waker = self.entry.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let entry = &self.entry;
        entry.deadline.set(0);
        entry.request_deadline.set(0);
        entry.interrupt.set(None);
        entry.role.set(Role::None);
        entry.stalled.set(0);
        entry.waker.borrow_mut().take();
        entry.target.borrow_mut().take();
        self.slots.free.borrow_mut().push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn poll(slot: &Slot) -> Poll<Interrupt> {
        slot.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        let slots = Rc::new(Slots::default());
        let slot = slots.open();
        slot.arm(Duration::from_millis(150));
        for _ in 0..2 {
            slots.sweep();
            assert!(poll(&slot).is_pending());
        }
        slots.sweep();
        assert_eq!(poll(&slot), Poll::Ready(Interrupt::TimedOut));
        slot.arm(Duration::from_secs(1));
        assert!(poll(&slot).is_pending());
    }

    #[test]
    fn a_request_deadline_survives_new_waits() {
        let slots = Rc::new(Slots::default());
        let slot = slots.open();
        slot.arm_request(Some(Duration::from_millis(100)));
        slots.sweep();
        slot.arm(Duration::from_secs(9));
        slots.sweep();
        assert_eq!(poll(&slot), Poll::Ready(Interrupt::RequestTimedOut));
        slot.arm(Duration::from_secs(9));
        assert_eq!(poll(&slot), Poll::Ready(Interrupt::RequestTimedOut));
        slot.arm_request(None);
        assert!(poll(&slot).is_pending());
    }

    #[test]
    fn what_waits_a_pause_out_waits_no_longer_for_it() {
        let slots = Rc::new(Slots::default());
        let slot = slots.open();
        slot.arm(Duration::from_millis(200));
        slots.sweep();
        slot.entry.interrupt_with(Interrupt::GivenUp);
        slot.forget();
        slots.sweep();
        assert!(poll(&slot).is_pending());
        slots.sweep();
        assert_eq!(poll(&slot), Poll::Ready(Interrupt::TimedOut));
    }

    #[test]
    fn a_closed_slot_is_used_again_and_remembers_nothing() {
        let slots = Rc::new(Slots::default());
        let slot = slots.open();
        slot.arm(Duration::ZERO);
        slots.sweep();
        drop(slot);
        assert!(slots.is_empty());
        let slot = slots.open();
        slots.sweep();
        assert!(poll(&slot).is_pending());
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn those_who_take_nothing_for_longest_are_given_up_first_and_no_more_than_need_be() {
        let slots = Rc::new(Slots::default());
        let opened: Vec<Slot> = (0..4)
            .map(|_| {
                let slot = slots.open();
                slots.sweep();
                slot.stalls(100);
                slot
            })
            .collect();
        opened[0].flows();
        opened[0].stalls(100);
        opened[3].flows();
        let cut = || opened.iter().map(|slot| poll(slot) == Poll::Ready(Interrupt::Overloaded)).collect::<Vec<_>>();
        slots.cut_stalled(usize::MAX, 9);
        assert_eq!(cut(), [false; 4], "none has for so long");
        (0..10).for_each(|_| slots.sweep());
        opened[1].stalls(100);
        slots.cut_stalled(150, 9);
        assert_eq!(cut(), [false, true, true, false], "the first has begun anew");
        opened[1].flows();
        assert_eq!(cut(), [false, false, true, false], "it was taken before the task was woken");
        slots.cut_stalled(1, 9);
        assert_eq!(cut(), [true, false, true, false]);
    }

    #[test]
    fn draining_ends_idle_connections_first() {
        let slots = Rc::new(Slots::default());
        let (idle, busy) = (slots.open(), slots.open());
        idle.set_role(Role::Idle);
        slots.drain(Role::Idle);
        assert_eq!(poll(&idle), Poll::Ready(Interrupt::Drained));
        assert!(poll(&busy).is_pending());
        slots.drain(Role::Busy);
        assert_eq!(poll(&busy), Poll::Ready(Interrupt::Drained));
    }
}
