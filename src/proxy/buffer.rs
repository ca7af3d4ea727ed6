//! Buffers of a worker, pooled. An idle connection holds none.
//!
//! What is lent is held to the worker's share of `limits.buffered_bytes`: the more of it is lent, the less is read at once.
//! Past half of it no long buffers and no pipes are lent, past three quarters small ones only, so that clients who do not
//! read must be a great many to take what others need. Past all of it new requests are shed, and who has kept the same
//! bytes waiting for long is cut.

use super::pipe::Pipes;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Room in front of what is read, so that a new head or a chunk's size can be laid before it and all be sent at once.
pub(crate) const FRONT_ROOM: usize = 1024;
/// Room behind what is read, for a chunk's end and the last chunk: `\r\n0\r\n\r\n`.
const BACK_ROOM: usize = 8;
/// What one read takes at the most.
const READ: usize = 64 << 10;
/// What one read takes at the most in long bodies: a system call for each 64 KiB cost 20 % more.
const LONG_READ: usize = 256 << 10;
/// What one read takes at the most where much is lent.
const SMALL_READ: usize = 8 << 10;
/// Buffers that a worker keeps of each kind.
const KEPT: usize = 64;
const KEPT_LONG: usize = 16;
/// A grown head buffer is not kept: one large head should not cost memory for ever.
pub(super) const HEAD_KEPT: usize = 16 << 10;
/// Capacity that a head buffer begins with.
const HEAD: usize = 2 << 10;

/// A buffer with room at both ends.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes of all buffers that are lent, this one's among them while it is.
    lent: Rc<Cell<usize>>,
    is_lent: bool,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.returned();
    }
}

impl Buffer {
    fn new(read: usize, lent: &Rc<Cell<usize>>) -> Self {
        let bytes = vec![0; FRONT_ROOM + read + BACK_ROOM].into_boxed_slice();
        Self { bytes, start: FRONT_ROOM, end: FRONT_ROOM, lent: Rc::clone(lent), is_lent: false }
    }

    fn lent(mut self) -> Self {
        self.is_lent = true;
        self.lent.set(self.lent.get() + self.bytes.len());
        self
    }

    fn returned(&mut self) {
        if std::mem::take(&mut self.is_lent) {
            self.lent.set(self.lent.get().saturating_sub(self.bytes.len()));
        }
    }

    /// What it holds.
    #[inline]
    #[must_use]
    pub(crate) fn data(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// How much it holds.
    #[inline]
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it takes much more memory than it holds, so that a copy of that is better kept.
    #[must_use]
    pub(crate) fn is_sparse(&self) -> bool {
        self.len() < self.bytes.len() / 4
    }

    /// Whether it holds nothing.
    #[inline]
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What one read into it takes at the most.
    fn reads(&self) -> usize {
        self.bytes.len() - FRONT_ROOM - BACK_ROOM
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a read could add to it.
    #[must_use]
    pub(crate) fn has_space(&self) -> bool {
        self.end < self.bytes.len() - BACK_ROOM
    }

    /// Takes `count` bytes off the front.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Keeps the first `count` bytes.
    #[inline]
    pub(crate) fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    /// Forgets what it holds.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.start = FRONT_ROOM;
        self.end = FRONT_ROOM;
    }

    /// Lays bytes before what it holds; false, and nothing done, if they do not fit.
    #[inline]
    pub(crate) fn prepend(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else { return false };
        if let Some(room) = self.bytes.get_mut(start..self.start) {
            room.copy_from_slice(bytes);
            self.start = start;
        }
        true
    }

    /// Lays bytes behind what it holds; false, and nothing done, if they do not fit.
    #[inline]
    pub(crate) fn append(&mut self, bytes: &[u8]) -> bool {
        match self.bytes.get_mut(self.end..self.end + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.end += bytes.len();
                true
            }
            None => false,
        }
    }

    /// The whole store with the range that is filled, for decoders that work in place.
    pub(crate) fn parts(&mut self) -> (&mut [u8], usize, usize) {
        (&mut self.bytes, self.start, self.end)
    }

    /// Sets what it holds to `start..end` of its store.
    pub(crate) fn set(&mut self, start: usize, end: usize) {
        debug_assert!(start <= end && end <= self.bytes.len(), "a range inside the store");
        self.start = start;
        self.end = end;
    }

