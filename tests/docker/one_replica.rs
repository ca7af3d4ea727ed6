//! Whatever happens to one replica of three, the others carry the traffic: a graceful stop costs no request of any method,
//! and nothing costs a GET whose answer had not begun.

use crate::adapter::{FOLLOWS, gateway, lab, load};
use plimsoll_test_support::docker::{Lab, Replica};
use plimsoll_test_support::gateway::Gateway;
use std::time::Duration;

/// What must not be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// No request at all.
    Everything,
    /// No GET whose answer had not begun.
    Gets,
}

/// Three replicas under load while `happen` does something to the first.
async fn one_of_three(more: &str, promise: Promise, happen: impl AsyncFnOnce(&Scene)) {
    let Some(lab) = lab().await else { return };
    let network = lab.network("front").await;
    let more = format!("--network {network} {more}");
    let victim = lab.replica("web", "one", &more).await;
    for name in ["two", "three"] {
        lab.replica("web", name, &more).await;
    }
    let gateway = gateway(&lab).await;
    let scene = Scene { lab, gateway, victim, network };
    scene.healthy(3).await;
    let load = load(&scene.gateway, "web").start();
    load.go_on(Duration::from_secs(1)).await;
    happen(&scene).await;
    load.go_on(Duration::from_secs(1)).await;
    let report = load.stop().await;
    match promise {
        Promise::Everything => report.assert_none_lost(),
        Promise::Gets => report.assert_no_get_lost(),
    }
}

struct Scene {
    // Dropped in this order: the gateway goes before its containers.
    gateway: Gateway,
    lab: Lab,
    victim: Replica,
    network: String,
}

impl Scene {
    /// Runs `docker COMMAND` with the victim's name at its end.
    async fn docker(&self, command: &str) {
        self.lab.engine.run(&format!("{command} {}", self.victim.name)).await;
    }

    async fn healthy(&self, count: u32) {
        self.gateway.healthy(FOLLOWS, &self.lab.upstream("web"), count).await;
    }
}

#[tokio::test]
async fn a_stopped_replica_loses_nothing() {
    one_of_three("", Promise::Everything, async |scene| {
        scene.docker("stop").await;
        scene.healthy(2).await;
    })
    .await;
}

#[tokio::test]
async fn a_restarted_replica_loses_nothing() {
    one_of_three("", Promise::Everything, async |scene| {
        scene.docker("restart").await;
        scene.healthy(3).await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_replica_loses_no_get() {
    one_of_three("", Promise::Gets, async |scene| {
        scene.docker("kill").await;
        scene.healthy(2).await;
    })
    .await;
}

#[tokio::test]
async fn a_removed_replica_loses_no_get() {
    one_of_three("", Promise::Gets, async |scene| {
        scene.docker("rm -f").await;
        scene.healthy(2).await;
    })
    .await;
}

#[tokio::test]
async fn a_paused_replica_loses_no_get() {
    one_of_three("", Promise::Gets, async |scene| {
        scene.docker("pause").await;
        scene.healthy(2).await;
        scene.docker("unpause").await;
        scene.healthy(3).await;
    })
    .await;
}

#[tokio::test]
async fn a_replica_whose_health_check_fails_loses_nothing() {
    one_of_three("--health-interval 1s", Promise::Everything, async |scene| {
        scene.lab.engine.run(&format!("exec {} /sample sick", scene.victim.name)).await;
        scene.healthy(2).await;
        scene.lab.engine.run(&format!("exec {} /sample well", scene.victim.name)).await;
        scene.healthy(3).await;
    })
    .await;
}

#[tokio::test]
async fn a_replica_cut_off_from_its_network_loses_no_get() {
    one_of_three("", Promise::Gets, async |scene| {
        scene.docker(&format!("network disconnect {}", scene.network)).await;
        scene.healthy(2).await;
        scene.docker(&format!("network connect {}", scene.network)).await;
        scene.healthy(3).await;
    })
    .await;
}
