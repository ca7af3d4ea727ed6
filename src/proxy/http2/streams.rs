//! What is counted of a connection's streams.

use crate::proxy::buffer::Window;
use crate::proxy::slots::TICK;
use crate::proxy::worker::Worker;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// Requests that a client may give up as soon as they have begun within [`SPAN`], where it gives up more than it lets be
/// answered: a connection may live for days, and many of its requests be given up by and by, for good reasons. Each costs
/// a target a request and a connection, and the client two short frames (CVE-2023-44487); `h2` itself counts only those that
/// it has not yet handed over.
const GIVEN_UP_MAX: u32 = 200;
/// Ticks over which that is counted.
const SPAN: u32 = 100;
/// Ticks: who gives up later had waited, and has a reason.
const GIVEN_UP_AT_ONCE: u32 = 10;

/// Bytes of answers that are kept for a connection beyond what its client has taken, past which answers are read a little at
/// once, and others begin one a tick. Whoever opens no window could have as much read as `max_concurrent_streams` times one read takes: fresh memory of that
/// size costs the kernel more than all else of those requests costs us. Who takes what it asks for has much under way, and
/// small reads would double what its answers cost.
const KEPT_MAX: usize = 256 << 10;

/// Between two requests of a worker's clients who are behind, whoever they are: a tick brings those of all connections at once,
/// and with each a connection to a target, so that others would wait milliseconds for sixty of them.
const PACE: Duration = Duration::from_millis(1);
/// For so long a request waits for that at the most.
const PACED_MAX: Duration = Duration::from_secs(1);

/// Streams that were answered before all of their request had come, and so reset (RFC 9113 §8.1), within [`UNREAD_SPAN`]. Whoever
/// has more is asked to connect anew.
const UNREAD_MAX: u32 = 256;
/// Ticks: a second. For so long `h2` remembers of some streams that frames may still be on their way; those of others are a
/// mistake of the client's to it, and after a thousand in its life the connection ends, with all that is under way.
const UNREAD_SPAN: u32 = 10;

/// How many streams `h2` is to remember: those of two spans that meet in a second, and all that are open when there are enough.
pub(super) const fn remembered(max_concurrent_streams: u32) -> usize {
    (2 * UNREAD_MAX).saturating_add(max_concurrent_streams) as usize
}

/// When a worker's clients who are behind begin their requests.
#[derive(Default)]
pub(crate) struct Pace {
    last: Cell<Option<Instant>>,
}

impl Pace {
    /// The moment for another one: a tick from now, or later where others have that moment.
    fn next(&self, now: Instant) -> Instant {
        let next = self.last.get().map_or(now, |last| last + PACE).clamp(now + TICK, now + PACED_MAX);
        self.last.set(Some(next));
        next
    }
}

/// Streams of a connection whose tasks run.
pub(super) struct Streams {
    open: Cell<usize>,
    /// Tick at which one began or ended last.
    last: Cell<u32>,
    /// Tick at which the present span began, how many there were in it, and how many of them their client gave up at once,
    /// before they were answered.
    since: Cell<u32>,
    asked: Cell<u32>,
    given_up: Cell<u32>,
    /// The same of those that were answered before all of them had come.
    unread_since: Cell<u32>,
    unread: Cell<u32>,
    /// Bytes of memory that answers take which wait for the client's windows.
    kept: Rc<Cell<usize>>,
    /// Bytes that the client's windows have let through.
    taken: Cell<usize>,
    /// Of whose turn it is to begin, where the client is behind.
    line: Semaphore,
}

impl Streams {
    /// None yet, at this tick.
    #[must_use]
    pub(super) fn new(now: u32) -> Rc<Self> {
        let (open, asked, given_up, unread, kept, taken) = Default::default();
        let (last, since, unread_since) = (Cell::new(now), Cell::new(now), Cell::new(now));
        let line = Semaphore::new(1);
        Rc::new(Self { open, last, since, asked, given_up, unread_since, unread, kept, taken, line })
    }

    /// Whether any is under way.
    #[must_use]
    pub(super) fn are_open(&self) -> bool {
        self.open.get() > 0
    }

    /// Tick at which one began or ended last.
    #[must_use]
    pub(super) fn last_tick(&self) -> u32 {
        self.last.get()
    }

    /// Counts bytes that an answer keeps from now on.
    #[must_use]
    pub(super) fn keep(&self, bytes: usize) -> Window {
        Window::filled(&self.kept, bytes)
    }

    /// So many bytes of answers were sent.
    #[inline]
    pub(super) fn took(&self, bytes: usize) {
        self.taken.set(self.taken.get().saturating_add(bytes));
    }

    /// Whether the client leaves much of what it asked for untaken.
    #[inline]
    #[must_use]
    pub(super) fn are_behind(&self) -> bool {
        self.kept.get() > self.taken.get().saturating_add(KEPT_MAX)
    }

    /// Ready when one that was asked for may begin: at once, or one after another with a tick between them while the client is
    /// behind, and none at the moment of another connection's. Whatever it asks for then is kept as well.
    pub(super) async fn turn(self: Rc<Self>, worker: Rc<Worker>) {
        // It is never closed.
        let _first = self.line.acquire().await;
        if self.are_behind() {
            let due = worker.pace.next(Instant::now());
            // Who has caught up meanwhile waits no longer for those who have not.
            while self.are_behind() && Instant::now() < due {
                sleep_until(due.min(Instant::now() + TICK)).await;
            }
        }
    }

