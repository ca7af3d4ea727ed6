//! A request on an HTTP/1.1 connection to a target.

use crate::connect::{Counted, Stream, TargetConnection, bytes_acknowledged};
use crate::proxy::body::{ClientSide, Part, Upload};
use crate::proxy::buffer::Buffer;
use crate::proxy::failure::Failure;
use crate::proxy::pipe::{self, Pipe};
use crate::proxy::worker::Worker;
use plimsoll_core::protocol::h1::{ChunkDecoder, HeadScan, parse_response, write_chunk_head};
use plimsoll_core::protocol::{BodyLength, HeadError, Method, ResponseHead};
use plimsoll_core::upstream::Target;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Body bytes up to here are sent in one call together with the head.
const GATHER: usize = 16 << 10;
/// A body of which more is left than this is read in large pieces.
const LONG_BODY: u64 = 64 << 10;
/// An answer's head at the most, bytes.
const HEAD_MAX: usize = 60 << 10;

/// Where the reading of an answer is.
enum Reading {
    Head,
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    /// The connection belongs to the upgraded protocol.
    Upgraded,
    /// Nothing but these trailers is left.
    Trailers(Vec<u8>),
    Done,
}

impl Reading {
    fn left(bytes: u64) -> Self {
        if bytes == 0 { Self::Done } else { Self::Length(bytes) }
    }
}

/// A request under way.
#[expect(clippy::struct_excessive_bools, reason = "steps of two directions that move independently")]
pub(crate) struct Http1Exchange {
    connection: Box<TargetConnection>,
    /// Bytes to send: the head, small parts, the framing between large ones.
    out: Vec<u8>,
    out_at: usize,
    /// A large part to send after `out`, and how much of it was sent.
    part: Option<(Part, usize)>,
    /// What is to be sent instead of a part, without a copy.
    pipe: Option<Pipe>,
    /// Whether the part is followed by a chunk's end.
    part_in_chunk: bool,
    chunked: bool,
    uploaded: bool,
    sent: bool,
    progress: u32,
    /// What the kernel had seen acknowledged when the request began.
    acknowledged_before: u64,
    method: Method,
    input: Option<Buffer>,
    scan: HeadScan,
    /// The head that is read is not there as a whole.
    in_pieces: bool,
    reading: Reading,
    reusable: bool,
    /// The answer is read a little at once.
    little: bool,
    /// The target said that nothing more comes, before it had answered anything.
    ended: bool,
}

impl Http1Exchange {
    /// Begins a request whose head is `out`.
    #[inline]
    #[must_use]
    pub(crate) fn new(connection: Box<TargetConnection>, out: Vec<u8>, method: Method, body: BodyLength) -> Self {
        let acknowledged_before = match connection.stream.tcp() {
            // Bytes on the wire are not known under TLS: ask, but only where the answer can matter.
            Some(tcp) if connection.stream.is_tls() && !method.is_idempotent() => bytes_acknowledged(tcp).unwrap_or(0),
            // The SYN counts as one.
            _ => connection.written + 1,
        };
        Self {
            connection,
            out,
            out_at: 0,
            part: None,
            pipe: None,
            part_in_chunk: false,
            chunked: body == BodyLength::Chunked,
            uploaded: body == BodyLength::None,
            sent: false,
            progress: 0,
            acknowledged_before,
            method,
            input: None,
            scan: HeadScan::new(),
            in_pieces: false,
            reading: Reading::Head,
            reusable: false,
            little: false,
            ended: false,
        }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent
    }

    pub(super) fn progress(&self) -> u32 {
        self.progress
    }

