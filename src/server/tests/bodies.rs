//! Bodies in every framing, both ways.

use super::fixture::{Fixture, Options, answering, read_to_end, read_until, serve};
use std::io::{Read, Write};

fn before(answer: &'static str) -> Fixture {
    Fixture::new(Options { targets: vec![answering(answer)], ..Options::default() })
}

/// A target that answers with the body that it got, after all of it came.
fn echo() -> Fixture {
    let target = serve(|mut stream| {
        loop {
            if !stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
                return;
            }
            let head = read_until(&mut stream, "\r\n\r\n");
            let mut body = Vec::new();
            if head.contains("Transfer-Encoding: chunked") {
                body = read_until(&mut stream, "\r\n0\r\n\r\n").into_bytes();
            } else if let Some(length) = head.split("Content-Length: ").nth(1) {
                body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
            }
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    Fixture::new(Options { targets: vec![target], ..Options::default() })
}

#[test]
fn a_counted_body_arrives_whole_and_the_next_request_is_not_eaten() {
    let fixture = echo();
    let long = "x".repeat(300_000);
    let next = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nend";
    let answer =
        fixture.talk(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{long}{next}", long.len()));
    assert!(answer.contains(&long));
    assert!(answer.ends_with("end"), "{}", &answer[answer.len() - 200..]);
}

#[test]
fn a_chunked_body_is_read_strictly_and_written_anew() {
    let answer = echo().talk(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
         GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.contains("5\r\nabcde\r\n0\r\n\r\n"), "{answer}");
    assert_eq!(answer.matches("200 OK").count(), 2, "{answer}");
}

#[test]
fn a_chunked_answer_comes_in_chunks_and_ends() {
    let fixture = before("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let answer = fixture.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"), "{answer}");
}

#[test]
fn trailers_reach_a_client_that_takes_them() {
    let fixture = before("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n");
    let answer = fixture.talk("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n");
    assert!(answer.ends_with("1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n"), "{answer}");
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let answer = fixture.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("Transfer-Encoding: chunked\r\n"), "{answer}");
    assert!(answer.contains("until the end") && answer.ends_with("0\r\n\r\n"), "{answer}");
    let answer = fixture.talk("GET / HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nuntil the end"), "{answer}");
}

#[test]
fn a_long_answer_arrives_whole() {
    let body = "0123456789abcdef".repeat(1 << 16);
    let sent = body.clone();
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len()).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let answer = fixture.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.ends_with(&body));
}

#[test]
fn the_first_event_is_out_before_the_second_is_made() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(parking_lot::Mutex::new(wait));
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").unwrap();
        wait.lock().recv().unwrap();
        stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    read_until(&mut stream, "one\r\n");
    go.send(()).unwrap();
    assert_eq!(read_to_end(&mut stream), "3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn an_answer_that_comes_before_the_body_has_ended_is_sent_on_at_once() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome").unwrap();
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 413 No\r\n") && answer.ends_with("no"), "{answer}");
}

#[test]
fn a_client_that_waits_for_100_continue_gets_the_targets_word() {
    let target = serve(|mut stream| {
        let head = read_until(&mut stream, "\r\n\r\n");
        assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        read_until(&mut stream, "body");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut stream = fixture.connect();
    stream
        .write_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").unwrap();
    assert!(read_to_end(&mut stream).starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_refusal_costs_a_waiting_client_no_body() {
    let fixture = before("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    let mut stream = fixture.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").unwrap();
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 401 No\r\n") && answer.contains("Connection: close\r\n"), "{answer}");
}
