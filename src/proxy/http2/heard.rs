//! Whether a client is still there, by what is heard of it; and what of its bytes was read before.

use crate::connect::Stream;
use h2::{Ping, PingPong};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the bytes that were read first, then the stream's, and notes that some came.
pub(super) struct Heard {
    first: Vec<u8>,
    at: usize,
    stream: Stream,
    heard: Rc<Cell<bool>>,
}

impl Heard {
    /// `first`, then what comes from `stream`.
    #[must_use]
    pub(super) fn new(first: Vec<u8>, stream: Stream, heard: &Rc<Cell<bool>>) -> Self {
        Self { first, at: 0, stream, heard: Rc::clone(heard) }
    }
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(rest) = this.first.get(this.at..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..count).unwrap_or_default());
            this.at += count;
            if this.at == this.first.len() {
                this.first = Vec::new();
                this.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_ready() {
            this.heard.set(true);
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    /// A frame's head and its payload, which `h2` would write one after the other.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Asks a silent client, by PING, whether it is there.
pub(super) struct KeepAlive {
    pings: Option<PingPong>,
    heard: Rc<Cell<bool>>,
    /// Checks since something came.
    silent: u32,
}

/// Checks in a row without a word after which a client with streams is gone: the PING stands behind megabytes of answers that
/// a slow one may still be reading.
const SILENT_AND_BUSY: u32 = 10;

impl KeepAlive {
    /// Over the pings of a connection whose stream notes what is heard.
    #[must_use]
    pub(super) fn new(pings: Option<PingPong>, heard: Rc<Cell<bool>>) -> Self {
        Self { pings, heard, silent: 0 }
    }

    /// False: nothing came since long, nor an answer to what was asked.
    pub(super) fn check(&mut self, busy: bool) -> bool {
        if self.heard.replace(false) {
            self.silent = 0;
            return true;
        }
        self.silent += 1;
        if self.silent > if busy { SILENT_AND_BUSY } else { 1 } {
            return false;
        }
        if let Some(pings) = &mut self.pings {
            // The answer to the last one was heard like everything else; it has to be taken before another can be asked for.
            let _taken = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
            // Refused where the last one is still without an answer: then that is waited for.
            let _waits = pings.send_ping(Ping::opaque());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2::{client, server};

    #[tokio::test]
    async fn a_client_is_gone_when_it_stays_silent_after_it_was_asked() {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (server, client) = tokio::join!(server::handshake(ours), client::handshake(theirs));
        let heard = Rc::new(Cell::new(true));
        let mut keep_alive = KeepAlive::new(server.unwrap().ping_pong(), Rc::clone(&heard));
        assert!(keep_alive.check(false), "it has just spoken");
        assert!(keep_alive.check(false), "it is asked");
        heard.set(true);
        assert!(keep_alive.check(false), "it answered");
        assert!(keep_alive.check(false), "it is asked again");
        assert!(keep_alive.check(true), "it may be reading what stands before the question");
        assert!(!keep_alive.check(false));
        drop(client);
    }
}
