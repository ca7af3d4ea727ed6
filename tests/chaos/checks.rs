//! What must be so when all is quiet again.

use crate::acts::Scene;
use plimsoll_test_support::wait::until;
use std::time::Duration;

/// 15 s: for what is idle to be closed, what was retired to be freed, what is counted to be counted.
const QUIET_MAX: Duration = Duration::from_secs(15);
/// 96 MiB: what the gateway may hold more than before anything was sent. It is the allocator's slack after bursts of
/// large bodies; it does not grow with time, which the runs of an hour are for.
const GROWTH_MAX: u64 = 96 << 20;
/// Descriptors: each process that the gateway started has four, and the number of those that are being started varies.
const DESCRIPTORS_MORE: f64 = 16.0;
/// Descriptors of a worker: its listening sockets, its runtime's, its connections to where nothing counts.
const DESCRIPTORS_OF_A_WORKER: f64 = 8.0;

/// What it held before anything happened.
pub(crate) struct Before {
    resident_bytes: u64,
    descriptors: f64,
    workers: u8,
}

impl Before {
    pub(crate) async fn of(scene: &Scene) -> Self {
        let descriptors = scene.gateway.metric("process_open_fds", &[]).await.expect("it is there");
        Self { resident_bytes: scene.gateway.resident_bytes(), descriptors, workers: scene.document.workers }
    }

    /// Everything that is wrong now that traffic has ended.
    pub(crate) async fn against(&self, scene: &Scene) -> Vec<String> {
        let mut wrong = nothing_is_left(scene).await;
        wrong.extend(scene.account.against(&scene.fleet.carried_out()).into_iter().take(20));
        wrong.extend(self.levels(scene).await);
        wrong.extend(scene.counters_against().await);
        if scene.gateway.log().contains("panicked") {
            wrong.push("a panic is in the gateway's log".to_owned());
        }
        wrong
    }

    async fn levels(&self, scene: &Scene) -> Vec<String> {
        let mut wrong = Vec::new();
        let grown = scene.gateway.resident_bytes().saturating_sub(self.resident_bytes);
        // Idle connections to targets go when their time is over; a process keeps the listening sockets of one with more workers
        // whose place it takes.
        let workers = f64::from(scene.workers_max.max(self.workers) - self.workers);
        let level = self.descriptors + DESCRIPTORS_MORE + workers * DESCRIPTORS_OF_A_WORKER;
        let now = async || scene.gateway.metric("process_open_fds", &[]).await.expect("it is there");
        drop(tokio::time::timeout(QUIET_MAX, until(QUIET_MAX * 2, "descriptors", async || now().await <= level)).await);
        let descriptors = now().await;
        eprintln!("the gateway: {} MiB more, {} descriptors after {}", grown >> 20, descriptors, self.descriptors);
        if grown > GROWTH_MAX {
            wrong.push(format!("{} MiB more than at the start", grown >> 20));
        }
        if descriptors > level {
            wrong.push(format!("{descriptors} descriptors after {}", self.descriptors));
        }
        wrong
    }
}

/// Gauges of what is under way.
async fn nothing_is_left(scene: &Scene) -> Vec<String> {
    let gauges = [
        ("plimsoll_upstream_inflight_requests", 0.0),
        ("plimsoll_target_inflight_requests", 0.0),
        ("plimsoll_upstream_queued_requests", 0.0),
        ("plimsoll_upstream_held_requests", 0.0),
        ("plimsoll_client_connections", 0.0),
        ("plimsoll_config_retired", 0.0),
    ];
    let mut wrong = Vec::new();
    let deadline = tokio::time::Instant::now() + QUIET_MAX;
    for (gauge, expected) in gauges {
        loop {
            let value = scene.gateway.metric(gauge, &[]).await.unwrap_or_default();
            if value == expected {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                wrong.push(format!("{gauge} is {value} though nothing is under way"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    wrong
}
