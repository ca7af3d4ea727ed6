//! Waiting for a slot, while every target has as many requests in flight as it may.

use super::attempt::Tried;
use super::body::ClientSide;
use super::failure::Failure;
use super::request::Request;
use super::slots::Slot;
use super::wait::{Waits, wait};
use plimsoll_core::model::Moment;
use plimsoll_core::upstream::{InFlight, Shed, SlotOver, SlotWaiter, Upstream};
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a request keeps between its waits of one attempt.
#[derive(Default)]
pub(crate) struct Queue {
    /// When it gives up; set by its first wait.
    deadline: Option<Moment>,
}

impl Queue {
    /// Waits for a slot of a target until its time is over or the client leaves; `None`: ask anew, since all targets are out
    /// by now, or the upstream was removed.
    ///
    /// # Errors
    /// Why it waits no longer, or did not at all.
    pub(crate) async fn wait<C: ClientSide>(
        &mut self,
        request: &mut Request,
        upstream: &Arc<Upstream>,
        tried: &Tried,
        client: &mut C,
        slot: &Slot,
    ) -> Result<Option<InFlight>, Failure> {
        let now = request.worker.now();
        let limits = match &**upstream.pool() {
            pool if pool.is_placeholder() => return Ok(None),
            pool => pool.options().queue.ok_or(Failure::QueueFull)?,
        };
        let deadline = *self.deadline.get_or_insert(now + limits.timeout);
        let mut waiter = match upstream.wait_for_slot(tried, request.held_bytes(), (now, deadline)) {
            Ok(waiter) => waiter,
            // The pool is another one by now.
            Err(Shed::Off | Shed::Closed) => return Ok(None),
            Err(Shed::Requests | Shed::Bytes) => return Err(Failure::QueueFull),
        };
        wait(request, client, slot, &mut waiter, (deadline, Failure::QueueTimedOut)).await
    }
}

impl Waits for SlotWaiter {
    type Over = Option<InFlight>;

    fn poll(&mut self, cx: &Context<'_>, now: Moment) -> Poll<Result<Option<InFlight>, Failure>> {
        self.poll_slot(cx, now).map(|over| match over {
            SlotOver::Slot(in_flight) => Ok(Some(in_flight)),
            SlotOver::Again | SlotOver::Closed => Ok(None),
            SlotOver::TimedOut => Err(Failure::QueueTimedOut),
        })
    }

    fn look_again(&self) {
        Self::look_again(self);
    }
}
