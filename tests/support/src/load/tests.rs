//! The load generator against targets directly: it must not call a loss an answer, nor the other way round.

use super::{Load, Report};
use crate::target::{Behaviour, Target};
use std::net::SocketAddr;
use std::time::Duration;

async fn load(address: SocketAddr, service: &str) -> Report {
    let mut load = Load::new(address, "web.test", service);
    (load.rate, load.slow, load.patience) = (400, Duration::from_millis(50), Duration::from_millis(500));
    let running = load.start();
    running.go_on(Duration::from_millis(500)).await;
    running.stop().await
}

#[tokio::test]
async fn a_sample_answers_every_kind_of_request_right() {
    let target = Target::sample("web", "one").await;
    let report = load(target.address, "web").await;
    report.assert_none_lost();
    report.assert_even(1);
    assert!(report.sent > 150, "{report}");
    assert_eq!(report.right.len(), report.sent);
    assert!(report.latency(50.0) < Duration::from_millis(50), "{report}");
    assert!(report.latency(100.0) >= Duration::from_millis(50), "slow ones are slow: {report}");
}

#[tokio::test]
async fn an_answer_of_another_service_is_lost() {
    let target = Target::sample("api", "one").await;
    let report = load(target.address, "web").await;
    assert_eq!((report.lost.len(), report.right.len()), (report.sent, 0), "{report}");
    assert!(report.lost.iter().all(|lost| lost.reason == "wrong service: api instead of web"), "{report}");
}

#[tokio::test]
async fn every_way_to_lose_a_request_is_named() {
    let check = async |behaviour: Behaviour, reason: &str, begun: bool| {
        let target = Target::misbehaving(behaviour).await;
        let report = load(target.address, "web").await;
        assert_eq!((report.lost.len(), report.refused.len()), (report.sent, 0), "{report}");
        // The rarer ones among them depend on what the system noticed first, a close or a reset.
        let named = report.lost.iter().filter(|lost| lost.reason.contains(reason) && lost.begun == begun).count();
        assert!(named * 3 > report.sent, "{reason}: {report}");
    };
    check(Behaviour::Close, "on a new connection", false).await;
    check(Behaviour::CloseAfterRequest, "on a new connection", false).await;
    check(Behaviour::Reset, "on a new connection", false).await;
    check(Behaviour::Never, "timed out", false).await;
    check(Behaviour::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "on a new connection", true).await;
    check(Behaviour::Says(b"HTTP/1.1 200 OK\r\nContent-Le"), "on a new connection", true).await;
    check(Behaviour::SaysAndStays(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "502", false).await;
    check(Behaviour::SaysAndStays(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "503", false).await;
    check(Behaviour::SaysAndStays(b"nonsense\r\n\r\n"), "no answer", true).await;
}

#[tokio::test]
async fn a_refusal_with_a_reason_is_not_a_loss() {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 18\r\n\r\n{\"message\":\"full\"}";
    let target = Target::misbehaving(Behaviour::SaysAndStays(answer)).await;
    let report = load(target.address, "web").await;
    assert_eq!((report.refused.len(), report.lost.len()), (report.sent, 0), "{report}");
    assert_eq!(report.refused[0].reason, "503 full");
}

#[tokio::test]
async fn requests_start_on_schedule_whatever_the_answers_do() {
    let target = Target::misbehaving(Behaviour::Never).await;
    let report = load(target.address, "web").await;
    assert!(report.sent > 150, "an open loop does not wait for answers: {report}");
}

#[tokio::test]
async fn a_sample_that_was_told_to_stop_serves_what_the_kernel_accepted() {
    let target = Target::sample("web", "one").await;
    let running = Load::new(target.address, "web.test", "web").start();
    running.go_on(Duration::from_millis(200)).await;
    target.stop();
    running.go_on(Duration::from_millis(300)).await;
    // It goes on accepting for 500 ms.
    running.stop().await.assert_none_lost();
}
