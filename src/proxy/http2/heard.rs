//! What is heard of a client: whether it is still there, what of its bytes was read before, how much of it at a time, and its
//! last bytes.

use super::frames::Frames;
use super::turns::Turn;
use crate::connect::Stream;
use h2::{Ping, PingPong};
use rustix::net::{RecvFlags, recv};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Gives the bytes that were read first, then the stream's, a turn at a time, and notes that some came.
pub(super) struct Heard {
    first: Vec<u8>,
    at: usize,
    stream: Stream,
    heard: Rc<Cell<bool>>,
    frames: Frames,
    turn: Turn,
    lingering: Option<Lingering>,
}

/// How long a connection that is over is read on, and how much of it: to close it with bytes unread would reset it, and take
/// back the GOAWAY that the client has not got yet.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

/// What is left of that.
struct Lingering {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl Heard {
    /// `first`, then what comes from `stream`.
    #[must_use]
    pub(super) fn new(first: Vec<u8>, stream: Stream, heard: &Rc<Cell<bool>>, turn: Turn) -> Self {
        Self { first, at: 0, stream, heard: Rc::clone(heard), frames: Frames::new(), turn, lingering: None }
    }
}

impl Heard {
    /// Ready when the client has closed it, too, or had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(lingering), Some(tcp)) = (&mut self.lingering, self.stream.tcp()) else { return Poll::Ready(()) };
        let mut piece = [0_u8; 16 << 10];
        while lingering.bytes > 0 && lingering.until.as_mut().poll(cx).is_pending() {
            if ready!(tcp.poll_read_ready(cx)).is_err() {
                break;
            }
            // Past TLS and all: nobody wants to know what they say. The kernel does not even copy them.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            match tcp.try_io(Interest::READABLE, || Ok(recv(tcp, &mut piece, flags)?.1)) {
                Ok(count @ 1..) => lingering.bytes = lingering.bytes.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let frames = ready!(this.turn.poll(cx));
        // `h2` looks at all that it is given before anything else comes to its turn.
        let room = this.frames.room(frames);
        if let Some(rest) = this.first.get(this.at..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(buf.remaining()).min(room);
            let rest = rest.get(..count).unwrap_or_default();
            buf.put_slice(rest);
            this.turn.brings(this.frames.weigh(rest));
            this.at += count;
            if this.at == this.first.len() {
                this.first = Vec::new();
                this.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut (&mut this.stream).take(room as u64)).poll_read(cx, buf))?;
        this.heard.set(true);
        this.turn.brings(this.frames.weigh(buf.filled().get(before..).unwrap_or_default()));
        Poll::Ready(Ok(()))
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
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.lingering = Some(Lingering { until: Box::pin(sleep(LINGER)), bytes: LINGER_BYTES });
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
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
    use crate::proxy::http2::turns::Turns;
    use crate::proxy::slots::Slots;
    use h2::{client, server};
    use std::cell::RefCell;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    /// Connections that are read as they may be, and what was read of each.
    struct Crowd {
        turns: Rc<Turns>,
        slots: Rc<Slots>,
        read: Rc<RefCell<Vec<usize>>>,
        clients: Vec<TcpStream>,
    }

    impl Crowd {
        /// So many connections of which nothing came yet. Wants a `LocalSet`.
        async fn of(connections: usize) -> Self {
            let read = Rc::new(RefCell::new(vec![0; connections]));
            let mut crowd = Self { turns: Rc::default(), slots: Rc::default(), read, clients: Vec::new() };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            for index in 0..connections {
                crowd.clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
                let (stream, _) = listener.accept().await.unwrap();
                let turn = Turn::new(&crowd.turns, &crowd.slots);
                let mut heard = Heard::new(Vec::new(), Stream::Plain(stream), &Rc::default(), turn);
                let read = Rc::clone(&crowd.read);
                tokio::task::spawn_local(async move {
                    let mut piece = [0; 1 << 16];
                    while let Ok(count @ 1..) = heard.read(&mut piece).await {
                        read.borrow_mut()[index] += count;
                    }
                });
            }
            crowd
        }

        /// Each brings these bytes: how many were read of each whenever all that was ready had its turn.
        async fn brings(&mut self, bytes: &[u8]) -> Vec<Vec<usize>> {
            for client in &mut self.clients {
                client.write_all(bytes).await.unwrap();
            }
            let before = self.read.borrow().clone();
            let mut seen = Vec::new();
            while self.read.borrow().iter().zip(&before).any(|(now, before)| now - before < bytes.len()) {
                tokio::task::yield_now().await;
                seen.push(self.read.borrow().clone());
            }
            seen
        }

        /// The preface, and empty frames until each is known; then a tick goes by.
        async fn becomes_known(&mut self) {
            self.brings(&[b'P'; 24]).await;
            self.brings(&[0; 9].repeat(600)).await;
            self.slots.sweep();
            self.slots.sweep();
        }
    }

    /// Asserts that of all who brought frames one alone was called up between two looks, and brought so many frames at most.
    fn assert_one_after_another(seen: &[Vec<usize>], frames: usize) {
        for pair in seen.windows(2) {
            let came = pair[1].iter().zip(&pair[0]).filter(|(now, before)| now > before).count();
            let most = pair[1].iter().zip(&pair[0]).map(|(now, before)| now - before).max();
            // Two, where one that was called up before is only now polled.
            assert!(
                came <= 2 && most <= Some(frames * 9),
                "others waited while {came} brought {most:?} bytes: {pair:?}"
            );
        }
    }

    #[tokio::test]
    async fn who_is_new_brings_a_few_frames_at_a_time_one_connection_after_another() {
        let local = tokio::task::LocalSet::new();
        let seen = local.run_until(async {
            let mut crowd = Crowd::of(20).await;
            crowd.brings(&[&[b'P'; 24][..], &[0; 72]].concat()).await;
            crowd.brings(&[0; 9].repeat(32)).await
        });
        let seen = seen.await;
        assert_one_after_another(&seen, 8);
        assert!(seen.len() >= 20 * 32 / 8 - 20, "others had {} turns", seen.len());
    }

    #[tokio::test]
    async fn who_is_known_and_brings_a_few_frames_does_not_wait_for_anybody() {
        let local = tokio::task::LocalSet::new();
        let seen = local.run_until(async {
            let mut crowd = Crowd::of(20).await;
            crowd.becomes_known().await;
            crowd.brings(&[0; 9].repeat(100)).await
        });
        let seen = seen.await;
        assert!(seen.len() < 5, "they took {} turns", seen.len());
    }

    #[tokio::test]
    async fn who_brings_many_frames_brings_them_one_connection_after_another() {
        let local = tokio::task::LocalSet::new();
        let seen = local.run_until(async {
            let mut crowd = Crowd::of(5).await;
            crowd.becomes_known().await;
            crowd.brings(&[0; 9].repeat(128)).await;
            crowd.brings(&[0; 9].repeat(1000)).await
        });
        let seen = seen.await;
        assert_one_after_another(&seen, 64);
        assert!(seen.len() > 5 * 1000 / 64, "others had {} turns", seen.len());
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
