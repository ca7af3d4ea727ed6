//! A client's connection that speaks HTTP/1, by our own codec.
//!
//! It is a loop of two states. An idle connection holds nothing: it borrows a buffer for the length of one read. A busy one
//! is a boxed future that lives from a request's first bytes until nothing more has come for a moment: a client that asks
//! one request after the other does not pay for a new box each time.

mod respond;
mod side;
mod tunnel;

use super::answer::Answer;
use super::attempts::{Tries, attempts};
use super::buffer::Buffer;
use super::client::Client;
use super::failure::Failure;
use super::request::Request;
use super::route;
use super::slots::{Interrupt, Role, Slot};
use super::worker::Worker;
use crate::connect::Stream;
use plimsoll_core::protocol::h1::{HeadScan, parse_request};
use plimsoll_core::protocol::{HeadError, Method, RequestHead};
use side::Http1Side;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// What HTTP/2 with prior knowledge begins with (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A connection that is closed with bytes of the client unread would be reset, and the answer lost on the way: it is read
/// on for so long, and so many bytes.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// How long a connection stays busy after its last answer. After its first one it does not: many clients ask once, and keep
/// the connection for later.
const STAYS_BUSY: Duration = Duration::from_millis(200);

/// Serves a connection until it ends, or until its client turns out to speak HTTP/2: then with its first bytes.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: &mut Stream, client: &Rc<Client>) -> Option<Vec<u8>> {
    let slot = worker.slots.open();
    let mut requests = 0_u64;
    loop {
        let waited = if requests <= 1 { Duration::ZERO } else { STAYS_BUSY };
        let patience = worker.snapshot().settings.timeouts.client_idle.saturating_sub(waited);
        let first = next_bytes(worker, stream, &slot, patience).await??;
        if requests == 0 && client.listener.http2 && is_http2(first.data()) {
            let bytes = first.data().to_vec();
            worker.buffers.put(first);
            return Some(bytes);
        }
        requests += Box::pin(busy(worker, stream, client, &slot, (first, requests > 0))).await?;
    }
}

/// The first bytes of a request; `Some(None)` if the client is gone, `None` if nothing came in time.
fn next_bytes(
    worker: &Worker,
    stream: &mut Stream,
    slot: &Slot,
    patience: Duration,
) -> impl Future<Output = Option<Option<Buffer>>> {
    slot.set_role(Role::Idle);
    slot.arm(patience);
    poll_fn(move |cx| {
        let came = match worker.buffers.poll_take(cx, stream) {
            Poll::Ready(came) => Some(came),
            Poll::Pending => (ready!(slot.poll(cx)) != Interrupt::TimedOut).then_some(None),
        };
        slot.set_role(Role::Busy);
        if let Some(Some(_)) = &came {
            // Told to end while it was idle, it was quicker: this request is served like any other of a drain.
            slot.forget();
        }
        Poll::Ready(came)
    })
}

/// Whether a connection's first bytes are HTTP/2's, as far as they go. Four bytes tell it from every method of HTTP/1.
fn is_http2(bytes: &[u8]) -> bool {
    bytes.len() >= 4 && HTTP2_PREFACE.starts_with(bytes.get(..HTTP2_PREFACE.len()).unwrap_or(bytes))
}

/// Serves requests while they come, from these first bytes on; `stays`: also those that come a moment after the last answer.
/// How many; `None` if the connection is to be closed.
async fn busy(
    worker: &Rc<Worker>,
    stream: &mut Stream,
    client: &Rc<Client>,
    slot: &Slot,
    (first, stays): (Buffer, bool),
) -> Option<u64> {
    let mut input = Some(first);
    let mut request = Request::new(worker, client);
    let mut served = 0;
    loop {
        if input.as_ref().is_none_or(Buffer::is_empty) {
            if let Some(buffer) = input.take() {
                worker.buffers.put(buffer);
            }
            if !stays {
                return Some(served);
            }
            match next_bytes(worker, stream, slot, STAYS_BUSY).await {
                Some(Some(buffer)) => input = Some(buffer),
                Some(None) => return None,
                None => return Some(served),
            }
        } else if served > 0 {
            // What came with the last request costs no read: without this, one client's pipeline could keep the worker.
            tokio::task::coop::consume_budget().await;
        }
        // The first one has begun with its store.
        if served > 0 {
            request.record.begin(worker);
        }
        let read = read_head(worker, stream, slot, &mut input, &mut request).await;
        let keep = match read {
            Read::Head { late } => {
                if late {
                    request.record.asked = worker.now();
                }
                request.head_read();
                one(worker, stream, slot, &mut input, &mut request).await
            }
            Read::Closed => false,
            Read::Failed(failure) => {
                request.head_read();
                refuse(worker, stream, slot, &mut request, failure, false).await;
                linger(worker, stream, slot).await;
                false
            }
        };
        served += 1;
        if !keep {
            if let Some(buffer) = input {
                worker.buffers.put(buffer);
            }
            close(stream, slot).await;
            return None;
        }
    }
}

