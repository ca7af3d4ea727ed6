//! All replicas of a service at once: for about a second nobody is home, and every request waits.

use crate::adapter::{FOLLOWS, gateway, lab, load};
use plimsoll_test_support::docker::Compose;
use plimsoll_test_support::load::Report;
use std::time::Duration;

/// Three replicas under load while Compose does something to all of them.
async fn all_of_three(environment: &[(&str, &str)], happen: impl AsyncFnOnce(&Compose<'_>)) -> Option<Report> {
    let lab = lab().await?;
    let compose = Compose::new(&lab, &Compose::web(&lab, environment));
    compose.run("up -d --scale web=3").await;
    let gateway = gateway(&lab).await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 3).await;
    let load = load(&gateway, "web").start();
    load.go_on(Duration::from_secs(1)).await;
    happen(&compose).await;
    gateway.healthy(FOLLOWS, &lab.upstream("web"), 3).await;
    load.go_on(Duration::from_secs(2)).await;
    Some(load.stop().await)
}

#[tokio::test]
async fn recreating_every_replica_loses_nothing() {
    let report = all_of_three(&[], async |compose| {
        compose.rewrite(&compose.web_again(&[("CHANGED", "yes")]));
        compose.run("up -d --scale web=3").await;
    });
    if let Some(report) = report.await {
        report.assert_none_lost();
    }
}

#[tokio::test]
async fn restarting_every_replica_loses_nothing() {
    let report = all_of_three(&[], async |compose| {
        compose.run("restart web").await;
    });
    if let Some(report) = report.await {
        report.assert_none_lost();
    }
}

/// What a kernel accepted and its replica never served cannot be repeated for a POST: no proxy can mend that. How many
/// are lost is printed.
#[tokio::test]
async fn restarting_replicas_that_drop_what_they_accepted_loses_no_get() {
    let report = all_of_three(&[("LINGER_MS", "0")], async |compose| {
        compose.run("restart web").await;
    });
    if let Some(report) = report.await {
        report.assert_no_get_lost();
        eprintln!("replicas that drop what their kernel accepted: {} of {} lost", report.failed().count(), report.sent);
    }
}
