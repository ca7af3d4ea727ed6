//! What shows in HTTP/2's frames: interim answers, windows, and how streams and connections end.

use super::fixture::{Fixture, Options, answering, read_until, serve};
use bytes::Bytes;
use futures_util::FutureExt;
use h2::client::{self, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use plimsoll_core::config::{Limits, Protocol, Timeouts};
use plimsoll_core::upstream::WaitLimits;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi";
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\n";

pub(super) type Ended = JoinHandle<Result<(), h2::Error>>;

pub(super) async fn client(address: SocketAddr, builder: &client::Builder) -> (SendRequest<Bytes>, Ended) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

/// One that takes nothing of any answer's body.
async fn client_without_a_window(address: SocketAddr) -> (SendRequest<Bytes>, Ended) {
    client(address, client::Builder::new().initial_window_size(0)).await
}

pub(super) async fn body(response: Response<RecvStream>) -> Result<Vec<u8>, h2::Error> {
    let mut body = response.into_body();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(all)
}

pub(super) fn get() -> Request<()> {
    Request::get("http://shop/").body(()).unwrap()
}

pub(super) fn post() -> Request<()> {
    Request::post("http://shop/").body(()).unwrap()
}

/// Servers over HTTP/2, a connection each; `handle` is given every request.
pub(super) async fn http2_target<F>(builder: h2::server::Builder, handle: F) -> SocketAddr
where
    F: Fn(usize, Request<RecvStream>, h2::server::SendResponse<Bytes>) + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (builder, handle) = (builder.clone(), handle.clone());
            tokio::spawn(async move {
                let mut connection = builder.handshake(stream).await.unwrap();
                while let Some(Ok((request, answer))) = connection.accept().await {
                    handle(number, request, answer);
                }
            });
        }
    });
    address
}

