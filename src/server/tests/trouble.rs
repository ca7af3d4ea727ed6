//! What goes wrong behind the gateway, before it, and between.

use super::fixture::{Fixture, Options, answering, black_hole, nobody, read_to_end, read_until, serve};
use plimsoll_core::config::{Limits, RequestRate, Timeouts};
use plimsoll_core::health::CheckRules;
use plimsoll_core::upstream::{RetryLimits, WaitLimits};
use std::io::Write;
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

#[test]
fn bad_heads_are_refused_in_words_and_end_the_connection() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], ..Options::default() });
    let check = |bytes: &str, expected: &str| {
        let answer = fixture.talk(bytes);
        assert_eq!(status(&answer), expected, "{bytes:?}: {answer}");
        assert!(answer.contains("Connection: close\r\n") && answer.contains("\"message\""), "{answer}");
    };
    check("GET / HTTP/1.1\nHost: a\n\n", "400");
    check("GET / HTTP/1.1\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "400");
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400");
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400");
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501");
    check(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), "414");
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(40_000)), "431");
}

#[test]
fn where_nothing_is_heard_of_a_connect_the_next_target_is_tried_also_for_a_post() {
    let (address, _held) = black_hole();
    let connect_timeout = Duration::from_millis(200);
    let both = Options { targets: vec![address, answering(OK)], connect_timeout, ..Options::default() };
    let fixture = Fixture::new(both);
    for request in [GET, POST, GET, POST] {
        assert_eq!(status(&fixture.talk(request)), "200");
    }
    let repeated = fixture.metric("plimsoll_retries_total{upstream=\"web\",reason=\"connect_timeout\"}");
    assert!(repeated >= 1.0, "every second one tries it first: {repeated}");
    let fixture = Fixture::new(Options { targets: vec![address], connect_timeout, ..Options::default() });
    let answer = fixture.talk(GET);
    assert!(status(&answer) == "504" && answer.contains("timing out"), "{answer}");
    fixture.until_metric("plimsoll_requests_lost_total{upstream=\"web\",reason=\"connect_timeout\"}", 1.0);
}

#[test]
fn a_target_that_takes_nothing_of_a_body_is_given_up_in_time() {
    let target = serve(|stream| {
        std::thread::sleep(Duration::from_secs(8));
        drop(stream);
    });
    let write_timeout = Duration::from_millis(300);
    let fixture = Fixture::new(Options { targets: vec![target], write_timeout, ..Options::default() });
    let began = Instant::now();
    let mut stream = fixture.connect();
    let mut body = stream.try_clone().unwrap();
    // More than all the buffers on the way can hold; at some point the gateway takes no more of it.
    let writing = std::thread::spawn(move || {
        let mut all = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n".to_vec();
        all.resize(all.len() + (64 << 20), b'x');
        body.write_all(&all)
    });
    let answer = read_until(&mut stream, "\r\n\r\n");
    assert_eq!(status(&answer), "504", "{answer}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(stream);
    let _cut = writing.join().unwrap();
}

#[test]
fn trace_and_connect_are_not_allowed() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], ..Options::default() });
    for request in
        ["TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n"]
    {
        let mut stream = fixture.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n");
        assert_eq!(status(&answer), "405", "{answer}");
    }
}

#[test]
fn a_refused_connect_moves_on_to_the_next_target_also_for_a_post() {
    let fixture = Fixture::new(Options { targets: vec![nobody(), answering(OK)], ..Options::default() });
    for request in [GET, POST, GET, POST] {
        assert_eq!(status(&fixture.talk(request)), "200");
    }
}

#[test]
fn without_any_target_that_answers_the_client_gets_502() {
    let fixture = Fixture::new(Options { targets: vec![nobody()], ..Options::default() });
    let answer = fixture.talk(GET);
    assert_eq!(status(&answer), "502");
    assert!(answer.contains("An invalid response was received from the upstream server"), "{answer}");
    let fixture = Fixture::new(Options::default());
    assert_eq!(status(&fixture.talk(GET)), "503");
}

