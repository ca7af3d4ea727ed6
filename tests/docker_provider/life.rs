//! What happens to containers is in the facts within a second.

use crate::lab::{Lab, docker};
use crate::watching::{A_SECOND, Watching, beside, find};
use plimsoll_core::model::{Freshness, Phase, RuntimeHealth};
use std::time::Duration;

const LABELS: [&str; 2] = ["--label", "plimsoll.enable=true"];

#[tokio::test(flavor = "multi_thread")]
async fn facts_follow_a_containers_life_within_a_second() {
    let Some(lab) = Lab::open() else { return };
    let network = lab.network("front");
    let mut seen = Watching::endpoint("auto");
    seen.until_fresh().await;
    let name = lab.full("a");

    lab.run("a", "plain", &["--network", &network, LABELS[0], LABELS[1]], &[]);
    seen.until_phase(&lab, "a", Phase::Running).await;
    let first = seen.replica(&lab, "a");
    assert_eq!((first.ports.as_slice(), first.health), (&[8080][..], RuntimeHealth::None));
    let address = (first.address.expect("it has an address"), 8080);
    tokio::net::TcpStream::connect(address).await.expect("the address is the right one");

    docker(&["kill", "-s", "HUP", &name]);
    docker(&["pause", &name]);
    seen.until_phase(&lab, "a", Phase::Paused).await;
    docker(&["unpause", &name]);
    seen.until_phase(&lab, "a", Phase::Running).await;
    docker(&["network", "disconnect", &network, &name]);
    seen.until_phase(&lab, "a", Phase::Disconnected).await;
    docker(&["network", "connect", &network, &name]);
    seen.until_phase(&lab, "a", Phase::Running).await;
    assert_eq!(seen.replica(&lab, "a").incarnation, first.incarnation);

    docker(&["restart", "-t", "2", &name]);
    let another = |facts: &_| {
        find(facts, &name).is_some_and(|one| one.phase == Phase::Running && one.incarnation != first.incarnation)
    };
    seen.until("a is restarted", A_SECOND, another).await;
    docker(&["kill", &name]);
    seen.until_phase(&lab, "a", Phase::Stopped).await;
    docker(&["start", &name]);
    seen.until_phase(&lab, "a", Phase::Running).await;
    docker(&["rm", "-f", &name]);
    seen.until_phase(&lab, "a", Phase::Gone).await;
    assert_eq!(seen.status.corrections_total(), 0);
    assert!(seen.status.up() && seen.status.events_total() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_drains_from_its_stop_signal_to_its_end() {
    let Some(lab) = Lab::open() else { return };
    let mut seen = Watching::endpoint("auto");
    seen.until_fresh().await;
    lab.run("deaf", "plain", &LABELS, &["deaf"]);
    seen.until_phase(&lab, "deaf", Phase::Running).await;
    let stop = beside(&["stop", "-t", "2", &lab.full("deaf")]);
    seen.until_phase(&lab, "deaf", Phase::Stopping).await;
    assert!(seen.replica(&lab, "deaf").address.is_some(), "what is in flight finishes");
    stop.await.expect("it stops");
    seen.until_phase(&lab, "deaf", Phase::Stopped).await;
    assert_eq!(seen.replica(&lab, "deaf").address, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_signal_that_is_not_obeyed_is_undone_five_seconds_after_the_stop_timeout() {
    let Some(lab) = Lab::open() else { return };
    let mut seen = Watching::endpoint("auto");
    seen.until_fresh().await;
    lab.run("deaf", "plain", &["--stop-timeout", "1", LABELS[0], LABELS[1]], &["deaf"]);
    seen.until_phase(&lab, "deaf", Phase::Running).await;
    docker(&["kill", "-s", "TERM", &lab.full("deaf")]);
    seen.until_phase(&lab, "deaf", Phase::Stopping).await;
    let name = lab.full("deaf");
    let back = |facts: &_| find(facts, &name).is_some_and(|one| one.phase == Phase::Running);
    let took = seen.until("the drain is undone", Duration::from_secs(8), back).await;
    assert!(took > Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_containers_own_check() {
    let Some(lab) = Lab::open() else { return };
    let check = "HEALTHCHECK --interval=500ms --timeout=5s --retries=2 CMD [\"/sample\",\"health\"]";
    lab.import("checked", &[check]);
    let mut seen = Watching::endpoint("auto");
    seen.until_fresh().await;
    lab.run("a", "checked", &LABELS, &[]);
    let name = lab.full("a");
    let until = async |seen: &mut Watching, health: RuntimeHealth| {
        let is = |facts: &_| find(facts, &name).is_some_and(|one| one.health == health);
        seen.until(&format!("{health:?}"), Duration::from_secs(15), is).await;
    };
    until(&mut seen, RuntimeHealth::Healthy).await;
    let address = seen.replica(&lab, "a").address.expect("it has an address");
    tell(address, "/sick").await;
    until(&mut seen, RuntimeHealth::Unhealthy).await;
    tell(address, "/well").await;
    until(&mut seen, RuntimeHealth::Healthy).await;
    assert_eq!(seen.replica(&lab, "a").phase, Phase::Running);
}

async fn tell(address: std::net::IpAddr, path: &str) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect((address, 8080)).await.expect("it listens");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.expect("it reads");
    stream.read_to_end(&mut Vec::new()).await.expect("it answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_and_what_had_ended_before_is_in_the_first_view() {
    let Some(lab) = Lab::open() else { return };
    lab.run("up", "plain", &LABELS, &[]);
    lab.run("ended", "plain", &LABELS, &["health", "1"]);
    lab.run("host", "plain", &["--network", "host", LABELS[0], LABELS[1]], &["serve", "0"]);
    lab.run("joined", "plain", &["--network", &format!("container:{}", lab.full("up"))], &["serve", "8081"]);
    lab.run("none", "plain", &["--network", "none", LABELS[0], LABELS[1]], &[]);
    docker(&["wait", &lab.full("ended")]);
    let mut seen = Watching::endpoint("auto");
    assert!(!seen.status.up(), "not before it was asked");
    seen.until_fresh().await;
    let of = |short: &str| seen.replica(&lab, short);
    assert_eq!(of("up").phase, Phase::Running);
    assert_eq!(of("ended").phase, Phase::Stopped);
    assert_eq!(of("host").address.map(|address| address.is_loopback()), Some(true));
    assert_eq!(of("joined").address, of("up").address);
    assert_eq!(of("none").address, None);
    let problems = seen.facts().problems;
    assert!(problems.iter().any(|problem| problem.subject == lab.full("none")), "{problems:?}");
    assert_eq!(seen.facts().freshness, Freshness::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_containers_that_come_and_go_at_once_are_all_seen() {
    let Some(lab) = Lab::open() else { return };
    let mut seen = Watching::endpoint("auto");
    seen.until_fresh().await;
    let names: Vec<String> = (0..20).map(|index| lab.full(&format!("n{index}"))).collect();
    for index in 0..20 {
        lab.run(&format!("n{index}"), "plain", &LABELS, &[]);
    }
    let all = |phase: Phase| {
        let names = names.clone();
        move |facts: &_| names.iter().all(|name| find(facts, name).is_some_and(|one| one.phase == phase))
    };
    seen.until("all run", A_SECOND, all(Phase::Running)).await;
    let mut kill = vec!["kill"];
    kill.extend(names.iter().map(String::as_str));
    docker(&kill);
    seen.until("all are stopped", A_SECOND, all(Phase::Stopped)).await;
    assert_eq!(seen.status.corrections_total(), 0);
}
