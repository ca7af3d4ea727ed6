//! Targets that are ejected for what requests saw of them.

use super::fixture::{LIMIT, body, causes, document, get, start, web};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use plimsoll_core::model::{Cause, Causes};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_fails_again_and_again_is_ejected_for_a_while() {
    let good = Target::answering("good").await;
    let bad = Target::http1(|_| async { Response::builder().status(503).body(Full::new(Bytes::new())).unwrap() }).await;
    let rules = "  outlier: {ejection: 2s}\n";
    let running = start(&document(&(web(&[good.address, bad.address]) + rules))).await;
    let (handle, address, name) = (running.handle(), running.address("http").unwrap(), bad.address.to_string());
    let ejected = Some(Causes::NONE.with(Cause::Ejected));
    let mut failed = 0;
    until(LIMIT, "the bad one is ejected", async || {
        failed += u32::from(get(address, "web.test").await.status == 503);
        causes(&handle, &name) == ejected
    })
    .await;
    assert!(failed >= 5, "after {failed} errors");
    while causes(&handle, &name) == ejected {
        // It may return between the look and the request, and is then asked once.
        let answer = body(&running, "web.test").await;
        assert!(answer == "200 good" || causes(&handle, &name) != ejected, "{answer}");
    }
    assert_eq!(causes(&handle, &name), Some(Causes::NONE));
    running.drain_and_stop(Duration::ZERO, Duration::from_secs(5)).await;
}
