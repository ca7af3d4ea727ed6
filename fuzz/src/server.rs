//! What hyper's server reads.

use crate::wire::{Wire, ended_too_early, run};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use plimsoll_core::protocol::{BodyLength, RequestHead};
use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

/// What comes after a message.
const NEXT: &[u8] = b"PUT /next HTTP/1.1\r\nHost: next\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnext";

/// A request as hyper reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// Of the body, where the head says it.
    pub length: Option<u64>,
    pub body: Vec<u8>,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    pub end: End,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// With the stream: there should have been more.
    #[default]
    TooEarly,
    /// In something that hyper does not take.
    Refused,
    Whole,
}

impl Request {
    fn of(request: &hyper::Request<Incoming>) -> Self {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        Self {
            method: request.method().as_str().into(),
            // Not as one text: of `http://host?query` that would lack the `/`.
            target: [request.uri().path(), &query].concat().into(),
            length: request.body().size_hint().exact(),
            ..Self::default()
        }
    }

    async fn read(&mut self, mut body: Incoming) {
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) if ended_too_early(&error) => return,
                Err(_) => {
                    self.end = End::Refused;
                    return;
                }
            };
            match frame.into_data() {
                Ok(data) => self.body.extend_from_slice(&data),
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    self.trailers =
                        fields.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect();
                }
            }
        }
        self.end = End::Whole;
    }
}

/// The requests that hyper finds in these bytes, after which the stream ends; and what it says of the rest, if that is no request.
#[must_use]
pub fn requests(bytes: Vec<u8>) -> (Vec<Request>, Option<String>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let mut read = Request::of(&request);
            read.read(request.into_body()).await;
            seen.borrow_mut().push(read);
            Ok::<_, Infallible>(hyper::Response::new(Empty::<Bytes>::new()))
        }
    });
    // Else it takes the end of the stream for a client that has gone, while a request is being answered.
    let mut builder = http1::Builder::new();
    let mut connection = pin!(builder.half_close(true).serve_connection(Wire::of_requests(bytes), service));
    let problem = match run(|cx| connection.as_mut().poll(cx)) {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(format!("{error:?}")),
        None => Some("it waits for more than the end".to_owned()),
    };
    let seen = seen.take();
    (seen, problem)
}

/// That hyper refuses a message, which has that head and that body, or reads it the same and then what follows it. What it read
/// of the message.
///
/// # Panics
/// Where it reads something else: a request could be smuggled.
pub fn says_the_same(head: &RequestHead, message: &[u8], body: &[u8]) -> Option<Request> {
    let (mut seen, problem) = requests([message, NEXT].concat());
    let next = (seen.len() > 1).then(|| seen.remove(1));
    let first = seen.pop()?;
    assert!(seen.is_empty(), "more than was sent: {first:?}, {next:?}, {seen:?}");
    assert_eq!(first.method, head.method_bytes());
    // Of a server as a whole, `OPTIONS http://host`, it says `/`: RFC 9112 §3.2.4 has it `*`.
    assert!(first.target == head.target() || head.target() == b"*", "{first:?}");
    match head.body {
        BodyLength::Length(length) => assert_eq!(first.length, Some(length)),
        BodyLength::None => assert_eq!(first.length, Some(0)),
        BodyLength::Chunked | BodyLength::UntilClose => assert_eq!(first.length, None),
    }
    match first.end {
        End::Refused => return None,
        End::TooEarly => panic!("it takes what follows for the body of {first:?}"),
        End::Whole => assert_eq!(first.body, body, "{first:?}"),
    }
    match next {
        // It may close the connection at any time, but not stumble over what it takes for the next request.
        None => assert_eq!(problem, None, "after {first:?}"),
        Some(next) => {
            assert_eq!(
                (&*next.method, &*next.target, &*next.body),
                (&b"PUT"[..], &b"/next"[..], &b"next"[..]),
                "{first:?}"
            );
        }
    }
    Some(first)
}
