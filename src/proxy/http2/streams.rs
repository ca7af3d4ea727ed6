//! What is counted of a connection's streams.

use crate::proxy::worker::Worker;
use std::cell::Cell;
use std::rc::Rc;

/// Requests that a client may give up as soon as they have begun, where it gives up more than it lets be answered. Each costs
/// a target a request and a connection, and the client two short frames (CVE-2023-44487); `h2` itself counts only those that
/// it has not yet handed over.
const GIVEN_UP_MAX: u32 = 200;
/// Ticks: who gives up later had waited, and has a reason.
const GIVEN_UP_AT_ONCE: u32 = 10;

/// Streams of a connection whose tasks run.
pub(super) struct Streams {
    open: Cell<usize>,
    /// Tick at which one began or ended last.
    last: Cell<u32>,
    /// How many their client gave up at once, before they were answered.
    given_up: Cell<u32>,
}

impl Streams {
    /// None yet, at this tick.
    #[must_use]
    pub(super) fn new(now: u32) -> Rc<Self> {
        Rc::new(Self { open: Cell::new(0), last: Cell::new(now), given_up: Cell::new(0) })
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

    /// Whether the client gives up most of what it asks for, of so many.
    #[must_use]
    pub(super) fn are_given_up(&self, requests: u32) -> bool {
        let given_up = self.given_up.get();
        given_up > GIVEN_UP_MAX && given_up > requests / 2
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
