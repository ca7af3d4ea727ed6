//! The client's side of one request over HTTP/1.

use crate::connect::Stream;
use crate::proxy::body::{ClientSide, Part};
use crate::proxy::buffer::Buffer;
use crate::proxy::failure::Failure;
use crate::proxy::pipe::{self, Pipe};
use crate::proxy::worker::Worker;
use plimsoll_core::protocol::forward::{ForwardResponse, write_response};
use plimsoll_core::protocol::h1::ChunkDecoder;
use plimsoll_core::protocol::{BodyLength, RequestHead, ResponseHead, Version};
use std::task::{Context, Poll, ready};

/// A body of which more is left than this is read in large pieces.
const LONG_BODY: u64 = 64 << 10;
/// Bytes of interim answers that a request may be given; more are dropped.
const INTERIM_MAX: usize = 16 << 10;

enum Reading {
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    Trailers(Vec<u8>),
    Done,
}

impl Reading {
    fn left(bytes: u64) -> Self {
        if bytes == 0 { Self::Done } else { Self::Length(bytes) }
    }
}

/// The connection, lent to one request.
pub(crate) struct Http1Side<'c> {
    /// The bytes' way.
    pub(crate) stream: &'c mut Stream,
    /// What was read beyond what is used: of the body, or of the next request.
    pub(crate) input: &'c mut Option<Buffer>,
    reading: Reading,
    /// Whether any byte of the answer went out.
    pub(crate) answered: bool,
    version: Version,
    interim: Vec<u8>,
    interim_at: usize,
    interim_left: usize,
    /// A target's `100 Continue` was passed on.
    continued: bool,
}

impl<'c> Http1Side<'c> {
    /// For the request with this head.
    #[must_use]
    pub(crate) fn new(stream: &'c mut Stream, input: &'c mut Option<Buffer>, head: &RequestHead) -> Self {
        let reading = match head.body {
            BodyLength::None | BodyLength::UntilClose | BodyLength::Length(0) => Reading::Done,
            BodyLength::Length(length) => Reading::Length(length),
            BodyLength::Chunked => Reading::Chunked(Box::new(ChunkDecoder::new())),
        };
        Self {
            stream,
            input,
            reading,
            answered: false,
            version: head.version,
            interim: Vec::new(),
            interim_at: 0,
            interim_left: INTERIM_MAX,
            continued: false,
        }
    }

    /// Whether all of the request was read.
    #[must_use]
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.reading, Reading::Done)
    }

    /// Sends what interim answers are left.
    pub(crate) fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.interim_at < self.interim.len() {
            ready!(self.stream.poll_write_all(cx, &self.interim, &mut self.interim_at))?;
            self.interim = Vec::new();
            self.interim_at = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_buffer(&mut self, cx: &mut Context<'_>, worker: &Worker, large: bool) -> Poll<Option<Buffer>> {
        if let Some(buffer) = self.input.take() {
            if !buffer.is_empty() {
                return Poll::Ready(Some(buffer));
            }
            worker.buffers.put(buffer);
        }
        match self.reading {
            Reading::Length(left) if large && left > LONG_BODY => worker.buffers.poll_take_long(cx, self.stream),
            _ => worker.buffers.poll_try_take_fairly(cx, self.stream).map(|taken| taken.ok().flatten()),
        }
    }

    /// What follows the body in `buffer` belongs to the next request.
    fn keep_rest(&mut self, worker: &Worker, rest: &[u8]) {
        if !rest.is_empty() {
            let mut next = if rest.len() > 32 << 10 { worker.buffers.take_long() } else { worker.buffers.take() };
            let fits = next.append(rest);
            debug_assert!(fits, "a rest is never longer than what was read at once");
            *self.input = Some(next);
        }
    }
}

impl ClientSide for Http1Side<'_> {
    fn poll_part(&mut self, cx: &mut Context<'_>, worker: &Worker, large: bool) -> Poll<Result<Option<Part>, Failure>> {
        loop {
            match &mut self.reading {
                Reading::Done => return Poll::Ready(Ok(None)),
                Reading::Trailers(lines) => {
                    let lines = std::mem::take(lines);
                    self.reading = Reading::Done;
                    return Poll::Ready(Ok(Some(Part::Trailers(lines))));
                }
                Reading::Length(_) | Reading::Chunked(_) => {}
            }
            let Some(mut buffer) = ready!(self.poll_buffer(cx, worker, large)) else {
                return Poll::Ready(Err(Failure::ClientGone));
            };
            if let Reading::Length(left) = self.reading {
                let length = buffer.len() as u64;
                if length > left {
                    let keep = usize::try_from(left).unwrap_or(usize::MAX);
                    self.keep_rest(worker, buffer.data().get(keep..).unwrap_or_default());
                    buffer.truncate(keep);
                }
                self.reading = Reading::left(left.saturating_sub(length));
            } else if let Reading::Chunked(decoder) = &mut self.reading {
                let (bytes, start, end) = buffer.parts();
                let decoded = decoder.decode(bytes, start, end).map_err(|error| Failure::BadBody(error.reason()))?;
                if decoded.finished {
                    let lines = decoder.trailers().to_vec();
                    self.reading = if lines.is_empty() { Reading::Done } else { Reading::Trailers(lines) };
                    buffer.set(decoded.consumed, end);
                    self.keep_rest(worker, buffer.data());
                }
                buffer.set(start, decoded.data_end);
            }
            if buffer.is_empty() {
                worker.buffers.put(buffer);
                continue;
            }
            return Poll::Ready(Ok(Some(Part::Buffer(buffer))));
        }
    }

    /// It has one answer at a time.
    #[inline]
    fn is_behind(&self) -> bool {
        false
    }

    fn may_pipe(&self) -> bool {
        matches!((&self.reading, &*self.stream), (Reading::Length(_), Stream::Plain(_)))
    }

    fn poll_pipe(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Option<Poll<Result<Pipe, Failure>>> {
        let (Reading::Length(left), Stream::Plain(tcp)) = (&self.reading, &*self.stream) else { return None };
        let left = *left;
        if left < pipe::WORTHWHILE || self.input.is_some() {
            return None;
        }
        Some(worker.pipes.poll_take(cx, tcp, left)?.map(|pipe| {
            let pipe = pipe.map_err(|_| Failure::ClientGone)?;
            self.reading = Reading::left(left - pipe.len() as u64);
            Ok(pipe)
        }))
    }

    fn interim(&mut self, head: &ResponseHead) {
        // A client may wait for a first 100, however many others came before it.
        let goes_on = head.status == 100 && !std::mem::replace(&mut self.continued, true);
        if self.version != Version::Http11 || (self.interim_left == 0 && !goes_on) {
            return;
        }
        let forward = ForwardResponse {
            version: self.version,
            keep_alive: true,
            body: BodyLength::None,
            upgrade: false,
            te_trailers: false,
            added: b"".as_slice(),
            date: None,
        };
        let before = self.interim.len();
        write_response(head, &forward, &mut self.interim);
        self.interim_left = self.interim_left.saturating_sub(self.interim.len() - before);
    }

    fn send_continue(&mut self) {
        self.interim.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<()> {
        if let Poll::Ready(Err(_)) = self.poll_interim(cx) {
            return Poll::Ready(());
        }
        if !self.is_read() || self.input.is_some() {
            return Poll::Pending;
        }
        ready!(self.stream.poll_maybe_readable(cx));
        match ready!(worker.buffers.poll_take(cx, self.stream)) {
            Some(buffer) => {
                // For as long as this request takes.
                *self.input = Some(worker.buffers.fitted(buffer));
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}
