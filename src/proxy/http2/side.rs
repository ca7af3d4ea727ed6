//! The client's side of one request over HTTP/2.

use super::head;
use super::piece::Piece;
use super::streams::Streams;
use crate::proxy::body::{ClientSide, Part};
use crate::proxy::buffer::Window;
use crate::proxy::failure::Failure;
use crate::proxy::pipe::Pipe;
use crate::proxy::request::Request;
use crate::proxy::slots::Slot;
use crate::proxy::trailers;
use crate::proxy::wait::until;
use crate::proxy::worker::Worker;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response, StatusCode};
use plimsoll_core::protocol::ResponseHead;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// Bytes of interim answers that a request may be given, about. They know no window, and so nothing else bounds them.
const INTERIM_MAX: usize = 16 << 10;

/// A stream, both ways.
pub(super) struct Http2Side {
    body: Option<RecvStream>,
    window: Window,
    /// Came of the body before it was asked for.
    early: Option<Bytes>,
    answer: SendResponse<Piece>,
    /// Once the answer has begun.
    stream: Option<SendStream<Piece>>,
    /// Of its connection.
    streams: Rc<Streams>,
    interim_left: usize,
    /// A target's `100 Continue` was passed on.
    continued: bool,
}

impl Http2Side {
    /// The request's body, with as much of it as the client may have sent unasked; the way of the answer.
    #[must_use]
    pub(super) fn new(
        worker: &Worker,
        streams: &Rc<Streams>,
        body: RecvStream,
        window: u32,
        answer: SendResponse<Piece>,
    ) -> Self {
        let streams = Rc::clone(streams);
        let window = worker.buffers.window(window as usize);
        let body = (!body.is_end_stream()).then_some(body);
        window.fill(body.is_some());
        Self { body, window, early: None, answer, stream: None, streams, interim_left: INTERIM_MAX, continued: false }
    }

    /// Counts bytes of memory of the answer that are kept until the client takes what is in them.
    #[must_use]
    pub(super) fn keeps(&self, bytes: usize) -> Window {
        self.streams.keep(bytes)
    }

    /// The client's window let so many bytes of the answer through.
    #[inline]
    pub(super) fn takes(&self, bytes: usize) {
        self.streams.took(bytes);
    }

    /// Whether the client has reset the stream, as far as its frames were read.
    #[must_use]
    pub(super) fn is_reset(&mut self) -> bool {
        self.answer.poll_reset(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Waits until the request may begin, where the client leaves much untaken of what it asked for before.
    ///
    /// # Errors
    /// The client has gone, or the request's time, or the gateway's, is over.
    pub(super) async fn turn(&mut self, request: &mut Request, slot: &Slot) -> Result<(), Failure> {
        // It is rare, and need not make every stream's task larger.
        let turn = Rc::clone(&self.streams).turn(Rc::clone(&request.worker));
        let waited = Box::pin(until(turn, request, self, slot)).await;
        // What the target takes is counted from here.
        request.record.asked = request.worker.now();
        waited
    }

    /// Takes what comes of the body while nobody asks for it: only then is it known whether its window holds anything.
    fn poll_early(&mut self, cx: &mut Context<'_>) -> Result<(), h2::Error> {
        let (None, Some(body)) = (&self.early, &mut self.body) else { return Ok(()) };
        if let Poll::Ready(Some(data)) = body.poll_data(cx) {
            self.early = Some(data?);
        }
        self.window.fill(self.early.is_some());
        Ok(())
    }

    /// Begins the answer, or gives all of it.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn begin(&mut self, head: Response<()>, ended: bool) -> Result<(), Failure> {
        self.stream = Some(self.answer.send_response(head, ended).map_err(|_| Failure::ClientGone)?);
        Ok(())
    }

    /// Gives all of an answer, whatever room the client has: for short ones.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn answer(&mut self, head: Response<()>, body: Option<Piece>) -> Result<(), Failure> {
        self.begin(head, body.is_none())?;
        body.map_or(Ok(()), |body| self.stream()?.send_data(body, true).map_err(|_| Failure::ClientGone))
    }

