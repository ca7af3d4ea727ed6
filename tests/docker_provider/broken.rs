//! A socket that cuts, stalls, vanishes and lies: what is believed stays, and is true within a second of its return.

use crate::lab::{Lab, docker};
use crate::proxy::{Mode, Proxy};
use crate::watching::{A_SECOND, Watching, find};
use plimsoll_core::config::DockerProvider;
use plimsoll_core::model::{Facts, Freshness, Phase};
use std::time::Duration;

/// What changes behind the provider's back: `b` is removed, `c` is paused, `d` is new, `a` runs on.
struct Change<'a> {
    lab: &'a Lab,
}

impl<'a> Change<'a> {
    fn prepare(lab: &'a Lab) -> Self {
        for short in ["a", "b", "c"] {
            lab.run(short, "plain", &[], &[]);
        }
        Self { lab }
    }

    fn happen(&self) {
        docker(&["rm", "-f", &self.lab.full("b")]);
        docker(&["pause", &self.lab.full("c")]);
        self.lab.run("d", "plain", &[], &[]);
    }

    fn has_been_seen(&self) -> impl Fn(&Facts) -> bool {
        let expected = [("a", Phase::Running), ("b", Phase::Gone), ("c", Phase::Paused), ("d", Phase::Running)];
        let expected = expected.map(|(short, phase)| (self.lab.full(short), phase));
        move |facts| {
            facts.freshness == Freshness::Fresh
                && expected.iter().all(|(name, phase)| find(facts, name).is_some_and(|one| one.phase == *phase))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_is_opened_again_and_nobody_notices() {
    let Some(lab) = Lab::open() else { return };
    let change = Change::prepare(&lab);
    let proxy = Proxy::open();
    let mut seen = Watching::endpoint(&proxy.endpoint());
    seen.until_fresh().await;
    proxy.set(Mode::Cut);
    change.happen();
    assert!(find(&seen.facts(), &lab.full("b")).is_some_and(|one| one.phase == Phase::Running), "what was known stays");
    proxy.set(Mode::Open);
    seen.until("all that changed meanwhile", A_SECOND, change.has_been_seen()).await;
    // And a cut without anything behind it is no event at all, as every ten minutes behind some proxies.
    let before = (proxy.subscriptions(), seen.facts());
    proxy.set(Mode::Cut);
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.set(Mode::Open);
    let again = async {
        while proxy.subscriptions() == before.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(A_SECOND, again).await.expect("it subscribes again");
    docker(&["unpause", &lab.full("c")]);
    seen.until_phase(&lab, "c", Phase::Running).await;
    assert_eq!(seen.facts().freshness, Freshness::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_vanishes_makes_the_view_stale_until_it_returns() {
    let Some(lab) = Lab::open() else { return };
    let change = Change::prepare(&lab);
    let mut proxy = Proxy::open();
    let mut seen = Watching::endpoint(&proxy.endpoint());
    seen.until_fresh().await;
    proxy.vanish();
    let stale = |facts: &Facts| matches!(facts.freshness, Freshness::Stale { .. });
    seen.until("stale", A_SECOND, stale).await;
    assert!(!seen.status.up());
    assert!(find(&seen.facts(), &lab.full("a")).is_some_and(|one| one.phase == Phase::Running), "what was known stays");
    change.happen();
    // Long enough for pauses to have grown to their bound.
    tokio::time::sleep(Duration::from_secs(4)).await;
    proxy.come_back();
    seen.until("true after its return", A_SECOND, change.has_been_seen()).await;
    assert!(seen.status.up());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_not_there_yet_is_named_and_found_when_it_comes() {
    let Some(lab) = Lab::open() else { return };
    lab.run("a", "plain", &[], &[]);
    let mut proxy = Proxy::open();
    proxy.vanish();
    let mut seen = Watching::endpoint(&proxy.endpoint());
    let named = |facts: &Facts| facts.problems.iter().any(|problem| problem.message.contains("does not run"));
    seen.until("the problem", A_SECOND, named).await;
    assert_eq!(seen.facts().freshness, Freshness::Waiting);
    proxy.come_back();
    seen.until("the view", A_SECOND, |facts| facts.freshness == Freshness::Fresh).await;
    assert_eq!(seen.facts().problems.iter().filter(|problem| problem.subject == "docker").count(), 0);
    assert_eq!(seen.replica(&lab, "a").phase, Phase::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_stream_makes_a_new_one() {
    let Some(lab) = Lab::open() else { return };
    let change = Change::prepare(&lab);
    let proxy = Proxy::open();
    let mut seen = Watching::endpoint(&proxy.endpoint());
    seen.until_fresh().await;
    proxy.set(Mode::Garbage);
    change.happen();
    proxy.set(Mode::Open);
    seen.until("true after garbage", A_SECOND, change.has_been_seen()).await;
    assert!(seen.status.gaps_total() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_tells_nothing_is_found_out_by_a_list() {
    let Some(lab) = Lab::open() else { return };
    let change = Change::prepare(&lab);
    let proxy = Proxy::open();
    let provider = DockerProvider { endpoint: proxy.endpoint().into(), ..DockerProvider::default() };
    let mut seen = Watching::with(provider, A_SECOND);
    seen.until_fresh().await;
    proxy.set(Mode::Deaf);
    change.happen();
    let limit = Duration::from_secs(3);
    seen.until("what a list mended", limit, change.has_been_seen()).await;
    assert!(seen.status.corrections_total() >= 1, "they are counted");
    proxy.set(Mode::Open);
    docker(&["unpause", &lab.full("c")]);
    seen.until_phase(&lab, "c", Phase::Running).await;
    assert!(proxy.subscriptions() >= 2, "it was not trusted any longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_stalls_loses_nothing() {
    let Some(lab) = Lab::open() else { return };
    let change = Change::prepare(&lab);
    let proxy = Proxy::open();
    let provider = DockerProvider { endpoint: proxy.endpoint().into(), ..DockerProvider::default() };
    let mut seen = Watching::with(provider, A_SECOND);
    seen.until_fresh().await;
    proxy.set(Mode::Stalled);
    change.happen();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(find(&seen.facts(), &lab.full("b")).is_some_and(|one| one.phase == Phase::Running), "what was known stays");
    proxy.set(Mode::Open);
    seen.until("true after the stall", A_SECOND, change.has_been_seen()).await;
}
