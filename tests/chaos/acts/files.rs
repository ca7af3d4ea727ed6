//! The gateway may open no more files.

use super::Scene;
use crate::excuse::Trouble;
use rustix::process::{Pid, Resource, prlimit};
use std::time::Duration;
use tokio::time::sleep;

impl Scene {
    /// It has what it has, and gets nothing more: no client, no connection to a target. The limit is taken away from outside.
    pub(super) async fn take_descriptors(&self, pause_ms: u64) {
        self.settle_to_the_last().await;
        let none = self.account.trouble(Trouble::NoDescriptors);
        let pid = Pid::from_raw(self.gateway.pid().cast_signed());
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.gateway.pid())).expect("it runs").count();
        let limits = rustix::process::getrlimit(Resource::Nofile);
        let few = rustix::process::Rlimit { current: u64::try_from(open).ok(), ..limits };
        let before = prlimit(pid, Resource::Nofile, few).expect("ours");
        sleep(Duration::from_millis(pause_ms)).await;
        prlimit(pid, Resource::Nofile, before).expect("ours");
        self.settle().await;
        drop(none);
    }
}
