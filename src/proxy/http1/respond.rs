//! A target's answer on its way to an HTTP/1 client, while the rest of the request may still be on its way up.

use super::side::Http1Side;
use super::tunnel;
use crate::connect::Stream;
use crate::proxy::answer::Added;
use crate::proxy::attempt::{Answered, judge_answer};
use crate::proxy::body::Part;
use crate::proxy::buffer::Buffer;
use crate::proxy::failure::Failure;
use crate::proxy::passing::{Passing, Waits};
use crate::proxy::pipe::{self, Pipe};
use crate::proxy::request::Request;
use crate::proxy::slots::Slot;
use plimsoll_core::protocol::forward::{ForwardResponse, write_response};
use plimsoll_core::protocol::h1::write_chunk_head;
use plimsoll_core::protocol::{BodyLength, Known, ResponseHead, Version};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Sends the answer on; true if the client's connection may carry another request.
///
/// # Errors
/// Why it could not be sent in whole. Its head may have gone out already: the connection is closed then.
pub(crate) async fn respond(
    request: &mut Request,
    answered: Answered,
    side: &mut Http1Side<'_>,
    slot: &Slot,
) -> Result<bool, Failure> {
    let Answered { head, exchange, in_flight, read_timeout, profile } = answered;
    request.record.status = head.status;
    if head.status == 101 {
        judge_answer(request, in_flight.target(), head.status, None);
        return tunnel::upgrade(request, &head, exchange, side, slot, read_timeout).await.map(|()| false);
    }
    let worker = Rc::clone(&request.worker);
    let framing = framing(head.body, request.head.version);
    let waits = request.head.expect_continue && !side.is_read() && request.upload.taken() == 0;
    let keep = request.head.keep_alive && framing != BodyLength::UntilClose && !waits && !worker.shared.is_draining();
    let out = head_bytes(request, &head, framing, keep);
    let pipes = matches!(framing, BodyLength::Length(length) if length >= pipe::WORTHWHILE && matches!(side.stream, Stream::Plain(_)));
    worker.put_response(head);
    if !exchange.is_at_hand() || !exchange.is_sent() {
        request.detach();
    }
    let mut sending = Sending {
        passing: Passing::new((&worker, slot), exchange, request, side, read_timeout),
        chunked: framing == BodyLength::Chunked,
        pipes,
        head: Some(out),
        writing: Writing::default(),
        last: false,
    };
    let sent = poll_fn(|cx| sending.poll(cx)).await;
    if sending.writing.stalled {
        sending.passing.flows();
    }
    let Passing { exchange, upload_failed, request, .. } = sending.passing;
    judge_answer(request, in_flight.target(), request.record.status, sent.as_ref().err());
    sent?;
    exchange.finish(&worker, in_flight.target(), profile);
    Ok(keep && side.is_read() && !upload_failed)
}

/// How the body is framed towards the client.
fn framing(body: BodyLength, version: Version) -> BodyLength {
    match (body, version) {
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => BodyLength::UntilClose,
        (BodyLength::Chunked | BodyLength::UntilClose, _) => BodyLength::Chunked,
        (body, _) => body,
    }
}

fn head_bytes(request: &Request, head: &ResponseHead, framing: BodyLength, keep: bool) -> Vec<u8> {
    let worker = &request.worker;
    let mut out = worker.buffers.take_head();
    worker.with_date(|date| {
        let forward = ForwardResponse {
            version: request.head.version,
            keep_alive: keep,
            body: framing,
            upgrade: head.status == 101,
            te_trailers: request.head.te_trailers,
            added: Added(request),
            date: head.known(Known::Date).is_none().then_some(date),
        };
        write_response(head, &forward, &mut out);
    });
    out
}

/// The head of an upgraded answer.
pub(super) fn upgrade_head(request: &Request, head: &ResponseHead) -> Vec<u8> {
    head_bytes(request, head, BodyLength::None, true)
}

/// What is on its way to the client, in this order.
#[derive(Default)]
struct Writing {
    before: Vec<u8>,
    part: Option<Buffer>,
    after: &'static [u8],
    /// Bytes of the first of them that went out.
    at: usize,
    /// What follows them without a copy.
    pipe: Option<Pipe>,
    /// The client did not take it at once.
    stalled: bool,
}

impl Writing {
    fn bytes(&self) -> &[u8] {
        match &self.part {
            _ if !self.before.is_empty() => &self.before,
            Some(part) => part.data(),
            None => self.after,
        }
    }

    /// Bytes of memory that it takes.
    fn kept(&self) -> usize {
        let part = self.part.as_ref().map_or(0, Buffer::size);
        part + self.before.capacity() + if self.pipe.is_some() { pipe::CAPACITY } else { 0 }
    }

    fn is_empty(&self) -> bool {
        self.bytes().is_empty() && self.pipe.is_none()
    }

