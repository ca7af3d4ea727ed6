//! The provider's life: one session after another, what is believed kept between them, and told.

use super::session::{self, Ended};
use super::{DockerOptions, Endpoint};
use crate::providers::ProviderStatus;
use crate::telemetry::clock;
use plimsoll_core::discovery::docker::Model;
use plimsoll_core::model::{Facts, Freshness, Problem};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Follows the engine until nobody listens.
pub(super) async fn run(options: DockerOptions, status: Arc<ProviderStatus>, facts: watch::Sender<Option<Facts>>) {
    let mut follower = Follower { options, status, facts, freshness: Freshness::Waiting, cause: None };
    let mut model = None;
    let mut pause = Pause::default();
    follower.publish(None);
    while !follower.facts.is_closed() {
        let ended = match follower.options.endpoint() {
            Ok(endpoint) => Box::pin(session::run(&mut follower, &mut model, endpoint)).await,
            Err(cause) => Ended::unreached(cause),
        };
        follower.note_end(&ended, model.as_ref());
        tokio::time::sleep(pause.after(&ended)).await;
    }
}

/// What outlives a session, besides the model.
pub(super) struct Follower {
    pub(super) options: DockerOptions,
    pub(super) status: Arc<ProviderStatus>,
    facts: watch::Sender<Option<Facts>>,
    freshness: Freshness,
    /// Why there is no engine yet.
    cause: Option<String>,
}

impl Follower {
    /// Everything that was asked for at the session's begin has come.
    pub(super) fn note_synced(&mut self, endpoint: &Endpoint) {
        if self.freshness != Freshness::Fresh {
            tracing::info!(%endpoint, "the view of the docker engine is current");
            self.freshness = Freshness::Fresh;
        }
        self.cause = None;
        self.status.note_up(true);
    }

    fn note_end(&mut self, ended: &Ended, model: Option<&Model>) {
        if ended.synced_for.is_some() {
            // Normal, unless the next session fails too: what is believed is only a moment old.
            tracing::debug!(cause = %ended.cause, "the stream of the docker engine's events ended; opening another");
            self.status.note_gap();
            return;
        }
        self.status.note_failure();
        self.status.note_up(false);
        match &self.freshness {
            Freshness::Fresh => {
                tracing::warn!(cause = %ended.cause, "the docker engine is out of reach; what was last known goes on serving");
                self.freshness = Freshness::Stale { since_ms: clock::now_ms(), cause: ended.cause.clone() };
            }
            Freshness::Waiting if self.cause.as_ref() != Some(&ended.cause) => {
                tracing::warn!(cause = %ended.cause, "the docker engine is out of reach; trying again");
                self.cause = Some(ended.cause.clone());
            }
            Freshness::Waiting | Freshness::Stale { .. } => {}
        }
        self.publish(model);
    }

    /// Tells what is believed, if it is another thing than last time.
    pub(super) fn publish(&self, model: Option<&Model>) {
        let mut facts = match model {
            // Half of the first view would look like the loss of the other half.
            Some(model) if self.freshness != Freshness::Waiting => model.facts(self.freshness.clone()),
            _ => Facts {
                provider: "docker".into(),
                replicas: Vec::new(),
                problems: Vec::new(),
                freshness: Freshness::Waiting,
            },
        };
        if let Some(cause) = &self.cause {
            facts.problems.push(Problem { subject: "docker".to_owned(), message: cause.clone() });
        }
        self.facts.send_if_modified(|told| {
            let changed = told.as_ref() != Some(&facts);
            if changed {
                *told = Some(facts);
            }
            changed
        });
    }
}

/// How long to wait before the next session.
#[derive(Default)]
struct Pause {
    /// Sessions in a row in which the engine did not answer.
    unanswered: u32,
    /// Sessions in a row in which it did, but that soon ended.
    short: u32,
}

impl Pause {
    /// 100 ms doubling, with jitter: gateways must not all come back at once. To ask an engine that does not answer costs
    /// it nothing, so that is done twice a second: its return is seen within one. A session that ends as soon as it began
    /// costs a list and inspects, so there the pause grows to 5 s.
    fn after(&mut self, ended: &Ended) -> Duration {
        if ended.answered {
            self.unanswered = 0;
        }
        if ended.synced_for.is_some_and(|lived| lived >= STEADY_AFTER) {
            self.short = 0;
        }
        let (tries, longest) = match ended.answered {
            true => (&mut self.short, PAUSE_MAX),
            false => (&mut self.unanswered, PAUSE_MAX_UNANSWERED),
        };
        let pause = (PAUSE_MIN * 2_u32.pow((*tries).min(10))).min(longest);
        *tries = tries.saturating_add(1);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// A session that lived so long was a good one.
const STEADY_AFTER: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
const PAUSE_MAX_UNANSWERED: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_a_steady_session_resets_them() {
        let check = |ended: &Ended, before: Pause, low_ms: u64, high_ms: u64| {
            let mut pause = before;
            let took = pause.after(ended);
            let range = Duration::from_millis(low_ms)..=Duration::from_millis(high_ms);
            assert!(range.contains(&took), "{took:?} after {}", ended.cause);
        };
        let none = || Pause::default();
        let many = || Pause { unanswered: 1000, short: 1000 };
        let failed = Ended::unreached("no".into());
        let after = |ms: u64| Ended {
            answered: true,
            synced_for: Some(Duration::from_millis(ms)),
            ..Ended::unreached(format!("it lived for {ms} ms"))
        };
        check(&failed, none(), 50, 100);
        check(&failed, Pause { unanswered: 2, short: 0 }, 200, 400);
        check(&failed, many(), 250, 500);
        check(&after(5000), many(), 50, 100);
        check(&after(10), none(), 50, 100);
        check(&after(10), many(), 2500, 5000);
        check(&after(10), Pause { unanswered: 1000, short: 0 }, 50, 100);
    }
}
