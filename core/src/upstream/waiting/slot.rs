//! One request that waits for a target's slot.

use super::line::{InLine, Number};
use crate::model::Moment;
use crate::upstream::ticks::ticks;
use crate::upstream::{InFlight, Upstream};
use std::sync::Arc;
use std::task::{Context, Poll};

/// How a wait for a slot ended.
#[derive(Debug)]
pub enum SlotOver {
    /// With this one.
    Slot(InFlight),
    /// All targets are out by now: ask anew.
    Again,
    /// Its time is over.
    TimedOut,
    /// The upstream was removed: ask anew where its service's requests go now.
    Closed,
}

/// A request that waits until a target has a slot for it. Dropped before, it leaves the line, or passes its slot on.
#[derive(Debug)]
#[must_use = "dropping it leaves the line"]
pub struct SlotWaiter {
    upstream: Arc<Upstream>,
    /// `None` once the wait is over.
    number: Option<Number>,
}

impl SlotWaiter {
    pub(in crate::upstream) const fn new(upstream: Arc<Upstream>, number: Number) -> Self {
        Self { upstream, number: Some(number) }
    }

    /// Whether the wait is over; not to be polled again once it is. Its waker is called when a slot comes or the upstream
    /// closes; the deadline is the caller's to watch: poll again when it has passed.
    pub fn poll_slot(&mut self, cx: &Context<'_>, now: Moment) -> Poll<SlotOver> {
        let Some(number) = self.number else { return Poll::Ready(SlotOver::Again) };
        let over = match self.upstream.line().look(number, cx.waker(), ticks(now)) {
            InLine::Waiting => return Poll::Pending,
            InLine::Slot(slot) => SlotOver::Slot(slot),
            InLine::Again => SlotOver::Again,
            InLine::Late => SlotOver::TimedOut,
            InLine::Closed => SlotOver::Closed,
        };
        self.number = None;
        Poll::Ready(over)
    }

    /// Looks for a free slot itself. To be called now and then: one that was taken before there was a limit, or by another
    /// upstream, is freed without a word.
    pub fn look_again(&self) {
        self.upstream.hand_over();
    }
}

impl Drop for SlotWaiter {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            drop(self.upstream.line().leave(number));
        }
    }
}
