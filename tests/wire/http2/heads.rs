//! What a request says of itself: heads that HTTP/1.1 could misread, and bodies that are not as long as they say.

use super::frames::{
    Became, Client, DATA, END_HEADERS, END_STREAM, Field, HEADERS, RST_STREAM, block, frame, instead, with, without,
};
use crate::requests::fresh;

/// Heads that must not reach the target in any shape.
fn wrong_heads() -> Vec<(&'static str, Vec<Field>)> {
    let more = |name: &'static str, value: &'static [u8]| with(&[(name, value)]);
    vec![
        ("connection", more("connection", b"close")),
        ("keep-alive", more("keep-alive", b"timeout=5")),
        ("proxy-connection", more("proxy-connection", b"keep-alive")),
        ("transfer-encoding", more("transfer-encoding", b"chunked")),
        ("upgrade", more("upgrade", b"h2c")),
        ("te of something else", more("te", b"gzip")),
        ("CRLF in a value", more("x", b"1\r\ny: 2")),
        ("LF in a value", more("x", b"1\ny: 2")),
        ("CR in a value", more("x", b"1\r2")),
        ("NUL in a value", more("x", b"1\x002")),
        ("upper case in a name", more("X-Up", b"1")),
        ("a blank in a name", more("x y", b"1")),
        ("a colon in a name", more("x:y", b"1")),
        ("CRLF in a name", more("x\r\ny", b"1")),
        ("no name", more("", b"1")),
        ("no :method", without(":method")),
        ("no :scheme", without(":scheme")),
        ("no :path", without(":path")),
        ("two :path", more(":path", b"/b")),
        ("two :method", more(":method", b"POST")),
        ("a pseudo-field after others", with(&[("x", b"1"), (":authority", b"b")])),
        ("an unknown pseudo-field", more(":protocol-of-mine", b"x")),
        (":status", more(":status", b"200")),
        ("an empty :path", instead(":path", b"")),
        ("a :path without a slash", instead(":path", b"a")),
        ("a blank in :path", instead(":path", b"/a HTTP/1.1")),
        ("CRLF in :path", instead(":path", b"/a\r\nx: 1")),
        ("a blank in :method", instead(":method", b"GET /b")),
        ("CRLF in :method", instead(":method", b"GET\r\nx: 1")),
        ("an empty :method", instead(":method", b"")),
        ("a blank in :authority", instead(":authority", b"a b")),
        ("CRLF in :authority", instead(":authority", b"a\r\nx: 1")),
        ("a path in :authority", instead(":authority", b"a/b")),
        ("a user in :authority", instead(":authority", b"u@a")),
        ("another host", more("host", b"b")),
        ("two hosts", with(&[("host", b"a"), ("host", b"b")])),
        ("a length of nothing", more("content-length", b"1")),
        ("two lengths", with(&[("content-length", b"0"), ("content-length", b"1")])),
        ("a length with a sign", more("content-length", b"+0")),
        ("a list of lengths", more("content-length", b"0, 0x")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_http_1_could_misread_does_not_reach_the_target() {
    let (target, gateway) = fresh().await;
    let mut problems = Vec::new();
    for (name, fields) in wrong_heads() {
        let mut client = Client::connect(&gateway).await;
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))).await;
        let became = client.became(1).await;
        let got = target.take().await;
        if matches!(became, Became::Answered(200)) || !got.bytes.is_empty() {
            problems.push(format!("{name}: {became:?}; the target got {:?}", String::from_utf8_lossy(&got.bytes)));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_as_long_as_it_says_is_no_whole_request() {
    let (target, gateway) = fresh().await;
    let head = |length: &'static [u8]| {
        let fields = [instead(":method", b"POST"), vec![("content-length", length)]].concat();
        frame(HEADERS, END_HEADERS, 1, &block(&fields))
    };
    let lengthless = frame(HEADERS, END_HEADERS, 1, &block(&instead(":method", b"POST")));
    let trailers = |fields: &[Field]| frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields));
    let body = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let cases = [
        ("too short", [head(b"5"), body(END_STREAM, b"abc")].concat()),
        ("too long", [head(b"2"), body(END_STREAM, b"abc")].concat()),
        ("too short before trailers", [head(b"5"), body(0, b"abc"), trailers(&[("x", b"1")])].concat()),
        (
            "trailers without an end",
            [lengthless, body(0, b"abc"), frame(HEADERS, END_HEADERS, 1, &block(&[]))].concat(),
        ),
        ("cut off", [head(b"5"), body(0, b"abc"), frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())].concat()),
    ];
    for (name, frames) in cases {
        let mut client = Client::connect(&gateway).await;
        client.send(&frames).await;
        let became = if name == "cut off" { Became::Ended } else { client.became(1).await };
        drop(client);
        let got = target.take().await;
        assert!(got.requests.is_empty() && got.faults.is_empty(), "{name}: {:?} {:?}", got.requests, got.faults);
        assert_ne!(became, Became::Answered(200), "{name}");
    }
    let mut client = Client::connect(&gateway).await;
    client.send(&[head(b"3"), body(0, b"abc"), trailers(&[("x", b"1")])].concat()).await;
    assert_eq!(client.became(1).await, Became::Answered(200));
    assert_eq!(target.take().await.requests.len(), 1);
}
