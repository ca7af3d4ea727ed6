//! Connections that begin with a header of the PROXY protocol.

use super::fixture::{Fixture, Options, answering, read_to_end, read_until, serve};
use plimsoll_core::config::{Limits, Timeouts};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const GET: &str = "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.1 54321 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xcb\0\x71\x09\xc6\x33\x64\x01\xd4\x31\x01\xbb\x03\0\x04tlv!";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn options(targets: Vec<SocketAddr>) -> Options {
    Options { targets, proxy_protocol: true, trusted: vec!["127.0.0.0/8".parse().unwrap()], ..Options::default() }
}

/// A gateway before a target that tells of the heads it gets.
fn told() -> (Fixture, Receiver<String>) {
    let (seen, heads) = channel();
    let target = serve(move |mut stream| {
        seen.send(read_until(&mut stream, "\r\n\r\n")).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    (Fixture::new(options(vec![target])), heads)
}

#[test]
fn the_announced_client_is_the_client() {
    let (fixture, heads) = told();
    for header in [V1, V2] {
        for piece in [1, 7, 4096] {
            let mut stream = fixture.connect();
            for bytes in [header, GET.as_bytes()].concat().chunks(piece) {
                stream.write_all(bytes).unwrap();
                if piece == 1 {
                    // Its own segment each, as far as a test can say so.
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
            assert!(read_to_end(&mut stream).ends_with("hi"));
            let head = heads.recv().unwrap();
            for line in ["For: 203.0.113.9", "Proto: http", "Port: 443"] {
                assert!(head.contains(&format!("\r\nX-Forwarded-{line}\r\n")), "{line}: {head}");
            }
            assert!(head.contains("\r\nX-Real-IP: 203.0.113.9\r\n"), "{head}");
        }
    }
    assert_eq!(fixture.metric("plimsoll_client_connections_refused_total"), 0.0);
}

#[test]
fn a_proxy_that_announces_nobody_is_the_client_itself_and_speaks_for_nobody() {
    let (fixture, heads) = told();
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let mut stream = fixture.connect();
        stream.write_all(&[header, GET.as_bytes()].concat()).unwrap();
        assert!(read_to_end(&mut stream).ends_with("hi"));
        let head = heads.recv().unwrap();
        assert!(head.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"), "{head}");
        assert!(head.contains("\r\nX-Forwarded-Proto: http\r\n"), "somebody behind it may have said that: {head}");
    }
}

#[test]
fn http_2_begins_right_behind_the_header() {
    let (fixture, _heads) = told();
    for header in [V1, V2] {
        let mut stream = fixture.connect();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        stream.write_all(&[header, preface].concat()).unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame[3], 4, "SETTINGS");
    }
}

#[test]
fn whoever_is_not_trusted_is_closed_whatever_it_says() {
    let options = Options { trusted: vec!["192.0.2.0/24".parse().unwrap()], ..options(vec![answering(OK)]) };
    let fixture = Fixture::new(options);
    for bytes in [V1, V2, GET.as_bytes()] {
        let mut stream = fixture.connect();
        // It may be closed before all of this is written, and is reset then.
        let _sent = stream.write_all(bytes);
        let mut all = Vec::new();
        let _closed = stream.read_to_end(&mut all);
        assert_eq!(all, b"");
    }
    fixture
        .until_metric("plimsoll_client_connections_refused_total{listener=\"http\",reason=\"proxy_untrusted\"}", 3.0);
}

#[test]
fn a_header_that_is_missing_broken_or_late_closes_the_connection_and_is_counted() {
    let timeouts = Timeouts { client_header: Duration::from_millis(200), ..Timeouts::default() };
    let fixture = Fixture::new(Options { timeouts, ..options(vec![answering(OK)]) });
    for (reason, bytes) in [
        ("missing", GET.as_bytes()),
        ("missing", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
        ("malformed", b"PROXY TCP4 203.0.113.9\r\n"),
        ("malformed", b"\r\n\r\n\0\r\nQUIT\n\x31"),
        ("malformed", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"),
        ("timeout", b"PROXY TCP4"),
        ("timeout", b""),
    ] {
        let begins =
            format!("plimsoll_client_connections_refused_total{{listener=\"http\",reason=\"proxy_{reason}\"}}");
        let before = fixture.metric(&begins);
        let mut stream = fixture.connect();
        let _sent = stream.write_all(bytes);
        let mut all = Vec::new();
        let _closed = stream.read_to_end(&mut all);
        assert_eq!(all, b"", "{reason}: {}", bytes.escape_ascii());
        fixture.until_metric(&begins, before + 1.0);
    }
    // Ended in the middle.
    let mut stream = fixture.connect();
    stream.write_all(&V2[..20]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut stream), "");
    fixture
        .until_metric("plimsoll_client_connections_refused_total{listener=\"http\",reason=\"proxy_malformed\"}", 4.0);
}

#[test]
fn a_check_that_connects_and_says_nothing_is_not_counted() {
    let (fixture, _heads) = told();
    for _ in 0..3 {
        let stream = fixture.connect();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut { stream }), "");
    }
    fixture.until_metric("plimsoll_client_connections{", 0.0);
    assert_eq!(fixture.metric("plimsoll_client_connections_total"), 3.0);
    assert_eq!(fixture.metric("plimsoll_client_connections_refused_total"), 0.0);
}

#[test]
fn where_it_is_not_asked_for_a_header_is_a_bad_request() {
    let fixture = Fixture::new(Options { proxy_protocol: false, ..options(vec![answering(OK)]) });
    for header in [V1, V2, LOCAL] {
        let mut stream = fixture.connect();
        stream.write_all(&[header, GET.as_bytes()].concat()).unwrap();
        let answer = read_to_end(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[test]
fn connections_are_counted_by_the_announced_client_and_the_proxy_itself_has_no_limit() {
    let limits = Limits { connections_per_client: Some(1), ..Limits::default() };
    let fixture = Fixture::new(Options { limits, ..options(vec![answering(OK)]) });
    let ask = |client: &str| {
        let mut stream = fixture.connect();
        let header = if client.is_empty() {
            "PROXY UNKNOWN\r\n".to_owned()
        } else {
            format!("PROXY TCP6 {client} 2001:db8::1 1 443\r\n")
        };
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let _sent = stream.write_all((header + request).as_bytes());
        let mut answer = [0; 12];
        let served = stream.read_exact(&mut answer).is_ok();
        assert!(!served || answer == *b"HTTP/1.1 200");
        (stream, served)
    };
    let (first, served) = ask("2001:db8:1:1::1");
    assert!(served);
    assert!(!ask("2001:db8:1:1::2").1, "of the same /64");
    let (_second, served) = ask("2001:db8:1:2::1");
    assert!(served, "another client by way of the same proxy");
    let (_third, _fourth) = (ask(""), ask(""));
    assert!(_third.1 && _fourth.1, "the proxy's own");
    assert_eq!(
        fixture.metric("plimsoll_client_connections_refused_total{listener=\"http\",reason=\"per_client\"}"),
        1.0
    );
    drop(first);
    fixture.until_metric("plimsoll_client_connections{", 3.0);
    assert!(ask("2001:db8:1:1::2").1, "the place of who left is free");
}
