//! A target's answer being passed on, while the rest of the request may still be on its way up: what is the same whichever
//! protocol the client speaks.

use super::body::{ClientSide, Part};
use super::exchange::Exchange;
use super::failure::Failure;
use super::pipe::Pipe;
use super::request::Request;
use super::slots::{Interrupt, Slot};
use super::worker::Worker;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What an answer waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The target's next part.
    ForTarget,
    /// Room towards the client.
    ForClient,
}

/// Both directions of a request whose answer has begun, and what bounds its waits.
pub(crate) struct Passing<'a, C> {
    /// Where it runs.
    pub(crate) worker: &'a Rc<Worker>,
    /// The target's side.
    pub(crate) exchange: Exchange,
    /// Whose answer it is.
    pub(crate) request: &'a mut Request,
    /// The client's side.
    pub(crate) side: &'a mut C,
    /// The client's body broke, or the target takes no more of it.
    pub(crate) upload_failed: bool,
    slot: &'a Slot,
    /// What the slot is armed for.
    waits: Option<Waits>,
    /// How far the request's body was when the slot was armed.
    moved: u32,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl<'a, C: ClientSide> Passing<'a, C> {
    /// `read_timeout`: for the target's next part.
    #[must_use]
    pub(crate) fn new(
        (worker, slot): (&'a Rc<Worker>, &'a Slot),
        exchange: Exchange,
        request: &'a mut Request,
        side: &'a mut C,
        read_timeout: Duration,
    ) -> Self {
        let write_timeout = request.settings().timeouts.client_body;
        Self {
            worker,
            exchange,
            request,
            side,
            upload_failed: false,
            slot,
            waits: None,
            moved: 0,
            read_timeout,
            write_timeout,
        }
    }

    /// The next part of the answer, after the request's body has gone on.
    ///
    /// # Errors
    /// What the target did wrong.
    #[inline]
    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Failure>> {
        self.pump(cx);
        self.exchange.poll_part(cx, self.worker)
    }

    /// As [`Self::poll_part`], without a copy. `None`: what comes next is to be had by that only.
    pub(crate) fn poll_pipe(&mut self, cx: &mut Context<'_>) -> Option<Poll<Result<Pipe, Failure>>> {
        self.pump(cx);
        self.exchange.poll_pipe(cx, self.worker)
    }

    /// Goes on with the request's body, while the answer comes already.
    #[inline]
    pub(crate) fn pump(&mut self, cx: &mut Context<'_>) {
        if self.upload_failed || self.exchange.is_sent() {
            return;
        }
        let sent = self.exchange.poll_request(cx, self.worker, &mut self.request.upload, self.side);
        self.upload_failed = matches!(sent, Poll::Ready(Err(_)));
    }

    /// Something moved: the next wait begins anew.
    #[inline]
    pub(crate) fn went_on(&mut self) {
        self.waits = None;
    }

    /// So many bytes of memory are kept until the client takes what is in them.
    pub(crate) fn stalls(&self, kept: usize) {
        self.slot.stalls(kept);
    }

    /// The client has taken what was kept for it.
    pub(crate) fn flows(&self) {
        self.slot.flows();
    }

    /// Ready when the wait for the target's next part is over without one, and why.
    pub(crate) fn wait_for_part(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        if self.side.poll_gone(cx, self.worker).is_ready() {
            return Poll::Ready(Failure::ClientGone);
        }
        if self.exchange.progress() != self.moved {
            // The client still sends: the target may well wait for the end of that.
            self.moved = self.exchange.progress();
            self.waits = None;
        }
        self.wait(cx, Waits::ForTarget)
    }

    /// Bounds the wait in time, from when it began or something last moved. Ready when that is over.
    pub(crate) fn wait(&mut self, cx: &mut Context<'_>, waits: Waits) -> Poll<Failure> {
        let (timeout, failure) = match waits {
            Waits::ForTarget => (self.read_timeout, Failure::ReadTimeout),
            Waits::ForClient => (self.write_timeout, Failure::ClientTimeout),
        };
        if self.waits != Some(waits) {
            self.waits = Some(waits);
            self.slot.arm(timeout);
        }
        loop {
            match ready!(self.slot.poll(cx)) {
                Interrupt::GivenUp if self.slot.waits_out_pause() => {}
                interrupt => return Poll::Ready(interrupted(interrupt, failure)),
            }
        }
    }
}

/// What an interruption means for an answer that has begun.
pub(crate) fn interrupted(interrupt: Interrupt, timed_out: Failure) -> Failure {
    match interrupt {
        Interrupt::TimedOut => timed_out,
        Interrupt::RequestTimedOut => Failure::RequestTimeout,
        Interrupt::GivenUp => Failure::AnswerCut,
        Interrupt::Overloaded => Failure::Overloaded,
        Interrupt::Drained => Failure::Drained,
    }
}
