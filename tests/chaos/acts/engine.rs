//! The engine's socket is gone or hangs, while something happens to containers. What was last known goes on; what is so is
//! known when it is back.

use super::{DYING, Scene};
use crate::excuse::Trouble;
use crate::fleet::{Containers, Fleet};
use crate::schedule::REPLICAS_MAX;
use plimsoll_test_support::docker::Mode;
use plimsoll_test_support::wait::until;
use std::time::Duration;
use tokio::time::sleep;

/// 30 s: a call of an engine that says nothing is given up after 10 s at the latest; on a busy machine.
const NOTICED_MAX: Duration = Duration::from_secs(30);
const UP: &str = "plimsoll_provider_up";

impl Scene {
    pub(super) async fn engine_is_out_of_reach(&mut self, how: u8, who: u8, pause_ms: u64) {
        // What happens meanwhile is told by traffic alone: somebody must be there whom it does not happen to.
        self.settle().await;
        let (is_cut, is_silent) = [(true, false), (true, true), (false, true)][usize::from(how % 3)];
        if is_cut {
            self.relay(Mode::Cut);
            self.until_engine_is(0.0).await;
        }
        if is_silent {
            // Who comes anew is taken, and told nothing. A stream that stalls looks as if there were nothing to tell.
            self.relay(Mode::Stall);
        }
        self.happen_meanwhile(how / 3, who).await;
        sleep(Duration::from_millis(pause_ms)).await;
        self.relay(Mode::Pass);
        self.until_engine_is(1.0).await;
        self.settle().await;
    }

    async fn happen_meanwhile(&mut self, what: u8, who: u8) {
        let replicas = self.document.replicas;
        match what % 3 {
            0 if replicas > 1 => self.begin_anew_unheard(who).await,
            1 if replicas > 1 => self.scale(replicas - 1).await,
            _ if replicas < REPLICAS_MAX => self.scale(replicas + 1).await,
            _ => {}
        }
    }

    /// When the gateway hears of the death, the next life has begun.
    async fn begin_anew_unheard(&self, who: u8) {
        let one = self.one(who);
        let kill = self.account.trouble(Trouble::Killed);
        self.containers().run("kill", &one).await;
        sleep(DYING).await;
        drop(kill);
        self.containers().run("start", &one).await;
    }

    fn relay(&self, mode: Mode) {
        self.containers().relay(mode);
    }

    fn containers(&self) -> &Containers {
        let Fleet::Containers(containers) = &self.fleet else { unreachable!("it is in no schedule of processes") };
        containers
    }

    async fn until_engine_is(&self, up: f64) {
        let labels = [("provider", "docker")];
        until(NOTICED_MAX, &format!("{UP} to be {up}"), async || self.gateway.metric(UP, &labels).await == Some(up))
            .await;
    }
}
