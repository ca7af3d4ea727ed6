//! A client's connection that speaks HTTP/2, over `h2`. Its heads become ours at the edge; from there on a request goes the
//! same way as one over HTTP/1. Each stream is a task of its own; the connection's task moves the frames.

mod frames;
mod head;
mod heard;
mod piece;
mod respond;
mod side;
mod streams;
mod turns;

use super::answer::Answer;
use super::attempt::judge_answer;
use super::attempts::{Tries, attempts};
use super::body::ClientSide;
use super::client::Client;
use super::failure::Failure;
use super::request::Request;
use super::route;
use super::slots::{Interrupt, Role, Slot, TICK};
use super::worker::Worker;
use crate::connect::Stream;
use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use heard::{Heard, KeepAlive};
use piece::Piece;
use plimsoll_core::protocol::Method;
use side::Http2Side;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
pub(crate) use streams::Pace;
use streams::{Counted, Streams, remembered};
use turns::Turn;
pub(crate) use turns::Turns;

/// Window of a request's body, bytes; with `max_concurrent_streams` it bounds what a client can make us hold.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of a stream's answer that wait to be written, at the most, however wide the client's window is.
const SEND_BUFFER: usize = 256 << 10;
/// HTTP/2's largest window (RFC 9113 §6.9.1).
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// How often a silent client is asked by PING whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Ticks that a client is given to read its GOAWAY: for so long a connection without streams stays, and new ones are served.
const FAREWELL: u32 = 20;

/// Serves a connection until it ends. `first` was read of it already.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, client: &Rc<Client>, first: Vec<u8>) {
    let snapshot = worker.snapshot();
    let settings = &snapshot.settings;
    let slot = worker.slots.open();
    let (heard, turn) = (Rc::default(), Turn::new(&worker.turns, &worker.slots));
    let mut handshake = pin!(
        server::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            // All streams' together: uploads that wait for their targets leave room for the others.
            .initial_connection_window_size(
                STREAM_WINDOW.saturating_mul(settings.http2.max_concurrent_streams).clamp(STREAM_WINDOW, WINDOW_MAX),
            )
            .max_send_buffer_size(SEND_BUFFER)
            .max_concurrent_streams(settings.http2.max_concurrent_streams)
            .max_concurrent_reset_streams(remembered(settings.http2.max_concurrent_streams))
            .max_header_list_size(settings.limits.request_headers.saturating_mul(2))
            .handshake(Heard::new(first, stream, &heard, turn))
    );
    slot.set_role(Role::Idle);
    slot.arm(settings.timeouts.client_idle);
    let shaken = poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        // It may not even have said that it speaks HTTP/2, and then hears no GOAWAY.
        Poll::Pending => slot.poll(cx).map(|_| None),
    });
    let mut connection = match shaken.await {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => return tracing::debug!(client = %client.printed, %error, "http/2 did not begin"),
        None => return,
    };
    slot.set_role(Role::Http2);
    let ticks = |duration| worker.slots.after(duration) - worker.slots.tick();
    let serving = Serving {
        keep_alive: KeepAlive::new(connection.ping_pong(), heard),
        connection,
        worker,
        client,
        slot,
        streams: Streams::new(worker.slots.tick()),
        requests: 0,
        max_requests: settings.http2.max_requests_per_connection,
        ends_at: settings.http2.max_connection_age.map(|age| worker.slots.after(age)),
        asks_at: worker.slots.after(PING_INTERVAL),
        idle: ticks(settings.timeouts.client_idle),
        ending: None,
    };
    drop(snapshot);
    let mut serving = serving;
    serving.arm();
    if let Err(error) = poll_fn(|cx| serving.poll(cx)).await {
        tracing::debug!(client = %client.printed, %error, "http/2 connection ended");
    }
}

/// A connection being served.
struct Serving<'a> {
    connection: server::Connection<Heard, Piece>,
    keep_alive: KeepAlive,
    worker: &'a Rc<Worker>,
    client: &'a Rc<Client>,
    slot: Slot,
    streams: Rc<Streams>,
    requests: u32,
    max_requests: u32,
    /// Tick at which it is old enough.
    ends_at: Option<u32>,
    /// Tick at which the client is looked for.
    asks_at: u32,
    /// Ticks without a stream that are enough.
    idle: u32,
    /// Tick at which it was told that it ends.
    ending: Option<u32>,
}

