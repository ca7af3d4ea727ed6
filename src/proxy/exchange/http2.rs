//! A request on a shared HTTP/2 connection to a target.

use crate::connect::{Http2Place, Pipe, pipe};
use crate::proxy::body::{ClientSide, Part, Upload};
use crate::proxy::failure::Failure;
use crate::proxy::trailers;
use crate::proxy::worker::Worker;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use plimsoll_core::protocol::{BodyLength, Method, ResponseHead};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Answer = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>>>>;

/// A request under way.
pub(crate) struct Http2Exchange {
    answer: Option<Answer>,
    pipe: Option<Pipe>,
    body: Option<Incoming>,
    sent: bool,
    progress: u32,
    /// The target certainly did nothing with it.
    refused: bool,
    /// On the connection.
    place: Http2Place,
    method: Method,
}

impl Http2Exchange {
    /// Begins a request of this method, with such a body.
    #[must_use]
    pub(crate) fn new(
        mut place: Http2Place,
        parts: http::request::Parts,
        (method, body): (Method, BodyLength),
    ) -> Self {
        let (feed, source) = pipe();
        let has_body = body != BodyLength::None;
        if !has_body {
            feed.end();
        }
        let answer = Box::pin(place.sender.send_request(Request::from_parts(parts, source)));
        let (pipe, sent) = (Some(feed), !has_body);
        Self { answer: Some(answer), pipe, body: None, sent, progress: 0, refused: false, place, method }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent
    }

    pub(super) fn progress(&self) -> u32 {
        self.progress
    }

    pub(super) fn is_done(&self) -> bool {
        self.answer.is_none() && self.body.is_none()
    }

    pub(super) fn waits_for_client(&self) -> bool {
        !self.sent && self.pipe.as_ref().is_none_or(Pipe::is_empty)
    }

    pub(super) fn never_acknowledged(&self) -> bool {
        self.refused
    }

    /// Whether it failed with a connection that others had used, in a way that says nothing of the target.
    pub(super) fn is_stale(&self) -> bool {
        self.place.reused && self.refused
    }

    pub(super) fn poll_request<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        upload: &mut Upload,
        client: &mut C,
    ) -> Poll<Result<(), Failure>> {
        while !self.sent {
            let Some(pipe) = &self.pipe else { break };
            if ready!(pipe.poll_ready(cx)).is_err() {
                // The target wants no more of it: its answer, or its reset, says why.
                self.sent = true;
                break;
            }
            match ready!(upload.poll_part(cx, worker, client))? {
                None => {
                    pipe.end();
                    self.sent = true;
                }
                Some(Part::Trailers(lines)) => {
                    pipe.send(Frame::trailers(trailers::to_map(&lines)));
                    pipe.end();
                    self.sent = true;
                }
                Some(Part::Bytes(bytes)) => pipe.send(Frame::data(bytes)),
                Some(part) => {
                    pipe.send(Frame::data(Bytes::copy_from_slice(part.data())));
                    part.recycle(worker);
                }
            }
            self.progress = self.progress.wrapping_add(1);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, head: &mut ResponseHead) -> Poll<Result<(), Failure>> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(Failure::Closed)) };
        let answer = ready!(answer.as_mut().poll(cx));
        self.answer = None;
        let (parts, body) = match answer {
            Ok(response) => response.into_parts(),
            Err(error) => {
                self.refused = never_processed(&error);
                return Poll::Ready(Err(Failure::Closed));
            }
        };
        head.begin(parts.status.as_u16());
        for (name, value) in &parts.headers {
            if head.push(name.as_str().as_bytes(), value.as_bytes()).is_err() {
                return Poll::Ready(Err(Failure::BadResponse("a head over 60 KiB")));
            }
        }
        let ended = body.is_end_stream();
        head.finish(self.method, ended).map_err(|error| Failure::BadResponse(error.reason()))?;
        self.body = (!ended && head.body != BodyLength::None).then_some(body);
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Failure>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
                self.body = None;
                return Poll::Ready(Ok(None));
            };
            let frame = frame.map_err(|_| Failure::AnswerCut)?;
            return Poll::Ready(Ok(Some(match frame.into_data() {
                // As a chunk, it would end the answer.
                Ok(data) if data.is_empty() => continue,
                Ok(data) => Part::Bytes(data),
                Err(frame) => Part::Trailers(trailers::from_map(frame.into_trailers().ok().as_ref())),
            })));
        }
    }
}

/// Whether the target certainly did nothing with the request: it was never sent, refused by `REFUSED_STREAM`, or above the
/// last stream of a GOAWAY (RFC 9113 §6.8).
fn never_processed(error: &hyper::Error) -> bool {
    if error.is_canceled() {
        return true;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            return h2.reason() == Some(h2::Reason::REFUSED_STREAM) || (h2.is_go_away() && h2.is_remote());
        }
        source = cause.source();
    }
    false
}
