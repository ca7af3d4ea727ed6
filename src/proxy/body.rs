//! Bodies on their way: parts, and the request's body with what is kept of it for another attempt.

use super::buffer::Buffer;
use super::failure::Failure;
use super::pipe::Pipe;
use super::worker::Worker;
use bytes::Bytes;
use plimsoll_core::protocol::ResponseHead;
use std::task::{Context, Poll, ready};

/// A piece of a body, without its framing.
#[derive(Debug)]
pub(crate) enum Part {
    /// Bytes in a pooled buffer.
    Buffer(Buffer),
    /// Bytes of an HTTP/2 frame, or kept ones.
    Bytes(Bytes),
    /// Trailer lines (`name: value\r\n`), safe to send on. Nothing follows.
    Trailers(Vec<u8>),
}

impl Part {
    /// Its bytes; none of trailers.
    #[must_use]
    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer.data(),
            Self::Bytes(bytes) => bytes,
            Self::Trailers(_) => &[],
        }
    }

    /// Gives its buffer back.
    pub(crate) fn recycle(self, worker: &Worker) {
        if let Self::Buffer(buffer) = self {
            worker.buffers.put(buffer);
        }
    }
}

/// The client's side of a request, whichever protocol it speaks.
pub(crate) trait ClientSide {
    /// The next part of the request's body; `None` when it is complete. `large`: much at once, where much is left.
    fn poll_part(&mut self, cx: &mut Context<'_>, worker: &Worker, large: bool) -> Poll<Result<Option<Part>, Failure>>;

    /// Whether what is left of the body, or some of it, might be had without a copy.
    fn may_pipe(&self) -> bool;

    /// As [`Self::poll_part`], without a copy. `None`: what comes next is to be had by that only.
    fn poll_pipe(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Option<Poll<Result<Pipe, Failure>>>;

    /// Whether much is kept already that this client does not take.
    fn is_behind(&self) -> bool;

    /// Passes an interim answer (1xx) on, where the protocol can.
    fn interim(&mut self, head: &ResponseHead);

    /// Tells a client that waits for `100 Continue` to go on.
    fn send_continue(&mut self);

    /// Ready once the client is known to have left. Also sends what interim answers are still to be sent.
    fn poll_gone(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<()>;
}

/// A request's body as attempts see it: what was kept of it first, then what still comes.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    kept: Vec<u8>,
    trailers: Option<Vec<u8>>,
    /// Bytes that may be kept.
    limit: usize,
    /// Bytes of `kept` that this attempt has been given.
    at: usize,
    /// Whether everything that was taken from the client is still kept.
    complete: bool,
    ended: bool,
    /// Bytes taken from the client.
    taken: u64,
    /// Bytes that may be taken.
    max: Option<u64>,
    /// The target takes pipes, and the client's side gives them.
    piped: bool,
}

impl Upload {
    /// A body of which `limit` bytes are kept for another attempt, and which may have `max` bytes.
    #[must_use]
    pub(crate) fn new(has_body: bool, limit: usize, max: Option<u64>) -> Self {
        Self { limit, max, complete: true, ended: !has_body, ..Self::default() }
    }

    /// Whether another attempt could send the body again.
    #[must_use]
    pub(crate) fn can_repeat(&self) -> bool {
        self.complete
    }

    /// Bytes taken from the client so far.
    #[must_use]
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Begins again with the first byte, for another attempt.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
        self.piped = false;
    }

    /// Nothing will be repeated any more: an answer has begun.
    pub(crate) fn forget(&mut self) {
        if self.at >= self.kept.len() {
            self.kept = Vec::new();
            self.at = 0;
        }
        self.complete &= self.taken == 0;
        self.limit = 0;
    }

    /// The next part for this attempt; `None` when the body is complete.
    ///
    /// # Errors
    /// What is wrong with the client, or its body.
    pub(crate) fn poll_part<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut C,
    ) -> Poll<Result<Option<Part>, Failure>> {
        if let Some(rest) = self.kept.get(self.at..).filter(|rest| !rest.is_empty()) {
            let part = Bytes::copy_from_slice(rest);
            self.at = self.kept.len();
            return Poll::Ready(Ok(Some(Part::Bytes(part))));
        }
        if self.ended {
            return Poll::Ready(Ok(self.trailers.take().map(Part::Trailers)));
        }
        // What can be piped later is not copied in large pieces first.
        let part = ready!(client.poll_part(cx, worker, !self.piped))?;
        match &part {
            None => self.ended = true,
            Some(Part::Trailers(_)) => {
                // A request with trailers is not repeated: they are rare, and are not kept.
                self.ended = true;
                self.complete = false;
            }
            Some(part) => self.keep(part.data())?,
        }
        Poll::Ready(Ok(part))
    }

    /// As [`Self::poll_part`], without a copy: `None` where there is something to keep or to give again, or no pipe to be had.
    pub(crate) fn poll_pipe<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut C,
    ) -> Option<Poll<Result<Pipe, Failure>>> {
        self.piped = client.may_pipe();
        if self.complete || self.ended || self.at < self.kept.len() {
            return None;
        }
        let polled = client.poll_pipe(cx, worker);
        // None to be had: then in large pieces.
        self.piped &= polled.is_some();
        Some(polled?.map(|pipe| pipe.and_then(|pipe| self.count(pipe.len()).map(|()| pipe))))
    }

    fn count(&mut self, length: usize) -> Result<(), Failure> {
        self.taken += length as u64;
        if self.max.is_some_and(|max| self.taken > max) { Err(Failure::BodyTooLarge) } else { Ok(()) }
    }

    fn keep(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.count(data.len())?;
        if self.complete && self.kept.len() + data.len() <= self.limit {
            self.kept.extend_from_slice(data);
            self.at = self.kept.len();
        } else {
            self.complete = false;
            self.kept = Vec::new();
            self.at = 0;
        }
        Ok(())
    }
}
