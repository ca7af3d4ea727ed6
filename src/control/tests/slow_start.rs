//! Targets that come back and are given time.

use super::fixture::{LIMIT, body, document, start, web};
use crate::control::Source;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_comes_back_has_a_tenth_of_its_share_and_all_of_it_when_its_time_is_over() {
    let (stays, returns) = (Target::answering("stays").await, Target::answering("returns").await);
    let over = |time: &str| document(&(web(&[stays.address, returns.address]) + &format!("  slow_start: {time}\n")));
    let running = start(&over("1h")).await;
    let (handle, name) = (running.handle(), returns.address.to_string());
    let share = || {
        let mut targets = handle.upstreams().into_iter().flat_map(|upstream| upstream.targets);
        targets.find(|target| *target.name == *name).and_then(|target| target.share)
    };
    let answers = async |count: usize| {
        let mut returned = 0;
        for _ in 0..count {
            returned += usize::from(body(&running, "web.test").await == "200 returns");
        }
        returned
    };
    assert_eq!(share(), Some(1.0), "whoever was there at the start is not new");
    assert!(handle.set_health("pool", &name, None, false).unwrap());
    until(LIMIT, "it is out", async || share().is_none()).await;
    assert!(handle.set_health("pool", &name, None, true).unwrap());
    until(LIMIT, "it is back", async || share() == Some(0.1)).await;
    assert_eq!(answers(110).await, 10, "one of eleven");
    handle.apply(&over("10ms"), Source::File).await.unwrap();
    until(LIMIT, "it is not new any more", async || share() == Some(1.0)).await;
    assert_eq!(answers(20).await, 10, "every other");
    running.drain_and_stop(Duration::ZERO, Duration::from_secs(5)).await;
}
