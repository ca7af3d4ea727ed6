//! The queue of one upstream: bounded, ordered by deadline, behind one small mutex.

use super::pace::{Pace, Room};
use crate::upstream::sync::{AtomicUsize, Mutex, Ordering};
use crate::upstream::ticks::Ticks;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::task::Waker;

/// 100 ms: a deadline that much earlier goes before a worker's own.
const EARLIER: Ticks = 100_000;

/// 1 s without anybody let go, and what is under way no longer holds the others up.
const STALLED: Ticks = 1_000_000;

/// How many of the oldest are looked through for one of the worker's own.
const SEARCH: usize = 256;

/// Why a request could not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shed {
    /// As many wait as may.
    Requests,
    /// Those that wait hold as many bytes as they may.
    Bytes,
    /// The upstream was removed.
    Closed,
    /// Its requests do not wait: `hold: false`, or not fed by a provider.
    Off,
}

/// What a waiter finds when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It still waits. `stalled`: nobody was let go for a second; see whether something can be done.
    Waiting { stalled: bool },
    /// Its turn has come.
    Turn,
    /// Its deadline has passed; it no longer waits.
    Late,
    /// The upstream was removed.
    Closed,
}

/// A place in the queue: earliest deadline first, then first come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    deadline: Ticks,
    number: u64,
}

/// One that waits.
#[derive(Debug)]
struct Waiting {
    worker: u16,
    bytes: u64,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<Place, Waiting>,
    bytes: u64,
    entered: u64,
    closed: bool,
    pace: Pace,
    /// Since when nobody was let go, as far as those who looked know.
    quiet_since: Option<Ticks>,
}

/// Requests of one upstream that wait.
#[derive(Debug)]
pub(crate) struct Waiters {
    /// Length of the queue, for those who would rather not take the mutex.
    count: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Wakers of those whose turn has come, to be called without the mutex.
type Called = SmallVec<[Waker; 16]>;

impl Waiters {
    /// A queue whose first round is `per_replica` requests a replica.
    pub(crate) fn new(per_replica: u32) -> Self {
        Self {
            count: AtomicUsize::new(0),
            queue: Mutex::new(Queue {
                waiting: BTreeMap::new(),
                bytes: 0,
                entered: 0,
                closed: false,
                pace: Pace::new(per_replica),
                quiet_since: None,
            }),
        }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Enters the queue. The caller then looks at the pool once more, after a fence.
    pub(crate) fn enter(
        &self,
        worker: u16,
        bytes: u64,
        deadline: Ticks,
        (max_requests, max_bytes): (u32, u64),
    ) -> Result<Place, Shed> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(Shed::Closed);
        }
        if queue.waiting.len() >= max_requests as usize {
            return Err(Shed::Requests);
        }
        if queue.bytes.saturating_add(bytes) > max_bytes {
            return Err(Shed::Bytes);
        }
        let place = Place { deadline, number: queue.entered };
        queue.entered += 1;
        queue.bytes += bytes;
        queue.waiting.insert(place, Waiting { worker, bytes, waker: None });
        self.count.store(queue.waiting.len(), Ordering::SeqCst);
        Ok(place)
    }

    /// Lets go as many as may, with so much room now. `worker`: whose turn this was before.
    pub(crate) fn let_go(&self, room: Room, worker: Option<u16>) {
        let called = self.next_round(&mut self.queue.lock(), room, worker);
        called.into_iter().for_each(Waker::wake);
    }

    /// How things stand for the one at `place`, whom `waker` wakes when that changes.
    pub(crate) fn look(&self, place: Place, waker: &Waker, now: Ticks) -> Found {
        let mut queue = self.queue.lock();
        let queue = &mut *queue;
        let Some(waiting) = queue.waiting.get_mut(&place) else {
            return if queue.closed { Found::Closed } else { Found::Turn };
        };
        if now >= place.deadline {
            self.remove(queue, place);
            return Found::Late;
        }
        match &mut waiting.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let stalled = now - *queue.quiet_since.get_or_insert(now) >= STALLED;
        if stalled {
            queue.pace.forgive();
            queue.quiet_since = Some(now);
        }
        Found::Waiting { stalled }
    }

    /// Takes the one at `place` out; `false`: it had been given a turn, which must be passed on.
    pub(crate) fn leave(&self, place: Place) -> bool {
        let mut queue = self.queue.lock();
        // What was closed has no turns to pass on.
        self.remove(&mut queue, place).is_some() || queue.closed
    }

    /// A turn is over; the next ones may go.
    pub(crate) fn done(&self, answered: bool, room: Room, worker: u16) {
        let mut queue = self.queue.lock();
        queue.pace.done(answered);
        let called = self.next_round(&mut queue, room, Some(worker));
        drop(queue);
        called.into_iter().for_each(Waker::wake);
    }

    /// Sends everybody away, and whoever comes until it is opened again.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.bytes = 0;
        queue.pace.forgive();
        queue.pace.rest();
        let called: Vec<Waker> =
            std::mem::take(&mut queue.waiting).into_values().filter_map(|waiting| waiting.waker).collect();
        self.count.store(0, Ordering::SeqCst);
        drop(queue);
        called.into_iter().for_each(Waker::wake);
    }

    /// Takes requests again.
    pub(crate) fn open(&self) {
        self.queue.lock().closed = false;
    }

    fn next_round(&self, queue: &mut Queue, room: Room, worker: Option<u16>) -> Called {
        let mut called = Called::new();
        if queue.waiting.is_empty() {
            queue.pace.rest();
            return called;
        }
        for _ in 0..queue.pace.allowance(room) {
            let Some(waiting) = queue.next(worker).and_then(|place| self.remove(queue, place)) else { break };
            queue.pace.gone();
            queue.quiet_since = None;
            called.extend(waiting.waker);
        }
        called
    }

    fn remove(&self, queue: &mut Queue, place: Place) -> Option<Waiting> {
        let waiting = queue.waiting.remove(&place)?;
        queue.bytes -= waiting.bytes;
        self.count.store(queue.waiting.len(), Ordering::SeqCst);
        Some(waiting)
    }
}

impl Queue {
    /// Who is next: see the folder's notes.
    fn next(&self, worker: Option<u16>) -> Option<Place> {
        let (oldest, _) = self.waiting.first_key_value()?;
        let in_time = |place: &Place| place.deadline - oldest.deadline < EARLIER;
        let own = self
            .waiting
            .iter()
            .take(SEARCH)
            .take_while(|(place, _)| in_time(place))
            .find(|(_, waiting)| worker == Some(waiting.worker));
        Some(own.map_or(*oldest, |(place, _)| *place))
    }
}