#[test]
fn a_get_is_tried_again_when_the_target_hangs_up_and_a_post_is_not() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let hangs_up = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        read_until(&mut stream, "\r\n\r\n");
    });
    let fixture = Fixture::new(Options { targets: vec![hangs_up, answering(OK)], ..Options::default() });
    for _ in 0..4 {
        assert_eq!(status(&fixture.talk(GET)), "200");
    }
    assert_eq!(tries.swap(0, Ordering::SeqCst), 2);
    let posts: Vec<String> = (0..4).map(|_| fixture.talk(POST)).collect();
    assert_eq!(
        posts.iter().filter(|answer| status(answer) == "502").count(),
        tries.load(Ordering::SeqCst),
        "{posts:?}"
    );
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

/// A target whose answers break right after their head, and how often it was asked.
fn breaking() -> (SocketAddr, Arc<AtomicUsize>) {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let address = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        counted.fetch_add(1, Ordering::SeqCst);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n").unwrap();
    });
    (address, tries)
}

#[test]
fn a_get_whose_answer_breaks_before_its_client_has_any_of_it_is_tried_again_and_a_post_is_not() {
    let (breaks, tries) = breaking();
    let fixture = Fixture::new(Options { targets: vec![breaks, answering(OK)], ..Options::default() });
    for _ in 0..4 {
        assert_eq!(status(&fixture.talk(GET)), "200");
    }
    assert_eq!(tries.swap(0, Ordering::SeqCst), 2);
    let posts: Vec<String> = (0..4).map(|_| fixture.talk(POST)).collect();
    assert_eq!(posts.iter().filter(|answer| status(answer) == "502").count(), 2, "{posts:?}");
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_that_breaks_everywhere_is_given_up_after_the_services_retries() {
    let (breaks, tries) = breaking();
    let fixture = Fixture::new(Options { targets: vec![breaks], ..Options::default() });
    assert_eq!(status(&fixture.talk(GET)), "502");
    // The service has five retries.
    assert_eq!(tries.load(Ordering::SeqCst), 6);
}

#[test]
fn an_answer_that_breaks_after_its_head_is_a_failure_for_passive_checks_and_a_whole_one_is_none() {
    let cut = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\nhi");
    let passive = CheckRules { tcp_failures: 3, ..CheckRules::default() };
    let check = |answer: String, asked: usize, healthy: bool| {
        let target = serve(move |mut stream| {
            read_until(&mut stream, "\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let options = Options { targets: vec![target], passive: Some(passive.clone()), ..Options::default() };
        let fixture = Fixture::new(options);
        for _ in 0..asked {
            assert_eq!(status(&fixture.talk(POST)), "200");
        }
        let found = || fixture.upstream.pool().targets()[0].target.counters().unhealthy;
        let began = Instant::now();
        // The client may know of the end before it is counted.
        while found().is_none() && began.elapsed() < Duration::from_millis(if healthy { 200 } else { 5000 }) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(found().is_none(), healthy, "{:?} after {asked} answers", found());
    };
    check(cut(2), 6, true);
    check(cut(3), 3, false);
}

#[test]
fn a_post_that_a_reset_ended_may_have_been_read_and_is_not_repeated() {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&posts);
    let resets = serve(move |mut stream| {
        // A connection that has answered puts off acknowledging what comes next.
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(OK.as_bytes()).unwrap();
        if stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
            read_until(&mut stream, "\r\n\r\n");
            counted.fetch_add(1, Ordering::SeqCst);
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    let fixture = Fixture::new(Options { targets: vec![resets], ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "hi");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(status(&read_to_end(&mut stream)), "502");
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[test]
fn without_budget_a_failure_goes_to_the_client_and_what_was_refused_is_still_repeated() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let hangs_up = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        read_until(&mut stream, "\r\n\r\n");
    });
    let retry_budget = Some(RetryLimits { ratio: 0.0, min_per_second: 0 });
    let fixture = Fixture::new(Options { targets: vec![hangs_up, answering(OK)], retry_budget, ..Options::default() });
    let failed = (0..4).filter(|_| status(&fixture.talk(GET)) == "502").count();
    assert_eq!((failed, tries.load(Ordering::SeqCst)), (2, 2));
    let fixture = Fixture::new(Options { targets: vec![nobody(), answering(OK)], retry_budget, ..Options::default() });
    for request in [GET, POST, GET, POST] {
        assert_eq!(status(&fixture.talk(request)), "200");
    }
}

#[test]
fn a_budget_lets_a_part_of_the_requests_be_repeated() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let hangs_up = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        read_until(&mut stream, "\r\n\r\n");
    });
    let retry_budget = Some(RetryLimits { ratio: 0.5, min_per_second: 0 });
    let fixture = Fixture::new(Options { targets: vec![hangs_up], retry_budget, ..Options::default() });
    for _ in 0..20 {
        assert_eq!(status(&fixture.talk(GET)), "502");
    }
    assert_eq!(tries.load(Ordering::SeqCst), 20 + 10);
}

#[test]
fn no_try_begins_after_the_client_went_or_its_time_was_over() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let silent = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        counted.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(5));
    });
    let timeouts = Timeouts { request: Some(Duration::from_millis(700)), ..Timeouts::default() };
    let read_timeout = Duration::from_millis(400);
    let fixture = Fixture::new(Options { targets: vec![silent], timeouts, read_timeout, ..Options::default() });
    let began = Instant::now();
    assert_eq!(status(&fixture.talk(GET)), "504");
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    let mut gone = fixture.connect();
    gone.write_all(GET.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(tries.load(Ordering::SeqCst), 3, "two in time, and one of the client that goes");
    drop(gone);
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

#[test]
fn a_connection_that_went_stale_costs_no_request() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    for _ in 0..200 {
        assert_eq!(status(&fixture.talk(GET)), "200");
    }
}

