//! The engine's socket misbehaves while containers come and go: traffic never notices, and within a second of its return
//! what the gateway believes is what is true.

use crate::adapter::{FOLLOWS, lab, load, start};
use plimsoll_test_support::docker::{Mode, SocketProxy};
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::{Wire, exchange};
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

#[tokio::test]
async fn what_a_next_life_has_when_word_of_the_death_before_it_comes_is_answered() {
    let Some(lab) = lab().await else { return };
    let network = lab.network("front").await;
    let only = lab.replica("web", "one", &format!("--network {network}")).await;
    let proxy = SocketProxy::before(&lab.engine.socket);
    let gateway = start(&lab.provider_at(&proxy.socket().display().to_string()), None).await;
    let upstream = lab.upstream("web");
    gateway.healthy(FOLLOWS, &upstream, 1).await;

    for mode in [Mode::Stall, Mode::Cut] {
        proxy.set(mode);
        lab.engine.run(&format!("kill {}", only.id)).await;
        lab.engine.run(&format!("start {}", only.id)).await;
        let get = "GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n";
        until(FOLLOWS, "the next life answers at the address of the last one", async || {
            exchange(gateway.http, get).await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })
        .await;
        let mut wires = Vec::new();
        // Nobody may do these again.
        for _ in 0..8 {
            let mut wire = Wire::connect(gateway.http).await.expect("the gateway listens");
            wire.send("POST /?ms=3000 HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nhi")
                .await
                .expect("it reads");
            wires.push(wire);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        proxy.set(Mode::Pass);
        for mut wire in wires {
            let answer = wire.answer_within(FOLLOWS, false).await;
            assert_eq!(answer.map(|answer| answer.status).ok(), Some(200), "{mode:?}");
        }
        gateway.healthy(FOLLOWS, &upstream, 1).await;
    }
}