    /// The way of the answer's body, once it has begun.
    ///
    /// # Errors
    /// It has not.
    pub(super) fn stream(&mut self) -> Result<&mut SendStream<Piece>, Failure> {
        self.stream.as_mut().ok_or(Failure::ClientGone)
    }

    /// Ends the answer, with trailers if there are any.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Failure> {
        let stream = self.stream()?;
        let ended = match trailers {
            Some(trailers) => stream.send_trailers(trailers),
            None => stream.send_data(Piece::Bytes(Bytes::new()), true),
        };
        ended.map_err(|_| Failure::ClientGone)
    }

    fn send_interim(&mut self, interim: Response<()>) {
        if let Err(error) = self.answer.send_informational(interim) {
            // That the client has gone is found out where its answer is waited for.
            tracing::debug!(%error, "an interim answer was not sent");
        }
    }

    /// Cuts the stream.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.answer.send_reset(reason);
    }
}

impl Drop for Http2Side {
    fn drop(&mut self) {
        let Some(body) = &mut self.body else { return };
        let mut cx = Context::from_waker(Waker::noop());
        // Its end may have come, behind what nobody asked for.
        let more_comes = loop {
            match body.poll_data(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                // What the client resets itself, it sends nothing of any more.
                Poll::Ready(Some(Err(error))) => break !error.is_remote(),
                Poll::Ready(None) => break false,
                Poll::Pending => break true,
            }
        };
        if more_comes {
            self.streams.left_unread();
        }
    }
}

impl ClientSide for Http2Side {
    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        _worker: &Worker,
        _large: bool,
    ) -> Poll<Result<Option<Part>, Failure>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
            let data = self.early.take().map_or_else(|| body.poll_data(cx), |data| Poll::Ready(Some(Ok(data))));
            // What comes while this waits is taken as it comes.
            self.window.fill(data.is_ready());
            if let Some(data) = ready!(data) {
                let data = data.map_err(|_| Failure::ClientGone)?;
                body.flow_control().release_capacity(data.len()).map_err(|_| Failure::ClientGone)?;
                if data.is_empty() {
                    continue;
                }
                return Poll::Ready(Ok(Some(Part::Bytes(data))));
            }
            let trailers = ready!(body.poll_trailers(cx)).map_err(|_| Failure::ClientGone)?;
            self.body = None;
            self.window.fill(false);
            return Poll::Ready(Ok(trailers.map(|map| Part::Trailers(trailers::from_map(Some(&map))))));
        }
    }

    fn is_behind(&self) -> bool {
        self.streams.are_behind()
    }

    fn may_pipe(&self) -> bool {
        false
    }

    fn poll_pipe(&mut self, _cx: &mut Context<'_>, _worker: &Worker) -> Option<Poll<Result<Pipe, Failure>>> {
        None
    }

    fn interim(&mut self, head: &ResponseHead) {
        let mut interim = Response::new(());
        let size = head::write_interim(head, &mut interim);
        // A client may wait for a first 100, however many others came before it.
        let goes_on = head.status == 100 && !std::mem::replace(&mut self.continued, true);
        if let Some(left) = self.interim_left.checked_sub(size) {
            self.interim_left = left;
            self.send_interim(interim);
        } else if goes_on {
            self.send_interim(interim);
        }
    }

    fn send_continue(&mut self) {
        let mut interim = Response::new(());
        *interim.status_mut() = StatusCode::CONTINUE;
        self.send_interim(interim);
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>, _worker: &Worker) -> Poll<()> {
        if self.poll_early(cx).is_err() {
            return Poll::Ready(());
        }
        match &mut self.stream {
            None => self.answer.poll_reset(cx).map(|_| ()),
            Some(stream) => stream.poll_reset(cx).map(|_| ()),
        }
    }
}
