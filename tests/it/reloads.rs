//! Reloads under traffic.

use crate::gateway::process;
use plimsoll_test_support::gateway::document;
use plimsoll_test_support::load::Load;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wire::Wire;

/// Resident memory may grow by so much over 190 good reloads of a small document: 16 MiB, for allocator slack.
const GROWTH_MAX: u64 = 16 << 20;

#[tokio::test]
async fn two_hundred_reloads_with_broken_ones_between_lose_nothing() {
    let (one, two) = (Target::sample("web", "one").await, Target::sample("web", "two").await);
    let body = |marker: usize| {
        format!(
            "services:\n- name: web\n  host: pool\n  routes:\n  - {{name: web, hosts: [web.test, \"r{marker}.test\"]}}\n\
             upstreams:\n- name: pool\n  targets:\n  - {{target: \"{}\"}}\n  - {{target: \"{}\"}}\n",
            one.address, two.address
        )
    };
    let gateway = process("", &body(0)).await;
    let mut old = Wire::connect(gateway.http).await.expect("a connection");
    let load = Load::new(gateway.http, "web.test", "web").start();
    let mut settled = 0;
    for number in 1..=200 {
        if number % 10 == 0 {
            gateway.rewrite(&document("", "services: [{name: web, hots: pool}]")).await;
            assert_eq!(gateway.metric("plimsoll_config_last_reload_successful", &[]).await, Some(0.0));
        } else {
            gateway.rewrite(&document("", &body(number))).await;
            assert_eq!(gateway.metric("plimsoll_config_last_reload_successful", &[]).await, Some(1.0));
        }
        let get = format!("GET / HTTP/1.1\r\nHost: r{}.test\r\n\r\n", number - usize::from(number % 10 == 0));
        old.send(get).await.expect("the old connection lives");
        let answer = old.answer(false).await.expect("an answer on the old connection");
        assert_eq!(answer.status, 200, "after reload {number}: {}", answer.text());
        if number == 50 {
            settled = gateway.resident_bytes();
        }
    }
    load.stop().await.assert_none_lost();
    let grown = gateway.resident_bytes().saturating_sub(settled);
    assert!(grown < GROWTH_MAX, "150 reloads took {grown} bytes");
}