    /// Moves what it holds to the front, so that as much as possible can be read behind it.
    pub(crate) fn compact(&mut self) {
        if self.start > FRONT_ROOM {
            self.bytes.copy_within(self.start..self.end, FRONT_ROOM);
            self.end -= self.start - FRONT_ROOM;
            self.start = FRONT_ROOM;
        }
    }

    /// Reads once, behind what it holds. Zero: the end of the stream, or no space.
    #[inline]
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<usize>> {
        let limit = self.bytes.len() - BACK_ROOM;
        let Some(space) = self.bytes.get_mut(self.end..limit) else { return Poll::Ready(Ok(0)) };
        let mut read = ReadBuf::new(space);
        ready!(Pin::new(stream).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

/// Whether half of what may be lent is.
#[inline]
pub(super) fn are_scarce(lent: &Cell<usize>, share: &Cell<usize>) -> bool {
    lent.get() > share.get() / 2
}

/// The buffers that a worker keeps.
pub(crate) struct Buffers {
    short: RefCell<Vec<Buffer>>,
    long: RefCell<Vec<Buffer>>,
    small: RefCell<Vec<Buffer>>,
    heads: RefCell<Vec<Vec<u8>>>,
    lent: Rc<Cell<usize>>,
    /// Bytes of heads that are not there as a whole.
    heads_begun: Rc<Cell<usize>>,
    /// Bytes that may be lent.
    share: Rc<Cell<usize>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            short: RefCell::default(),
            long: RefCell::default(),
            small: RefCell::default(),
            heads: RefCell::default(),
            lent: Rc::default(),
            heads_begun: Rc::default(),
            share: Rc::new(Cell::new(usize::MAX)),
        }
    }
}

impl Buffers {
    /// Pipes whose bytes count as lent, too.
    #[must_use]
    pub(crate) fn pipes(&self) -> Pipes {
        Pipes::new(Rc::clone(&self.lent), Rc::clone(&self.share))
    }

    /// Sets how many bytes may be lent.
    pub(crate) fn set_share(&self, bytes: usize) {
        self.share.set(bytes);
    }

    /// Whether more is lent than may be.
    #[inline]
    #[must_use]
    pub(crate) fn are_used_up(&self) -> bool {
        self.lent.get() > self.share.get()
    }

    /// Whether half of what may be lent is.
    #[inline]
    #[must_use]
    pub(crate) fn are_scarce(&self) -> bool {
        are_scarce(&self.lent, &self.share)
    }

    /// Whether three quarters of what may be lent are.
    #[inline]
    fn are_short(&self) -> bool {
        self.lent.get() > self.share.get() / 4 * 3
    }

    /// An empty buffer.
    #[inline]
    #[must_use]
    pub(crate) fn take(&self) -> Buffer {
        self.short.borrow_mut().pop().unwrap_or_else(|| Buffer::new(READ, &self.lent)).lent()
    }

    /// An empty buffer for a long body.
    #[must_use]
    pub(crate) fn take_long(&self) -> Buffer {
        self.long.borrow_mut().pop().unwrap_or_else(|| Buffer::new(LONG_READ, &self.lent)).lent()
    }

    /// Gives a buffer back.
    #[inline]
    pub(crate) fn put(&self, mut buffer: Buffer) {
        buffer.clear();
        buffer.returned();
        let (pool, kept) = match buffer.reads() {
            READ => (&self.short, KEPT),
            LONG_READ => (&self.long, KEPT_LONG),
            SMALL_READ => (&self.small, KEPT),
            _ => return,
        };
        let mut pool = pool.borrow_mut();
        if pool.len() < kept {
            pool.push(buffer);
        }
    }

    /// Lets go of what is not lent.
    pub(crate) fn clear(&self) {
        self.short.take();
        self.long.take();
        self.small.take();
        self.heads.take();
    }

    /// What a buffer holds, in one that is no larger than it must be.
    #[must_use]
    pub(crate) fn fitted(&self, buffer: Buffer) -> Buffer {
        if !buffer.is_sparse() {
            return buffer;
        }
        let mut fitted = Buffer::new(buffer.len(), &self.lent).lent();
        let fits = fitted.append(buffer.data());
        debug_assert!(fits, "it was made for that");
        self.put(buffer);
        fitted
    }

    /// Counts bytes that lie elsewhere among the lent ones, while [`Window::fill`] says so.
    #[must_use]
    pub(crate) fn window(&self, size: usize) -> Window {
        Window { size, filled: Cell::new(false), lent: Rc::clone(&self.lent) }
    }