enum Read {
    /// A head; `late` if it was not there as a whole.
    Head {
        late: bool,
    },
    Closed,
    Failed(Failure),
}

/// Reads a head. While it is not whole, what is there of it is kept in a string of its length, not in a pooled buffer: many
/// slow clients should not cost many buffers.
async fn read_head(
    worker: &Rc<Worker>,
    stream: &mut Stream,
    slot: &Slot,
    input: &mut Option<Buffer>,
    request: &mut Request,
) -> Read {
    let Some(buffer) = input.as_mut() else { return Read::Closed };
    let limits = worker.with_snapshot(|snapshot| snapshot.settings.head_limits);
    if let Ok(Some(end)) = parse_request(buffer.data(), &limits, &mut request.head) {
        used(worker, input, end);
        return Read::Head { late: false };
    }
    request.let_go();
    Box::pin(read_slow_head(worker, stream, slot, input, &mut request.head)).await
}

/// Takes bytes off the input, and gives its buffer back when nothing is left in it.
fn used(worker: &Worker, input: &mut Option<Buffer>, count: usize) {
    let Some(mut buffer) = input.take() else { return };
    buffer.advance(count);
    if buffer.is_empty() {
        worker.buffers.put(buffer);
    } else {
        *input = Some(buffer);
    }
}

/// Reads a head that is not there as a whole, or not a good one.
async fn read_slow_head(
    worker: &Rc<Worker>,
    stream: &mut Stream,
    slot: &Slot,
    input: &mut Option<Buffer>,
    head: &mut RequestHead,
) -> Read {
    let mut scan = HeadScan::new();
    let (limits, patience) = {
        let snapshot = worker.snapshot();
        (snapshot.settings.head_limits, snapshot.settings.timeouts.client_header)
    };
    let mut partial = Vec::new();
    let mut armed = false;
    loop {
        let Some(buffer) = input.as_mut() else { return Read::Closed };
        match scan.find(buffer.data()) {
            Err(error) => return Read::Failed(Failure::BadRequest(error)),
            Ok(Some(range)) => {
                let end = range.end;
                let parsed = parse_request(buffer.data(), &limits, head);
                used(worker, input, end);
                return match parsed {
                    Ok(Some(_)) => Read::Head { late: true },
                    Ok(None) => Read::Failed(Failure::BadRequest(HeadError::StartLine)),
                    Err(error) => Read::Failed(Failure::BadRequest(error)),
                };
            }
            Ok(None) => {}
        }
        if let Err(error) = HeadScan::check_limits(buffer.data(), &limits) {
            return Read::Failed(Failure::BadRequest(error));
        }
        if !armed {
            armed = true;
            slot.arm(patience);
        }
        partial.clear();
        partial.extend_from_slice(buffer.data());
        if let Some(buffer) = input.take() {
            worker.buffers.put(buffer);
        }
        if worker.shared.memory_short.load(Ordering::Relaxed) {
            return Read::Failed(Failure::MemoryShort);
        }
        let Some(_counted) = worker.buffers.head_begun(partial.capacity()) else {
            return Read::Failed(Failure::Overloaded);
        };
        match poll_fn(|cx| poll_more(worker, stream, slot, &partial, cx)).await {
            Ok(buffer) => *input = Some(buffer),
            Err(read) => return read,
        }
    }
}

fn poll_more(
    worker: &Worker,
    stream: &mut Stream,
    slot: &Slot,
    partial: &[u8],
    cx: &mut Context<'_>,
) -> Poll<Result<Buffer, Read>> {
    let mut buffer = worker.buffers.take();
    if !buffer.append(partial) {
        worker.buffers.put(buffer);
        return Poll::Ready(Err(Read::Failed(Failure::BadRequest(HeadError::HeadersTooLarge))));
    }
    let read = buffer.poll_read(cx, stream);
    if matches!(read, Poll::Ready(Ok(count)) if count > 0) {
        return Poll::Ready(Ok(buffer));
    }
    worker.buffers.put(buffer);
    match read {
        Poll::Ready(_) => Poll::Ready(Err(Read::Closed)),
        Poll::Pending => slot.poll(cx).map(|_| Err(Read::Failed(Failure::ClientTimeout))),
    }
}

