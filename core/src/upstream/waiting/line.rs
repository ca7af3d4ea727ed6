//! The line before an upstream whose targets all have as many requests in flight as they may.
//!
//! A slot that is freed goes to one who waits: it is taken for it, under the line's mutex, before anybody else can. Who
//! comes while others wait goes to the end of the line. One who has tried a target already, in vain, waits for another's slot,
//! and lets those behind it have that one's.
//!
//! The oldest goes first, until it has waited for a tenth of what it may: then more comes than can be served, all who are
//! served would soon have waited for nearly the whole `timeout`, and their clients may have given up. From then on the newest
//! goes first, so that most of those who are served are served at once, and the others are told in time (adaptive LIFO:
//! Maurer, "Fail at Scale", ACM Queue 13(8), 2015). A line that is short, if never empty, stays as it was.

use super::queue::Shed;
use crate::upstream::sync::{AtomicUsize, Mutex, Ordering};
use crate::upstream::ticks::Ticks;
use std::collections::BTreeMap;
use std::task::Waker;

/// Those who may be passed over at a time, since what is free is not for them.
const PASSED_OVER: usize = 64;
/// The part of its time after which one who waits has waited for long.
const LONG: Ticks = 10;

/// What trying to take a slot came to.
#[derive(Debug)]
pub(crate) enum Took<G> {
    /// This one.
    Slot(G),
    /// Those that are free are what this one avoids.
    NotThis,
    /// All are taken.
    Full,
    /// There is nothing to wait for here.
    Empty,
}

/// What one who waits finds when it looks.
#[derive(Debug)]
pub(crate) enum InLine<G> {
    /// It still waits.
    Waiting,
    /// A slot.
    Slot(G),
    /// Its deadline has passed; it no longer waits.
    Late,
    /// Ask anew: there is something else to wait for now.
    Again,
    /// The upstream was removed.
    Closed,
}

/// How one who waits is known: by the order in which they came.
pub(crate) type Number = u64;

#[derive(Debug)]
struct Waiting<A> {
    bytes: u64,
    deadline: Ticks,
    /// When it has waited for long.
    long: Ticks,
    /// What it would rather not get.
    avoids: A,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Line<G, A> {
    waiting: BTreeMap<Number, Waiting<A>>,
    /// Slots that were taken for those who left the line, until they look.
    granted: BTreeMap<Number, G>,
    bytes: u64,
    entered: Number,
    closed: bool,
    /// The latest time that anybody brought along: whoever frees a slot has no clock.
    now: Ticks,
    /// Attempts to take a slot, which makes each look for it at another place.
    looks: u64,
}

/// Those who wait for a slot, `G`, and what each avoids.
#[derive(Debug)]
pub(crate) struct InLineFor<G, A> {
    /// How many wait, for those who would rather not take the mutex.
    count: AtomicUsize,
    line: Mutex<Line<G, A>>,
}

impl<G, A> InLineFor<G, A> {
    pub(crate) fn new() -> Self {
        let line = Line {
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            bytes: 0,
            entered: 0,
            closed: false,
            now: Ticks::MIN,
            looks: 0,
        };
        Self { count: AtomicUsize::new(0), line: Mutex::new(line) }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Goes to the end of the line. The caller then calls [`Self::hand_over`], after a fence: a slot may have been freed
    /// since it looked.
    pub(crate) fn enter(
        &self,
        avoids: A,
        bytes: u64,
        (now, deadline): (Ticks, Ticks),
        (max_requests, max_bytes): (u32, u64),
    ) -> Result<Number, Shed> {
        let mut line = self.line.lock();
        if line.closed {
            return Err(Shed::Closed);
        }
        if line.waiting.len() >= max_requests as usize {
            return Err(Shed::Requests);
        }
        if line.bytes.saturating_add(bytes) > max_bytes {
            return Err(Shed::Bytes);
        }
        let number = line.entered;
        line.entered += 1;
        line.bytes += bytes;
        let long = now + (deadline - now) / LONG;
        line.waiting.insert(number, Waiting { bytes, deadline, long, avoids, waker: None });
        line.now = line.now.max(now);
        self.count.store(line.waiting.len(), Ordering::SeqCst);
        Ok(number)
    }

    /// Gives slots to those who wait, whose turn comes first, as long as `take` gets one. It is told what the one avoids, gets
    /// another number each time, and the latest time that is known here.
    pub(crate) fn hand_over(&self, mut take: impl FnMut(&A, u64, Ticks) -> Took<G>) {
        let mut called = Vec::new();
        let mut line = self.line.lock();
        let mut passed_over = 0;
        while let Some(number) = line.next(passed_over) {
            line.looks += 1;
            let (looks, now) = (line.looks, line.now);
            let Some(waiting) = line.waiting.get(&number) else { break };
            match take(&waiting.avoids, looks, now) {
                Took::Slot(slot) => {
                    called.extend(self.remove(&mut line, number));
                    line.granted.insert(number, slot);
                }
                // There is one, but not for this one.
                Took::NotThis if passed_over < PASSED_OVER => passed_over += 1,
                Took::NotThis | Took::Full => break,
                // None of them has anything to wait for here.
                Took::Empty => called.extend(self.remove(&mut line, number)),
            }
        }
        drop(line);
        called.into_iter().for_each(Waker::wake);
    }

    /// How things stand for the one with this number, whom `waker` wakes when that changes.
    pub(crate) fn look(&self, number: Number, waker: &Waker, now: Ticks) -> InLine<G> {
        let mut line = self.line.lock();
        let line = &mut *line;
        if let Some(slot) = line.granted.remove(&number) {
            return InLine::Slot(slot);
        }
        line.now = line.now.max(now);
        let Some(waiting) = line.waiting.get_mut(&number) else {
            return if line.closed { InLine::Closed } else { InLine::Again };
        };
        if now >= waiting.deadline {
            self.remove(line, number);
            return InLine::Late;
        }
        match &mut waiting.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        InLine::Waiting
    }

    /// Takes the one with this number out. A slot that it had been given comes back, to be dropped: that passes it on.
    #[must_use = "it is passed on by being dropped"]
    pub(crate) fn leave(&self, number: Number) -> Option<G> {
        let mut line = self.line.lock();
        self.remove(&mut line, number);
        line.granted.remove(&number)
    }

    /// Sends everybody away, and whoever comes until it is opened again.
    pub(crate) fn close(&self) {
        let mut line = self.line.lock();
        line.closed = true;
        let granted = std::mem::take(&mut line.granted);
        let mut called = Vec::new();
        while let Some(number) = line.next(0) {
            called.extend(self.remove(&mut line, number));
        }
        drop(line);
        // Not under the mutex: a slot that is dropped looks who waits.
        drop(granted);
        called.into_iter().for_each(Waker::wake);
    }

    /// Takes requests again.
    pub(crate) fn open(&self) {
        self.line.lock().closed = false;
    }

    fn remove(&self, line: &mut Line<G, A>, number: Number) -> Option<Waker> {
        let waiting = line.waiting.remove(&number)?;
        line.bytes -= waiting.bytes;
        self.count.store(line.waiting.len(), Ordering::SeqCst);
        waiting.waker
    }
}

impl<G, A> Line<G, A> {
    /// Whose turn it is once so many have been passed over.
    fn next(&self, passed_over: usize) -> Option<Number> {
        let (_, oldest) = self.waiting.first_key_value()?;
        let mut numbers = self.waiting.keys().copied();
        if self.now >= oldest.long { numbers.nth_back(passed_over) } else { numbers.nth(passed_over) }
    }
}
