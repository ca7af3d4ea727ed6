//! Requests that a target is slow to answer, and that a second one is asked for too.

use super::fixture::{Fixture, Options, answering, nobody, read_to_end, read_until, serve, target};
use super::streams::{answer_ok, body, client, get, http2_target};
use h2::Reason;
use plimsoll_core::config::{Protocol, Timeouts};
use plimsoll_core::model::Cause;
use plimsoll_core::upstream::{HedgeLimits, RetryLimits};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

/// After 50 ms, every request.
const HEDGED: HedgeLimits = HedgeLimits { after: Duration::from_millis(50), max_ratio: 1.0 };

/// A target that answers each request after this time, unless its connection ends before.
struct Slow {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
}

impl Slow {
    fn new(after: Duration) -> Self {
        let (asked, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counts, ends) = (Arc::clone(&asked), Arc::clone(&given_up));
        let address = serve(move |mut stream| {
            while matches!(stream.peek(&mut [0]), Ok(1..)) {
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                read_until(&mut stream, "\r\n\r\n");
                counts.fetch_add(1, Ordering::SeqCst);
                let due = Instant::now() + after;
                while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                    stream.set_read_timeout(Some(left)).unwrap();
                    if matches!(stream.read(&mut [0; 64]), Ok(0)) {
                        ends.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
                if stream.write_all(OK.as_bytes()).is_err() {
                    return;
                }
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            }
        });
        Self { address, asked, given_up }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn given_up(&self) -> usize {
        self.given_up.load(Ordering::SeqCst)
    }
}

fn fixture(targets: Vec<SocketAddr>, hedging: HedgeLimits) -> Fixture {
    Fixture::new(Options { targets, hedging: Some(hedging), ..Options::default() })
}

/// Waits until both are the same.
fn until(count: impl Fn() -> usize, expected: usize) {
    let began = Instant::now();
    while count() != expected {
        assert!(began.elapsed() < Duration::from_secs(5), "{}, not {expected}", count());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_a_target_is_slow_to_answer_another_one_answers_and_the_slow_one_is_given_up() {
    let slow = Slow::new(Duration::from_secs(8));
    let fixture = fixture(vec![slow.address, answering(OK)], HEDGED);
    let began = Instant::now();
    for _ in 0..6 {
        assert_eq!(status(&fixture.talk(GET)), "200");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(slow.asked(), 3);
    until(|| slow.given_up(), 3);
    fixture.until_metric("plimsoll_upstream_hedges_total{upstream=\"web\",outcome=\"won\"}", 3.0);
    assert!(fixture.metric("plimsoll_target_failures_total").abs() < 0.5, "a target that is slow has not failed");
}

#[test]
fn who_answers_first_wins_also_where_it_is_the_first() {
    let (slow, slower) = (Slow::new(Duration::from_millis(400)), Slow::new(Duration::from_secs(8)));
    let fixture = fixture(vec![slow.address, slower.address], HEDGED);
    assert_eq!(status(&fixture.talk(GET)), "200");
    assert_eq!((slow.asked(), slower.asked()), (1, 1));
    until(|| slower.given_up(), 1);
    fixture.until_metric("plimsoll_upstream_hedges_total{upstream=\"web\",outcome=\"lost\"}", 1.0);
}

#[test]
fn a_post_a_body_and_an_upgrade_are_never_hedged() {
    let (one, other) = (Slow::new(Duration::from_millis(300)), Slow::new(Duration::from_millis(300)));
    let fixture = fixture(vec![one.address, other.address], HEDGED);
    let body = "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: chat\r\n\r\n";
    for request in [POST, body, upgrade] {
        assert_eq!(status(&fixture.talk(request)), "200", "{request}");
    }
    assert_eq!(one.asked() + other.asked(), 3);
}

#[test]
fn where_all_are_slow_no_more_than_the_ratio_is_asked_twice() {
    let (one, other) = (Slow::new(Duration::from_millis(400)), Slow::new(Duration::from_millis(400)));
    let fixture = fixture(vec![one.address, other.address], HedgeLimits { max_ratio: 0.5, ..HEDGED });
    for _ in 0..8 {
        assert_eq!(status(&fixture.talk(GET)), "200");
    }
    assert_eq!(one.asked() + other.asked(), 8 + 4);
    fixture.until_metric("plimsoll_upstream_hedges_total{upstream=\"web\",outcome=\"refused\"}", 4.0);
}

#[test]
fn the_only_target_is_not_asked_twice() {
    let slow = Slow::new(Duration::from_millis(300));
    let fixture = fixture(vec![slow.address], HEDGED);
    assert_eq!(status(&fixture.talk(GET)), "200");
    assert_eq!(slow.asked(), 1);
    assert!(fixture.metric("plimsoll_upstream_hedges_total").abs() < 0.5);
}

#[test]
fn where_the_first_fails_meanwhile_the_second_goes_on_alone() {
    let hangs_up = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        std::thread::sleep(Duration::from_millis(200));
    });
    let slow = Slow::new(Duration::from_millis(600));
    let fixture = fixture(vec![hangs_up, slow.address], HEDGED);
    assert_eq!(status(&fixture.talk(GET)), "200");
    assert_eq!(slow.asked(), 1);
    fixture.until_metric("plimsoll_upstream_hedges_total{upstream=\"web\",outcome=\"won\"}", 1.0);
}

#[test]
fn where_the_second_fails_the_first_goes_on_alone() {
    let slow = Slow::new(Duration::from_millis(400));
    let fixture = fixture(vec![slow.address, nobody()], HEDGED);
    assert_eq!(status(&fixture.talk(GET)), "200");
    assert_eq!(slow.asked(), 1);
    fixture.until_metric("plimsoll_upstream_hedges_total{upstream=\"web\",outcome=\"lost\"}", 1.0);
}

#[test]
fn where_both_fail_the_request_is_repeated_as_any_other() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    // Each hangs up on its first request, late, and answers from then on.
    let late = move || {
        let (counts, first) = (Arc::clone(&counts), Arc::new(AtomicUsize::new(0)));
        serve(move |mut stream| {
            read_until(&mut stream, "\r\n\r\n");
            counts.fetch_add(1, Ordering::SeqCst);
            if first.fetch_add(1, Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(300));
            } else {
                stream.write_all(OK.as_bytes()).unwrap();
            }
        })
    };
    let fixture = fixture(vec![late(), late()], HEDGED);
    assert_eq!(status(&fixture.talk(GET)), "200");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn what_becomes_of_the_slow_one_is_nothing_to_an_answer_that_another_one_has_begun() {
    let slow = Slow::new(Duration::from_secs(8));
    let streams = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh").unwrap();
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(b"i").unwrap();
    });
    let fixture = fixture(vec![slow.address, streams], HEDGED);
    let targets = [target(slow.address, true), target(streams, true)];
    fixture.publish(&targets);
    let mut client = fixture.connect();
    client.write_all(GET.as_bytes()).unwrap();
    let mut answer = read_until(&mut client, "\r\n\r\nh");
    assert_eq!(slow.asked(), 1, "the slow one was asked first");
    targets[0].set(Cause::Gone);
    fixture.server.targets_cut_off();
    answer.push_str(&read_to_end(&mut client));
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
}