pub(super) fn answer_ok(mut answer: h2::server::SendResponse<Bytes>) {
    let mut stream = answer.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::from("hi"), true).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_reach_http_2_clients() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(INTERIM.repeat(2).as_bytes()).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    let (mut answer, _) = sender.send_request(get(), true).unwrap();
    for _ in 0..2 {
        let interim = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(interim.status(), 103);
        assert_eq!(interim.headers()["link"], "</a.css>");
        assert!(!interim.headers().contains_key("connection"), "hop-by-hop");
    }
    let response = answer.await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(body(response).await.unwrap(), b"hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_without_end_are_not_kept_for_a_client() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        for _ in 0..1000 {
            stream.write_all(INTERIM.as_bytes()).unwrap();
        }
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    let (mut answer, _) = sender.send_request(get(), true).unwrap();
    let mut given = 0;
    while let Some(interim) = poll_fn(|cx| answer.poll_informational(cx)).await {
        interim.unwrap();
        given += 1;
    }
    assert!((100..900).contains(&given), "{given}");
    assert_eq!(body(answer.await.unwrap()).await.unwrap(), b"hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_100_is_told_by_the_target_or_refused_before_it_sends() {
    let told = serve(|mut stream| {
        let head = read_until(&mut stream, "\r\n\r\n");
        assert!(head.to_lowercase().contains("expect: 100-continue\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        read_until(&mut stream, "body");
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let refused = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    for (target, status) in [(told, 200), (refused, 413)] {
        let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
        let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
        let request = Request::post("http://shop/").header("expect", "100-continue").header("content-length", 4);
        let (mut answer, mut upload) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        let interim = poll_fn(|cx| answer.poll_informational(cx)).await;
        assert_eq!(interim.is_some(), status == 200);
        if let Some(interim) = interim {
            assert_eq!(interim.unwrap().status(), 100);
            upload.send_data(Bytes::from("body"), true).unwrap();
        }
        assert_eq!(answer.await.unwrap().status(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_of_http_2_targets_are_passed_on() {
    let target = http2_target(h2::server::Builder::new(), |_, _, mut answer| {
        answer
            .send_informational(Response::builder().status(103).header("link", "</a.css>").body(()).unwrap())
            .unwrap();
        answer_ok(answer);
    })
    .await;
    let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
    let answer = fixture.talk("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_streams_are_opened_than_the_target_allows() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&now), Arc::clone(&most));
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let target = http2_target(builder, move |number, _, answer| {
        // All of the first connection's: had the third to wait for it, it would be late.
        let (now, most) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
        tokio::spawn(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(if number == 0 { 1500 } else { 100 })).await;
            now.fetch_sub(1, Ordering::SeqCst);
            answer_ok(answer);
        });
    })
    .await;
    let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
    let (sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    let ask = || {
        let mut sender = sender.clone();
        async move {
            let (answer, _) = sender.send_request(get(), true).unwrap();
            body(answer.await.unwrap()).await.unwrap()
        }
    };
    let first = tokio::spawn(ask());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = tokio::spawn(ask());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    assert_eq!(ask().await, b"hi");
    assert!(began.elapsed() < Duration::from_millis(800), "it waited for a stream: {:?}", began.elapsed());
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (b"hi".to_vec(), b"hi".to_vec()));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// Speaks HTTP/2 by hand: answers what was reset all the same, and what has come whole. Counts what it is asked.
fn answering_late(asked: Arc<AtomicUsize>) -> SocketAddr {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    let frame = |kind: u8, flags: u8, id: [u8; 4], payload: &[u8]| {
        [&[0, 0, u8::try_from(payload.len()).unwrap(), kind, flags], &id[..], payload].concat()
    };
    serve(move |mut stream| {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        stream.write_all(&frame(SETTINGS, 0, [0; 4], &[])).unwrap();
        let mut head = [0; 9];
        while stream.read_exact(&mut head).is_ok() {
            let [high, middle, low, kind, flags, id @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
            stream.read_exact(&mut payload).unwrap();
            let ends = kind == DATA && flags & 1 == 1;
            if kind == HEADERS {
                asked.fetch_add(1, Ordering::SeqCst);
            } else if kind == SETTINGS && flags == 0 {
                stream.write_all(&frame(SETTINGS, 1, [0; 4], &[])).unwrap();
            } else if kind == RST_STREAM || ends {
                // `:status: 200`, and whether that is all of it.
                stream.write_all(&frame(HEADERS, if ends { 5 } else { 4 }, id, &[0x88])).unwrap();
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_targets_still_send_of_requests_that_were_given_up_ends_no_other_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let target = answering_late(Arc::clone(&asked));
    // The upload waits for all of the others, on a machine that may be busy.
    let timeouts = Timeouts { client_body: Duration::from_secs(120), ..Timeouts::default() };
    let options = Options { targets: vec![target], protocol: Protocol::Grpc, timeouts, ..Options::default() };
    let fixture = Fixture::new(options);
    let until_asked = async |times: usize| {
        while asked.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    };
    let (mut steady, _ended) = client(fixture.address, &client::Builder::new()).await;
    let (answer, mut upload) = steady.send_request(post(), false).unwrap();
    until_asked(1).await;
    // Of one client so many would be too many.
    for round in 0..15 {
        let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
        for number in 0..100 {
            let given_up = sender.send_request(get(), true).unwrap();
            until_asked(2 + round * 100 + number).await;
            drop(given_up);
        }
    }
    upload.send_data("whole".into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_no_window_loses_its_stream_and_keeps_its_connection() {
    let target = answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nmore");
    let timeouts = Timeouts { client_body: Duration::from_millis(300), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![target], timeouts, ..Options::default() });
    let mut builder = client::Builder::new();
    builder.initial_window_size(2);
    let (mut sender, ended) = client(fixture.address, &builder).await;
    for _ in 0..2 {
        let (answer, _) = sender.send_request(get(), true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "mo", "as much as there is room for");
        let cut = body.data().await.unwrap().unwrap_err();
        assert_eq!(cut.reason(), Some(Reason::INTERNAL_ERROR));
    }
    assert!(!ended.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_passes_small_windows_whole() {
    const LENGTH: usize = 1 << 20;
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let bytes: Vec<u8> = (0..LENGTH).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        stream.write_all(&[head.into_bytes(), bytes].concat()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    for window in [1000, 65_535, 4 << 20] {
        let mut builder = client::Builder::new();
        builder.initial_window_size(window);
        let (mut sender, _ended) = client(fixture.address, &builder).await;
        let (answer, _) = sender.send_request(get(), true).unwrap();
        let all = body(answer.await.unwrap()).await.unwrap();
        assert_eq!(all.len(), LENGTH);
        assert!(all.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 7 % 251), "window {window}");
    }
}

/// Sends until there is no room for more, or nobody wants it.
async fn fill(stream: &mut SendStream<Bytes>) {
    loop {
        stream.reserve_capacity(16 << 10);
        let room = poll_fn(|cx| stream.poll_capacity(cx));
        let Ok(Some(Ok(room))) = tokio::time::timeout(Duration::from_millis(200), room).await else { return };
        if stream.send_data(Bytes::from(vec![0; room]), false).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_wait_in_http_2_windows_count_as_buffered() {
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        // Nothing of the body.
        std::thread::sleep(Duration::from_secs(60));
    });
    // Two workers: each may hold 300 KiB, which the fifth window goes past.
    let limits = Limits { buffered_bytes: 600 << 10, ..Limits::default() };
    let fixture = Fixture::new(Options { targets: vec![target], limits, ..Options::default() });
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    for _ in 0..2 {
        let mut uploads: Vec<_> = (0..4).map(|_| sender.send_request(post(), false).unwrap()).collect();
        futures_util::future::join_all(uploads.iter_mut().map(|(_, upload)| fill(upload))).await;
        assert!(uploads.iter_mut().all(|(answer, _)| answer.now_or_never().is_none()), "they wait");
        for _ in 0..3 {
            let (answer, _upload) = sender.send_request(post(), false).unwrap();
            assert_eq!(answer.await.unwrap().status(), 503);
        }
        // With them, what they held is free again.
        drop(uploads);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_are_held_and_have_sent_nothing_do_not_count_as_buffered() {
    let hold = WaitLimits { max_requests: 100, max_bytes: 1 << 20, timeout: Duration::from_secs(20) };
    // As above: five windows that hold something would go past it.
    let limits = Limits { buffered_bytes: 600 << 10, ..Limits::default() };
    let fixture = Fixture::new(Options { fed: true, hold: Some(hold), limits, ..Options::default() });
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    let mut uploads = Vec::new();
    for held in 1..=20 {
        uploads.push(sender.send_request(post(), false).unwrap());
        let began = Instant::now();
        while fixture.upstream.held() < held {
            assert!(began.elapsed() < Duration::from_secs(5), "only {} of {held} held", fixture.upstream.held());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // What comes of one meanwhile arrives when there is a target.
    uploads[19].1.send_data("whole".into(), true).unwrap();
    let target = serve(|mut stream| {
        read_until(&mut stream, "whole");
        stream.write_all(OK.as_bytes()).unwrap();
    });
    fixture.publish_addresses(&[target]);
    assert_eq!(uploads.remove(19).0.await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_answers_that_wait_for_a_window_count_as_buffered() {
    const LENGTH: usize = 15 << 10;
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n");
        stream.write_all(&[head.into_bytes(), vec![b'x'; LENGTH]].concat()).unwrap();
    });
    // Two workers: each may hold 150 KiB, which eleven such answers go past, though not one of them keeps a buffer.
    let limits = Limits { buffered_bytes: 300 << 10, ..Limits::default() };
    let fixture = Fixture::new(Options { targets: vec![target], limits, ..Options::default() });
    let (mut sender, _ended) = client_without_a_window(fixture.address).await;
    let mut waiting = Vec::new();
    let refused = async {
        for _ in 0..30 {
            let (answer, _) = sender.send_request(get(), true).unwrap();
            let answer = answer.await.unwrap();
            if answer.status() == 503 {
                return true;
            }
            waiting.push(answer);
        }
        false
    };
    assert!(refused.await, "thirty answers wait, and another is asked for");
    assert!((6..30).contains(&waiting.len()), "{} wait", waiting.len());
    // With them, what they held is free again.
    drop(waiting);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (answer, _) = sender.send_request(get(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
}

/// A target of long answers, which counts what it is asked.
fn long_answers(asked: &Arc<AtomicUsize>) -> SocketAddr {
    const LENGTH: usize = 64 << 10;
    let asked = Arc::clone(asked);
    serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        asked.fetch_add(1, Ordering::Relaxed);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n");
        // What is not read of it may be cut when the test is over.
        drop(stream.write_all(&[head.into_bytes(), vec![b'x'; LENGTH]].concat()));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn little_is_read_of_long_answers_for_a_client_that_opens_no_window() {
    // Two workers: each may hold 1 MiB, which 16 such answers would go past.
    let limits = Limits { buffered_bytes: 2 << 20, ..Limits::default() };
    let targets = vec![long_answers(&Arc::default())];
    let fixture = Fixture::new(Options { targets, limits, ..Options::default() });
    let (mut sender, _ended) = client_without_a_window(fixture.address).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let (answer, _) = sender.send_request(get(), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200, "{} wait", waiting.len());
        waiting.push(answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_client_that_takes_nothing_begin_one_after_another_until_it_takes_something() {
    let asked = Arc::default();
    let fixture = Fixture::new(Options { targets: vec![long_answers(&asked)], ..Options::default() });
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    let mut builder = client::Builder::new();
    builder.initial_window_size(0).initial_connection_window_size(16 << 20);
    let (mut sender, mut connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let (open, mut opened) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = &mut connection => return,
            _ = &mut opened => {}
        }
        connection.set_initial_window_size(1 << 20).unwrap();
        drop(connection.await);
    });
    let begin = Instant::now();
    let mut answers = Vec::new();
    for _ in 0..100 {
        answers.push(sender.send_request(get(), true).unwrap().0);
        // Long enough that what is asked for before is known to wait.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waiting: Vec<_> = futures_util::future::join_all(answers.drain(..10)).await;
    let (begun, waited) = (asked.load(Ordering::Relaxed), begin.elapsed());
    let most = 10 + waited.as_millis() as usize / 100;
    assert!(begun <= most && begun < 60, "{begun} have begun after {waited:?}");
    let begin = Instant::now();
    open.send(()).unwrap();
    for answer in waiting {
        assert_eq!(body(answer.unwrap()).await.unwrap().len(), 64 << 10);
    }
    for answer in answers {
        assert_eq!(body(answer.await.unwrap()).await.unwrap().len(), 64 << 10);
    }
    let waited = begin.elapsed();
    assert!(waited < Duration::from_secs(3), "all that is left came after {waited:?}, not at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_a_trusted_proxys_connection_wait_for_nobody() {
    let asked = Arc::default();
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let fixture = Fixture::new(Options { targets: vec![long_answers(&asked)], trusted, ..Options::default() });
    let (mut sender, _ended) = client_without_a_window(fixture.address).await;
    let begin = Instant::now();
    for _ in 0..60 {
        let (answer, _) = sender.send_request(get(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    let waited = begin.elapsed();
    assert!(waited < Duration::from_secs(3), "sixty begin within {waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_while_its_request_waits_for_its_turn_arrives_whole() {
    let target = serve(|mut stream| {
        if read_until(&mut stream, "\r\n\r\n").starts_with("POST") {
            let body = read_until(&mut stream, "the end");
            let head = format!("HTTP/1.1 200 OK\r\nX-Body: {body}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return stream.write_all(head.as_bytes()).unwrap();
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n";
        drop(stream.write_all(&[head.as_bytes(), &[b'x'; 64 << 10]].concat()));
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let (mut sender, _ended) = client_without_a_window(fixture.address).await;
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let (answer, _) = sender.send_request(get(), true).unwrap();
        waiting.push(answer.await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _before_it: Vec<_> = (0..5).map(|_| sender.send_request(get(), true).unwrap()).collect();
    let request = Request::post("http://shop/").header("content-length", 24).body(()).unwrap();
    let begin = Instant::now();
    let (answer, mut body) = sender.send_request(request, false).unwrap();
    for piece in ["what ", "comes until ", "the end"] {
        body.send_data(piece.into(), piece == "the end").unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = answer.await.unwrap();
    assert!(begin.elapsed() > Duration::from_millis(500), "it did not wait");
    assert_eq!(answer.headers()["x-body"], "what comes until the end");
    // Which is nothing that its target took: 1.5 s and more in all.
    let took = fixture.metric("plimsoll_http_upstream_duration_seconds_sum");
    assert!(took < 1.0, "targets took {took} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_told_that_it_ends_and_one_with_a_stream_is_not_idle() {
    let slow = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        std::thread::sleep(Duration::from_millis(1500));
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let timeouts = Timeouts { client_idle: Duration::from_millis(400), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![slow], timeouts, ..Options::default() });
    let (mut sender, mut ended) = client(fixture.address, &client::Builder::new()).await;
    let (first, _) = sender.send_request(get(), true).unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let (second, _) = sender.send_request(get(), true).unwrap();
    for answer in [first, second] {
        assert_eq!(body(answer.await.unwrap()).await.unwrap(), b"hi");
    }
    let result = tokio::time::timeout(Duration::from_secs(5), &mut ended).await.unwrap().unwrap();
    assert!(result.is_ok(), "{result:?}");
    assert!(sender.send_request(get(), true).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_client_resets_is_given_up_at_the_target_too() {
    let (told, gone) = std::sync::mpsc::channel();
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").unwrap();
        let closed = stream.read(&mut [0]);
        told.send(matches!(closed, Ok(0) | Err(_))).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    for answered in [false, true] {
        let (answer, mut stream) = sender.send_request(get(), true).unwrap();
        if answered {
            drop((answer.await.unwrap(), stream));
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stream.send_reset(Reason::CANCEL);
            drop(answer);
        }
        let gone = tokio::task::block_in_place(|| gone.recv_timeout(Duration::from_secs(5)));
        assert!(gone.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_leave_room_on_a_shared_connection_to_a_target() {
    let target = http2_target(h2::server::Builder::new(), |_, _, mut answer| {
        tokio::spawn(async move {
            let mut stream = answer.send_response(Response::new(()), false).unwrap();
            // As much as there is a window for; more where it is read.
            for _ in 0..64 {
                stream.reserve_capacity(16 << 10);
                while stream.capacity() == 0 {
                    if poll_fn(|cx| stream.poll_capacity(cx)).await.is_none() {
                        return;
                    }
                }
                let room = stream.capacity().min(16 << 10);
                if stream.send_data(Bytes::from(vec![0; room]), false).is_err() {
                    return;
                }
            }
            let _gone = stream.send_data(Bytes::new(), true);
        });
    })
    .await;
    let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
    let mut narrow = client::Builder::new();
    narrow.initial_window_size(0);
    // On every worker, since the one that is asked last may be on any.
    let mut greedy = Vec::new();
    for _ in 0..4 {
        let (mut sender, ended) = client(fixture.address, &narrow).await;
        let answers: Vec<_> = (0..8).map(|_| sender.send_request(get(), true).unwrap().0).collect();
        for answer in answers {
            greedy.push(answer.await.unwrap());
        }
        greedy.last_mut().unwrap().extensions_mut().insert(Arc::new(ended));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    let (answer, _) = sender.send_request(get(), true).unwrap();
    let all = tokio::time::timeout(Duration::from_secs(5), async { body(answer.await.unwrap()).await.unwrap() });
    assert!(all.await.expect("others do not starve it").len() > 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_answers_that_a_slow_client_has_yet_to_read() {
    const LENGTH: usize = 200 << 10;
    let target = serve(|mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        stream.write_all(&[head.into_bytes(), vec![b'x'; LENGTH]].concat()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    // Windows for all of it at once: what the kernel does not take lies in the gateway, and its requests have ended there.
    let mut wide = client::Builder::new();
    wide.initial_window_size(4 << 20).initial_connection_window_size(64 << 20);
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    let (mut sender, connection) = wide.handshake::<_, Bytes>(stream).await.unwrap();
    let mut connection = Box::pin(connection);
    let answers: Vec<_> = (0..64).map(|_| sender.send_request(get(), true).unwrap().0).collect();
    // The client writes its requests, and then reads nothing for a while.
    assert!((&mut connection).now_or_never().is_none());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let drain = async { fixture.server.drain(Duration::from_secs(20)).await };
    let read = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        tokio::spawn(connection);
        for answer in answers {
            assert_eq!(body(answer.await.unwrap()).await.unwrap().len(), LENGTH);
        }
    };
    tokio::join!(drain, read);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_targets_that_a_burst_made_are_given_back() {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let open = Arc::clone(&counted);
            tokio::spawn(async move {
                open.fetch_add(1, Ordering::SeqCst);
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, answer))) = connection.accept().await {
                    answer_ok(answer);
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let timeouts = Timeouts { upstream_idle: Duration::from_millis(500), ..Timeouts::default() };
    let options = Options { targets: vec![target], protocol: Protocol::Grpc, timeouts, ..Options::default() };
    let fixture = Fixture::new(options);
    let (mut sender, _ended) = client(fixture.address, &client::Builder::new()).await;
    let answers: Vec<_> = (0..20).map(|_| sender.send_request(get(), true).unwrap().0).collect();
    for answer in answers {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    assert!(open.load(Ordering::SeqCst) > 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(open.load(Ordering::SeqCst), 0);
    let (answer, _) = sender.send_request(get(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
}