impl Serving<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((asked, answer)))) => {
                    self.begin(asked, answer);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
            if self.ending.is_none() && self.has_had_enough() {
                self.end();
                continue;
            }
            match self.slot.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Interrupt::TimedOut) => {
                    if !self.look_around() {
                        return Poll::Ready(Ok(()));
                    }
                    self.arm();
                }
                // The time for its streams to finish is over.
                Poll::Ready(_) if self.ending.is_some() => return Poll::Ready(Ok(())),
                Poll::Ready(_) => self.end(),
            }
        }
    }

    /// Whether what comes next should come on another connection.
    fn has_had_enough(&self) -> bool {
        self.requests >= self.max_requests || self.streams.are_unread() || self.worker.shared.is_draining()
    }

    /// Serves a request in a task of its own.
    fn begin(&mut self, asked: http::Request<RecvStream>, mut answer: SendResponse<Piece>) {
        let now = self.worker.slots.tick();
        if self.ending.is_some_and(|since| now > since.saturating_add(FAREWELL)) {
            // It was told long ago, and may safely ask elsewhere.
            return answer.send_reset(Reason::REFUSED_STREAM);
        }
        self.requests = self.requests.saturating_add(1);
        // A trusted proxy's connection carries many clients'.
        if self.streams.are_given_up(now) && !self.client.trusted {
            tracing::debug!(client = %self.client.printed, "a client gives up what it asks for: it is ended");
            return self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
        let counted = Counted::new(&self.streams, self.worker);
        let (worker, client) = (Rc::clone(self.worker), Rc::clone(self.client));
        drop(tokio::task::spawn_local(async move {
            handle(&worker, &client, asked, answer, &counted).await;
            drop(counted);
        }));
    }

    /// Says that it ends once its streams have.
    fn end(&mut self) {
        self.ending = Some(self.worker.slots.tick());
        self.connection.graceful_shutdown();
        // From here on a drain cuts it.
        self.slot.set_role(Role::Busy);
        self.slot.forget();
        self.arm();
    }

    /// Whether a stream is under way, or what it was answered is still being written.
    fn is_busy(&self) -> bool {
        self.streams.are_open() || self.connection.has_streams()
    }

    /// Tick at which it will have been without a stream for long enough, if none begins or goes on.
    fn idle_at(&self) -> u32 {
        let last = if self.is_busy() { self.worker.slots.tick() } else { self.streams.last_tick() };
        self.ending.map_or_else(|| last.saturating_add(self.idle), |since| since.max(last).saturating_add(FAREWELL))
    }

    /// Ends it, or has the client looked for, where it is time. False: it is over.
    fn look_around(&mut self) -> bool {
        let now = self.worker.slots.tick();
        if self.asks_at <= now {
            self.asks_at = self.worker.slots.after(PING_INTERVAL);
            if !self.keep_alive.check(self.is_busy()) {
                return false;
            }
        }
        let idle = self.idle_at() <= now;
        if self.ending.is_some() {
            return !idle;
        }
        if idle || self.ends_at.is_some_and(|end| end <= now) {
            self.end();
        }
        true
    }

    /// Wakes it when there is the next thing to look at.
    fn arm(&self) {
        let now = self.worker.slots.tick();
        // While it has streams it is looked at as often: nobody tells when the last one ends.
        let mut next = self.asks_at.min(self.idle_at());
        if let (None, Some(end)) = (self.ending, self.ends_at) {
            next = next.min(end);
        }
        self.slot.arm(TICK * next.saturating_sub(now));
    }
}

/// Serves one request.
async fn handle(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    asked: http::Request<RecvStream>,
    answer: SendResponse<Piece>,
    counted: &Counted,
) {
    let slot = worker.slots.open();
    let mut request = Request::new(worker, client);
    let (parts, body) = asked.into_parts();
    let limits = worker.snapshot().settings.head_limits;
    let read = head::read(&parts, body.is_end_stream(), &limits, &mut request.head);
    drop(parts);
    request.head_read();
    let mut side = Http2Side::new(worker, counted.streams(), body, STREAM_WINDOW, answer);
    let routed = match read {
        Ok(()) => route::find(&mut request),
        Err(error) => Err(Failure::BadRequest(error)),
    };
    if let Err(failure) = routed {
        return refuse(request, failure, &mut side);
    }
    // What was taken back in the same breath reaches no target: a flood of such requests costs none of them anything.
    if side.is_reset() {
        counted.given_up();
        return refuse(request, Failure::ClientGone, &mut side);
    }
    slot.arm_request(request.settings().timeouts.request);
    // A trusted proxy's connection carries many clients'.
    let waits = side.is_behind() && !client.trusted;
    let waited = if waits { side.turn(&mut request, &slot).await } else { Ok(()) };
    let answered = match waited {
        Ok(()) => {
            request.enter_upstream();
            attempts(&mut request, &mut side, &slot, &mut Tries::default()).await
        }
        Err(failure) => Err(failure),
    };
    let answered = match answered {
        Ok(answered) => answered,
        Err(failure) => {
            if matches!(failure, Failure::ClientGone) {
                counted.given_up();
            }
            return refuse(request, failure, &mut side);
        }
    };
    if answered.head.status == 101 {
        let failure = Failure::BadResponse("an upgrade that was not asked for");
        judge_answer(&request, answered.in_flight.target(), 101, Some(&failure));
        return refuse(request, failure, &mut side);
    }
    if let Err(failure) = respond::respond(&mut request, answered, &mut side, &slot).await {
        side.reset(Reason::INTERNAL_ERROR);
        request.record.failure = Some(failure);
    }
    request.finish();
}

/// Answers with a failure.
fn refuse(mut request: Request, failure: Failure, side: &mut Http2Side) {
    request.record.status = failure.row().status;
    if let Some(answer) = Answer::of(&failure, &request) {
        let head = head::write_own(&request, &answer);
        let has_body = request.head.method != Method::Head && !answer.body.is_empty();
        if has_body {
            request.record.bytes_out = answer.body.len() as u64;
        }
        let body = has_body.then(|| Piece::Bytes(Bytes::from(answer.body)));
        if let Err(failure) = side.answer(head, body) {
            request.record.failure = Some(failure);
        }
    } else {
        side.reset(Reason::CANCEL);
    }
    request.record.failure.get_or_insert(failure);
    request.finish();
}