    /// Moves what a small buffer holds to the front of one that has room for any head.
    pub(crate) fn grow(&self, buffer: &mut Buffer) {
        let small = std::mem::replace(buffer, self.take());
        let fits = buffer.append(small.data());
        debug_assert!(fits, "a small one's bytes fit into any other");
        self.put(small);
    }

    /// Counts what is there of a head, among the lent bytes too. `None`: heads take a quarter of what may be lent already,
    /// and must not take from others what a request needs that is there as a whole.
    pub(crate) fn head_begun(&self, size: usize) -> Option<[Window; 2]> {
        if self.are_used_up() || self.heads_begun.get() + size > self.share.get() / 4 {
            return None;
        }
        let windows = [&self.lent, &self.heads_begun].map(|counter| Window::filled(counter, size));
        Some(windows)
    }

    /// Bytes of the buffers that are lent at this moment.
    #[inline]
    #[must_use]
    pub(crate) fn lent(&self) -> usize {
        self.lent.get()
    }

    /// An empty byte string for a head.
    #[inline]
    #[must_use]
    pub(crate) fn take_head(&self) -> Vec<u8> {
        self.heads.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(HEAD))
    }

    /// Gives a byte string back.
    #[inline]
    pub(crate) fn put_head(&self, mut head: Vec<u8>) {
        let mut heads = self.heads.borrow_mut();
        if heads.len() < KEPT * 4 && (1..=HEAD_KEPT).contains(&head.capacity()) {
            head.clear();
            heads.push(head);
        }
    }

    /// As [`Self::poll_try_take`], where an error is the same as the end of the stream.
    #[inline]
    pub(crate) fn poll_take<S: AsyncRead + Unpin>(&self, cx: &mut Context<'_>, stream: &mut S) -> Poll<Option<Buffer>> {
        self.poll_try_take(cx, stream).map(|taken| taken.ok().flatten())
    }

    /// Reads into a pooled buffer that is held only if there is something to hold: on `Pending` it goes back at once.
    /// `None`: the end of the stream.
    #[inline]
    pub(crate) fn poll_try_take<S: AsyncRead + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<Option<Buffer>>> {
        self.poll_take_of(&self.short, READ, cx, stream)
    }

