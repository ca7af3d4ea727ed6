//! A connection whose bytes are all there, and what polls a future on it.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// See the module. What is written goes nowhere.
pub(crate) struct Wire {
    bytes: Vec<u8>,
    at: usize,
    /// After the bytes comes the end of the stream, rather than nothing more for the moment.
    ends: bool,
    /// Nothing can be read before something was written.
    silent: bool,
    reader: Option<Waker>,
}

impl Wire {
    /// For a server: everything is there at once, and then it ends.
    pub(crate) fn of_requests(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, ends: true, silent: false, reader: None }
    }

    /// For a client, which must have asked first.
    pub(crate) fn of_answers(bytes: Vec<u8>, ends: bool) -> Self {
        Self { bytes, at: 0, ends, silent: true, reader: None }
    }

    /// How many bytes were read.
    pub(crate) fn taken(&self) -> usize {
        self.at
    }
}

impl Read for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let rest = &this.bytes[this.at..];
        if this.silent || (rest.is_empty() && !this.ends) {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        this.at += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.silent = false;
        this.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether somebody asked to be polled again.
struct Asked(AtomicBool);

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls as long as it leads to something; `None`: it waits for what will never come.
pub(crate) fn run<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let asked = Arc::new(Asked(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&asked));
    let mut cx = Context::from_waker(&waker);
    while asked.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(value) = poll(&mut cx) {
            return Some(value);
        }
    }
    None
}

/// Whether that was what hyper did not like.
pub(crate) fn ended_too_early(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_incomplete_message() || cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
}
