//! Waiting for a slot, while every target has as many requests in flight as it may.

use super::body::ClientSide;
use super::failure::Failure;
use super::request::Request;
use super::slots::{Interrupt, Slot};
use plimsoll_core::upstream::{InFlight, Shed, SlotOver, Upstream};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How often one who waits looks for a slot itself.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

/// What a request keeps between its waits of one attempt.
#[derive(Default)]
pub(crate) struct Queue {
    /// When it gives up; set by its first wait.
    deadline: Option<Instant>,
}

impl Queue {
    /// Waits for a slot of a target until its time is over or the client leaves; `None`: ask anew, since all targets are out
    /// by now.
    ///
    /// # Errors
    /// Why it waits no longer, or did not at all.
    pub(crate) async fn wait<C: ClientSide>(
        &mut self,
        request: &mut Request,
        upstream: &Arc<Upstream>,
        client: &mut C,
        slot: &Slot,
    ) -> Result<Option<InFlight>, Failure> {
        let worker = Rc::clone(&request.worker);
        let began = worker.now();
        let timeout = upstream.pool().options().queue.map(|queue| queue.timeout).ok_or(Failure::QueueFull)?;
        let deadline = *self.deadline.get_or_insert(began + timeout);
        let waiter = upstream.wait_for_slot(request.held_bytes(), (began, deadline));
        let mut waiter = waiter.map_err(|shed| match shed {
            Shed::Closed => Failure::NoTarget,
            Shed::Requests | Shed::Bytes | Shed::Off => Failure::QueueFull,
        })?;
        let arm = |now: Instant| slot.arm(LOOKS_AGAIN.min(deadline.saturating_duration_since(now)));
        arm(began);
        let result = poll_fn(|cx| {
            loop {
                if let Poll::Ready(over) = waiter.poll_slot(cx, worker.now()) {
                    return Poll::Ready(match over {
                        SlotOver::Slot(in_flight) => Ok(Some(in_flight)),
                        SlotOver::Again => Ok(None),
                        SlotOver::TimedOut => Err(Failure::QueueTimedOut),
                        SlotOver::Closed => Err(Failure::NoTarget),
                    });
                }
                if client.poll_gone(cx, &worker).is_ready() {
                    return Poll::Ready(Err(Failure::ClientGone));
                }
                match slot.poll(cx) {
                    Poll::Ready(Interrupt::TimedOut) if worker.now() < deadline => {
                        waiter.look_again();
                        arm(worker.now());
                    }
                    waits => return waits.map(|interrupt| Err(interrupted(interrupt))),
                }
            }
        })
        .await;
        slot.disarm();
        request.record.held += worker.now().saturating_duration_since(began);
        result
    }
}

fn interrupted(interrupt: Interrupt) -> Failure {
    match interrupt {
        Interrupt::TimedOut | Interrupt::GivenUp => Failure::QueueTimedOut,
        Interrupt::RequestTimedOut => Failure::RequestTimeout,
        Interrupt::Drained => Failure::Drained,
    }
}
