//! One request on one connection to a target: sends the head and the body, reads interim answers, the answer's head and
//! its body. Both directions move at once, in the task of the request; there is no task or channel between them.

mod http1;
mod http2;

pub(crate) use http1::Http1Exchange;
pub(crate) use http2::Http2Exchange;

use super::body::{ClientSide, Part, Upload};
use super::failure::Failure;
use super::pipe::Pipe;
use super::worker::Worker;
use plimsoll_core::protocol::ResponseHead;
use plimsoll_core::upstream::Target;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A request under way on a target, whichever protocol the target speaks.
pub(crate) enum Exchange {
    /// Our own codec.
    Http1(Box<Http1Exchange>),
    /// A stream among others, over `h2`.
    Http2(Box<Http2Exchange>),
}

impl Exchange {
    /// Moves the request towards the target. Ready when all of it is sent, or nothing more can be.
    ///
    /// # Errors
    /// What is wrong with the client or its body, or with the target's connection.
    #[inline]
    pub(crate) fn poll_request<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        upload: &mut Upload,
        client: &mut C,
    ) -> Poll<Result<(), Failure>> {
        match self {
            Self::Http1(exchange) => exchange.poll_request(cx, worker, upload, client),
            Self::Http2(exchange) => exchange.poll_request(cx, worker, upload, client),
        }
    }

    /// Ready with a head: an interim one (1xx), or the answer's.
    ///
    /// # Errors
    /// What the target did wrong.
    #[inline]
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), Failure>> {
        match self {
            Self::Http1(exchange) => exchange.poll_head(cx, worker, head),
            Self::Http2(exchange) => exchange.poll_head(cx, head),
        }
    }

    /// The next part of the answer's body; `None` when it is complete.
    ///
    /// # Errors
    /// The answer was cut, or its framing is broken.
    #[inline]
    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<Option<Part>, Failure>> {
        match self {
            Self::Http1(exchange) => exchange.poll_part(cx, worker),
            Self::Http2(exchange) => exchange.poll_part(cx),
        }
    }

    /// As [`Self::poll_part`], without a copy. `None`: what comes next is to be had by that only.
    pub(crate) fn poll_pipe(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Option<Poll<Result<Pipe, Failure>>> {
        match self {
            Self::Http1(exchange) => exchange.poll_pipe(cx, worker),
            Self::Http2(_) => None,
        }
    }

    /// Has the answer read a little at once from here on, or as much as there is: where much is kept for a client already that
    /// it does not take. What comes over HTTP/2 is read by its connection, for all of its streams.
    #[inline]
    pub(crate) fn read_little(&mut self, little: bool) {
        if let Self::Http1(exchange) = self {
            exchange.read_little(little);
        }
    }

    /// Whether all of the request was sent.
    #[must_use]
    pub(crate) fn is_sent(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_sent(),
            Self::Http2(exchange) => exchange.is_sent(),
        }
    }

    /// Whether nothing of the answer is left to read.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_done(),
            Self::Http2(exchange) => exchange.is_done(),
        }
    }

    /// Whether what is left to read of the answer, if anything, has arrived.
    #[must_use]
    pub(crate) fn is_at_hand(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_at_hand(),
            Self::Http2(exchange) => exchange.is_done(),
        }
    }

    /// Whether the request waits for more of the client's body, rather than for the target to take it.
    #[must_use]
    pub(crate) fn waits_for_client(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.waits_for_client(),
            Self::Http2(exchange) => exchange.waits_for_client(),
        }
    }

    /// Counts up whenever bytes of the request moved.
    #[must_use]
    pub(crate) fn progress(&self) -> u32 {
        match self {
            Self::Http1(exchange) => exchange.progress(),
            Self::Http2(exchange) => exchange.progress(),
        }
    }

    /// Whether the target's kernel is known to have acknowledged nothing of the request.
    #[must_use]
    pub(crate) fn never_acknowledged(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.never_acknowledged(),
            Self::Http2(exchange) => exchange.never_acknowledged(),
        }
    }

    /// Whether the connection had carried a request before, so that its end has nothing to do with this one.
    #[must_use]
    pub(crate) fn is_stale(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_reused(),
            Self::Http2(exchange) => exchange.is_stale(),
        }
    }

    /// The connection's end was met instead of an answer: what that teaches of idle connections is noted.
    pub(crate) fn found_stale(&self) {
        if let Self::Http1(exchange) = self {
            exchange.found_stale();
        }
    }

    /// The answer is complete: keeps the connection, if it may carry another request.
    pub(crate) fn finish(self, worker: &Worker, target: &Arc<Target>, profile: u64) {
        if let Self::Http1(exchange) = self {
            exchange.finish(worker, target, profile);
        }
    }
}