    #[inline]
    fn poll_take_of<S: AsyncRead + Unpin>(
        &self,
        pool: &RefCell<Vec<Buffer>>,
        read: usize,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<Option<Buffer>>> {
        let mut pool = pool.borrow_mut();
        if pool.is_empty() {
            pool.push(Buffer::new(read, &self.lent));
        }
        // Read where it lies: most looks find nothing, and then nothing is moved.
        let Some(buffer) = pool.last_mut() else { return Poll::Ready(Ok(None)) };
        match ready!(buffer.poll_read(cx, stream)) {
            Ok(0) => Poll::Ready(Ok(None)),
            Ok(_) => Poll::Ready(Ok(pool.pop().map(Buffer::lent))),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// As [`Self::poll_try_take`], of a target's answer or a client's body, of which as much is taken as others leave.
    #[inline]
    pub(crate) fn poll_try_take_fairly<S: AsyncRead + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<Option<Buffer>>> {
        if self.are_short() {
            return self.poll_try_take_little(cx, stream);
        }
        self.poll_try_take(cx, stream)
    }

    /// As [`Self::poll_try_take`], a little at once.
    #[inline]
    pub(crate) fn poll_try_take_little<S: AsyncRead + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<Option<Buffer>>> {
        self.poll_take_of(&self.small, SMALL_READ, cx, stream)
    }

    /// As [`Self::poll_try_take_fairly`], where an error is the same as the end of the stream. What is there is taken at once
    /// if it is not too much for others.
    pub(crate) fn poll_take_long<S: AsyncRead + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Option<Buffer>> {
        if self.are_scarce() {
            return self.poll_try_take_fairly(cx, stream).map(|taken| taken.ok().flatten());
        }
        let mut buffer = self.take_long();
        while buffer.has_space() {
            match buffer.poll_read(cx, stream) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Pending if buffer.is_empty() => {
                    self.put(buffer);
                    return Poll::Pending;
                }
                Poll::Ready(_) if buffer.is_empty() => {
                    self.put(buffer);
                    return Poll::Ready(None);
                }
                // What is there goes first; an end of the stream comes again at the next read.
                _ => break,
            }
        }
        Poll::Ready(Some(buffer))
    }
}

/// What a peer may have sent already and nobody took yet: it lies in `h2`, where only its bound is known.
pub(crate) struct Window {
    size: usize,
    filled: Cell<bool>,
    lent: Rc<Cell<usize>>,
}

impl Window {
    /// Counts so many bytes from now on.
    #[must_use]
    pub(crate) fn filled(counter: &Rc<Cell<usize>>, size: usize) -> Self {
        let window = Self { size, filled: Cell::new(false), lent: Rc::clone(counter) };
        window.fill(true);
        window
    }

    /// Whether it may hold anything.
    pub(crate) fn fill(&self, filled: bool) {
        let lent = self.lent.get();
        match (self.filled.replace(filled), filled) {
            (false, true) => self.lent.set(lent + self.size),
            (true, false) => self.lent.set(lent.saturating_sub(self.size)),
            _ => {}
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.fill(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn heads_and_chunk_frames_fit_around_what_was_read() {
        let mut buffer = Buffer::new(16, &Rc::default());
        assert!(buffer.append(b"body"));
        assert!(buffer.prepend(b"head "));
        assert!(buffer.append(b"\r\n"));
        assert_eq!(buffer.data(), b"head body\r\n");
        assert!(!buffer.prepend(&[0; FRONT_ROOM]));
        assert!(!buffer.append(&[0; 64]));
        assert_eq!(buffer.len(), 11);
    }

    #[test]
    fn lent_buffers_are_counted_until_they_come_back_or_are_dropped() {
        let buffers = Buffers::default();
        let (first, second) = (buffers.take(), buffers.take_long());
        assert!(buffers.lent() > READ + LONG_READ);
        drop(second);
        buffers.put(first);
        assert_eq!(buffers.lent(), 0);
        assert_eq!(buffers.take().reads(), READ);
        assert_eq!(buffers.lent(), 0);
    }

    #[tokio::test]
    async fn the_more_is_lent_the_less_is_read_at_once() {
        let buffers = Buffers::default();
        buffers.set_share(4 * LONG_READ);
        let pipes = buffers.pipes();
        let mut held = Vec::new();
        let take = async || {
            let mut stream = &[b'x'; LONG_READ][..];
            poll_fn(|cx| buffers.poll_take_long(cx, &mut stream)).await.expect("a buffer")
        };
        let mut sizes = Vec::new();
        while !buffers.are_used_up() {
            let buffer = take().await;
            sizes.push(buffer.len());
            held.push(buffer);
            assert_eq!(pipes.are_scarce(), buffers.are_scarce());
        }
        let count = |size| sizes.iter().filter(|one| **one == size).count();
        assert!(sizes.is_sorted_by(|before, after| before >= after), "{sizes:?}");
        assert_eq!((count(LONG_READ), count(READ)), (2, 4), "half, and then a quarter");
        assert!(count(SMALL_READ) > 25, "{sizes:?}");
        held.into_iter().for_each(|buffer| buffers.put(buffer));
        assert_eq!((buffers.lent(), take().await.len()), (0, LONG_READ));
    }

    #[test]
    fn heads_that_are_not_whole_take_no_more_than_a_quarter() {
        let buffers = Buffers::default();
        buffers.set_share(400);
        let (first, second) = (buffers.head_begun(60), buffers.head_begun(60));
        assert!(first.is_some() && second.is_none());
        assert_eq!(buffers.lent(), 60);
        drop(first);
        assert_eq!(buffers.lent(), 0);
        assert!(buffers.head_begun(100).is_some());
    }

    #[test]
    fn little_is_kept_in_little() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        assert!(buffer.append(b"GET"));
        let fitted = buffers.fitted(buffer);
        assert_eq!((fitted.data(), fitted.reads(), buffers.lent()), (&b"GET"[..], 3, fitted.size()));
        buffers.put(fitted);
        assert_eq!((buffers.lent(), buffers.take().reads()), (0, READ), "it is nobody else's");
    }

    #[test]
    fn what_is_left_moves_to_the_front() {
        let mut buffer = Buffer::new(16, &Rc::default());
        assert!(buffer.append(b"one two"));
        buffer.advance(4);
        buffer.compact();
        assert_eq!(buffer.data(), b"two");
        assert!(buffer.has_space());
    }
}
