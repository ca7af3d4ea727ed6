//! A request on a shared HTTP/2 connection to a target.

use crate::connect::{Http2Place, STREAM_WINDOW, poll_room};
use crate::proxy::body::{ClientSide, Part, Upload};
use crate::proxy::buffer::Window;
use crate::proxy::failure::Failure;
use crate::proxy::trailers;
use crate::proxy::worker::Worker;
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::Request;
use plimsoll_core::protocol::{BodyLength, HeadError, Method, ResponseHead};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A request under way.
pub(crate) struct Http2Exchange {
    answer: Option<ResponseFuture>,
    /// Where the body goes, until all of it went.
    upload: Option<SendStream<Bytes>>,
    /// What is left of a part that had no room yet.
    rest: Bytes,
    body: Option<RecvStream>,
    window: Window,
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
        worker: &Worker,
        mut place: Http2Place,
        parts: http::request::Parts,
        (method, body): (Method, BodyLength),
    ) -> Self {
        let ended = body == BodyLength::None;
        let (answer, upload) = match place.sender.send_request(Request::from_parts(parts, ()), ended) {
            Ok((answer, upload)) => (Some(answer), (!ended).then_some(upload)),
            // Nothing went out: the connection ended between its being chosen and now.
            Err(_) => (None, None),
        };
        let refused = answer.is_none();
        let window = worker.buffers.window(STREAM_WINDOW as usize);
        Self { answer, upload, rest: Bytes::new(), body: None, window, progress: 0, refused, place, method }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.upload.is_none()
    }

    pub(super) fn progress(&self) -> u32 {
        self.progress
    }

    pub(super) fn is_done(&self) -> bool {
        self.answer.is_none() && self.body.is_none()
    }

    pub(super) fn waits_for_client(&self) -> bool {
        self.upload.is_some() && self.rest.is_empty()
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
        while let Some(stream) = &mut self.upload {
            let sent = if self.rest.is_empty() {
                match ready!(upload.poll_part(cx, worker, client))? {
                    None => {
                        let sent = stream.send_data(Bytes::new(), true);
                        self.upload = None;
                        sent
                    }
                    Some(Part::Trailers(lines)) => {
                        let sent = stream.send_trailers(trailers::to_map(&lines));
                        self.upload = None;
                        sent
                    }
                    Some(Part::Bytes(bytes)) => {
                        self.rest = bytes;
                        continue;
                    }
                    Some(part) => {
                        self.rest = Bytes::copy_from_slice(part.data());
                        part.recycle(worker);
                        continue;
                    }
                }
            } else {
                match ready!(poll_room(stream, cx, self.rest.len())) {
                    Ok(room) => stream.send_data(self.rest.split_to(room), false),
                    Err(_) => return self.unwanted(),
                }
            };
            if sent.is_err() {
                return self.unwanted();
            }
            self.progress = self.progress.wrapping_add(1);
        }
        Poll::Ready(Ok(()))
    }

    /// The target wants no more of the body: its answer, or its reset, says why.
    fn unwanted(&mut self) -> Poll<Result<(), Failure>> {
        self.upload = None;
        self.rest = Bytes::new();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, head: &mut ResponseHead) -> Poll<Result<(), Failure>> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(Failure::Closed)) };
        if let Poll::Ready(Some(interim)) = answer.poll_informational(cx) {
            let interim = match interim {
                Ok(interim) => interim,
                Err(error) => return self.failed(&error),
            };
            let (parts, ()) = interim.into_parts();
            read_head(head, parts.status, &parts.headers)?;
            return Poll::Ready(match parts.status.as_u16() {
                // RFC 9113 §8.6.
                101 => Err(Failure::BadResponse("101 over http/2")),
                _ => head.finish(self.method, true).map_err(bad_head),
            });
        }
        let (parts, body) = match ready!(Pin::new(answer).poll(cx)) {
            Ok(response) => response.into_parts(),
            Err(error) => return self.failed(&error),
        };
        self.answer = None;
        read_head(head, parts.status, &parts.headers)?;
        let ended = body.is_end_stream();
        head.finish(self.method, ended).map_err(bad_head)?;
        self.body = (!ended && head.body != BodyLength::None).then_some(body);
        self.window.fill(self.body.is_some());
        Poll::Ready(Ok(()))
    }

    fn failed(&mut self, error: &h2::Error) -> Poll<Result<(), Failure>> {
        self.answer = None;
        self.refused = never_processed(error);
        Poll::Ready(Err(Failure::Closed))
    }

    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Failure>> {
        let part = self.poll_next(cx);
        // What comes from now on is taken as it comes, or nothing more does.
        self.window.fill(matches!(part, Poll::Ready(Ok(Some(_)))));
        part
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Failure>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            if let Some(data) = ready!(body.poll_data(cx)) {
                let data = data.map_err(|_| Failure::AnswerCut)?;
                body.flow_control().release_capacity(data.len()).map_err(|_| Failure::AnswerCut)?;
                // As a chunk, it would end the answer.
                if data.is_empty() {
                    continue;
                }
                if body.is_end_stream() {
                    self.body = None;
                }
                return Poll::Ready(Ok(Some(Part::Bytes(data))));
            }
            let trailers = ready!(body.poll_trailers(cx)).map_err(|_| Failure::AnswerCut)?;
            self.body = None;
            return Poll::Ready(Ok(trailers.map(|map| Part::Trailers(trailers::from_map(Some(&map))))));
        }
    }
}

fn read_head(head: &mut ResponseHead, status: http::StatusCode, fields: &http::HeaderMap) -> Result<(), Failure> {
    head.begin(status.as_u16());
    for (name, value) in fields {
        if head.push(name.as_str().as_bytes(), value.as_bytes()).is_err() {
            return Err(Failure::BadResponse("a head over 60 KiB"));
        }
    }
    Ok(())
}

fn bad_head(error: HeadError) -> Failure {
    Failure::BadResponse(error.reason())
}

/// Whether the target certainly did nothing with the request: refused by `REFUSED_STREAM`, or above the last stream of a
/// GOAWAY (RFC 9113 §6.8).
fn never_processed(error: &h2::Error) -> bool {
    error.reason() == Some(h2::Reason::REFUSED_STREAM) || (error.is_go_away() && error.is_remote())
}
