//! Requests and answers without surprises.

use super::fixture::{Fixture, Options, answering, read_to_end, read_until, serve};
use std::io::{Read, Write};
use std::net::TcpStream;

const OK: &str = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\nhi";

fn before(answer: &'static str) -> Fixture {
    Fixture::new(Options { targets: vec![answering(answer)], ..Options::default() })
}

#[test]
fn a_request_reaches_the_target_and_its_answer_comes_back() {
    let answer = before(OK).talk("GET /a?b HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
}

#[test]
fn what_waits_in_a_sockets_queue_is_answered_though_it_is_closed() {
    let fixture = before(OK);
    // No snapshot has a listener of this name: nothing is accepted.
    let listening = fixture.server.listen(&"later".into(), "127.0.0.1:0".parse().unwrap(), &[], 0).unwrap();
    let clients: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(listening.address).unwrap()).collect();
    fixture.server.rename(listening.key, &"http".into(), 0);
    fixture.server.close(listening.key, false);
    for mut client in clients {
        client.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").unwrap();
        assert!(read_to_end(&mut client).ends_with("hi"));
    }
}

#[test]
fn the_target_learns_who_asked_for_what() {
    let (seen, heads) = std::sync::mpsc::channel();
    let target = serve(move |mut stream| {
        seen.send(read_until(&mut stream, "\r\n\r\n")).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    fixture.talk("GET /a/../b?c HTTP/1.1\r\nHost: shop:80\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close, x-y\r\nX-Y: 1\r\n\r\n");
    let port = fixture.address.port();
    assert_eq!(
        heads.recv().unwrap(),
        format!(
            "GET /b?c HTTP/1.1\r\nHost: {target}\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: {port}\r\nX-Forwarded-Host: shop\r\nX-Forwarded-Path: /a/../b\r\n\r\n"
        )
    );
}

#[test]
fn one_connection_carries_many_requests_also_at_once() {
    let fixture = before(OK);
    let mut stream = fixture.connect();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_until(&mut stream, "hi").starts_with("HTTP/1.1 200 OK\r\n"));
    }
    stream.write_all("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(9).as_bytes()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_to_end(&mut stream).matches("200 OK").count(), 10);
}

#[test]
fn http_1_0_ends_with_the_answer_unless_asked_otherwise() {
    let answer = before(OK).talk("GET / HTTP/1.0\r\n\r\n");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    let fixture = before(OK);
    let mut stream = fixture.connect();
    stream.write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    let answer = read_until(&mut stream, "hi");
    assert!(answer.contains("Connection: keep-alive\r\n"), "{answer}");
}

#[test]
fn head_and_statuses_without_a_body_end_at_once() {
    let fixture = before("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 99\r\n\r\n");
    let mut stream = fixture.connect();
    stream
        .write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let answers = read_to_end(&mut stream);
    assert_eq!(answers.matches("Content-Length: 99\r\n").count(), 2, "{answers}");
    let fixture = before("HTTP/1.1 304 Not Modified\r\nDate: now\r\n\r\n");
    let answer = fixture.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer, "HTTP/1.1 304 Not Modified\r\nDate: now\r\nConnection: close\r\n\r\n");
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let target = serve(|mut stream| {
        let head = read_until(&mut stream, "\r\n\r\n");
        assert!(head.contains("Connection: upgrade\r\n") && head.contains("Upgrade: chat\r\n"), "{head}");
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nfirst")
            .unwrap();
        let mut echo = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut echo) {
            stream.write_all(&echo[..count]).unwrap();
        }
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nearly").unwrap();
    let answer = read_until(&mut stream, "firstearly");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    stream.write_all(b"later").unwrap();
    assert_eq!(read_until(&mut stream, "later"), "later");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut stream), "");
}

#[test]
fn targets_take_turns() {
    let targets = ["a", "b", "c"].map(|name| {
        serve(move |mut stream| {
            while stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
                read_until(&mut stream, "\r\n\r\n");
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}").unwrap();
            }
        })
    });
    let fixture = Fixture::new(Options { targets: targets.to_vec(), ..Options::default() });
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..30 {
        let answer = fixture.talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        *counts.entry(answer.chars().last().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}
