//! More replicas and fewer.

use crate::adapter::{FOLLOWS, gateway, lab, load};
use plimsoll_test_support::docker::{Compose, Events};
use std::time::Duration;

/// From a replica's start to its first request. A quiet machine shows far less; this leaves room for a busy one.
const JOINS_MS: u64 = 3000;

#[tokio::test]
async fn three_replicas_share_exactly_and_scaling_to_ten_and_back_to_two_loses_nothing() {
    let Some(lab) = lab().await else { return };
    let compose = Compose::new(&lab, &Compose::web(&lab, &[]));
    compose.run("up -d --scale web=3").await;
    let gateway = gateway(&lab).await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 3).await;

    let steady = load(&gateway, "web").start();
    steady.go_on(Duration::from_secs(3)).await;
    let report = steady.stop().await;
    report.assert_none_lost();
    report.assert_even(3);

    let changing = load(&gateway, "web").start();
    let events = Events::record(&lab.engine);
    changing.go_on(Duration::from_secs(1)).await;
    compose.run("up -d --no-recreate --scale web=10").await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 10).await;
    changing.go_on(Duration::from_secs(2)).await;
    let ids = lab.engine.run(&format!("ps -q --no-trunc --filter label=test.run={}", lab.id)).await;
    compose.run("up -d --no-recreate --scale web=2").await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 2).await;
    changing.go_on(Duration::from_secs(1)).await;
    let report = changing.stop().await;
    report.assert_none_lost();

    let waits: Vec<_> = ids
        .split_whitespace()
        .filter_map(|id| {
            let started_ms = events.last(id, "start")?;
            // A container without a name of its own calls itself by the first twelve digits of its id.
            let first_ms = report.first_by(id.get(..12)?).expect("every new replica got a request");
            Some(first_ms.saturating_sub(started_ms))
        })
        .collect();
    assert_eq!(waits.len(), 7, "the engine announced every start");
    let slowest = waits.into_iter().max().unwrap_or_default();
    eprintln!("new replicas got their first request at most {slowest} ms after the engine had started them");
    assert!(slowest < JOINS_MS, "{slowest} ms");
}
