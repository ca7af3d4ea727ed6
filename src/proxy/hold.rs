//! Waiting for a target: while none can be picked, and after all were tried.

use super::body::ClientSide;
use super::failure::Failure;
use super::request::Request;
use super::slots::Slot;
use super::wait::{Waits, until, wait};
use plimsoll_core::model::Moment;
use plimsoll_core::upstream::{Shed, Upstream, WaitOver, Waiter};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What keeps a request's place between its waits.
#[derive(Default)]
pub(crate) struct Hold {
    /// When it gives up; set by its first wait.
    deadline: Option<Moment>,
    /// Its turn, until a target has answered.
    waiter: Option<Waiter>,
}

impl Hold {
    /// A target has answered: those behind it may go.
    pub(crate) fn answered(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.answered();
        }
    }

    /// Holds the request until a target may be had, or the upstream was removed: then ask anew. Or until its time is over, or
    /// the client leaves.
    ///
    /// # Errors
    /// Why it is held no longer, or was not at all.
    pub(crate) async fn wait<C: ClientSide>(
        &mut self,
        request: &mut Request,
        upstream: &Arc<Upstream>,
        client: &mut C,
        slot: &Slot,
    ) -> Result<(), Failure> {
        let worker = &request.worker;
        // Where it is gone, or does not hold any more, asking anew says what is to be done.
        let Some(limits) = upstream.pool().options().hold else { return Ok(()) };
        let deadline = *self.deadline.get_or_insert_with(|| worker.now() + limits.timeout);
        let mut waiter = match upstream.wait(request.held_bytes(), worker.index, deadline) {
            Ok(waiter) => waiter,
            Err(Shed::Off | Shed::Closed) => return Ok(()),
            Err(Shed::Requests | Shed::Bytes) => return Err(Failure::HoldFull),
        };
        self.waiter = None;
        let result = wait(request, client, slot, &mut waiter, (deadline, Failure::HoldTimedOut)).await;
        self.waiter = Some(waiter);
        result
    }
}

impl Waits for Waiter {
    type Over = ();

    fn poll(&mut self, cx: &Context<'_>, now: Moment) -> Poll<Result<(), Failure>> {
        self.poll_ready(cx, now).map(|over| match over {
            WaitOver::Try | WaitOver::Closed => Ok(()),
            WaitOver::TimedOut => Err(Failure::HoldTimedOut),
        })
    }
}

/// A pool all of whose targets were tried gets this long to change before they are tried again.
const TRIED_ALL_PAUSE: Duration = Duration::from_millis(50);

/// Waits for the pool's next change after `version`, or [`TRIED_ALL_PAUSE`].
///
/// # Errors
/// The client left, or the request's time, or the gateway's, is over.
pub(crate) async fn next_change<C: ClientSide>(
    request: &mut Request,
    upstream: &Arc<Upstream>,
    version: u64,
    client: &mut C,
    slot: &Slot,
) -> Result<(), Failure> {
    let change = tokio::time::timeout(TRIED_ALL_PAUSE, upstream.next_change(version));
    until(change, request, client, slot).await
}
