//! A client's connection that speaks HTTP/2, by hyper. Its heads become ours at the edge; from there on a request goes the
//! same way as one over HTTP/1.

mod body;
mod rewind;
mod side;

use super::answer::{self, Answer};
use super::attempt::{self, Answered};
use super::client::Client;
use super::failure::Failure;
use super::record::Record;
use super::request::Request;
use super::route;
use super::slots::{Interrupt, Role, Slot};
use super::worker::Worker;
use crate::connect::{LocalExecutor, Stream};
use body::{AnswerBody, Streaming};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use plimsoll_core::protocol::forward::each_response_field;
use plimsoll_core::protocol::{HeadError, HeadLimits, Known, Method, RequestHead, ResponseHead};
use rewind::Rewind;
use side::Http2Side;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Window of a request's body, bytes; with `max_concurrent_streams` it bounds what a client can make us hold.
const STREAM_WINDOW: u32 = 64 << 10;
/// Window of a connection, bytes.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// A client that does not answer a PING for so long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves a connection until it ends. `first` was read of it already.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, client: &Rc<Client>, first: Vec<u8>) {
    let snapshot = worker.snapshot();
    let settings = &snapshot.settings;
    let requests = Rc::new(Cell::new(0_u32));
    let slot = Rc::new(worker.slots.open());
    let service = {
        let (worker, client, requests) = (Rc::clone(worker), Rc::clone(client), Rc::clone(&requests));
        let connection = Rc::clone(&slot);
        service_fn(move |request| {
            requests.set(requests.get().saturating_add(1));
            let (worker, client) = (Rc::clone(&worker), Rc::clone(&client));
            let slot = worker.slots.open_on(&connection);
            async move { Ok::<_, Infallible>(handle(&worker, &client, slot, request).await) }
        })
    };
    let connection = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(settings.http2.max_concurrent_streams)
        .max_header_list_size(settings.limits.request_headers.saturating_mul(2))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .serve_connection(TokioIo::new(Rewind::new(first, stream)), service);
    let mut connection = std::pin::pin!(connection);
    let max_requests = settings.http2.max_requests_per_connection;
    let max_age = settings.http2.max_connection_age;
    let idle_timeout = settings.timeouts.client_idle;
    drop(snapshot);
    slot.set_role(Role::Http2);
    slot.arm(max_age.unwrap_or(idle_timeout));
    let mut ending = false;
    let mut seen = 0;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        let tired = requests.get() >= max_requests || worker.shared.is_draining();
        let mut interrupt = slot.poll(cx);
        if interrupt == Poll::Ready(Interrupt::TimedOut) && !ending && max_age.is_none() && requests.get() != seen {
            // Requests came since: it was not idle.
            seen = requests.get();
            slot.arm(idle_timeout);
            interrupt = slot.poll(cx);
        }
        match interrupt {
            // The time for its streams to finish is over.
            Poll::Ready(Interrupt::Drained) if ending => return Poll::Ready(Ok(())),
            // A stream of it is stuck.
            Poll::Ready(Interrupt::GivenUp) => return Poll::Ready(Ok(())),
            // Nothing was ever asked: it may not even have said that it speaks HTTP/2, and then hears no GOAWAY.
            Poll::Ready(Interrupt::TimedOut) if requests.get() == 0 => return Poll::Ready(Ok(())),
            Poll::Pending if !tired => {}
            _ if ending => {}
            _ => {
                ending = true;
                connection.as_mut().graceful_shutdown();
                slot.set_role(Role::Busy);
                slot.forget();
                slot.disarm();
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(client = %client.printed, %error, "http/2 connection ended");
    }
}

/// Serves one request.
async fn handle(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    slot: Slot,
    incoming: http::Request<Incoming>,
) -> Response<AnswerBody> {
    let record = Record::new(worker);
    let (parts, body) = incoming.into_parts();
    let mut head = worker.take_request();
    let limits = worker.snapshot().settings.head_limits;
    let read = read_head(&parts, body.is_end_stream(), &limits, &mut head);
    let mut request = Request::new(worker, client, head, record);
    let mut side = Http2Side::new(body);
    let routed = match read {
        Ok(()) => route::find(&mut request),
        Err(error) => Err(Failure::BadRequest(error)),
    };
    if let Err(failure) = routed {
        return refuse(request, failure);
    }
    request.enter_upstream();
    match Box::pin(attempt::attempts(&mut request, &mut side, &slot)).await {
        Ok(answered) => respond(request, answered, side, slot),
        Err(failure) => refuse(request, failure),
    }
}

/// hyper's head as ours.
fn read_head(
    parts: &http::request::Parts,
    end_of_stream: bool,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = parts.uri.authority().map_or("", http::uri::Authority::as_str);
    head.begin(parts.method.as_str().as_bytes(), target.as_bytes(), authority.as_bytes());
    for (name, value) in &parts.headers {
        head.push(name.as_str().as_bytes(), value.as_bytes())?;
    }
    head.finish_http2(end_of_stream, limits)
}

fn refuse(mut request: Request, failure: Failure) -> Response<AnswerBody> {
    let answer = Answer::of(&failure, &request);
    request.record.status = failure.row().status;
    request.record.failure = Some(failure);
    let mut response = Response::new(AnswerBody::Empty);
    if let Some(answer) = answer {
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        for (name, value) in answer.fields {
            // Fields of a connection have no place in HTTP/2.
            if name != "upgrade"
                && let Ok(value) = HeaderValue::from_bytes(&value)
            {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        if request.head.method != Method::Head {
            request.record.bytes_out = answer.body.len() as u64;
            *response.body_mut() = AnswerBody::Bytes(Some(Bytes::from(answer.body)));
        }
    }
    request.finish();
    response
}

fn respond(mut request: Request, answered: Answered, side: Http2Side, slot: Slot) -> Response<AnswerBody> {
    let Answered { head, exchange, in_flight, service, profile } = answered;
    if head.status == 101 {
        return refuse(request, Failure::BadResponse("an upgrade that was not asked for"));
    }
    request.record.status = head.status;
    let mut response = Response::new(AnswerBody::Empty);
    write_head(&request, &head, &mut response);
    request.worker.put_response(head);
    request.detach();
    slot.arm(service.read_timeout);
    let streaming = Streaming {
        request: Some(request),
        exchange: Some(exchange),
        side,
        slot,
        in_flight,
        profile,
        read_timeout: service.read_timeout,
        upload_failed: false,
    };
    *response.body_mut() = streaming.into_body();
    response
}

fn write_head(request: &Request, head: &ResponseHead, response: &mut Response<AnswerBody>) {
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    each_response_field(head, &mut |name, value| {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    });
    let mut added = request.worker.buffers.take_head();
    answer::added(request, &mut added);
    headers.extend(super::trailers::to_map(&added));
    request.worker.buffers.put_head(added);
    if head.known(Known::Date).is_none() {
        request.worker.with_date(|date| headers.extend(super::trailers::to_map(date)));
    }
}
