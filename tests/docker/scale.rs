//! More replicas and fewer.

use crate::adapter::{FOLLOWS, gateway, lab, load};
use plimsoll_test_support::docker::{Compose, Lab};
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
    let first = running(&lab).await;
    compose.run("up -d --no-recreate --scale web=10").await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 10).await;
    changing.go_on(Duration::from_secs(2)).await;
    let all = running(&lab).await;
    compose.run("up -d --no-recreate --scale web=2").await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 2).await;
    changing.go_on(Duration::from_secs(1)).await;
    let report = changing.stop().await;
    report.assert_none_lost();

    let mut slowest = 0;
    for (name, started_ms) in all.iter().filter(|(name, _)| !first.iter().any(|(old, _)| old == name)) {
        let first_ms = report.first_by(name).expect("every new replica got a request");
        slowest = slowest.max(first_ms.saturating_sub(*started_ms));
    }
    eprintln!("new replicas got their first request at most {slowest} ms after the engine had started them");
    assert!(slowest < JOINS_MS, "{slowest} ms");
}

/// The lab's running containers: what they call themselves, and when they were started.
async fn running(lab: &Lab) -> Vec<(String, u64)> {
    let ids = lab.engine.run(&format!("ps -q --filter label=test.run={}", lab.id)).await;
    let format = "{{.Config.Hostname}} {{.State.StartedAt.UnixMilli}}";
    let arguments: Vec<_> = ["inspect", "-f", format].into_iter().chain(ids.split_whitespace()).collect();
    let lines = lab.engine.docker(&arguments).await;
    let pairs = lines.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, at)| (name.to_owned(), at.parse().expect("milliseconds"))).collect()
}
