//! Clients that take nothing of what they asked for, or never finish asking: what is left for the others.

use super::fixture::{Fixture, Options, read_to_end, read_until, serve};
use plimsoll_core::config::{Limits, Timeouts};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LONG: &[u8] = b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n";
/// More than sockets on the way hold.
const BODY: usize = 32 << 20;

/// Bytes of the head of the answer to `/head`.
const HEAD: usize = 40_000;

/// A target with a long answer to `/long`, one with a long head to `/head`, and a short one to everything else.
fn target() -> SocketAddr {
    serve(|mut stream| {
        let asked = read_until(&mut stream, "\r\n\r\n");
        let length = if asked.starts_with("GET /long") { BODY } else { 2 };
        let field = "x".repeat(if asked.starts_with("GET /head") { HEAD } else { 0 });
        let body = vec![b'x'; length];
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX: {field}\r\n\r\n");
        let sent = stream.write_all(head.as_bytes());
        // Whom it is for may be cut.
        drop(sent.and_then(|()| stream.write_all(&body)));
    })
}

fn before_a_target(buffered_bytes: u64) -> Fixture {
    let limits = Limits { buffered_bytes, ..Limits::default() };
    let timeouts = Timeouts { client_header: Duration::from_secs(3), ..Timeouts::default() };
    Fixture::new(Options { targets: vec![target()], limits, timeouts, ..Options::default() })
}

/// A client with little room for what it gets.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.into()
}

fn served(fixture: &Fixture) -> bool {
    fixture.talk(GET).starts_with("HTTP/1.1 200 ")
}

/// Waits until so many requests one after another are served, or are not.
fn until(fixture: &Fixture, what: &str, done: impl Fn(&Fixture) -> bool) {
    let began = Instant::now();
    while !done(fixture) {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn clients_that_do_not_read_leave_room_for_those_who_do() {
    let fixture = before_a_target(4 << 20);
    // With the longest buffers for all of them they would take 15 MiB.
    let mut clients: Vec<TcpStream> = (0..60).map(|_| narrow(fixture.address)).collect();
    for client in &mut clients {
        client.write_all(LONG).unwrap();
        assert!(read_until(client, "\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }
    // Ticks in which their buffers fill.
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..20 {
        assert!(served(&fixture), "{} bytes are held", fixture.server.buffered_bytes());
    }
    let held = fixture.server.buffered_bytes();
    assert!((2 << 20..4 << 20).contains(&held), "{held} bytes are held");
    drop(clients);
    until(&fixture, "all is given back", |fixture| fixture.server.buffered_bytes() == 0);
}

#[test]
fn a_long_head_is_read_whole_where_little_is_left() {
    let fixture = before_a_target(600 << 10);
    let mut clients: Vec<TcpStream> = (0..2).map(|_| narrow(fixture.address)).collect();
    for client in &mut clients {
        client.write_all(LONG).unwrap();
    }
    // More than three quarters of either worker's share, and not all of it.
    until(&fixture, "little is left", |fixture| fixture.server.buffered_bytes() > 450 << 10);
    for _ in 0..8 {
        let answer = fixture.talk(&GET.replace("/ ", "/head "));
        assert!(answer.len() > HEAD && answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nxx"));
    }
}

#[test]
fn who_takes_nothing_for_five_seconds_is_cut_where_others_need_the_memory() {
    let fixture = before_a_target(40 << 10);
    let mut clients: Vec<TcpStream> = (0..4).map(|_| narrow(fixture.address)).collect();
    for client in &mut clients {
        client.write_all(LONG).unwrap();
    }
    until(&fixture, "new requests are shed", |fixture| !served(fixture));
    until(&fixture, "there is room again", |fixture| (0..20).all(|_| served(fixture)));
    let cut = fixture.metric("plimsoll_requests_shed_total{upstream=\"web\",reason=\"overload\"}");
    assert!(cut >= 1.0, "who is cut is counted as shed: {cut}");
}

#[test]
fn heads_that_are_never_finished_take_no_room_from_those_that_are() {
    let fixture = before_a_target(256 << 10);
    let part = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(16_000));
    let mut clients: Vec<TcpStream> = (0..30).map(|_| fixture.connect()).collect();
    for client in &mut clients {
        client.write_all(part.as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..20 {
        assert!(served(&fixture), "{} bytes are held", fixture.server.buffered_bytes());
    }
    let answers: Vec<String> = clients.iter_mut().map(read_to_end).collect();
    let count = |status: &str| answers.iter().filter(|answer| answer.starts_with(status)).count();
    let (late, shed) = (count("HTTP/1.1 408 "), count("HTTP/1.1 503 "));
    assert!((1..=8).contains(&late) && late + shed == 30, "a quarter of the room holds {late}, {shed} are refused");
}
