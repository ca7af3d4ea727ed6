//! The gateway's own answers to clients of gRPC, as they are on the wire. What a client makes of them: `tests/it/clients.rs`.

use super::fixture::{Fixture, Options, nobody};
use super::http2::{body, client};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use plimsoll_core::config::{Limits, Protocol};

fn call(content_type: &str) -> Request<Full<Bytes>> {
    let request = Request::post("http://shop/pkg.Service/Call").header("content-type", content_type);
    request.header("te", "trailers").body(Full::from("message")).unwrap()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn grpc(options: Options) -> Fixture {
    Fixture::new(Options { protocol: Protocol::Grpc, ..options })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_is_answered_by_a_head_alone_and_counted_by_its_true_status() {
    let fixture = grpc(Options { targets: vec![nobody()], ..Options::default() });
    let mut client = client(fixture.address).await;
    for (content_type, times) in [("application/grpc", 1.0), ("application/grpc+proto", 2.0)] {
        let answer = client.send_request(call(content_type)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.body().is_end_stream(), "a body would make it another kind of answer");
        let headers = answer.headers();
        assert_eq!((text(headers, "content-type"), text(headers, "grpc-status")), ("application/grpc", "14"));
        let (message, id) = text(headers, "grpc-message").split_once(", request_id: ").unwrap();
        assert_eq!((message, id.len()), ("An invalid response was received from the upstream server", 32));
        assert!(!headers.contains_key("content-length") && !headers.contains_key("retry-after"), "{headers:?}");
        fixture.until_metric("plimsoll_http_requests_total{service=\"web\",route=\"all\",code=\"502\"}", times);
    }
    assert_eq!(fixture.metric("plimsoll_http_requests_total"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_grpc_is_answered_as_ever() {
    let fixture = grpc(Options { targets: vec![nobody()], ..Options::default() });
    let mut client = client(fixture.address).await;
    for content_type in ["application/grpc-web+proto", "application/json"] {
        let answer = client.send_request(call(content_type)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        assert!(!answer.headers().contains_key("grpc-status"));
        assert!(body(answer).await.0.starts_with(b"{\n  \"message\":\"An invalid response"));
    }
    // Neither gRPC nor its answers are to be had over HTTP/1.
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = fixture.talk(head);
    assert!(answer.starts_with("HTTP/1.1 502 ") && !answer.contains("grpc-status"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_asks_for_too_much_is_told_so() {
    let limits = Limits { request_body: Some(3), ..Limits::default() };
    let fixture = grpc(Options { targets: vec![nobody()], limits, ..Options::default() });
    let answer = client(fixture.address).await.send_request(call("application/grpc")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let message = text(answer.headers(), "grpc-message");
    assert_eq!(text(answer.headers(), "grpc-status"), "8");
    assert!(message.starts_with("Payload too large, request_id: "), "{message}");
    fixture.until_metric("plimsoll_http_requests_total{service=\"\",route=\"\",code=\"413\"}", 1.0);
}
