//! A request's body on its way into hyper's HTTP/2 client: one frame at a time, so that back-pressure reaches whoever
//! feeds it.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct State {
    frame: Option<Frame<Bytes>>,
    ended: bool,
    aborted: bool,
    body_dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The end that is fed. Dropping it before [`Pipe::end`] aborts the request.
pub struct Pipe(Rc<RefCell<State>>);

/// The end that hyper polls.
pub struct PipeBody(Rc<RefCell<State>>);

/// A new pipe.
#[must_use]
pub fn pipe() -> (Pipe, PipeBody) {
    let state = Rc::new(RefCell::new(State::default()));
    (Pipe(Rc::clone(&state)), PipeBody(state))
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Pipe {
    /// Ready when a frame may be sent.
    ///
    /// # Errors
    /// `BrokenPipe` once nobody reads any more: the target has answered, or reset the stream.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if state.body_dropped {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.frame.is_some() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether what was sent has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().frame.is_none()
    }

    /// Sends a frame. Call after `poll_ready` was ready.
    pub fn send(&self, frame: Frame<Bytes>) {
        let mut state = self.0.borrow_mut();
        state.frame = Some(frame);
        wake(&mut state.reader);
    }

    /// The body is complete.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        state.ended = true;
        wake(&mut state.reader);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        if !state.ended {
            state.aborted = true;
            wake(&mut state.reader);
        }
    }
}

impl Drop for PipeBody {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.body_dropped = true;
        wake(&mut state.writer);
    }
}

impl Body for PipeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut state = self.0.borrow_mut();
        if let Some(frame) = state.frame.take() {
            wake(&mut state.writer);
            return Poll::Ready(Some(Ok(frame)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if state.aborted {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.borrow();
        state.ended && state.frame.is_none()
    }
}
