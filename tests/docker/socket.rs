//! The engine's socket misbehaves while containers come and go: traffic never notices, and within a second of its return
//! what the gateway believes is what is true.

use crate::adapter::{FOLLOWS, lab, load, start};
use plimsoll_test_support::docker::{Mode, SocketProxy};
use std::time::Duration;
use tokio::time::Instant;

/// From the socket's return to the truth. The promise is a second; the rest is for a busy machine.
const CATCHES_UP: Duration = Duration::from_secs(3);

async fn while_the_socket_is(mode: Mode) {
    let Some(lab) = lab().await else { return };
    let first = lab.replica("web", "one", "").await;
    lab.replica("web", "two", "").await;
    let proxy = SocketProxy::before(&lab.engine.socket);
    let gateway = start(&lab.provider_at(&proxy.socket().display().to_string()), None).await;
    let upstream = lab.upstream("web");
    gateway.healthy(FOLLOWS, &upstream, 2).await;
    let load = load(&gateway, "web").start();
    load.go_on(Duration::from_secs(1)).await;

    proxy.set(mode);
    lab.replica("web", "three", "").await;
    lab.replica("web", "four", "").await;
    lab.engine.run(&format!("stop {}", first.id)).await;
    load.go_on(Duration::from_secs(1)).await;
    proxy.set(Mode::Pass);
    let returned = Instant::now();
    gateway.healthy(CATCHES_UP, &upstream, 3).await;
    eprintln!("{mode:?}: true again {:?} after the socket's return", returned.elapsed());

    // And it goes on following.
    lab.replica("web", "five", "").await;
    gateway.healthy(FOLLOWS, &upstream, 4).await;
    load.stop().await.assert_no_get_lost();
}

#[tokio::test]
async fn a_socket_that_is_gone_is_found_again() {
    while_the_socket_is(Mode::Cut).await;
}

#[tokio::test]
async fn a_stream_that_stalls_catches_up() {
    while_the_socket_is(Mode::Stall).await;
}

#[tokio::test]
async fn a_stream_of_garbage_is_left_for_a_new_one() {
    while_the_socket_is(Mode::Garbage).await;
}
