//! More requests than targets may have in flight.

use super::fixture::{Fixture, Options, answering, read_to_end, read_until, serve};
use plimsoll_core::upstream::WaitLimits;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn queue(max_requests: u32, timeout: Duration) -> Option<WaitLimits> {
    Some(WaitLimits { max_requests, max_bytes: 1 << 20, timeout })
}

fn asked(fixture: &Fixture) -> TcpStream {
    let mut stream = fixture.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    stream
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A target that counts how many requests it has at a time, and answers each when told to.
fn slow(most: &Arc<AtomicUsize>) -> SocketAddr {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(most));
    serve(move |mut stream| {
        while stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
            read_until(&mut stream, "\r\n\r\n");
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            now.fetch_sub(1, Ordering::SeqCst);
            stream.write_all(OK.as_bytes()).unwrap();
        }
    })
}

/// A target that answers a request for each message.
fn told() -> (SocketAddr, mpsc::Sender<()>) {
    let (sender, receiver) = mpsc::channel();
    let receiver = Arc::new(parking_lot::Mutex::new(receiver));
    let address = serve(move |mut stream| {
        while stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
            read_until(&mut stream, "\r\n\r\n");
            if receiver.lock().recv().is_err() || stream.write_all(OK.as_bytes()).is_err() {
                return;
            }
        }
    });
    (address, sender)
}

/// A gateway before a target that has all that it may: the message that has it answer, and the client.
fn full(queue: Option<WaitLimits>) -> (Fixture, mpsc::Sender<()>, TcpStream) {
    let (target, go) = told();
    let fixture =
        Fixture::new(Options { targets: vec![target], max_concurrency: Some(1), queue, ..Options::default() });
    let served = asked(&fixture);
    until("the first", || fixture.upstream.inflight() == 1);
    (fixture, go, served)
}

#[test]
fn a_target_never_has_more_than_it_may_and_nobody_is_lost() {
    let most = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let fixture = Fixture::new(Options {
        targets: most.iter().map(slow).collect(),
        max_concurrency: Some(2),
        queue: queue(1000, Duration::from_secs(20)),
        ..Options::default()
    });
    let mut streams: Vec<_> = (0..200).map(|_| asked(&fixture)).collect();
    for stream in &mut streams {
        let answer = read_to_end(stream);
        assert!(answer.ends_with("hi"), "{answer}");
    }
    assert_eq!(most.map(|most| most.load(Ordering::SeqCst)), [2, 2]);
    assert_eq!((fixture.upstream.queued(), fixture.upstream.inflight()), (0, 0));
}

#[test]
fn who_finds_the_queue_full_is_told_so_and_when_to_come_again() {
    let (fixture, go, mut served) = full(queue(1, Duration::from_secs(20)));
    let mut waits = asked(&fixture);
    until("the second", || fixture.upstream.queued() == 1);
    let shed = fixture.talk(GET);
    assert!(shed.starts_with("HTTP/1.1 503 ") && shed.contains("Retry-After: 1\r\n"), "{shed}");
    assert!(shed.contains("The service is overloaded"), "{shed}");
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
    assert!(read_to_end(&mut waits).ends_with("hi"));
}

#[test]
fn who_waits_too_long_for_a_slot_is_sent_away() {
    let (fixture, go, mut served) = full(queue(10, Duration::from_millis(200)));
    let answer = fixture.talk(GET);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    assert_eq!(fixture.upstream.queued(), 0);
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
}

#[test]
fn who_leaves_the_queue_takes_no_slot_along() {
    let (fixture, go, mut served) = full(queue(10, Duration::from_secs(20)));
    let leaves = asked(&fixture);
    until("the second", || fixture.upstream.queued() == 1);
    let mut waits = asked(&fixture);
    until("the third", || fixture.upstream.queued() == 2);
    drop(leaves);
    until("it to be seen", || fixture.upstream.queued() == 1);
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
    assert!(read_to_end(&mut waits).ends_with("hi"));
}

#[test]
fn a_new_target_takes_those_who_wait() {
    let (fixture, go, mut served) = full(queue(10, Duration::from_secs(20)));
    let mut waits = asked(&fixture);
    until("the second", || fixture.upstream.queued() == 1);
    let old = Arc::clone(&fixture.upstream.pool().targets()[0].target);
    let new = super::fixture::target(answering(OK), false);
    fixture.publish(&[old, new]);
    assert!(read_to_end(&mut waits).ends_with("hi"));
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
}

#[test]
fn without_a_queue_who_comes_to_full_targets_is_told_at_once() {
    let (fixture, go, mut served) = full(None);
    assert!(fixture.talk(GET).starts_with("HTTP/1.1 503 "));
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
}

#[test]
fn a_repeat_waits_for_a_target_that_has_not_failed_it() {
    let (busy, go) = told();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let hangs_up = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let fixture = Fixture::new(Options {
        targets: vec![busy, hangs_up],
        max_concurrency: Some(1),
        queue: queue(10, Duration::from_secs(20)),
        ..Options::default()
    });
    let mut served = asked(&fixture);
    until("the first", || fixture.upstream.inflight() == 1);
    let mut repeated = asked(&fixture);
    until("it to wait", || fixture.upstream.queued() == 1);
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
    assert!(read_to_end(&mut repeated).ends_with("hi"));
    assert_eq!(tries.load(Ordering::SeqCst), 1, "never again where it failed");
}

#[test]
fn while_memory_is_short_new_requests_are_shed_and_those_under_way_go_on() {
    let (target, go) = told();
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut served = asked(&fixture);
    until("the first", || fixture.upstream.inflight() == 1);
    fixture.server.shed_for_memory(true);
    let shed = fixture.talk(GET);
    assert!(shed.starts_with("HTTP/1.1 503 ") && shed.contains("Retry-After: 1\r\n"), "{shed}");
    assert!(shed.contains("The gateway is overloaded"), "{shed}");
    fixture.until_metric("plimsoll_requests_shed_total{upstream=\"\",reason=\"memory\"}", 1.0);
    go.send(()).unwrap();
    assert!(read_to_end(&mut served).ends_with("hi"));
    fixture.server.shed_for_memory(false);
    go.send(()).unwrap();
    assert!(fixture.talk(GET).ends_with("hi"));
}

#[test]
fn when_memory_gets_short_idle_connections_to_targets_are_closed() {
    let (sender, closed) = mpsc::channel();
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(OK.as_bytes()).unwrap();
        sender.send(stream.read(&mut [0]).unwrap()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    assert!(fixture.talk(GET).ends_with("hi"));
    // Again, since a client may have its answer before the connection is put aside.
    until("the end of the idle connection", || {
        fixture.server.shed_for_memory(true);
        closed.recv_timeout(Duration::from_millis(50)) == Ok(0)
    });
}