#[test]
fn both_attempts_end_with_the_firsts_time_for_an_answer() {
    let (one, other) = (Slow::new(Duration::from_secs(8)), Slow::new(Duration::from_secs(8)));
    let read_timeout = Duration::from_secs(1);
    let fixture = Fixture::new(Options {
        targets: vec![one.address, other.address],
        hedging: Some(HEDGED),
        retry_budget: Some(RetryLimits { ratio: 0.0, min_per_second: 0 }),
        read_timeout,
        ..Options::default()
    });
    let began = Instant::now();
    assert_eq!(status(&fixture.talk(GET)), "504");
    // The second one began 50 ms later; deadlines are true to 100 ms.
    assert!(began.elapsed() < read_timeout + Duration::from_millis(800), "{:?}", began.elapsed());
    assert_eq!((one.asked(), other.asked()), (1, 1));
}

#[test]
fn where_the_second_cannot_be_connected_to_the_firsts_failure_decides_of_a_repeat() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let hangs_up = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        counts.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
    });
    let fixture = Fixture::new(Options {
        targets: vec![hangs_up, nobody()],
        hedging: Some(HEDGED),
        retry_budget: Some(RetryLimits { ratio: 0.0, min_per_second: 0 }),
        ..Options::default()
    });
    assert_eq!(status(&fixture.talk(GET)), "502");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "without a budget it is not repeated");
}

