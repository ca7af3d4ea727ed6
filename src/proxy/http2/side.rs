//! The client's side of one request over HTTP/2.

use crate::proxy::body::{ClientSide, Part};
use crate::proxy::failure::Failure;
use crate::proxy::trailers;
use crate::proxy::worker::Worker;
use http_body::Body;
use hyper::body::Incoming;
use plimsoll_core::protocol::ResponseHead;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The stream's body. When the client resets the stream, hyper drops the request's task: nobody has to watch for it.
pub(crate) struct Http2Side {
    incoming: Option<Incoming>,
}

impl Http2Side {
    /// Over this body.
    #[must_use]
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { incoming: Some(incoming) }
    }
}

impl ClientSide for Http2Side {
    fn poll_part(&mut self, cx: &mut Context<'_>, _worker: &Worker) -> Poll<Result<Option<Part>, Failure>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(Ok(None)) };
        match ready!(Pin::new(incoming).poll_frame(cx)) {
            None => {
                self.incoming = None;
                Poll::Ready(Ok(None))
            }
            Some(Err(_)) => Poll::Ready(Err(Failure::ClientGone)),
            Some(Ok(frame)) => Poll::Ready(Ok(Some(match frame.into_data() {
                Ok(data) => Part::Bytes(data),
                Err(frame) => {
                    self.incoming = None;
                    Part::Trailers(trailers::from_map(frame.into_trailers().ok().as_ref()))
                }
            }))),
        }
    }

    fn interim(&mut self, _head: &ResponseHead) {}

    fn send_continue(&mut self) {}

    fn poll_gone(&mut self, _cx: &mut Context<'_>, _worker: &Worker) -> Poll<()> {
        Poll::Pending
    }
}
