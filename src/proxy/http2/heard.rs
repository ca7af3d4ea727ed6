//! What is heard of a client: whether it is still there, what of its bytes was read before, and how much of it at a time.

use crate::connect::Stream;
use h2::{Ping, PingPong};
use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Frames that a connection may bring before the others of its worker have their turn, large ones counting for more. `h2`
/// reads while there is something to read, and a flood of PINGs or SETTINGS would keep it at that for tens of milliseconds.
const TURN: usize = 256;
/// Bytes of a frame that count as another frame.
const LARGE: usize = 1 << 10;
/// The preface is no frame (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// A frame's head; its first three bytes are the length of what follows (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;

/// Gives the bytes that were read first, then the stream's, a turn at a time, and notes that some came.
pub(super) struct Heard {
    first: Vec<u8>,
    at: usize,
    stream: Stream,
    heard: Rc<Cell<bool>>,
    frames: Frames,
    /// What came since others had their turn, as [`Frames::count`] counts.
    turn: usize,
}

/// Where in its frames a connection is.
struct Frames {
    /// Bytes that are no frame's head.
    skip: usize,
    /// Bytes of a head that came, and the length that it says.
    head: usize,
    length: usize,
}

impl Frames {
    /// How many there are in these bytes by their heads, and how much there is in them.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while let Some((&first, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if self.head < 3 {
                self.length = self.length << 8 | usize::from(first);
            }
            self.head += 1;
            if self.head == FRAME_HEAD {
                count += 1 + self.length / LARGE;
                (self.skip, self.head, self.length) = (self.length, 0, 0);
            }
            bytes = rest;
        }
        count
    }
}

impl Heard {
    /// `first`, then what comes from `stream`.
    #[must_use]
    pub(super) fn new(first: Vec<u8>, stream: Stream, heard: &Rc<Cell<bool>>) -> Self {
        let frames = Frames { skip: PREFACE, head: 0, length: 0 };
        Self { first, at: 0, stream, heard: Rc::clone(heard), frames, turn: 0 }
    }
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(rest) = this.first.get(this.at..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(buf.remaining());
            let rest = rest.get(..count).unwrap_or_default();
            buf.put_slice(rest);
            this.turn += this.frames.count(rest);
            this.at += count;
            if this.at == this.first.len() {
                this.first = Vec::new();
                this.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        if this.turn >= TURN {
            this.turn = 0;
            // It is woken once the others have had their turn and sockets were looked at: this lies with the runtime from
            // the first poll on.
            return pin!(tokio::task::yield_now()).poll(cx).map(Ok);
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_ready() {
            this.heard.set(true);
            this.turn += this.frames.count(buf.filled().get(before..).unwrap_or_default());
        } else {
            this.turn = 0;
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        // Lengths of 0, 2348 and 2.
        let frames = [&[b'P'; PREFACE][..], &[0; 9], &[0, 9, 44], &[7; 6 + 2348], &[0, 0, 2], &[9; 8]].concat();
        for size in [1, 2, 5, 9, 24, 1000] {
            let mut reading = Frames { skip: PREFACE, head: 0, length: 0 };
            assert_eq!(frames.chunks(size).map(|piece| reading.count(piece)).sum::<usize>(), 5, "{size} at a time");
            assert_eq!((reading.skip, reading.head), (0, 0));
        }
    }

    #[tokio::test]
    async fn a_flood_of_frames_is_read_a_turn_at_a_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let frames = [0_u8; 9].repeat(10 * TURN);
        client.write_all(&[&[b'P'; PREFACE][..], &frames].concat()).await.unwrap();
        let mut heard = Heard::new(Vec::new(), Stream::Plain(stream), &Rc::default());
        let turns = Rc::new(Cell::new(0));
        let local = tokio::task::LocalSet::new();
        let others = Rc::clone(&turns);
        local.spawn_local(async move {
            loop {
                others.set(others.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let (mut left, mut piece) = (PREFACE + frames.len(), [0; 1024]);
        let reading = async {
            while left > 0 {
                left -= heard.read(&mut piece).await.unwrap();
            }
        };
        local.run_until(reading).await;
        assert!(turns.get() >= 5, "others had {} turns meanwhile", turns.get());
    }

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
