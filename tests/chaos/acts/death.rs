//! The gateway is killed, and whoever supervises it starts it again.

use super::{DYING, Scene};
use crate::books::Fate;
use crate::excuse::Trouble;
use plimsoll_test_support::wait::until;
use std::time::Duration;
use tokio::time::sleep;

/// 20 s: from KILL until a process has ended, and what it had started; on a busy machine.
const DEAD_MAX: Duration = Duration::from_secs(20);
/// 500 ms: a line of the access log is written at the latest 150 ms after its answer, on a machine that is quiet.
const LOGGED: Duration = Duration::from_millis(500);

impl Scene {
    /// What it has in hand dies with it, and who comes is refused until it serves again. Replicas that it started end with it;
    /// containers live on.
    pub(super) async fn die(&mut self, pause_ms: u64) {
        let page = self.page().await;
        sleep(LOGGED).await;
        let https = self.gateway.listener("https").await.expect("it listens");
        // Clients know where it listens; from now on its document says so, too.
        self.document.ports = [self.gateway.http.port(), https.port()];
        self.torn_max += 1;
        let orphans = self.fleet.started_by_gateway();
        let died = self.account.trouble(Trouble::GatewayDied);
        let none = self.account.trouble(Trouble::NoGateway);
        self.gateway.kill(DEAD_MAX).await;
        sleep(DYING).await;
        drop(died);
        sleep(Duration::from_millis(pause_ms)).await;
        self.gateway.start_again(&self.document.file()).await;
        drop(none);
        self.turn_page(page, Fate::Killed);
        until(DEAD_MAX, "what the gateway had started to end with it", async || {
            self.fleet.started_by_gateway().is_disjoint(&orphans)
        })
        .await;
    }
}
