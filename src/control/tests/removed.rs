//! What reloads take away, under requests that come and that wait.

use super::fixture::{LIMIT, document, start, web};
use super::replicas::holding_posts;
use crate::control::Source;
use crate::telemetry::clock;
use plimsoll_core::upstream::{Acquired, Ask, WorkerRng};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::Wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
const RELOADS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_no_moment_of_a_reload_that_replaces_every_target_is_there_none() {
    // Nobody connects to them.
    let documents = [1, 2].map(|port| document(&web(&[([127, 0, 0, 1], port).into()])));
    let running = start(&documents[0]).await;
    let upstream = Arc::clone(&running.handle().view().upstreams[0]);
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let asks = std::thread::spawn(move || {
        let mut rng = WorkerRng::with_seed(1);
        while !end.load(Ordering::Relaxed) {
            let asked = upstream.acquire(&Ask { tried: &[], now: clock::moment(), key: 0 }, &mut rng);
            assert!(matches!(asked, Acquired::Got(_)), "{asked:?}");
        }
    });
    for text in documents.iter().cycle().take(RELOADS) {
        running.handle().apply(text, Source::File).await.unwrap();
    }
    ended.store(true, Ordering::Relaxed);
    asks.join().unwrap();
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_reloads_send_a_service_from_one_upstream_to_another() {
    let target = Target::answering("one").await;
    let one = document(&web(&[target.address]));
    let documents = [one.replace("pool", "other"), one];
    let running = start(&documents[1]).await;
    let address = running.address("http").unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let clients = [(); 4].map(|()| {
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            let mut wire = Wire::connect(address).await.unwrap();
            while !ended.load(Ordering::Relaxed) {
                wire.send("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").await.unwrap();
                let answer = wire.answer_within(SOON, false).await.unwrap();
                assert_eq!((answer.status, answer.text()), (200, "one".to_owned()));
            }
        })
    });
    for text in documents.iter().cycle().take(RELOADS) {
        running.handle().apply(text, Source::File).await.unwrap();
    }
    ended.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_target_of_an_upstream_that_a_reload_removes_goes_where_its_service_goes() {
    let (one, mut arrives, go) = holding_posts().await;
    let two = Target::answering("two").await;
    let full = document(&web(&[one.address])).replace("name: pool", "name: pool\n  max_concurrency: 1");
    let running = start(&full).await;
    let send =
        async |wire: &mut Wire| wire.send("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nhi").await;
    let address = running.address("http").unwrap();
    let (mut first, mut second) = (Wire::connect(address).await.unwrap(), Wire::connect(address).await.unwrap());
    send(&mut first).await.unwrap();
    arrives.recv().await.unwrap();
    send(&mut second).await.unwrap();
    let upstream = Arc::clone(&running.handle().view().upstreams[0]);
    until(LIMIT, "the second waits", async || upstream.queued() == 1).await;
    let next = document(&web(&[two.address])).replace("pool", "other");
    running.handle().apply(&next, Source::File).await.unwrap();
    assert_eq!(second.answer_within(SOON, false).await.unwrap().text(), "two");
    go.add_permits(1);
    assert_eq!(first.answer_within(SOON, false).await.unwrap().text(), "one");
    drop((first, second));
    running.drain_and_stop(Duration::ZERO, SOON).await;
}
