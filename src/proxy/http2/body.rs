//! An answer's body, as hyper's HTTP/2 server pulls it.

use super::side::Http2Side;
use crate::proxy::body::Part;
use crate::proxy::exchange::Exchange;
use crate::proxy::failure::Failure;
use crate::proxy::request::Request;
use crate::proxy::slots::{Interrupt, Slot};
use crate::proxy::trailers;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use plimsoll_core::upstream::InFlight;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What is answered to a client over HTTP/2.
pub(crate) enum AnswerBody {
    /// Nothing.
    Empty,
    /// The gateway's own words.
    Bytes(Option<Bytes>),
    /// A target's answer.
    Streaming(Box<Streaming>),
}

/// A target's answer under way, with the rest of the request that it may still be reading.
pub(crate) struct Streaming {
    pub(super) request: Option<Request>,
    pub(super) exchange: Option<Exchange>,
    pub(super) side: Http2Side,
    pub(super) slot: Slot,
    pub(super) in_flight: InFlight,
    pub(super) profile: u64,
    pub(super) read_timeout: Duration,
    pub(super) upload_failed: bool,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streaming(streaming) => streaming.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(bytes) => bytes.is_none(),
            Self::Streaming(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Streaming(_) => SizeHint::default(),
        }
    }
}

impl Streaming {
    /// Where the head was all of the answer, it ends the stream itself: clients of gRPC take nothing else for an answer of
    /// trailers alone.
    pub(super) fn into_body(mut self) -> AnswerBody {
        if self.exchange.as_ref().is_some_and(Exchange::is_done) {
            self.end(None);
            return AnswerBody::Empty;
        }
        AnswerBody::Streaming(Box::new(self))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (Some(request), Some(exchange)) = (&mut self.request, &mut self.exchange) else {
            return Poll::Ready(None);
        };
        let worker = Rc::clone(&request.worker);
        if !self.upload_failed && !exchange.is_sent() {
            let before = exchange.progress();
            let sent = exchange.poll_request(cx, &worker, &mut request.upload, &mut self.side);
            self.upload_failed = matches!(sent, Poll::Ready(Err(_)));
            if exchange.progress() != before {
                // The client still sends: the target may well wait for the end of that.
                self.slot.arm(self.read_timeout);
            }
        }
        match exchange.poll_part(cx, &worker) {
            Poll::Ready(Ok(None)) => {
                self.end(None);
                Poll::Ready(None)
            }
            Poll::Ready(Ok(Some(Part::Trailers(lines)))) => {
                Poll::Ready(Some(Ok(Frame::trailers(trailers::to_map(&lines)))))
            }
            Poll::Ready(Ok(Some(part))) => {
                request.record.bytes_out += part.data().len() as u64;
                self.slot.arm(self.read_timeout);
                let data = match part {
                    Part::Bytes(bytes) => bytes,
                    part => {
                        let bytes = Bytes::copy_from_slice(part.data());
                        part.recycle(&worker);
                        bytes
                    }
                };
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Err(failure)) => self.fail(failure),
            Poll::Pending => match self.slot.poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Interrupt::TimedOut) => self.fail(Failure::ReadTimeout),
                Poll::Ready(Interrupt::RequestTimedOut) => self.fail(Failure::RequestTimeout),
                Poll::Ready(Interrupt::GivenUp) => self.fail(Failure::AnswerCut),
                Poll::Ready(Interrupt::Drained) => self.fail(Failure::Drained),
            },
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let label = failure.row().label;
        self.end(Some(failure));
        Poll::Ready(Some(Err(io::Error::other(label))))
    }

    fn end(&mut self, failure: Option<Failure>) {
        let (Some(mut request), Some(exchange)) = (self.request.take(), self.exchange.take()) else { return };
        self.slot.on_target(None);
        if failure.is_none() {
            exchange.finish(&request.worker, &Arc::clone(self.in_flight.target()), self.profile);
        }
        request.record.failure = failure;
        request.finish();
    }
}
