//! The engine itself goes and comes back. Its containers live on, and so does the traffic.

use crate::adapter::{FOLLOWS, load, start};
use plimsoll_test_support::docker::{Lab, PrivateEngine, available};
use std::time::Duration;
use tokio::time::Instant;

/// From the engine's first answer to the truth. The promise is a second; the rest is for a busy machine.
const CATCHES_UP: Duration = Duration::from_secs(3);

async fn while_the_engine_is_down(end: impl AsyncFnOnce(&mut PrivateEngine)) {
    if available().await.is_none() {
        return;
    }
    let mut private = PrivateEngine::start().await;
    let lab = Lab::new(private.engine.clone()).await;
    let victim = lab.replica("web", "one", "").await;
    for name in ["two", "three"] {
        lab.replica("web", name, "").await;
    }
    let gateway = start(&lab.provider(), Some(private.namespace.clone())).await;
    let upstream = lab.upstream("web");
    gateway.healthy(FOLLOWS, &upstream, 3).await;
    let mut load = load(&gateway, "web");
    load.namespace = Some(format!("/run/netns/{}", private.namespace).into());
    let load = load.start();
    load.go_on(Duration::from_secs(1)).await;

    let pid = lab.engine.docker(&["inspect", "-f", "{{.State.Pid}}", &victim.id]).await;
    end(&mut private).await;
    load.go_on(Duration::from_secs(1)).await;
    let before = load.so_far();
    before.assert_none_lost();
    // A replica dies while nobody can say so.
    let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.is_ok_and(|status| status.success()), "the replica's process {pid} could not be killed");
    load.go_on(Duration::from_secs(1)).await;
    private.start_again().await;
    let returned = Instant::now();
    gateway.healthy(CATCHES_UP, &upstream, 2).await;
    eprintln!("true again {:?} after the engine's return", returned.elapsed());

    lab.replica("web", "four", "").await;
    gateway.healthy(FOLLOWS, &upstream, 3).await;
    load.stop().await.assert_no_get_lost();
}

#[tokio::test]
async fn an_engine_that_is_restarted_goes_unnoticed() {
    while_the_engine_is_down(async |private| private.stop().await).await;
}

#[tokio::test]
async fn an_engine_that_is_killed_goes_unnoticed() {
    while_the_engine_is_down(async |private| private.kill().await).await;
}
