//! A target's answer on its way to an HTTP/2 client, while the rest of the request may still be on its way up.

use super::head;
use super::piece::Piece;
use super::side::Http2Side;
use crate::connect::poll_room;
use crate::proxy::attempt::Answered;
use crate::proxy::body::{ClientSide, Part};
use crate::proxy::exchange::Exchange;
use crate::proxy::failure::Failure;
use crate::proxy::request::Request;
use crate::proxy::slots::{Interrupt, Slot};
use crate::proxy::trailers;
use crate::proxy::worker::Worker;
use bytes::Bytes;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
    let Answered { head, exchange, in_flight, service, profile } = answered;
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
    let mut sending = Sending {
        worker: &worker,
        exchange,
        write_timeout: request.settings().timeouts.client_body,
        request,
        side,
        slot,
        part: None,
        last: ended,
        waits: None,
        moved: 0,
        read_timeout: service.read_timeout,
        upload_failed: false,
    };
    poll_fn(|cx| sending.poll(cx)).await?;
    sending.exchange.finish(&worker, in_flight.target(), profile);
    Ok(())
}

/// What an answer waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    ForTarget,
    ForClient,
}

/// An answer on its way: takes the next part, sends it, and so on.
struct Sending<'a> {
    worker: &'a Rc<Worker>,
    exchange: Exchange,
    request: &'a mut Request,
    side: &'a mut Http2Side,
    slot: &'a Slot,
    /// What is to be sent next.
    part: Option<Part>,
    /// Nothing follows it.
    last: bool,
    /// What the slot is armed for.
    waits: Option<Waits>,
    /// How far the request's body was when the slot was armed.
    moved: u32,
    read_timeout: Duration,
    write_timeout: Duration,
    /// The client's body broke, or the target takes no more of it.
    upload_failed: bool,
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
        self.pump(cx);
        // Windows are short, and many streams may wait with what they took.
        match self.exchange.poll_part(cx, self.worker, true) {
            Poll::Ready(Ok(Some(Part::Trailers(lines)))) => {
                self.last = true;
                self.side.end(Some(trailers::to_map(&lines)))?;
            }
            Poll::Ready(Ok(Some(part))) => {
                self.request.record.bytes_out += part.data().len() as u64;
                self.last = self.exchange.is_done();
                self.part = Some(part);
            }
            Poll::Ready(Ok(None)) => {
                self.last = true;
                self.side.end(None)?;
            }
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Pending => return self.wait_for_part(cx),
        }
        self.waits = None;
        Poll::Ready(Ok(()))
    }

    fn wait_for_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.side.poll_gone(cx, self.worker).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        if self.exchange.progress() != self.moved {
            // The client still sends: the target may well wait for the end of that.
            self.moved = self.exchange.progress();
            self.waits = None;
        }
        self.wait(cx, Waits::ForTarget)
    }

    /// Goes on with the request's body, while the answer comes already.
    fn pump(&mut self, cx: &mut Context<'_>) {
        if self.upload_failed || self.exchange.is_sent() {
            return;
        }
        let sent = self.exchange.poll_request(cx, self.worker, &mut self.request.upload, self.side);
        self.upload_failed = matches!(sent, Poll::Ready(Err(_)));
    }

    /// Sends what there is to send, as the client's windows let it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while let Some(part) = self.part.as_ref() {
            let length = part.data().len();
            let stream = self.side.stream()?;
            let Poll::Ready(room) = poll_room(stream, cx, length) else {
                self.pump(cx);
                return self.wait(cx, Waits::ForClient);
            };
            let room = room.map_err(|_| Failure::ClientGone)?;
            let piece = self.take(room);
            let end = self.last && self.part.is_none();
            self.side.stream()?.send_data(piece, end).map_err(|_| Failure::ClientGone)?;
            self.waits = None;
        }
        Poll::Ready(Ok(()))
    }

    /// The first `count` bytes of the part.
    fn take(&mut self, count: usize) -> Piece {
        match self.part.take() {
            Some(Part::Buffer(buffer)) if buffer.len() <= count => Piece::of_buffer(buffer, self.worker),
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

    /// Bounds the wait in time, from when it began or something last moved.
    fn wait(&mut self, cx: &mut Context<'_>, waits: Waits) -> Poll<Result<(), Failure>> {
        let (timeout, timed_out) = match waits {
            Waits::ForTarget => (self.read_timeout, Failure::ReadTimeout),
            Waits::ForClient => (self.write_timeout, Failure::ClientTimeout),
        };
        if self.waits != Some(waits) {
            self.waits = Some(waits);
            self.slot.arm(timeout);
        }
        self.slot.poll(cx).map(|interrupt| {
            Err(match interrupt {
                Interrupt::TimedOut => timed_out,
                Interrupt::RequestTimedOut => Failure::RequestTimeout,
                Interrupt::GivenUp => Failure::AnswerCut,
                Interrupt::Drained => Failure::Drained,
            })
        })
    }
}