    /// Whether nothing of the answer is left to read.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.reading, Reading::Done)
    }

    pub(super) fn is_at_hand(&self) -> bool {
        match self.reading {
            Reading::Done => true,
            Reading::Length(left) => self.input.as_ref().is_some_and(|input| input.len() as u64 >= left),
            _ => false,
        }
    }

    /// Whether the request waits for more of the client's body, rather than for the target to take it.
    pub(super) fn waits_for_client(&self) -> bool {
        !self.uploaded && !self.has_part() && self.out_at >= self.out.len()
    }

    #[inline]
    pub(super) fn read_little(&mut self, little: bool) {
        self.little = little;
    }

    pub(super) fn is_reused(&self) -> bool {
        self.connection.reused
    }

    pub(super) fn found_stale(&self) {
        self.connection.found_closed();
    }

    pub(super) fn never_acknowledged(&self) -> bool {
        // Only the target's FIN tells: it acknowledges whatever had arrived by then. A kernel puts acknowledging off by some
        // 40 ms, in the hope of an answer to send it with; on a connection that went silent, or that a reset ended, its
        // application may have read all of what looks as if it had never arrived.
        if !self.ended {
            return false;
        }
        let Some(tcp) = self.connection.stream.tcp() else { return false };
        if self.connection.stream.is_tls() && self.method.is_idempotent() {
            return false;
        }
        let untouched = || bytes_acknowledged(tcp).is_some_and(|acknowledged| acknowledged <= self.acknowledged_before);
        // Closed as usual, the kernel would go on sending what it has: the target could get the request yet, after it was
        // repeated elsewhere. So it is told to forget it, and asked again only then.
        untouched() && socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO)).is_ok() && untouched()
    }

    pub(super) fn poll_request<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        upload: &mut Upload,
        client: &mut C,
    ) -> Poll<Result<(), Failure>> {
        if self.sent {
            return Poll::Ready(Ok(()));
        }
        loop {
            let waits_for_client = self.gather(cx, worker, upload, client)?;
            ready!(self.poll_write(cx, worker)).map_err(|_| Failure::Closed)?;
            if self.uploaded && !self.has_part() {
                self.sent = true;
                worker.buffers.put_head(std::mem::take(&mut self.out));
                return Poll::Ready(Ok(()));
            }
            if waits_for_client {
                return Poll::Pending;
            }
        }
    }

    /// Whether a large part waits to be sent.
    fn has_part(&self) -> bool {
        self.part.is_some() || self.pipe.is_some()
    }

    /// Takes what the client has for us, up to one large part; true if it has nothing more now.
    fn gather<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        upload: &mut Upload,
        client: &mut C,
    ) -> Result<bool, Failure> {
        while !self.uploaded && !self.has_part() && self.out.len() - self.out_at < GATHER {
            if !self.chunked
                && matches!(self.connection.stream, Stream::Plain(_))
                && let Some(piped) = upload.poll_pipe(cx, worker, client)
            {
                let Poll::Ready(pipe) = piped else { return Ok(true) };
                self.pipe = Some(pipe?);
                self.progress = self.progress.wrapping_add(1);
                break;
            }
            match upload.poll_part(cx, worker, client) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Err(failure)) => return Err(failure),
                Poll::Ready(Ok(Some(Part::Trailers(lines)))) => self.end_upload(&lines),
                Poll::Ready(Ok(None)) => self.end_upload(&[]),
                Poll::Ready(Ok(Some(part))) => {
                    self.progress = self.progress.wrapping_add(1);
                    self.queue(part, worker);
                }
            }
        }
        Ok(false)
    }

    fn queue(&mut self, mut part: Part, worker: &Worker) {
        let length = part.data().len();
        if length == 0 {
            part.recycle(worker);
            return;
        }
        let mut size = [0; 18];
        let size_length = if self.chunked { write_chunk_head(length, &mut size) } else { 0 };
        let size = size.get(..size_length).unwrap_or_default();
        if length <= GATHER {
            self.out.extend_from_slice(size);
            self.out.extend_from_slice(part.data());
            if self.chunked {
                self.out.extend_from_slice(b"\r\n");
            }
            part.recycle(worker);
            return;
        }
        self.part_in_chunk = self.chunked;
        if let (Part::Buffer(buffer), true) = (&mut part, self.chunked)
            && buffer.prepend(size)
        {
            self.part_in_chunk = !buffer.append(b"\r\n");
        } else {
            self.out.extend_from_slice(size);
        }
        self.part = Some((part, 0));
    }

    fn end_upload(&mut self, trailers: &[u8]) {
        self.uploaded = true;
        if self.chunked {
            self.out.extend_from_slice(b"0\r\n");
            self.out.extend_from_slice(trailers);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends `out` and then the part.
    fn poll_write(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<std::io::Result<()>> {
        loop {
            if self.out_at < self.out.len() {
                let before = self.out_at;
                let result = self.connection.stream.poll_write_all(cx, &self.out, &mut self.out_at);
                self.count(self.out_at - before);
                ready!(result)?;
            }
            self.out.clear();
            self.out_at = 0;
            if let (Some(pipe), Stream::Plain(tcp)) = (&mut self.pipe, &self.connection.stream) {
                let before = pipe.len();
                let result = pipe.poll_drain(cx, tcp);
                let moved = before - pipe.len();
                self.count(moved);
                ready!(result)?;
                if let Some(pipe) = self.pipe.take() {
                    worker.pipes.put(pipe);
                }
            }
            let Some((part, at)) = &mut self.part else { return Poll::Ready(Ok(())) };
            let before = *at;
            let result = self.connection.stream.poll_write_all(cx, part.data(), at);
            let moved = *at - before;
            self.count(moved);
            ready!(result)?;
            if let Some((part, _)) = self.part.take() {
                part.recycle(worker);
            }
            if self.part_in_chunk {
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    fn count(&mut self, moved: usize) {
        if moved > 0 {
            self.connection.written += moved as u64;
            self.progress = self.progress.wrapping_add(1);
        }
    }

    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let Some(buffer) = self.input.as_mut().filter(|buffer| !buffer.is_empty()) else {
                self.recycle_input(worker);
                match ready!(self.poll_input(cx, worker)) {
                    Ok(Some(buffer)) => self.input = Some(buffer),
                    end => {
                        // Over TLS a FIN without a word before it is an error.
                        self.ended = end.err().is_none_or(|error| error.kind() == ErrorKind::UnexpectedEof);
                        return Poll::Ready(Err(Failure::Closed));
                    }
                }
                continue;
            };
            let bad = |error: HeadError| Failure::BadResponse(error.reason());
            // One that comes in pieces is looked at again only once it is whole.
            if !self.in_pieces || self.scan.find(buffer.data()).map_err(bad)?.is_some() {
                if let Some(end) = parse_response(buffer.data(), self.method, head).map_err(bad)? {
                    buffer.advance(end);
                    self.in_pieces = false;
                    self.begin_body(head);
                    return Poll::Ready(Ok(()));
                }
                self.in_pieces = true;
                self.scan.reset();
                continue;
            }
            if buffer.len() > HEAD_MAX {
                return Poll::Ready(Err(Failure::BadResponse("a head over 60 KiB")));
            }
            buffer.compact();
            if !buffer.has_space() {
                worker.buffers.grow(buffer);
            }
            match ready!(buffer.poll_read(cx, &mut self.connection.stream)) {
                Ok(count) if count > 0 => {}
                _ => return Poll::Ready(Err(Failure::Closed)),
            }
        }
    }

    fn begin_body(&mut self, head: &ResponseHead) {
        if head.status == 101 {
            self.reading = Reading::Upgraded;
            return;
        }
        if head.status < 200 {
            return;
        }
        self.reusable = head.keep_alive && head.body != BodyLength::UntilClose;
        self.connection.idle_limit = head.keep_alive_timeout;
        self.reading = match head.body {
            BodyLength::None | BodyLength::Length(0) => Reading::Done,
            BodyLength::Length(length) => Reading::Length(length),
            BodyLength::Chunked => Reading::Chunked(Box::new(ChunkDecoder::new())),
            BodyLength::UntilClose => Reading::UntilClose,
        };
    }

    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<Option<Part>, Failure>> {
        loop {
            let left = match &mut self.reading {
                Reading::Done => return Poll::Ready(Ok(None)),
                Reading::Trailers(lines) => {
                    let lines = std::mem::take(lines);
                    self.reading = Reading::Done;
                    return Poll::Ready(Ok(Some(Part::Trailers(lines))));
                }
                Reading::Length(left) => *left,
                _ => 0,
            };
            let Some(mut buffer) = ready!(self.poll_buffer(cx, worker, left > LONG_BODY))? else {
                return Poll::Ready(self.end_of_stream());
            };
            match self.reading {
                Reading::Length(left) => self.count_down(left, &mut buffer),
                Reading::Chunked(_) => self.decode(&mut buffer)?,
                _ => {}
            }
            if buffer.is_empty() {
                // Only framing: go on with what follows.
                worker.buffers.put(buffer);
                continue;
            }
            return Poll::Ready(Ok(Some(Part::Buffer(buffer))));
        }
    }

    pub(super) fn poll_pipe(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Option<Poll<Result<Pipe, Failure>>> {
        let (Reading::Length(left), Stream::Plain(tcp)) = (&self.reading, &self.connection.stream) else { return None };
        let left = *left;
        if left < pipe::WORTHWHILE || self.input.as_ref().is_some_and(|input| !input.is_empty()) {
            return None;
        }
        Some(worker.pipes.poll_take(cx, tcp, left)?.map(|pipe| {
            let pipe = pipe.map_err(|_| Failure::AnswerCut)?;
            self.reading = Reading::left(left - pipe.len() as u64);
            Ok(pipe)
        }))
    }

    fn count_down(&mut self, left: u64, buffer: &mut Buffer) {
        let length = buffer.len() as u64;
        if length > left {
            // Bytes that no request asked for: they end the connection.
            self.reusable = false;
            buffer.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.reading = Reading::left(left.saturating_sub(length));
    }

    fn decode(&mut self, buffer: &mut Buffer) -> Result<(), Failure> {
        let Reading::Chunked(decoder) = &mut self.reading else { return Ok(()) };
        let (bytes, start, end) = buffer.parts();
        let decoded = decoder.decode(bytes, start, end).map_err(|_| Failure::BadResponse("broken chunks"))?;
        buffer.set(start, decoded.data_end);
        if decoded.finished {
            if decoded.consumed < end {
                self.reusable = false;
            }
            let trailers = decoder.trailers().to_vec();
            self.reading = if trailers.is_empty() { Reading::Done } else { Reading::Trailers(trailers) };
        }
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<Option<Part>, Failure> {
        self.reusable = false;
        match self.reading {
            Reading::UntilClose | Reading::Upgraded => {
                self.reading = Reading::Done;
                Ok(None)
            }
            _ => Err(Failure::AnswerCut),
        }
    }

    /// A buffer with something in it; `None` at the end of the stream. Where that end frames the answer, a broken
    /// connection (over TLS also one that ended without a word, RFC 9112 §9.8) must not be taken for it.
    fn poll_buffer(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        long: bool,
    ) -> Poll<Result<Option<Buffer>, Failure>> {
        if let Some(buffer) = self.input.take() {
            if !buffer.is_empty() {
                return Poll::Ready(Ok(Some(buffer)));
            }
            worker.buffers.put(buffer);
        }
        if long && !self.little {
            worker.buffers.poll_take_long(cx, &mut self.connection.stream).map(Ok)
        } else {
            self.poll_input(cx, worker).map_err(|_| Failure::AnswerCut)
        }
    }

    /// Reads what is there, as much of it as may be kept. `None`: the end of the stream.
    #[inline]
    fn poll_input(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<std::io::Result<Option<Buffer>>> {
        if self.little {
            return worker.buffers.poll_try_take_little(cx, &mut self.connection.stream);
        }
        worker.buffers.poll_try_take_fairly(cx, &mut self.connection.stream)
    }

    fn recycle_input(&mut self, worker: &Worker) {
        if let Some(buffer) = self.input.take() {
            worker.buffers.put(buffer);
        }
    }

    /// The raw connection, with what was read of the upgraded protocol already.
    #[must_use]
    pub(crate) fn into_upgraded(self) -> (Stream, Option<Buffer>, Counted) {
        let connection = *self.connection;
        (connection.stream, self.input, connection.counted)
    }

    pub(super) fn finish(mut self: Box<Self>, worker: &Worker, target: &Arc<Target>, profile: u64) {
        let clean = self.input.as_ref().is_none_or(Buffer::is_empty);
        self.recycle_input(worker);
        if !(self.reusable && clean && self.sent && matches!(self.reading, Reading::Done)) {
            return;
        }
        let (mut idle, limit) = worker.with_snapshot(|snapshot| {
            let settings = &snapshot.settings;
            (settings.timeouts.upstream_idle, settings.limits.upstream_idle_connections)
        });
        if let Some(limit) = self.connection.idle_limit {
            // A request must not meet its FIN: half of the limit, or a second, before the target would close it.
            let limit = Duration::from_secs(limit.into());
            idle = idle.min(limit - (limit / 2).min(Duration::from_secs(1)));
        }
        let cap = worker.idle_cap(limit);
        let times = (worker.slots.tick(), worker.slots.after(idle));
        worker.idle.put(target, profile, self.connection, times, cap);
    }
}
