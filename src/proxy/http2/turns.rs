//! Who brings many frames waits for its turn: one connection of a worker after another, and in between all else that is ready.
//!
//! A frame costs more than its bytes: a SETTINGS of nine has to be answered, and sixteen connections that send nothing else
//! would keep a worker at them for milliseconds at a time, while requests of others wait. So a connection may bring what a
//! client does that has something to ask; beyond that it stands in line, however many do so. Where nobody else wants anything,
//! its turn comes at once.
//!
//! Who has just come stands in line from its first frame on, and brings less at a time: thousands of connections a second that
//! each bring what is free, and are gone, would never stand in line.

use crate::proxy::slots::Slots;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What a connection may bring within a tick without standing in line, as [`super::frames::Frames::weigh`] says.
const FREE: usize = 128;
/// What it brings when its turn comes.
const TURN: usize = 64;
/// What a connection brings at a turn that has not brought [`KNOWN`] yet: a request, with what a client says before its first.
const TURN_OF_NEW: usize = 8;
const KNOWN: usize = 512;

/// The line of a worker.
#[derive(Default)]
pub(crate) struct Turns {
    waiting: RefCell<VecDeque<Rc<Place>>>,
    /// Whether a task calls them up.
    is_called: Cell<bool>,
}

/// A place in the line.
#[derive(Default)]
struct Place {
    waker: RefCell<Option<Waker>>,
    is_called: Cell<bool>,
}

impl Turns {
    fn join(self: &Rc<Self>) -> Rc<Place> {
        let place = Rc::<Place>::default();
        self.waiting.borrow_mut().push_back(Rc::clone(&place));
        if !self.is_called.replace(true) {
            drop(tokio::task::spawn_local(Rc::clone(self).call()));
        }
        place
    }

    /// Calls up one after another, each after all that is ready had its turn, and sockets were looked at.
    async fn call(self: Rc<Self>) {
        loop {
            tokio::task::yield_now().await;
            let Some(place) = self.waiting.borrow_mut().pop_front() else { break };
            place.is_called.set(true);
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
        self.is_called.set(false);
    }
}

/// What a connection may bring.
pub(super) struct Turn {
    turns: Rc<Turns>,
    slots: Rc<Slots>,
    place: Option<Rc<Place>>,
    /// What it has to bring until it is known.
    new: usize,
    left: usize,
    /// What it has brought in the tick that it was last looked at.
    brought: usize,
    tick: u32,
}

impl Turn {
    /// Of a connection that begins.
    #[must_use]
    pub(super) fn new(turns: &Rc<Turns>, slots: &Rc<Slots>) -> Self {
        let (turns, tick) = (Rc::clone(turns), slots.tick());
        Self { turns, slots: Rc::clone(slots), place: None, new: KNOWN, left: 0, brought: 0, tick }
    }

    /// Ready with how much it may bring now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(place) = &self.place {
            if !place.is_called.get() {
                place.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            self.place = None;
            self.left = if self.new > 0 { TURN_OF_NEW } else { TURN };
        }
        let now = self.slots.tick();
        if now != self.tick {
            // Who brought too much stands in line for the next tick, too: else all of them came at once with each.
            if self.new == 0 && (self.brought <= FREE || now.wrapping_sub(self.tick) > 1) {
                self.left = FREE;
            }
            (self.tick, self.brought) = (now, 0);
        }
        if self.left == 0 {
            let place = self.turns.join();
            place.waker.replace(Some(cx.waker().clone()));
            self.place = Some(place);
            return Poll::Pending;
        }
        Poll::Ready(self.left)
    }

    /// It brought so much.
    pub(super) fn brings(&mut self, weight: usize) {
        self.left = self.left.saturating_sub(weight);
        self.brought = self.brought.saturating_add(weight);
        self.new = self.new.saturating_sub(weight);
    }
}
