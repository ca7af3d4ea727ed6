//! A target's answer on its way to an HTTP/1 client, while the rest of the request may still be on its way up.

use super::side::Http1Side;
use super::tunnel;
use crate::proxy::answer;
use crate::proxy::attempt::Answered;
use crate::proxy::body::{ClientSide, Part};
use crate::proxy::exchange::Exchange;
use crate::proxy::failure::Failure;
use crate::proxy::request::Request;
use crate::proxy::slots::{Interrupt, Slot};
use crate::proxy::worker::Worker;
use plimsoll_core::protocol::forward::{ForwardResponse, write_response};
use plimsoll_core::protocol::h1::write_chunk_head;
use plimsoll_core::protocol::{BodyLength, Known, ResponseHead, Version};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

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
    let Answered { head, exchange, in_flight, service, profile } = answered;
    request.record.status = head.status;
    if head.status == 101 {
        return tunnel::upgrade(request, &head, exchange, side, slot, service.read_timeout).await.map(|()| false);
    }
    let worker = Rc::clone(&request.worker);
    let framing = framing(head.body, request.head.version);
    let waits = request.head.expect_continue && !side.is_read() && request.upload.taken() == 0;
    let keep = request.head.keep_alive && framing != BodyLength::UntilClose && !waits && !worker.shared.is_draining();
    let out = head_bytes(request, &head, framing, keep);
    worker.put_response(head);
    if !exchange.is_done() || !exchange.is_sent() {
        request.detach();
    }
    let mut sending = Sending {
        worker: &worker,
        exchange,
        request,
        side,
        slot,
        chunked: framing == BodyLength::Chunked,
        read_timeout: service.read_timeout,
        write_timeout: worker.snapshot().settings.timeouts.client_body,
        upload_failed: false,
    };
    sending.run(out).await?;
    let Sending { exchange, upload_failed, .. } = sending;
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
    let mut added = worker.buffers.take_head();
    answer::added(request, &mut added);
    let mut out = worker.buffers.take_head();
    worker.with_date(|date| {
        let forward = ForwardResponse {
            version: request.head.version,
            keep_alive: keep,
            body: framing,
            upgrade: head.status == 101,
            te_trailers: request.head.te_trailers,
            added: &added,
            date: head.known(Known::Date).is_none().then_some(date),
        };
        write_response(head, &forward, &mut out);
    });
    worker.buffers.put_head(added);
    out
}

/// The head of an upgraded answer.
pub(super) fn upgrade_head(request: &Request, head: &ResponseHead) -> Vec<u8> {
    head_bytes(request, head, BodyLength::None, true)
}

struct Sending<'a, 'c> {
    worker: &'a Rc<Worker>,
    exchange: Exchange,
    request: &'a mut Request,
    side: &'a mut Http1Side<'c>,
    slot: &'a Slot,
    chunked: bool,
    read_timeout: Duration,
    write_timeout: Duration,
    /// The client's body broke, or the target takes no more of it: the connection cannot be used again.
    upload_failed: bool,
}

enum Step {
    Part(Part),
    End,
    /// Nothing of the body is there yet: the head goes out by itself.
    NotYet,
}

