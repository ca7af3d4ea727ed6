//! The gateway gives its place to another process of the program, or is to and cannot.

use super::{Scene, WELL_MAX};
use crate::books::Fate;
use crate::excuse::Trouble;
use plimsoll_test_support::names::Says;
use plimsoll_test_support::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// 45 s: a start, in which what lacks a target is given up after 8 s, and a drain of 8 s; on a busy machine.
const HANDED_MAX: Duration = Duration::from_secs(45);
/// What its log says.
const FAILED: &str = "handing over failed";
const SERVES: &str = "the new process serves";
const SERVES_ON: &str = "this one, which still drained, serves on";
const FAILURES: &str = "plimsoll_handover_failures_total";

impl Scene {
    pub(super) async fn hand_over(&mut self, workers: u8, broken: bool) {
        self.settle_to_the_last().await;
        self.document.workers = workers;
        self.workers_max = self.workers_max.max(workers);
        self.rewrite().await;
        if broken {
            // The running document is what is handed over; what is wrong with the file's is told again.
            self.gateway.rewrite(&self.document.broken(workers)).await;
        }
        let page = self.page().await;
        self.gateway.replace(HANDED_MAX).await;
        self.settle_to_the_last().await;
        self.turn_page(page, Fate::Replaced);
        if broken {
            until(WELL_MAX, "the mistake to be told again", async || {
                self.gateway.metric("plimsoll_config_last_reload_successful", &[]).await == Some(0.0)
            })
            .await;
            self.rewrite().await;
        }
    }

    /// The old process serves on, and says so.
    pub(super) async fn hand_over_fails(&mut self, why: u8) {
        self.settle_to_the_last().await;
        let pid = self.gateway.pid();
        let failures = self.gateway.metric(FAILURES, &[]).await.unwrap_or_default();
        match why % 7 {
            0 => self.fail_by_script("exit 7").await,
            1 => self.fail_by_script("printf 'no message at all' >&0; exec sleep 1000").await,
            2 => self.fail_by_script("printf '\\000\\000\\000\\002{}' >&0; exit 0").await,
            3 => {
                self.deployed.remove();
                self.fail().await;
            }
            4 => {
                self.deployed.put(b"\x7fELF, as far as one can see");
                self.fail().await;
            }
            5 => self.fail_for_want_of_names().await,
            _ => self.fail_after_it_serves().await,
        }
        self.deployed.restore();
        self.settle_to_the_last().await;
        assert_eq!(self.gateway.pid(), pid, "the old process serves");
        until(WELL_MAX, "the failure to be counted", async || {
            self.gateway.metric(FAILURES, &[]).await == Some(failures + 1.0)
        })
        .await;
    }

    async fn fail_by_script(&self, script: &str) {
        self.deployed.replace(script);
        self.fail().await;
    }

    async fn fail(&self) {
        let failed = self.told(&[FAILED]);
        self.gateway.signal(Signal::USR2);
        until(HANDED_MAX, FAILED, async || self.told(&[FAILED]) > failed).await;
    }

    /// The new one would have nobody to send requests to that the old one can serve.
    async fn fail_for_want_of_names(&mut self) {
        if self.named.server.is_none() {
            return self.fail_by_script("exit 7").await;
        }
        self.say_of_names(Says::Nothing);
        self.fail().await;
        self.names_are_well().await;
    }

    /// What it has in hand dies with it; who comes then is served by the old one.
    async fn fail_after_it_serves(&mut self) {
        let (page, others, on) = (self.page().await, self.gateway.told(SERVES).len(), self.told(&[SERVES_ON]));
        let died = self.account.trouble(Trouble::GatewayDied);
        self.gateway.signal(Signal::USR2);
        let new = self.gateway.next_told(SERVES, others, HANDED_MAX).await;
        kill_process(Pid::from_raw(new.cast_signed()).expect("a process"), Signal::KILL).expect("it runs");
        until(HANDED_MAX, SERVES_ON, async || self.told(&[SERVES_ON]) > on).await;
        self.settle_to_the_last().await;
        drop(died);
        self.turn_page(page, Fate::HeirKilled);
    }

    /// How many lines of its log hold all these words.
    pub(super) fn told(&self, words: &[&str]) -> usize {
        self.gateway.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}
