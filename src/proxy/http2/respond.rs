//! A target's answer on its way to an HTTP/2 client, while the rest of the request may still be on its way up.

use super::head;
use super::piece::Piece;
use super::side::Http2Side;
use crate::connect::poll_room;
use crate::proxy::attempt::{Answered, judge_answer};
use crate::proxy::body::{ClientSide, Part};
use crate::proxy::buffer::Window;
use crate::proxy::failure::Failure;
use crate::proxy::passing::{Passing, Waits};
use crate::proxy::request::Request;
use crate::proxy::slots::Slot;
use crate::proxy::trailers;
use bytes::Bytes;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Sends the answer on.
///
/// # Errors
/// Why it could not be sent in whole.
pub(super) async fn respond(
    request: &mut Request,
    answered: Answered,
    side: &mut Http2Side,
    slot: &Slot,
) -> Result<(), Failure> {
    let Answered { head, exchange, in_flight, read_timeout, profile } = answered;
    let worker = Rc::clone(&request.worker);
    request.record.status = head.status;
    let response = head::write(request, &head);
    worker.put_response(head);
    // Where the head is all of the answer, it ends the stream itself: clients of gRPC take nothing else for an answer of
    // trailers alone.
    let ended = exchange.is_done();
    side.begin(response, ended)?;
    if !ended || !exchange.is_sent() {
        request.detach();
    }
    let passing = Passing::new((&worker, slot), exchange, request, side, read_timeout);
    let mut sending = Sending { passing, part: None, waiting: None, last: ended, stalled: None };
    let sent = poll_fn(|cx| sending.poll(cx)).await;
    let request = &*sending.passing.request;
    judge_answer(request, in_flight.target(), request.record.status, sent.as_ref().err());
    sent?;
    sending.passing.exchange.finish(&worker, in_flight.target(), profile);
    Ok(())
}

/// An answer on its way: takes the next part, sends it, and so on.
struct Sending<'a> {
    passing: Passing<'a, Http2Side>,
    /// What is to be sent next.
    part: Option<Part>,
    /// Counts the part, where it is a copy that waits for a window.
    waiting: Option<Window>,
    /// Nothing follows it.
    last: bool,
    /// Where the client's window did not let it through at once: counts what it takes.
    stalled: Option<Window>,
}

impl Sending<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            ready!(self.poll_send(cx))?;
            if self.last {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_next(cx))?;
        }
    }

    /// Takes what is to be sent next.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let behind = self.passing.side.is_behind();
        self.passing.exchange.read_little(behind);
        match self.passing.poll_part(cx) {
            Poll::Ready(Ok(Some(Part::Trailers(lines)))) => {
                self.last = true;
                self.passing.side.end(Some(trailers::to_map(&lines)))?;
            }
            Poll::Ready(Ok(Some(part))) => {
                self.passing.request.record.bytes_out += part.data().len() as u64;
                self.last = self.passing.exchange.is_done();
                self.part = Some(part);
            }
            Poll::Ready(Ok(None)) => {
                self.last = true;
                self.passing.side.end(None)?;
            }
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Pending => return self.passing.wait_for_part(cx).map(Err),
        }
        self.passing.went_on();
        Poll::Ready(Ok(()))
    }

    /// Sends what there is to send, as the client's windows let it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while let Some(part) = self.part.as_ref() {
            let length = part.data().len();
            let stream = self.passing.side.stream()?;
            let Poll::Ready(room) = poll_room(stream, cx, length) else {
                self.give_back();
                let kept = self.kept();
                if self.stalled.is_none() {
                    self.stalled = Some(self.passing.side.keeps(kept));
                }
                self.passing.stalls(kept);
                self.passing.pump(cx);
                return self.passing.wait(cx, Waits::ForClient).map(Err);
            };
            let room = room.map_err(|_| Failure::ClientGone)?;
            let piece = self.take(room);
            self.passing.side.takes(room);
            let end = self.last && self.part.is_none();
            self.passing.side.stream()?.send_data(piece, end).map_err(|_| Failure::ClientGone)?;
            if self.part.is_none() && self.stalled.take().is_some() {
                self.passing.flows();
            }
            self.passing.went_on();
        }
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    /// A few bytes that wait for a window do not keep a buffer: a client that opens none could take them all with a few
    /// thousand short requests.
    fn give_back(&mut self) {
        let sparse = |part: &mut Part| matches!(part, Part::Buffer(buffer) if buffer.is_sparse());
        if let Some(Part::Buffer(buffer)) = self.part.take_if(sparse) {
            let buffers = &self.passing.worker.buffers;
            let waiting = buffers.window(buffer.len());
            waiting.fill(true);
            self.waiting = Some(waiting);
            self.part = Some(Part::Bytes(Bytes::copy_from_slice(buffer.data())));
            buffers.put(buffer);
        }
    }

    /// Bytes of memory that the part takes.
    fn kept(&self) -> usize {
        match &self.part {
            Some(Part::Buffer(buffer)) => buffer.size(),
            part => part.as_ref().map_or(0, |part| part.data().len()),
        }
    }

    /// The first `count` bytes of the part.
    fn take(&mut self, count: usize) -> Piece {
        match self.part.take() {
            Some(Part::Buffer(buffer)) if buffer.len() <= count => Piece::of_buffer(buffer, self.passing.worker),
            Some(Part::Buffer(mut buffer)) => {
                let bytes = Bytes::copy_from_slice(buffer.data().get(..count).unwrap_or_default());
                buffer.advance(count);
                self.part = Some(Part::Buffer(buffer));
                Piece::Bytes(bytes)
            }
            Some(Part::Bytes(mut bytes)) => {
                let piece = bytes.split_to(count.min(bytes.len()));
                self.part = (!bytes.is_empty()).then_some(Part::Bytes(bytes));
                Piece::Bytes(piece)
            }
            Some(Part::Trailers(_)) | None => Piece::Bytes(Bytes::new()),
        }
    }
}