impl Sending<'_, '_> {
    async fn run(&mut self, head: Vec<u8>) -> Result<(), Failure> {
        let mut head = Some(head);
        loop {
            match self.next(head.is_some()).await? {
                Step::NotYet => {
                    let bytes = head.take().unwrap_or_default();
                    self.write(&bytes).await?;
                    self.worker.buffers.put_head(bytes);
                }
                Step::End => {
                    let mut bytes = head.take().unwrap_or_else(|| self.worker.buffers.take_head());
                    if self.chunked {
                        bytes.extend_from_slice(b"0\r\n\r\n");
                    }
                    self.write(&bytes).await?;
                    self.worker.buffers.put_head(bytes);
                    return Ok(());
                }
                Step::Part(Part::Trailers(lines)) => {
                    let mut bytes = head.take().unwrap_or_else(|| self.worker.buffers.take_head());
                    if self.chunked {
                        bytes.extend_from_slice(b"0\r\n");
                        bytes.extend_from_slice(&lines);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    self.write(&bytes).await?;
                    self.worker.buffers.put_head(bytes);
                    return Ok(());
                }
                Step::Part(part) => {
                    self.request.record.bytes_out += part.data().len() as u64;
                    if self.send(part, head.take()).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends one part, with the head before it if that is still to go; true if that was the end of the answer.
    async fn send(&mut self, part: Part, head: Option<Vec<u8>>) -> Result<bool, Failure> {
        let ended = self.exchange.is_done();
        let mut before = head.unwrap_or_default();
        let mut after: &[u8] = b"";
        if self.chunked {
            let mut size = [0; 18];
            let length = write_chunk_head(part.data().len(), &mut size);
            before.extend_from_slice(size.get(..length).unwrap_or_default());
            after = if ended { b"\r\n0\r\n\r\n" } else { b"\r\n" };
        }
        let mut buffer = match part {
            Part::Buffer(buffer) => buffer,
            part => {
                before.extend_from_slice(part.data());
                before.extend_from_slice(after);
                self.write(&before).await?;
                self.worker.buffers.put_head(before);
                return Ok(ended);
            }
        };
        // Head, body and end in one call where they fit together, as they nearly always do.
        if !buffer.prepend(&before) {
            self.write(&before).await?;
        }
        let whole = buffer.append(after);
        let sent = self.write(buffer.data()).await;
        self.worker.buffers.put(buffer);
        sent?;
        if !whole {
            self.write(after).await?;
        }
        self.worker.buffers.put_head(before);
        Ok(ended)
    }

    async fn next(&mut self, head_waits: bool) -> Result<Step, Failure> {
        self.slot.arm(self.read_timeout);
        let mut moved = self.exchange.progress();
        poll_fn(|cx| {
            self.pump(cx);
            if self.exchange.progress() != moved {
                // The client still sends: the target may well wait for the end of that.
                moved = self.exchange.progress();
                self.slot.arm(self.read_timeout);
            }
            match self.exchange.poll_part(cx, self.worker) {
                Poll::Ready(Ok(Some(part))) => return Poll::Ready(Ok(Step::Part(part))),
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(Step::End)),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending if head_waits => return Poll::Ready(Ok(Step::NotYet)),
                Poll::Pending => {}
            }
            if self.side.poll_gone(cx, self.worker).is_ready() {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            self.slot.poll(cx).map(|interrupt| Err(interrupted(interrupt, Failure::ReadTimeout)))
        })
        .await
    }

    /// Goes on with the request's body, while the answer comes already.
    fn pump(&mut self, cx: &mut Context<'_>) {
        if self.upload_failed || self.exchange.is_sent() {
            return;
        }
        let sent = self.exchange.poll_request(cx, self.worker, &mut self.request.upload, self.side);
        self.upload_failed = matches!(sent, Poll::Ready(Err(_)));
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.slot.arm(self.write_timeout);
        let mut at = 0;
        poll_fn(|cx| {
            self.pump(cx);
            // Interim answers that are still on their way go first.
            if self.side.poll_interim(cx)?.is_pending() {
                return self.slot.poll(cx).map(|interrupt| Err(interrupted(interrupt, Failure::ClientTimeout)));
            }
            let before = at;
            let written = self.side.stream.poll_write_all(cx, bytes, &mut at);
            self.side.answered |= at > 0;
            match written {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                Poll::Pending if at > before => self.slot.arm(self.write_timeout),
                Poll::Pending => {}
            }
            self.slot.poll(cx).map(|interrupt| Err(interrupted(interrupt, Failure::ClientTimeout)))
        })
        .await
    }
}

pub(super) fn interrupted(interrupt: Interrupt, timed_out: Failure) -> Failure {
    match interrupt {
        Interrupt::TimedOut => timed_out,
        Interrupt::RequestTimedOut => Failure::RequestTimeout,
        Interrupt::GivenUp => Failure::AnswerCut,
        Interrupt::Drained => Failure::Drained,
    }
}

impl From<std::io::Error> for Failure {
    /// An error on the client's stream: it is gone.
    fn from(_: std::io::Error) -> Self {
        Self::ClientGone
    }
}