#[test]
fn a_target_that_says_nothing_is_given_up_in_time() {
    let silent = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        std::thread::sleep(Duration::from_secs(5));
    });
    let fixture =
        Fixture::new(Options { targets: vec![silent], read_timeout: Duration::from_millis(300), ..Options::default() });
    let began = Instant::now();
    let answer = fixture.talk(POST);
    assert_eq!(status(&answer), "504", "{answer}");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}

#[test]
fn a_cut_answer_is_not_passed_off_as_whole() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let answer = fixture.talk(GET);
    assert!(answer.contains("hello") && !answer.contains("0\r\n\r\n"), "{answer}");
}

#[test]
fn a_target_cannot_answer_the_next_request_in_advance() {
    let target =
        answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    for _ in 0..5 {
        assert!(fixture.talk(GET).ends_with("\r\n\r\nhi"));
    }
}

#[test]
fn a_client_may_have_so_many_connections_and_no_more() {
    let limits = Limits { connections_per_client: Some(2), ..Limits::default() };
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], limits, ..Options::default() });
    let mut first = fixture.connect();
    let mut second = fixture.connect();
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_until(stream, "hi");
    }
    assert_eq!(read_to_end(&mut fixture.connect()), "");
    drop(first);
    let began = Instant::now();
    while !fixture.talk_or_nothing(GET).ends_with("hi") {
        assert!(began.elapsed() < Duration::from_secs(5), "the place of a connection that left is not free");
    }
}

/// One request in a minute and two at once.
fn rate() -> Limits {
    let rate = RequestRate { rate: 1, per: Duration::from_secs(60), burst: 2 };
    Limits { requests_per_client: Some(rate), ..Limits::default() }
}

#[test]
fn a_client_may_send_so_many_requests_and_is_told_when_it_may_send_the_next() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], limits: rate(), ..Options::default() });
    let mut stream = fixture.connect();
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(status(&read_until(&mut stream, "hi")), "200");
    }
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let refused = read_until(&mut stream, "\r\n\r\n");
    assert_eq!(status(&refused), "429");
    let after: u32 = refused.split("Retry-After: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    assert!((50..=60).contains(&after), "{after}");
    assert!(!refused.contains("Connection: close"), "the connection lives on: {refused}");
    // A body that nobody reads ends it, and another connection is the same client.
    assert_eq!(status(&fixture.talk(POST)), "429");
    fixture.until_metric("plimsoll_requests_shed_total{upstream=\"\",reason=\"rate_limited\"}", 2.0);
}

