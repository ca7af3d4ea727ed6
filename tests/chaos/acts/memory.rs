//! The memory limit of the gateway's cgroup is lowered to little more than what is used.

use super::Scene;
use crate::excuse::Trouble;
use plimsoll_test_support::wait::until;
use std::time::Duration;
use tokio::time::sleep;

/// 256 MiB: held by another process of the group, so that a few per cent of the limit are more than the gateway takes before it
/// looks again.
const BALLAST: u64 = 256 << 20;
/// Per cent of the limit that are used then: past the 90 from which it sheds, and far enough from what the kernel kills at.
const USED_PERCENT: u64 = 94;
/// 20 s: for the gateway to see it, on a busy machine.
const SEEN_MAX: Duration = Duration::from_secs(20);
/// What its log says.
const SHORT: &str = "memory is nearly used up";
const AGAIN: &str = "there is memory again";

impl Scene {
    /// Who comes then is told to come again. What is under way goes on, and the kernel kills nobody.
    pub(super) async fn tighten_memory(&self, pause_ms: u64) {
        let Some(group) = &self.group else { return };
        self.settle_to_the_last().await;
        let short = self.told(&[SHORT]);
        let ballast = group.ballast(BALLAST).await;
        let trouble = self.account.trouble(Trouble::MemoryShort);
        until(SEEN_MAX, SHORT, async || {
            // As little as there is to give back may make the difference. The kernel refuses what it would have to kill for.
            group.limit(Some(group.used() * 100 / USED_PERCENT)).ok();
            self.told(&[SHORT]) > short
        })
        .await;
        sleep(Duration::from_millis(pause_ms)).await;
        let looked_at = self.limit().await;
        group.limit(None).expect("ours");
        ballast.unload().await;
        // Sheds for the last time, if at all, for what it had looked at before.
        until(SEEN_MAX, "another limit", async || self.limit().await != looked_at).await;
        until(SEEN_MAX, AGAIN, async || self.told(&[AGAIN]) == self.told(&[SHORT])).await;
        drop(trouble);
        assert_eq!(group.killed(), 0, "the kernel killed somebody for want of memory");
    }

    async fn limit(&self) -> Option<f64> {
        self.gateway.metric("plimsoll_memory_limit_bytes", &[]).await
    }
}
