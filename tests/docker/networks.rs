//! Containers on two networks, and a pool of the document by each.

use crate::adapter::{FOLLOWS, lab};
use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::load::Load;
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn a_network_that_is_left_takes_its_own_pools_targets_out_and_no_others() {
    let Some(lab) = lab().await else { return };
    let (front, back) = (lab.network("front").await, lab.network("back").await);
    let one = lab.replica("web", "one", &format!("--network {front}")).await;
    let two = lab.replica("web", "two", &format!("--network {front}")).await;
    for replica in [&one, &two] {
        lab.engine.run(&format!("network connect {back} {}", replica.name)).await;
    }
    let mut rest = String::from("upstreams:\n");
    for (pool, network) in [("front", &front), ("back", &back)] {
        let of = format!("project: {}, service: web, network: {network}", lab.id);
        rest += &format!("  - {{name: by-{pool}, discover: {{docker: {{{of}}}}}}}\n");
    }
    rest += "services:\n";
    for pool in ["front", "back"] {
        rest += &format!("  - {{name: {pool}, host: by-{pool}, routes: [{{name: {pool}, hosts: [{pool}.test]}}]}}\n");
    }
    let document = document(&lab.provider(), &rest);
    let binary = Path::new(env!("CARGO_BIN_EXE_plimsoll"));
    let gateway = Gateway::start(Start { binary, document, namespace: None }).await;
    let healthy = async |front: u32, back: u32| {
        gateway.healthy(FOLLOWS, "by-front", front).await;
        gateway.healthy(FOLLOWS, "by-back", back).await;
    };
    healthy(2, 2).await;
    let loads = ["front.test", "back.test"].map(|host| Load::new(gateway.http, host, "web").start());
    loads[0].go_on(Duration::from_secs(1)).await;
    for (network, left) in [(&front, (1, 2)), (&back, (2, 1))] {
        lab.engine.run(&format!("network disconnect {network} {}", one.name)).await;
        healthy(left.0, left.1).await;
        loads[0].go_on(Duration::from_millis(500)).await;
        lab.engine.run(&format!("network connect {network} {}", one.name)).await;
        healthy(2, 2).await;
    }
    for load in loads {
        load.stop().await.assert_no_get_lost();
    }
}
