//! A phoenix day: replicas are replaced one after another, and every address goes to the other service's next replica.

use crate::adapter::{FOLLOWS, gateway, lab, load};
use plimsoll_test_support::docker::{Lab, Replica};
use std::time::Duration;

/// How many replicas are replaced.
const RECREATIONS: usize = 50;
/// The engine hands out the lowest free address, so nearly every one must go over; a few may not, while another test's
/// containers come and go on the same engine.
const SWAPS_MIN: usize = 40;

#[tokio::test]
async fn fifty_recreations_with_swapped_addresses_lose_nothing_and_reach_the_right_service() {
    let Some(lab) = lab().await else { return };
    let network = lab.network("front").await;
    let more = format!("--network {network}");
    let mut services = [("web", Vec::new()), ("api", Vec::new())];
    for (service, replicas) in &mut services {
        for number in 0..2 {
            replicas.push(lab.replica(service, &format!("{service}-{number}"), &more).await);
        }
    }
    let gateway = gateway(&lab).await;
    for (service, _) in &services {
        gateway.healthy(FOLLOWS, &lab.upstream(service), 2).await;
    }
    let loads = services.each_ref().map(|(service, _)| {
        let mut load = load(&gateway, service);
        load.rate = 80;
        load.start()
    });

    // The services take turns: one's oldest replica goes, and its address goes to a new replica of the other, which thus
    // has one too many, and gives up its oldest next.
    let mut swaps = 0;
    for number in 0..RECREATIONS {
        let (from, to) = (number % 2, (number + 1) % 2);
        let old: Replica = services[from].1.remove(0);
        let freed = address(&lab, &old).await;
        lab.engine.run(&format!("stop {}", old.id)).await;
        lab.engine.run(&format!("rm {}", old.id)).await;
        let service = services[to].0;
        let new = lab.replica(service, &format!("{service}-new-{number}"), &more).await;
        swaps += usize::from(address(&lab, &new).await == freed);
        services[to].1.push(new);
        for (service, replicas) in &services {
            let count = u32::try_from(replicas.len()).expect("a few");
            gateway.healthy(FOLLOWS, &lab.upstream(service), count).await;
        }
    }
    for load in loads {
        load.go_on(Duration::from_millis(500)).await;
        // An answer of the other service counts as lost.
        load.stop().await.assert_none_lost();
    }
    eprintln!("{swaps} of {RECREATIONS} addresses went to the other service");
    assert!(swaps >= SWAPS_MIN, "only {swaps} addresses went to the other service");
}

async fn address(lab: &Lab, replica: &Replica) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    lab.engine.docker(&["inspect", "-f", format, &replica.id]).await
}
