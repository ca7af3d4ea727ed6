//! Long bodies between two plain connections: `splice` moves them through a pipe, and their bytes are never copied.

use super::buffer;
use crate::connect::Counted;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A body of which less is left than this is copied: two more system calls would cost as much.
pub(crate) const WORTHWHILE: u64 = 16 << 10;
/// What a pipe holds at the most.
pub(crate) const CAPACITY: usize = 256 << 10;
/// Ticks after which a pipe that nobody used is closed, and after which it is tried again to make one that was refused.
const IDLE: u32 = 100;
/// Pipes of a worker. Bodies beyond that are copied through buffers: slow clients would each keep one from others.
const PIPES: usize = 16;

/// A pipe with bytes of one body, or empty.
#[derive(Debug)]
pub(crate) struct Pipe {
    from: OwnedFd,
    into: OwnedFd,
    len: usize,
    loan: Loan,
    /// Descriptors are counted, as those of connections to targets are.
    _descriptors: [Counted; 2],
}

/// Counts a pipe, and its capacity among what buffers hold, while bytes may be in it.
#[derive(Debug)]
struct Loan {
    open: Rc<Cell<usize>>,
    lent: Rc<Cell<usize>>,
    is_lent: bool,
}

impl Loan {
    fn set(&mut self, lent: bool) {
        match (std::mem::replace(&mut self.is_lent, lent), lent) {
            (false, true) => self.lent.set(self.lent.get() + CAPACITY),
            (true, false) => self.lent.set(self.lent.get().saturating_sub(CAPACITY)),
            _ => {}
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.set(false);
        self.open.set(self.open.get().saturating_sub(1));
    }
}

impl Pipe {
    /// Bytes in it.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes what has arrived, `max` bytes at the most. Only into an empty pipe: a full one and an empty socket would look
    /// the same, and readiness would be forgotten wrongly. Zero: the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>, tcp: &TcpStream, max: u64) -> Poll<io::Result<usize>> {
        debug_assert_eq!(self.len, 0, "a pipe is filled only when it is empty");
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(CAPACITY);
        loop {
            ready!(tcp.poll_read_ready(cx))?;
            match tcp
                .try_io(Interest::READABLE, || Ok(splice(tcp, None, &self.into, None, max, SpliceFlags::NONBLOCK)?))
            {
                Ok(count) => {
                    self.len = count;
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends what is in it. Ready once it is empty; what is left on `Pending` is told by [`Self::len`].
    ///
    /// # Errors
    /// What the stream says; `WriteZero` if it takes nothing.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>, tcp: &TcpStream) -> Poll<io::Result<()>> {
        while self.len > 0 {
            ready!(tcp.poll_write_ready(cx))?;
            let flags = SpliceFlags::NONBLOCK;
            match tcp.try_io(Interest::WRITABLE, || Ok(splice(&self.from, None, tcp, None, self.len, flags)?)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.len = self.len.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The pipes of a worker, made when they are first needed.
pub(crate) struct Pipes {
    idle: RefCell<Vec<Pipe>>,
    /// The fewest that were idle since [`Self::sweep`] closed some: so many are too many.
    spare: Cell<usize>,
    open: Rc<Cell<usize>>,
    lent: Rc<Cell<usize>>,
    share: Rc<Cell<usize>>,
    refused: Cell<Refused>,
    swept: Cell<u32>,
}

/// Why pipes are not to be had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    Not,
    /// There was none of the right size, a while ago.
    Now,
    /// This process may not use them: a sandbox, most likely.
    Always,
}

impl Pipes {
    /// Counts what they hold in `lent`, of which there may be a `share`.
    #[must_use]
    pub(super) fn new(lent: Rc<Cell<usize>>, share: Rc<Cell<usize>>) -> Self {
        let (refused, swept, spare) = (Cell::new(Refused::Not), Cell::new(0), Cell::new(0));
        Self { idle: RefCell::default(), spare, open: Rc::default(), lent, share, refused, swept }
    }

    /// Descriptors of idle ones.
    pub(crate) fn idle_descriptors(&self) -> usize {
        self.idle.borrow().len() * 2
    }

    /// Once a tick: closes those that were not needed for a while.
    pub(crate) fn sweep(&self, tick: u32) {
        if tick.saturating_sub(self.swept.get()) < IDLE {
            return;
        }
        self.swept.set(tick);
        if self.refused.get() == Refused::Now {
            self.refused.set(Refused::Not);
        }
        let mut idle = self.idle.borrow_mut();
        let kept = idle.len() - self.spare.get().min(idle.len());
        idle.truncate(kept);
        self.spare.set(kept);
    }

    /// What has arrived of a body, `max` bytes at the most, in a pipe. `None`: no pipe is to be had, and it is to be copied.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, tcp: &TcpStream, max: u64) -> Option<Poll<io::Result<Pipe>>> {
        if self.refused.get() == Refused::Always || self.are_scarce() {
            return None;
        }
        let mut pipe = self.taken().or_else(|| self.open())?;
        let filled = pipe.poll_fill(cx, tcp, max);
        if let Poll::Ready(Err(error)) = &filled
            && is_refused(error)
        {
            tracing::warn!(%error, "long bodies are copied: this process may not splice");
            self.refused.set(Refused::Always);
            return None;
        }
        if matches!(filled, Poll::Ready(Ok(count)) if count > 0) {
            pipe.loan.set(true);
            return Some(Poll::Ready(Ok(pipe)));
        }
        self.put(pipe);
        Some(filled.map(|filled| Err(filled.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))))
    }

    /// Whether so much is lent that bodies are to be copied in smaller pieces.
    #[inline]
    pub(super) fn are_scarce(&self) -> bool {
        buffer::are_scarce(&self.lent, &self.share)
    }

    /// Gives a pipe back. One with bytes in it is closed.
    pub(crate) fn put(&self, mut pipe: Pipe) {
        pipe.loan.set(false);
        if pipe.len == 0 {
            self.idle.borrow_mut().push(pipe);
        }
    }

    /// Closes those without bytes in them.
    pub(crate) fn clear(&self) {
        self.idle.take();
    }

    fn taken(&self) -> Option<Pipe> {
        let mut idle = self.idle.borrow_mut();
        let pipe = idle.pop();
        self.spare.set(self.spare.get().min(idle.len()));
        pipe
    }

    fn open(&self) -> Option<Pipe> {
        if self.open.get() >= PIPES || self.refused.get() != Refused::Not {
            return None;
        }
        let made = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .and_then(|(from, into)| fcntl_setpipe_size(&into, CAPACITY).map(|_| (from, into)));
        let (from, into) = match made {
            Ok(ends) => ends,
            // No descriptor; or the user has many pages in pipes already (`pipe-user-pages-soft`), and a small pipe would take
            // many more system calls than a copy.
            Err(error) => {
                tracing::debug!(%error, "long bodies are copied: there is no pipe for them");
                self.refused.set(Refused::Now);
                return None;
            }
        };
        self.open.set(self.open.get() + 1);
        let loan = Loan { open: Rc::clone(&self.open), lent: Rc::clone(&self.lent), is_lent: false };
        Some(Pipe { from, into, len: 0, loan, _descriptors: [Counted::new(), Counted::new()] })
    }
}

/// Whether `splice` is refused to this process, rather than failed on this connection.
fn is_refused(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let refusals = [Errno::PERM, Errno::NOSYS, Errno::INVAL, Errno::ACCESS];
    error.raw_os_error().is_some_and(|raw| refusals.contains(&Errno::from_raw_os_error(raw)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    async fn take(pipes: &Pipes, tcp: &TcpStream) -> io::Result<Pipe> {
        poll_fn(|cx| pipes.poll_take(cx, tcp, u64::MAX).expect("a pipe is to be had")).await
    }

    #[tokio::test]
    async fn bytes_go_through_a_pipe_and_it_is_used_again() {
        let pipes = Pipes::new(Rc::default(), Rc::new(Cell::new(usize::MAX)));
        let ((mut from, into), (out, mut to)) = (pair().await, pair().await);
        for round in [b"first", b"other"] {
            from.write_all(round).await.unwrap();
            let mut pipe = take(&pipes, &into).await.unwrap();
            assert_eq!((pipe.len(), pipes.lent.get()), (5, CAPACITY));
            poll_fn(|cx| pipe.poll_drain(cx, &out)).await.unwrap();
            pipes.put(pipe);
            let mut read = [0; 5];
            to.read_exact(&mut read).await.unwrap();
            assert_eq!((&read, pipes.lent.get(), pipes.open.get()), (round, 0, 1));
        }
    }

    #[tokio::test]
    async fn pipes_that_nobody_needs_are_closed_after_a_while() {
        let pipes = Pipes::new(Rc::default(), Rc::new(Cell::new(usize::MAX)));
        let (mut from, into) = pair().await;
        let mut taken = Vec::new();
        for _ in 0..3 {
            from.write_all(b"some").await.unwrap();
            taken.push(take(&pipes, &into).await.unwrap());
        }
        for mut pipe in taken {
            poll_fn(|cx| pipe.poll_drain(cx, &into)).await.unwrap();
            pipes.put(pipe);
        }
        pipes.sweep(IDLE);
        assert_eq!(pipes.idle_descriptors(), 6, "they were in use");
        from.write_all(b"more").await.unwrap();
        let mut pipe = take(&pipes, &into).await.unwrap();
        poll_fn(|cx| pipe.poll_drain(cx, &into)).await.unwrap();
        pipes.put(pipe);
        pipes.sweep(IDLE + 1);
        assert_eq!(pipes.idle_descriptors(), 6, "not a while yet");
        pipes.sweep(2 * IDLE);
        assert_eq!((pipes.idle_descriptors(), pipes.open.get()), (2, 1), "one is needed at a time");
    }

    #[tokio::test]
    async fn where_no_pipe_is_granted_bodies_are_copied_for_a_while() {
        let pipes = Pipes::new(Rc::default(), Rc::new(Cell::new(usize::MAX)));
        let (_from, into) = pair().await;
        pipes.refused.set(Refused::Now);
        let is_none = || poll_fn(|cx| Poll::Ready(pipes.poll_take(cx, &into, 1).is_none()));
        assert!(is_none().await);
        pipes.sweep(IDLE);
        assert!(!is_none().await, "it is tried again");
        pipes.refused.set(Refused::Always);
        pipes.sweep(2 * IDLE);
        assert!(is_none().await, "what a sandbox forbids is not");
    }

    #[tokio::test]
    async fn the_end_of_a_stream_is_an_error_and_keeps_the_pipe() {
        let pipes = Pipes::new(Rc::default(), Rc::new(Cell::new(usize::MAX)));
        let (from, into) = pair().await;
        drop(from);
        assert!(take(&pipes, &into).await.is_err());
        assert_eq!((pipes.idle.borrow().len(), pipes.lent.get()), (1, 0));
    }

    #[tokio::test]
    async fn there_are_so_many_pipes_and_one_with_bytes_in_it_is_not_used_again() {
        let pipes = Pipes::new(Rc::default(), Rc::new(Cell::new(usize::MAX)));
        let mut taken = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..PIPES {
            let (mut from, into) = pair().await;
            from.write_all(b"left behind").await.unwrap();
            taken.push(take(&pipes, &into).await.unwrap());
            clients.push((from, into));
        }
        let none = poll_fn(|cx| Poll::Ready(pipes.poll_take(cx, &clients[0].1, 1).is_none())).await;
        assert!(none, "bodies beyond that are copied");
        taken.into_iter().for_each(|pipe| pipes.put(pipe));
        assert_eq!((pipes.open.get(), pipes.lent.get(), pipes.idle.borrow().len()), (0, 0, 0));
    }
}