    /// Writes the first of them; whether any of it went out.
    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> (bool, Poll<std::io::Result<()>>) {
        if let (true, Some(pipe), Stream::Plain(tcp)) = (self.bytes().is_empty(), &mut self.pipe, &*stream) {
            let before = pipe.len();
            let written = pipe.poll_drain(cx, tcp);
            return (pipe.len() < before, written);
        }
        let mut at = self.at;
        let written = stream.poll_write_all(cx, self.bytes(), &mut at);
        (at > std::mem::replace(&mut self.at, at), written)
    }
}

/// An answer on its way: takes the next part, writes it, and so on. One future for both, since most answers are through at
/// its first poll.
struct Sending<'a, 'c> {
    passing: Passing<'a, Http1Side<'c>>,
    chunked: bool,
    /// The client takes pipes, and the body is long enough.
    pipes: bool,
    /// The answer's head, until there is something to send it with.
    head: Option<Vec<u8>>,
    writing: Writing,
    /// Nothing follows what is written.
    last: bool,
}

impl Sending<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            ready!(self.poll_write(cx))?;
            if self.last {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_next(cx))?;
        }
    }

    /// Takes what is to be written next.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.pipes
            && let Some(piped) = self.passing.poll_pipe(cx)
            && let Poll::Ready(pipe) = piped
        {
            self.begin_pipe(pipe?);
            return Poll::Ready(Ok(()));
        }
        match self.passing.poll_part(cx) {
            Poll::Ready(Ok(Some(Part::Trailers(lines)))) => self.end(&lines),
            Poll::Ready(Ok(Some(part))) => self.begin(part),
            Poll::Ready(Ok(None)) => self.end(b""),
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Pending => {
                // Nothing of the body is there yet: the head goes out by itself.
                let Some(head) = self.head.take() else { return self.passing.wait_for_part(cx).map(Err) };
                self.writing.before = head;
            }
        }
        self.passing.went_on();
        Poll::Ready(Ok(()))
    }

    /// The end of the body, with these trailers.
    fn end(&mut self, trailers: &[u8]) {
        let mut bytes = self.head.take().unwrap_or_else(|| self.passing.worker.buffers.take_head());
        if self.chunked {
            bytes.extend_from_slice(b"0\r\n");
            bytes.extend_from_slice(trailers);
            bytes.extend_from_slice(b"\r\n");
        }
        self.writing.before = bytes;
        self.last = true;
    }

    /// A part of the body in a pipe, with the head before it if that is still to go.
    fn begin_pipe(&mut self, pipe: Pipe) {
        self.passing.request.record.bytes_out += pipe.len() as u64;
        self.last = self.passing.exchange.is_done();
        self.writing.before = self.head.take().unwrap_or_default();
        self.writing.pipe = Some(pipe);
        self.passing.went_on();
    }

    /// A part of the body, with the head before it if that is still to go.
    fn begin(&mut self, part: Part) {
        let length = part.data().len();
        self.passing.request.record.bytes_out += length as u64;
        self.last = self.passing.exchange.is_done();
        let writing = &mut self.writing;
        writing.before = self.head.take().unwrap_or_default();
        if self.chunked {
            let mut size = [0; 18];
            let digits = write_chunk_head(length, &mut size);
            writing.before.extend_from_slice(size.get(..digits).unwrap_or_default());
            writing.after = if self.last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
        }
        let Part::Buffer(mut buffer) = part else {
            writing.before.extend_from_slice(part.data());
            writing.before.extend_from_slice(writing.after);
            writing.after = b"";
            return;
        };
        // Head, body and end in one call where they fit together, as they nearly always do.
        if buffer.prepend(&writing.before) {
            self.passing.worker.buffers.put_head(std::mem::take(&mut writing.before));
        }
        if buffer.append(writing.after) {
            writing.after = b"";
        }
        writing.part = Some(buffer);
    }

    /// Writes what there is to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.writing.is_empty() {
            self.passing.pump(cx);
            // Interim answers that are still on their way go first.
            if self.passing.side.poll_interim(cx)?.is_pending() {
                return self.wait_for_client(cx);
            }
            let (moved, written) = self.writing.poll(cx, self.passing.side.stream);
            if moved {
                self.passing.side.answered = true;
                self.passing.went_on();
            }
            match written {
                Poll::Ready(Ok(())) => self.written(),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                Poll::Pending => return self.wait_for_client(cx),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wait_for_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.writing.stalled = true;
        self.passing.stalls(self.writing.kept());
        self.passing.wait(cx, Waits::ForClient).map(Err)
    }

    /// The first of what was to be written has gone out.
    fn written(&mut self) {
        if std::mem::take(&mut self.writing.stalled) {
            self.passing.flows();
        }
        let Writing { before, part, after, at, pipe, .. } = &mut self.writing;
        *at = 0;
        if !before.is_empty() {
            self.passing.worker.buffers.put_head(std::mem::take(before));
        } else if let Some(part) = part.take() {
            self.passing.worker.buffers.put(part);
        } else if let Some(pipe) = pipe.take() {
            self.passing.worker.pipes.put(pipe);
        } else {
            *after = b"";
        }
    }
}

impl From<std::io::Error> for Failure {
    /// An error on the client's stream: it is gone.
    fn from(_: std::io::Error) -> Self {
        Self::ClientGone
    }
}
