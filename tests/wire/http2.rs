//! HTTP/2 before a target that speaks HTTP/1.1: frames by hand, so that they may be wrong.

use crate::gateway::Embedded;
use crate::requests::fresh;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For one answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

type Field = (&'static str, &'static [u8]);

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literals that are not indexed, and not in Huffman's code (RFC 7541 §6.2.2).
fn block(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name.as_bytes(), value] {
            assert!(text.len() < 127, "its length takes one byte");
            out.push(u8::try_from(text.len()).expect("it is short"));
            out.extend_from_slice(text);
        }
    }
    out
}

/// A request's fields, good ones first.
fn with(more: &[Field]) -> Vec<Field> {
    let good: [Field; 4] = [(":method", b"GET"), (":scheme", b"http"), (":authority", b"a"), (":path", b"/")];
    [&good, more].concat()
}

/// A request's fields, where one stands for a good one.
fn instead(name: &'static str, value: &'static [u8]) -> Vec<Field> {
    let put = |field: Field| if field.0 == name { (name, value) } else { field };
    with(&[]).into_iter().map(put).collect()
}

fn without(name: &'static str) -> Vec<Field> {
    with(&[]).into_iter().filter(|field| field.0 != name).collect()
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Answered(u16),
    /// The stream, or the connection, was ended.
    Ended,
}

struct Client(TcpStream);

impl Client {
    async fn connect(gateway: &Embedded) -> Self {
        let mut stream = TcpStream::connect(gateway.address).await.expect("it listens");
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await.expect("it is read");
        Self(stream)
    }

    /// Sends; false if nobody reads any more.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.0.write_all(bytes)).await, Ok(Ok(())))
    }

    async fn became(&mut self, stream: u32) -> Became {
        timeout(PATIENCE, self.read(stream)).await.expect("it is answered, or ended")
    }

    async fn read(&mut self, stream: u32) -> Became {
        loop {
            let mut head = [0; 9];
            if self.0.read_exact(&mut head).await.is_err() {
                return Became::Ended;
            }
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            if self.0.read_exact(&mut payload).await.is_err() {
                return Became::Ended;
            }
            let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                GOAWAY => return Became::Ended,
                RST_STREAM if of == stream => return Became::Ended,
                HEADERS if of == stream => return Became::Answered(status(&payload)),
                _ => {}
            }
        }
    }
}

/// `:status`, which comes first: an entry of the static table, or one of the others as one number.
fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(0x88) => 200,
        Some(0x8c) => 400,
        Some(0x8d) => 404,
        // By a literal: of the gateway's own answers 405, 413, 431, 502, 503.
        Some(_) => 1,
        None => 0,
    }
}

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

/// While `flood` goes on over one connection, others are answered; it ends, or is taken, in bounded time and memory.
async fn survives(name: &str, flood: impl AsyncFnOnce(&mut Client)) {
    const MEMORY: u64 = 96 << 20;
    let (_target, gateway) = fresh().await;
    let before = resident();
    let mut attacker = Client::connect(&gateway).await;
    let address = gateway.address;
    let others = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let began = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("it is read");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("it is answered");
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&answer));
            slowest = slowest.max(began.elapsed());
        }
        slowest
    });
    flood(&mut attacker).await;
    let slowest = others.await.expect("all are answered");
    let grown = resident().saturating_sub(before);
    eprintln!("{name}: the slowest of the others took {slowest:?}, {} KiB more memory", grown >> 10);
    assert!(slowest < Duration::from_secs(3), "{name}: {slowest:?}");
    assert!(grown < MEMORY, "{name}: {grown} bytes");
}

/// Resident memory of this process, in which the gateway is.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is resident");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_harm_nobody_else() {
    let reset = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let get = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&with(&[])));
    let repeated = async |client: &mut Client, frames: Vec<u8>, times: usize| {
        for _ in 0..times / 100 {
            if !client.send(&frames.repeat(100)).await {
                return;
            }
        }
    };
    // CVE-2023-44487.
    survives("rapid reset", async |client| {
        for number in 0..5000 {
            if !client.send(&[get(number * 2 + 1), reset(number * 2 + 1)].concat()).await {
                return;
            }
        }
    })
    .await;
    // CVE-2024-27316.
    survives("continuation", async |client| {
        client.send(&frame(HEADERS, END_STREAM, 1, &block(&with(&[])))).await;
        let more = frame(CONTINUATION, 0, 1, &block(&[("x", b"0123456789".as_slice()); 400]));
        repeated(client, more, 20_000).await;
    })
    .await;
    survives("settings", async |client| repeated(client, frame(SETTINGS, 0, 0, b""), 50_000).await).await;
    survives("ping", async |client| repeated(client, frame(PING, 0, 0, b"12345678"), 50_000).await).await;
    survives("priority", async |client| repeated(client, frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), 50_000).await).await;
    survives("empty data", async |client| {
        let post = block(&instead(":method", b"POST"));
        client.send(&frame(HEADERS, END_HEADERS, 1, &post)).await;
        repeated(client, frame(DATA, 0, 1, b""), 50_000).await;
    })
    .await;
    survives("streams without windows", async |client| {
        client.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
        let streams: Vec<u8> = (0..1000).flat_map(|number| get(number * 2 + 1)).collect();
        client.send(&streams).await;
    })
    .await;
}
