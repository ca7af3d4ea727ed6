//! What must be so when all is quiet again.

use crate::account::{Account, KILLED_WITH_IT, RESET_BEFORE_HEAD};
use crate::acts::{Scene, UPSTREAM};
use crate::schedule::Kind;
use plimsoll_test_support::metrics;
use plimsoll_test_support::wait::until;
use std::time::Duration;

/// 15 s: for what is idle to be closed, what was retired to be freed, what is counted to be counted.
const QUIET_MAX: Duration = Duration::from_secs(15);
/// 96 MiB: what the gateway may hold more than before anything was sent. It is the allocator's slack after bursts of
/// large bodies; it does not grow with time, which the runs of an hour are for.
const GROWTH_MAX: u64 = 96 << 20;
/// Descriptors: each process that the gateway started has four, and the number of those that are being started varies.
const DESCRIPTORS_MORE: f64 = 16.0;

/// What is asked: the replicas' HTTP, and their gRPC.
const SERVICES: [&str; 2] = ["web", "calls"];

/// What it held before anything happened.
pub(crate) struct Before {
    resident_bytes: u64,
    descriptors: f64,
}

impl Before {
    pub(crate) async fn of(scene: &Scene) -> Self {
        let descriptors = scene.gateway.metric("process_open_fds", &[]).await.expect("it is there");
        Self { resident_bytes: scene.gateway.resident_bytes(), descriptors }
    }

    /// Everything that is wrong now that traffic has ended.
    pub(crate) async fn against(&self, scene: &Scene) -> Vec<String> {
        let mut wrong = nothing_is_left(scene).await;
        wrong.extend(scene.account.against(&scene.fleet.carried_out()).into_iter().take(20));
        wrong.extend(self.levels(scene).await);
        wrong.extend(the_books_agree(scene).await);
        if scene.gateway.log().contains("panicked") {
            wrong.push("a panic is in the gateway's log".to_owned());
        }
        wrong
    }

    async fn levels(&self, scene: &Scene) -> Vec<String> {
        let mut wrong = Vec::new();
        let grown = scene.gateway.resident_bytes().saturating_sub(self.resident_bytes);
        // Idle connections to targets go when their time is over.
        let level = self.descriptors + DESCRIPTORS_MORE;
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

/// The gateway's counters against the clients' books.
async fn the_books_agree(scene: &Scene) -> Vec<String> {
    let text = scene.gateway.admin("GET", "/metrics", "").await.expect("an answer").text();
    let value = |name, labels: &[(&str, &str)]| metrics::value(&text, name, labels).unwrap_or_default();
    let mut wrong = Vec::new();
    let mut check = |what: String, counted: f64, expected: u64, unseen: u64| {
        if counted < count(expected) || counted > count(expected + unseen) {
            wrong.push(format!("{what}: the gateway counted {counted}, the clients {expected}, and {unseen} unseen"));
        }
    };
    for service in SERVICES {
        let unseen =
            scene.account.excused_where(|reason, kind| reason == RESET_BEFORE_HEAD && kind.service() == service);
        for ((_, status), answers) in scene.account.statuses().iter().filter(|((of, _), _)| *of == service) {
            let counted = value("plimsoll_http_requests_total", &[("service", service), ("code", &status.to_string())]);
            let unseen = if *status == 200 { unseen } else { 0 };
            check(format!("answers of {service} with {status}"), counted, *answers, unseen);
        }
        let all = value("plimsoll_http_requests_total", &[("service", service)]);
        check(format!("answers of {service}"), all, answered(&scene.account, service), unseen);
    }
    check("shed".to_owned(), value("plimsoll_requests_shed_total", &[("upstream", UPSTREAM)]), 0, 0);
    wrong.extend(losses(&value, &scene.account));
    if !wrong.is_empty() {
        let of = |line: &&str| line.starts_with("plimsoll_http_requests_total") || line.contains("_requests_lost_");
        wrong.push(text.lines().filter(of).collect::<Vec<_>>().join("\n    "));
    }
    wrong
}

/// By reason: what began and was cut, and what got no answer. A tunnel may be cut after its client has had all that it wanted;
/// and one whose target's kernel says that nothing more comes has ended, as far as anybody but the client can tell.
fn losses(value: &impl Fn(&'static str, &[(&str, &str)]) -> f64, account: &Account) -> Vec<String> {
    let is_tunnel = |kind| kind == Kind::Upgrade;
    let tunnels = account.excused_where(|_, kind| is_tunnel(kind));
    let unanswered = account.excused_where(|reason, _| reason == KILLED_WITH_IT);
    let begun = account.excused_where(|reason, kind| reason != KILLED_WITH_IT && !is_tunnel(kind));
    let cut = value("plimsoll_requests_lost_total", &[("upstream", UPSTREAM), ("reason", "answer_cut")]);
    let others = value("plimsoll_requests_lost_total", &[("upstream", UPSTREAM)]) - cut;
    let mut wrong = Vec::new();
    let mut check = |what, counted: f64, least: u64, most: u64| {
        if counted < count(least) || counted > count(most) {
            wrong.push(format!("lost, {what}: the gateway counted {counted}, the clients {least} to {most}"));
        }
    };
    check("cut", cut, begun, begun + tunnels + account.right(Kind::Upgrade));
    check("without an answer", others, unanswered, unanswered + tunnels);
    wrong
}

/// As a metric has it.
#[expect(clippy::cast_precision_loss, reason = "a run has far fewer requests than 2^52")]
const fn count(things: u64) -> f64 {
    things as f64
}

/// Waits until as many requests are counted as were answered: its client may know of an answer first.
pub(crate) async fn all_counted(scene: &Scene, account: &Account) {
    for service in SERVICES {
        let enough = async || {
            let counted = scene.gateway.metric("plimsoll_http_requests_total", &[("service", service)]).await;
            counted.unwrap_or_default() >= count(answered(account, service))
        };
        drop(tokio::time::timeout(QUIET_MAX, until(QUIET_MAX * 2, "every answer to be counted", enough)).await);
    }
}

/// Answers that clients have had of a service.
fn answered(account: &Account, service: &str) -> u64 {
    account.statuses().iter().filter(|((of, _), _)| *of == service).map(|(_, answers)| answers).sum()
}