#[test]
fn the_client_behind_a_trusted_proxy_is_limited_and_not_the_proxy() {
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let options = Options { targets: vec![answering(OK)], limits: rate(), trusted, ..Options::default() };
    let fixture = Fixture::new(options);
    let ask = |client: &str| {
        let answer = fixture
            .talk(&format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n"));
        status(&answer).to_owned()
    };
    assert_eq!([ask("203.0.113.1"), ask("203.0.113.1"), ask("203.0.113.1")], ["200", "200", "429"]);
    assert_eq!(ask("203.0.113.2"), "200");
    assert_eq!(ask("203.0.113.2, 203.0.113.1"), "429", "what a client writes before itself makes it nobody else");
    assert_eq!([ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8::3")], ["200", "200", "429"], "one /64");
}

#[test]
fn a_client_that_is_not_trusted_is_whoever_it_is_whatever_it_says() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], limits: rate(), ..Options::default() });
    let answers = ["1.1.1.1", "2.2.2.2", "3.3.3.3"].map(|client| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n");
        status(&fixture.talk(&text)).to_owned()
    });
    assert_eq!(answers, ["200", "200", "429"]);
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let limits = Limits { request_body: Some(3), ..Limits::default() };
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], limits, ..Options::default() });
    assert_eq!(status(&fixture.talk(POST)), "413");
}

