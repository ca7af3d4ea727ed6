//! What hyper's client reads.

use crate::wire::{Wire, ended_too_early, run};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use std::pin::{Pin, pin};
use std::task::Poll;

/// An answer that is read the same by everybody, for where one must follow.
pub const ANSWER: &[u8] = b"HTTP/1.1 299 Next\r\nContent-Length: 0\r\n\r\n";

/// An answer as hyper reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Of the body, where the head says it.
    pub length: Option<u64>,
    pub body: Vec<u8>,
    /// How many bytes it takes, with the interim answers before it.
    pub taken: usize,
}

/// What hyper makes of bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Answer(Answer),
    /// It wants more, or would have wanted more before the stream ended.
    Part,
    Refused,
}

/// What hyper reads in these bytes as the answer to a GET, or a HEAD.
///
/// # Panics
/// Where hyper does not begin at all.
#[must_use]
pub fn answer(bytes: Vec<u8>, to_head: bool, ends: bool) -> Read {
    let mut handshake = pin!(http1::handshake::<_, Empty<Bytes>>(Wire::of_answers(bytes, ends)));
    let began = run(|cx| handshake.as_mut().poll(cx)).and_then(Result::ok);
    let (mut sender, mut connection) = began.expect("it takes any stream");
    let mut request = Request::new(Empty::new());
    *request.method_mut() = if to_head { Method::HEAD } else { Method::GET };
    request.headers_mut().insert("host", hyper::header::HeaderValue::from_static("target"));
    let mut exchange = pin!(async {
        let answer = sender.send_request(request).await?;
        let (status, length) = (answer.status().as_u16(), answer.body().size_hint().exact());
        let mut frames = answer.into_body();
        let mut body = Vec::new();
        while let Some(frame) = frames.frame().await {
            body.extend_from_slice(&frame?.into_data().unwrap_or_default());
        }
        Ok::<_, hyper::Error>(Answer { status, length, body, taken: 0 })
    });
    let mut over = false;
    let read = run(|cx| {
        over = over || Pin::new(&mut connection).poll(cx).is_ready();
        exchange.as_mut().poll(cx)
    });
    let mut answer = match read {
        Some(Ok(answer)) => answer,
        Some(Err(error)) if !ended_too_early(&error) => return Read::Refused,
        _ => return Read::Part,
    };
    // Whatever it does with the rest, it does now.
    let _ended = run(|cx| if over { Poll::Ready(()) } else { Pin::new(&mut connection).poll(cx).map(drop) });
    let parts = connection.into_parts();
    answer.taken = parts.io.taken() - parts.read_buf.len();
    Read::Answer(answer)
}
