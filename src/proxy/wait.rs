//! How a request waits before it is sent: until its turn comes, its time is over, or its client leaves.

use super::body::ClientSide;
use super::failure::Failure;
use super::request::Request;
use super::slots::{Interrupt, Slot};
use plimsoll_core::model::Moment;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How often one who waits looks by itself: those before it may be stuck.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

/// What is waited for.
pub(super) trait Waits {
    /// What comes of it.
    type Over;

    /// Whether the wait is over.
    fn poll(&mut self, cx: &Context<'_>, now: Moment) -> Poll<Result<Self::Over, Failure>>;

    /// It was waited for [`LOOKS_AGAIN`] in vain.
    fn look_again(&self) {}
}

/// Waits until `deadline` at the latest.
///
/// # Errors
/// Why it waits no longer; `late` where its time is over.
pub(super) async fn wait<C: ClientSide, W: Waits>(
    request: &mut Request,
    client: &mut C,
    slot: &Slot,
    waits: &mut W,
    (deadline, late): (Moment, Failure),
) -> Result<W::Over, Failure> {
    let worker = Rc::clone(&request.worker);
    let began = worker.now();
    let arm = |now: Moment| slot.arm(LOOKS_AGAIN.min(deadline.since(now)));
    arm(began);
    let result = poll_fn(|cx| {
        loop {
            if let Poll::Ready(over) = waits.poll(cx, worker.now()) {
                return Poll::Ready(over);
            }
            if client.poll_gone(cx, &worker).is_ready() {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            let Poll::Ready(interrupt) = slot.poll(cx) else { return Poll::Pending };
            match interrupt {
                Interrupt::TimedOut if worker.now() < deadline => {
                    waits.look_again();
                    arm(worker.now());
                }
                Interrupt::TimedOut | Interrupt::GivenUp => return Poll::Ready(Err(late.clone())),
                Interrupt::RequestTimedOut => return Poll::Ready(Err(Failure::RequestTimeout)),
                Interrupt::Overloaded => return Poll::Ready(Err(Failure::Overloaded)),
                Interrupt::Drained => return Poll::Ready(Err(Failure::Drained)),
            }
        }
    })
    .await;
    slot.disarm();
    request.record.held_us += worker.now().micros_since(began);
    result
}

/// Waits until something is `over` that ends by itself.
///
/// # Errors
/// The client left, or the request's time, or the gateway's, is over.
pub(super) async fn until<C: ClientSide>(
    over: impl Future,
    request: &mut Request,
    client: &mut C,
    slot: &Slot,
) -> Result<(), Failure> {
    let worker = Rc::clone(&request.worker);
    let began = worker.now();
    let mut over = pin!(over);
    let result = poll_fn(|cx| {
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if client.poll_gone(cx, &worker).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        match slot.poll(cx) {
            Poll::Ready(Interrupt::RequestTimedOut) => Poll::Ready(Err(Failure::RequestTimeout)),
            Poll::Ready(Interrupt::Drained) => Poll::Ready(Err(Failure::Drained)),
            _ => Poll::Pending,
        }
    })
    .await;
    request.record.held_us += worker.now().micros_since(began);
    result
}