#[test]
fn when_the_client_goes_both_are_given_up() {
    let (one, other) = (Slow::new(Duration::from_secs(8)), Slow::new(Duration::from_secs(8)));
    let fixture = fixture(vec![one.address, other.address], HEDGED);
    let mut client = fixture.connect();
    client.write_all(GET.as_bytes()).unwrap();
    until(|| one.asked() + other.asked(), 2);
    drop(client);
    until(|| one.given_up() + other.given_up(), 2);
}

#[test]
fn the_requests_own_time_ends_both() {
    let (one, other) = (Slow::new(Duration::from_secs(8)), Slow::new(Duration::from_secs(8)));
    let timeouts = Timeouts { request: Some(Duration::from_millis(500)), ..Timeouts::default() };
    let targets = vec![one.address, other.address];
    let fixture = Fixture::new(Options { targets, hedging: Some(HEDGED), timeouts, ..Options::default() });
    assert_eq!(status(&fixture.talk(GET)), "504");
    until(|| one.given_up() + other.given_up(), 2);
}

#[test]
fn where_the_first_is_paused_meanwhile_the_second_answers() {
    let (paused, slow) = (Slow::new(Duration::from_secs(8)), Slow::new(Duration::from_millis(600)));
    let fixture = fixture(vec![paused.address, slow.address], HEDGED);
    let targets = [target(paused.address, true), target(slow.address, true)];
    fixture.publish(&targets);
    let mut client = fixture.connect();
    client.write_all(GET.as_bytes()).unwrap();
    until(|| slow.asked(), 1);
    targets[0].set(Cause::Paused);
    fixture.server.targets_cut_off();
    assert_eq!(status(&read_to_end(&mut client)), "200");
    assert_eq!((paused.asked(), slow.asked()), (1, 1), "nobody else is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_the_stream_that_is_slow_is_reset_and_others_of_its_connection_live_on() {
    let (ended, mut endings) = tokio::sync::mpsc::unbounded_channel();
    let slow = http2_target(h2::server::Builder::new(), move |_, _, mut answer| {
        let ended = ended.clone();
        tokio::spawn(async move {
            let reason = poll_fn(|cx| answer.poll_reset(cx)).await;
            ended.send(reason.ok()).unwrap();
        });
    })
    .await;
    let quick = http2_target(h2::server::Builder::new(), |_, _, answer| answer_ok(answer)).await;
    let protocol = Protocol::Grpc;
    let targets = vec![slow, quick];
    let fixture = Fixture::new(Options { targets, hedging: Some(HEDGED), protocol, ..Options::default() });
    let (mut sender, _connection) = client(fixture.address, &h2::client::Builder::new()).await;
    for _ in 0..4 {
        let (answer, _) = sender.send_request(get(), true).unwrap();
        let response = answer.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(body(response).await.unwrap(), b"hi");
    }
    for _ in 0..2 {
        assert_eq!(endings.recv().await.unwrap(), Some(Reason::CANCEL));
    }
    fixture.until_metric("plimsoll_upstream_hedges_total{upstream=\"web\",outcome=\"won\"}", 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_the_second_finish() {
    let (slow, slower) = (Slow::new(Duration::from_millis(700)), Slow::new(Duration::from_secs(8)));
    let fixture = fixture(vec![slower.address, slow.address], HEDGED);
    let mut client = fixture.connect();
    client.write_all(GET.as_bytes()).unwrap();
    until(|| slow.asked(), 1);
    let began = Instant::now();
    fixture.server.drain(Duration::from_secs(7)).await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(status(&read_to_end(&mut client)), "200");
}
