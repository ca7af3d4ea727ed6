//! HTTP/2 towards clients, towards targets, and both.

use super::fixture::{Fixture, Options, answering, nobody, serve};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll_core::config::Protocol;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX-Own: yes\r\n\r\nhi";

pub(super) async fn client(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::builder().uri(format!("http://shop{path}")).body(Full::default()).unwrap()
}

pub(super) async fn body(response: Response<Incoming>) -> (Bytes, Option<HeaderMap>) {
    let collected = Limited::new(response.into_body(), 16 << 20).collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    (collected.to_bytes(), trailers)
}

#[tokio::test]
async fn a_client_with_prior_knowledge_is_served() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], ..Options::default() });
    let mut client = client(fixture.address).await;
    let response = client.send_request(get("/a")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-own"], "yes");
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(body(response).await.0, "hi");
}

#[tokio::test]
async fn many_streams_share_a_connection() {
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], ..Options::default() });
    let client = client(fixture.address).await;
    let requests = (0..50).map(|_| {
        let mut client = client.clone();
        async move { body(client.send_request(get("/")).await.unwrap()).await.0 }
    });
    let bodies = futures_util::future::join_all(requests).await;
    assert!(bodies.iter().all(|body| body == "hi"));
}

#[tokio::test]
async fn an_upload_reaches_an_http_1_target_in_chunks() {
    let target = serve(|mut stream| {
        let head = super::fixture::read_until(&mut stream, "\r\n\r\n");
        assert!(head.to_lowercase().contains("content-length: 200000\r\n"), "{head}");
        std::io::Read::read_exact(&mut stream, &mut vec![0; 200_000]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n").unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let request = Request::post("http://shop/").body(Full::from(vec![b'x'; 200_000])).unwrap();
    let response = client(fixture.address).await.send_request(request).await.unwrap();
    assert_eq!(body(response).await.0, "yes");
}

#[tokio::test]
async fn the_gateways_own_answers_are_the_same_as_over_http_1() {
    let fixture = Fixture::new(Options { targets: vec![nobody()], ..Options::default() });
    let response = client(fixture.address).await.send_request(get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(body(response).await.0.starts_with(b"{\n  \"message\":\"An invalid response"));
    let connect = Request::connect("shop:1").body(Full::default()).unwrap();
    let response = client(fixture.address).await.send_request(connect).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// An HTTP/2 target that sends back what it gets, frame by frame, and trailers at the end.
async fn echo_target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|request: Request<Incoming>| async {
                let path = request.uri().path().to_owned();
                let mut body = request.into_body();
                let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
                tokio::spawn(async move {
                    while let Some(Ok(frame)) = body.frame().await {
                        if sender.send(Ok(frame)).await.is_err() {
                            return;
                        }
                    }
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    let _gone = sender.send(Ok(Frame::trailers(trailers))).await;
                });
                let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
                    receiver.recv().await.map(|frame| (frame, receiver))
                });
                Response::builder().header("x-path", path).body(StreamBody::new(stream))
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

#[tokio::test]
async fn a_grpc_call_passes_with_its_trailers() {
    let target = echo_target().await;
    let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
    let mut client = client(fixture.address).await;
    for _ in 0..3 {
        let request = Request::post("http://shop/pkg.Service/Call")
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(Full::from("message"))
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.headers()["x-path"], "/pkg.Service/Call");
        let (bytes, trailers) = body(response).await;
        assert_eq!(bytes, "message");
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
    }
}

/// What gRPC calls "Trailers-Only", which its clients take in no other shape.
#[tokio::test]
async fn an_answer_without_a_body_ends_its_stream_with_its_head() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(|_| async {
            Response::builder().header("grpc-status", "9").body(Full::<Bytes>::default())
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.serve_connection(TokioIo::new(stream), service).await.unwrap();
    });
    let grpc = Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() };
    let no_content = Options {
        targets: vec![answering("HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")],
        ..Options::default()
    };
    for (options, status) in [(grpc, 200), (no_content, 204)] {
        let fixture = Fixture::new(options);
        let response = client(fixture.address).await.send_request(get("/")).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(hyper::body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn both_ways_of_a_stream_move_at_once() {
    let target = echo_target().await;
    let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|bytes| (Ok::<_, Infallible>(Frame::data(bytes)), receiver))
    });
    let io = TokioIo::new(TcpStream::connect(fixture.address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://shop/").body(StreamBody::new(Box::pin(stream))).unwrap();
    let mut response = client.send_request(request).await.unwrap();
    for word in ["one", "two", "three"] {
        sender.send(Bytes::from(word)).await.unwrap();
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word);
    }
    drop(sender);
    let (_, trailers) = body(response).await;
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
}

/// An HTTP/2 target that sends these frames once it has read a request, and keeps the connection.
fn framing(frames: Vec<u8>) -> SocketAddr {
    serve(move |mut stream| {
        // The preface is 24 bytes; the request's HEADERS come after SETTINGS and WINDOW_UPDATE, soon.
        let mut buffer = [0; 4096];
        std::io::Read::read(&mut stream, &mut buffer).unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        stream.write_all(&frames).unwrap();
        while std::io::Read::read(&mut stream, &mut buffer).is_ok_and(|count| count > 0) {}
    })
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// `:status: 200` (RFC 7541, appendix A).
const STATUS_200: &[u8] = &[0x88];

#[tokio::test(flavor = "multi_thread")]
async fn http_1_clients_are_told_where_an_http_2_answer_ends() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let head_alone = frame(1, 5, 1, STATUS_200);
    let empty_data =
        [frame(1, 4, 1, STATUS_200), frame(0, 0, 1, b""), frame(0, 0, 1, b"hi"), frame(0, 1, 1, b"")].concat();
    for (frames, end) in [(head_alone, "Content-Length: 0\r\n"), (empty_data, "\r\n2\r\nhi\r\n0\r\n\r\n")] {
        let target = framing(frames);
        let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
        let answer = fixture.talk(get);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(end), "{answer:?}");
        assert!(answer.matches("0\r\n\r\n").count() <= 1, "nothing follows it: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_above_the_last_stream_of_a_goaway_is_made_elsewhere() {
    let going = framing(frame(7, 0, 0, &[0; 8]));
    let targets = vec![going, echo_target().await];
    let fixture = Fixture::new(Options { targets, protocol: Protocol::Grpc, ..Options::default() });
    for _ in 0..4 {
        let request = Request::post("http://shop/pkg.Service/Call").body(Full::from("message")).unwrap();
        let response = client(fixture.address).await.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(body(response).await.0, "message");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_streams_under_way_finish() {
    let target = serve(|mut stream| {
        super::fixture::read_until(&mut stream, "\r\n\r\n");
        std::thread::sleep(std::time::Duration::from_millis(700));
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut client = client(fixture.address).await;
    let under_way = async {
        let request = Request::post("http://shop/").body(Full::from("x")).unwrap();
        let response = client.send_request(request).await.unwrap();
        body(response).await.0
    };
    let drain = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        fixture.server.drain(std::time::Duration::from_secs(5)).await;
    };
    let (answer, ()) = tokio::join!(under_way, drain);
    assert_eq!(answer, "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_a_connection_takes_get_another_one() {
    let target = echo_target().await;
    let fixture = Fixture::new(Options { targets: vec![target], protocol: Protocol::Grpc, ..Options::default() });
    // Each holds its stream open until all have had their first answer.
    let (mut clients, mut open) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let io = TokioIo::new(TcpStream::connect(fixture.address).await.unwrap());
        let (client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        clients.push(client);
    }
    for number in 0..480 {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|bytes| (Ok::<_, Infallible>(Frame::data(bytes)), receiver))
        });
        let request = Request::post("http://shop/").body(StreamBody::new(Box::pin(stream))).unwrap();
        sender.send(Bytes::from("one")).await.unwrap();
        let mut response = clients[number % 6].send_request(request).await.unwrap();
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "one");
        open.push((sender, response));
    }
}