    /// One was answered before all of it had come.
    pub(super) fn left_unread(&self) {
        // When one began or ended last is late enough: frames of it are on their way now.
        let now = self.last.get();
        if now.saturating_sub(self.unread_since.get()) >= UNREAD_SPAN {
            self.unread_since.set(now);
            self.unread.set(0);
        }
        self.unread.set(self.unread.get().saturating_add(1));
    }

    /// Whether so many were answered before all of them had come that the next ones should come on another connection.
    #[inline]
    #[must_use]
    pub(super) fn are_unread(&self) -> bool {
        self.unread.get() >= UNREAD_MAX
    }

    /// Another one is asked for: whether the client gives up most of them.
    #[must_use]
    pub(super) fn are_given_up(&self, now: u32) -> bool {
        if now.saturating_sub(self.since.get()) >= SPAN {
            self.since.set(now);
            self.asked.set(0);
            self.given_up.set(0);
        }
        self.asked.set(self.asked.get().saturating_add(1));
        let given_up = self.given_up.get();
        given_up > GIVEN_UP_MAX && given_up > self.asked.get() / 2
    }
}

/// Counts a stream from here to its end.
pub(super) struct Counted {
    streams: Rc<Streams>,
    worker: Rc<Worker>,
    /// Tick at which it began.
    began: u32,
}

impl Counted {
    /// One that begins now.
    #[must_use]
    pub(super) fn new(streams: &Rc<Streams>, worker: &Rc<Worker>) -> Self {
        let began = worker.slots.tick();
        streams.open.set(streams.open.get() + 1);
        streams.last.set(began);
        Self { streams: Rc::clone(streams), worker: Rc::clone(worker), began }
    }

    /// All of its connection.
    #[must_use]
    pub(super) fn streams(&self) -> &Rc<Streams> {
        &self.streams
    }

    /// Its client gave it up before it was answered.
    pub(super) fn given_up(&self) {
        if self.worker.slots.tick() - self.began < GIVEN_UP_AT_ONCE {
            self.streams.given_up.set(self.streams.given_up.get().saturating_add(1));
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.streams.open.set(self.streams.open.get().saturating_sub(1));
        self.streams.last.set(self.worker.slots.tick());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests until the client is ended; each is given up at once, `each` of them a tick.
    fn ended_after(each: u32, ticks: u32) -> Option<u32> {
        let streams = Streams::new(1);
        let mut asked = 0;
        for now in 1..ticks {
            for _ in 0..each {
                asked += 1;
                if streams.are_given_up(now) {
                    return Some(asked);
                }
                streams.given_up.set(streams.given_up.get() + 1);
            }
        }
        None
    }

    #[test]
    fn who_gives_up_much_in_a_short_time_is_ended_and_who_does_so_by_and_by_is_not() {
        assert_eq!(ended_after(100, 1000), Some(GIVEN_UP_MAX + 2));
        assert_eq!(ended_after(3, 1000), Some(GIVEN_UP_MAX + 2));
        assert_eq!(ended_after(2, 100_000), None, "twenty a second");
    }

    #[test]
    fn who_has_taken_much_may_leave_as_much_and_who_takes_nothing_may_not() {
        let streams = Streams::new(1);
        let kept: Vec<_> = (0..4).map(|_| streams.keep(64 << 10)).collect();
        assert!(!streams.are_behind());
        let more = streams.keep(64 << 10);
        assert!(streams.are_behind());
        streams.took(64 << 10);
        assert!(!streams.are_behind());
        let most = streams.keep(1);
        assert!(streams.are_behind());
        drop((kept, more, most));
        assert!(!streams.are_behind());
    }

    #[test]
    fn those_who_are_behind_begin_a_tick_later_and_one_after_another_and_nobody_waits_for_longer_than_a_second() {
        let (pace, now) = (Pace::default(), Instant::now());
        let waits: Vec<_> = (0..2000).map(|_| pace.next(now) - now).collect();
        assert_eq!(waits[..3], [100, 101, 102].map(Duration::from_millis));
        assert_eq!(waits[900..], [PACED_MAX; 1100]);
        let later = now + Duration::from_secs(9);
        assert_eq!(pace.next(later), later + TICK);
    }

    #[test]
    fn never_are_more_streams_cut_short_within_a_second_than_are_remembered() {
        for each in [1, 25, 26, 60, 100, 255, 256] {
            let (streams, mut left) = (Streams::new(1), Vec::new());
            for now in 1..1000 {
                streams.last.set(now);
                for _ in 0..each {
                    if !streams.are_unread() {
                        streams.left_unread();
                        left.push(now);
                    }
                }
                let within = left.iter().filter(|at| now - **at <= UNREAD_SPAN).count();
                assert!(within < remembered(0), "{within} at {now}, {each} each");
            }
            assert_eq!(streams.are_unread(), each > 25, "{each} a tick");
        }
    }

    #[test]
    fn who_lets_most_be_answered_is_not_ended() {
        let streams = Streams::new(1);
        for request in 0..10_000 {
            assert!(!streams.are_given_up(1), "request {request}");
            streams.given_up.set(streams.given_up.get() + u32::from(request % 5 < 2));
        }
    }
}