#[test]
fn requests_are_held_until_a_target_is_there() {
    let hold = WaitLimits { max_requests: 10, max_bytes: 1 << 20, timeout: Duration::from_secs(20) };
    let fixture =
        Fixture::new(Options { targets: vec![answering(OK)], fed: true, hold: Some(hold), ..Options::default() });
    assert_eq!(status(&fixture.talk(GET)), "200");
    fixture.publish(&[]);
    let mut waiting: Vec<_> = [GET, POST, GET]
        .into_iter()
        .map(|request| {
            let mut stream = fixture.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    while fixture.upstream.held() < waiting.len() {
        assert!(began.elapsed() < Duration::from_secs(5), "only {} held", fixture.upstream.held());
        std::thread::yield_now();
    }
    fixture.publish_addresses(&[answering(OK)]);
    for stream in &mut waiting {
        assert_eq!(status(&read_to_end(stream)), "200");
    }
}

#[test]
fn a_held_request_whose_time_is_over_gets_503() {
    let hold = WaitLimits { max_requests: 10, max_bytes: 1 << 20, timeout: Duration::from_millis(200) };
    let fixture =
        Fixture::new(Options { targets: vec![answering(OK)], fed: true, hold: Some(hold), ..Options::default() });
    fixture.publish(&[]);
    let answer = fixture.talk(GET);
    assert_eq!(status(&answer), "503");
    assert!(answer.contains("failure to get a peer from the ring-balancer"), "{answer}");
}

#[test]
fn who_comes_when_the_hold_is_full_is_told_when_to_come_again() {
    let hold = WaitLimits { max_requests: 1, max_bytes: 1 << 20, timeout: Duration::from_secs(20) };
    let fixture = Fixture::new(Options { fed: true, hold: Some(hold), ..Options::default() });
    let mut held = fixture.connect();
    held.write_all(GET.as_bytes()).unwrap();
    let began = Instant::now();
    while fixture.upstream.held() < 1 {
        assert!(began.elapsed() < Duration::from_secs(5), "the first is not held");
        std::thread::yield_now();
    }
    for number in 1..=2 {
        let answer = fixture.talk(GET);
        assert!(status(&answer) == "503" && answer.contains("Retry-After: 1\r\n"), "{answer}");
        fixture.until_metric("plimsoll_requests_shed_total{upstream=\"web\",reason=\"hold_full\"}", number.into());
    }
    fixture.publish_addresses(&[answering(OK)]);
    assert_eq!(status(&read_to_end(&mut held)), "200");
    assert_eq!(fixture.metric("plimsoll_requests_lost_total{"), 0.0);
}

#[test]
fn a_runtime_target_that_refuses_is_out_until_told_otherwise() {
    let fixture = Fixture::new(Options { targets: vec![nobody(), answering(OK)], fed: true, ..Options::default() });
    for _ in 0..6 {
        assert_eq!(status(&fixture.talk(POST)), "200");
    }
    assert_eq!(fixture.upstream.counts().unhealthy, 1);
}

#[tokio::test]
async fn a_drain_lets_what_is_under_way_finish_and_ends() {
    let slow = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![slow], ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let answer = std::thread::spawn(move || read_to_end(&mut stream));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    fixture.server.drain(Duration::from_secs(8)).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let answer = answer.join().unwrap();
    assert!(answer.ends_with("hi") && answer.contains("Connection: close\r\n"), "{answer}");
}

#[test]
fn a_reset_is_not_the_end_of_an_answer_that_ends_with_its_connection() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\npartial").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let answer = fixture.talk(GET);
    assert!(answer.contains("partial") && !answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_a_bad_response_in_words() {
    let target = answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let answer = fixture.talk(GET);
    assert_eq!(status(&answer), "502", "{answer}");
    assert!(answer.contains("An invalid response was received"), "{answer}");
}

#[test]
fn a_client_that_still_sends_is_not_cut_while_the_target_waits_for_it() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").unwrap();
        let body = read_until(&mut stream, "end");
        assert_eq!(body.len(), 10);
        stream.write_all(b"done").unwrap();
    });
    let read_timeout = Duration::from_millis(500);
    let fixture = Fixture::new(Options { targets: vec![target], read_timeout, ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\n").unwrap();
    for _ in 0..7 {
        std::thread::sleep(Duration::from_millis(250));
        stream.write_all(b"x").unwrap();
    }
    stream.write_all(b"end").unwrap();
    assert!(read_to_end(&mut stream).ends_with("done"));
}

#[test]
fn a_client_that_never_says_what_it_speaks_is_let_go() {
    let timeouts = Timeouts { client_idle: Duration::from_millis(300), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], timeouts, ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n").unwrap();
    let began = Instant::now();
    read_to_end(&mut stream);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn interim_answers_without_end_are_no_answer() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".repeat(50);
        while stream.write_all(interim.as_bytes()).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let read_timeout = Duration::from_millis(500);
    let fixture = Fixture::new(Options { targets: vec![target], read_timeout, ..Options::default() });
    let began = Instant::now();
    let answer = fixture.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let last = answer.rfind("HTTP/1.1 ").map(|at| &answer[at..]).unwrap();
    assert_eq!(status(last), "504");
    assert!(answer.len() < 64 << 10, "{} bytes of them were passed on", answer.len());
}

#[test]
fn a_request_that_comes_by_here_again_and_again_is_refused() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], ..Options::default() });
    for (via, expected) in [
        ("Via: 1.1 other\r\n", "200"),
        // Once may be meant: a gateway before itself.
        ("Via: 1.1 plimsoll-test\r\n", "200"),
        ("Via: 1.1 plimsoll-test-2, 1.1 plimsoll-test-3\r\n", "200"),
        ("Via: 1.1 plimsoll-test, 1.0 other, 2 plimsoll-test\r\n", "508"),
        ("Via: 1.1 plimsoll-test\r\nVia: 1.1 plimsoll-test (again)\r\n", "508"),
    ] {
        let answer = fixture.talk(&format!("GET / HTTP/1.1\r\nHost: a\r\n{via}Connection: close\r\n\r\n"));
        assert_eq!(status(&answer), expected, "{via}{answer}");
    }
}

/// It cannot be told from one that has gone: both send a FIN and nothing else, and only bytes of an answer would tell.
#[test]
fn a_client_that_ends_its_side_before_it_is_answered_is_taken_for_gone() {
    let (told, asked) = std::sync::mpsc::channel();
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        told.send(()).unwrap();
        // Ends with the gateway's connection, not by an answer.
        read_to_end(&mut stream);
        told.send(()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut stream = fixture.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(read_to_end(&mut stream), "");
}
