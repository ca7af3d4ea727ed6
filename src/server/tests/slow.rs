//! Clients that take their time, to keep what they hold: a head, a body, an answer that is not read.

use super::fixture::{Fixture, Options, answering, read_to_end, read_until, serve};
use super::streams::{client, post};
use bytes::Bytes;
use plimsoll_core::config::Timeouts;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// Far more than all the buffers on the way hold.
const LONG: usize = 64 << 20;

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

/// Sends a byte after the other, with this pause between two, until something comes back.
fn drip(stream: &mut TcpStream, bytes: &[u8], pause: Duration) -> usize {
    stream.set_read_timeout(Some(pause)).unwrap();
    let sent = bytes.iter().position(|byte| {
        let gone = stream.write_all(&[*byte]).is_err();
        gone || stream.peek(&mut [0]).is_ok()
    });
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    sent.unwrap_or(bytes.len())
}

#[test]
fn a_head_that_drips_is_given_up_when_its_time_is_over_however_often_a_byte_comes() {
    let timeouts = Timeouts { client_header: Duration::from_millis(600), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], timeouts, ..Options::default() });
    let mut stream = fixture.connect();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: {}", "a".repeat(200));
    let began = Instant::now();
    let sent = drip(&mut stream, head.as_bytes(), Duration::from_millis(40));
    let took = began.elapsed();
    assert!(sent < head.len(), "it took all of it, in {took:?}");
    assert!(took >= Duration::from_millis(600), "{took:?}");
    assert_eq!(status(&read_to_end(&mut stream)), "408");
}

#[test]
fn a_body_that_stops_is_given_up_and_frees_its_target() {
    let target = serve(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok();
    });
    let timeouts = Timeouts { client_body: Duration::from_millis(300), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![target], timeouts, ..Options::default() });
    for (framing, part) in [("Content-Length: 10", "half"), ("Transfer-Encoding: chunked", "a\r\nhalf")] {
        let began = Instant::now();
        let answer = fixture.talk(&format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{part}"));
        let took = began.elapsed();
        assert_eq!(status(&answer), "408", "{framing}: {answer}");
        assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{framing}: {took:?}");
        assert_eq!(fixture.upstream.inflight(), 0, "{framing}");
    }
    // Neither the gateway's fault nor the target's.
    for metric in ["plimsoll_requests_lost_total{", "plimsoll_requests_shed_total{", "plimsoll_target_failures_total{"]
    {
        assert_eq!(fixture.metric(metric), 0.0, "{metric}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_over_http_2_is_given_up_and_its_connection_stays() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok();
    });
    let timeouts = Timeouts { client_body: Duration::from_millis(300), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![target], timeouts, ..Options::default() });
    let (mut sender, ended) = client(fixture.address, &h2::client::Builder::new()).await;
    for _ in 0..2 {
        let (answer, mut upload) = sender.send_request(post(), false).unwrap();
        upload.send_data(Bytes::from("half"), false).unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.unwrap();
        assert_eq!(answer.unwrap().status(), 408);
    }
    assert!(!ended.is_finished());
    assert_eq!(fixture.upstream.inflight(), 0);
}

/// A target with a long answer, framed like this.
fn long(framing: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let size = format!("{LONG:x}\r\n");
        let before = if framing.starts_with("Transfer") { size.as_str() } else { "" };
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{before}");
        // It ends with the gateway's connection.
        let _cut = stream.write_all(&[head.into_bytes(), vec![b'x'; LONG]].concat());
    })
}

#[test]
fn a_client_that_stops_reading_a_long_answer_is_cut_off_and_frees_its_target() {
    for framing in ["Content-Length: 67108864", "Transfer-Encoding: chunked"] {
        let timeouts = Timeouts { client_body: Duration::from_millis(300), ..Timeouts::default() };
        let fixture = Fixture::new(Options { targets: vec![long(framing)], timeouts, ..Options::default() });
        let mut stream = fixture.connect();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let head = read_until(&mut stream, "\r\n\r\n");
        assert_eq!(status(&head), "200", "{head}");
        assert_eq!(fixture.upstream.inflight(), 1, "{framing}: it has not read the answer");
        let began = Instant::now();
        while fixture.upstream.inflight() > 0 {
            assert!(began.elapsed() < Duration::from_secs(5), "{framing}: its target still has it");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
        fixture.until_metric("plimsoll_client_connections{", 0.0);
        // What was on the way comes, and then an end that nobody can take for the answer's.
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
        assert!(rest.len() < LONG, "{framing}: {} bytes", rest.len());
        assert_eq!(fixture.metric("plimsoll_requests_lost_total{"), 0.0, "the client's fault");
    }
}