/// Serves one request; true if the connection may carry another.
async fn one(
    worker: &Rc<Worker>,
    stream: &mut Stream,
    slot: &Slot,
    input: &mut Option<Buffer>,
    request: &mut Request,
) -> bool {
    let mut side = Http1Side::new(stream, input, &request.head);
    let routed = route::find(request);
    let (failure, head_sent) = match routed {
        Err(failure) => (failure, false),
        Ok(()) => {
            request.enter_upstream();
            slot.arm_request(request.settings().timeouts.request);
            let mut tries = Tries::default();
            loop {
                let answered = match attempts(request, &mut side, slot, &mut tries).await {
                    Ok(answered) => answered,
                    Err(failure) => break (failure, false),
                };
                match respond::respond(request, answered, &mut side, slot).await {
                    Ok(keep) => {
                        let read = side.is_read();
                        slot.on_target(None);
                        slot.arm_request(None);
                        request.finish();
                        if !read {
                            linger(worker, stream, slot).await;
                        }
                        return keep;
                    }
                    Err(failure) if side.answered => break (failure, true),
                    Err(failure) if tries.answer_broke(request, &failure) => slot.on_target(None),
                    Err(failure) => break (failure, false),
                }
            }
        }
    };
    slot.on_target(None);
    slot.arm_request(None);
    if head_sent {
        request.record.failure = Some(failure);
        request.finish();
        return false;
    }
    // A body that was not read would be taken for the next request.
    let read = side.is_read();
    let keep = read && request.head.keep_alive && !worker.shared.is_draining();
    let keep = refuse(worker, stream, slot, request, failure, keep).await;
    if !read {
        linger(worker, stream, slot).await;
    }
    keep
}

/// Answers with a failure; true if the connection may carry another request.
async fn refuse(
    worker: &Rc<Worker>,
    stream: &mut Stream,
    slot: &Slot,
    request: &mut Request,
    failure: Failure,
    keep: bool,
) -> bool {
    let mut keep = keep;
    if let Some(answer) = Answer::of(&failure, request) {
        let method = request.head.method;
        request.record.status = answer.status;
        request.record.bytes_out = if method == Method::Head { 0 } else { answer.body.len() as u64 };
        let mut out = worker.buffers.take_head();
        worker.with_date(|date| answer.write(method, keep, date, &mut out));
        slot.arm(worker.snapshot().settings.timeouts.client_body);
        let mut at = 0;
        let sent = poll_fn(|cx| match stream.poll_write_all(cx, &out, &mut at) {
            Poll::Pending => slot.poll(cx).map(|_| false),
            Poll::Ready(result) => Poll::Ready(result.is_ok()),
        })
        .await;
        keep &= sent;
        worker.buffers.put_head(out);
    } else {
        request.record.status = failure.row().status;
        keep = false;
    }
    request.record.failure = Some(failure);
    request.finish();
    keep
}

/// Says that nothing more is sent, and reads on for a while, so that the client can read the answer.
async fn linger(worker: &Rc<Worker>, stream: &mut Stream, slot: &Slot) {
    if !shut(stream, slot).await {
        return;
    }
    slot.arm(LINGER);
    let mut left = LINGER_BYTES;
    poll_fn(|cx| {
        loop {
            match worker.buffers.poll_take(cx, stream) {
                Poll::Ready(Some(buffer)) => {
                    left = left.saturating_sub(buffer.len());
                    worker.buffers.put(buffer);
                    if left == 0 {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return slot.poll(cx).map(|_| ()),
            }
        }
    })
    .await;
}

/// Ends a connection over TLS in good order. A plain one needs no word: closing its socket says the same.
async fn close(stream: &mut Stream, slot: &Slot) {
    if stream.is_tls() {
        shut(stream, slot).await;
    }
}

/// Says that nothing more is sent; false if that could not be said. A client that does not read must not keep a
/// connection for ever: over TLS even these words need room on the way.
async fn shut(stream: &mut Stream, slot: &Slot) -> bool {
    slot.arm(LINGER);
    poll_fn(|cx| match Pin::new(&mut *stream).poll_shutdown(cx) {
        Poll::Ready(result) => Poll::Ready(result.is_ok()),
        Poll::Pending => slot.poll(cx).map(|_| false),
    })
    .await
}
