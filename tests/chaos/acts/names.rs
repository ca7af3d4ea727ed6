//! Name servers that fail, and that lie.

use super::{Scene, WELL_MAX};
use crate::excuse::Trouble;
use crate::named::{NAME, NAMED};
use plimsoll_test_support::names::Says;
use plimsoll_test_support::wait::until;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::sleep;

/// 90 s: a name that does not resolve is asked for twice as seldom each time, at the least every 30 s.
const ASKED_MAX: Duration = Duration::from_secs(90);
/// What the log says of the name.
const STALE: &str = "its last addresses stay in use";
const GONE: &str = "its last addresses are no longer used";
const WELL: &str = "name resolves again";
/// Codes of RFC 1035 §4.1.1.
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

impl Scene {
    pub(super) async fn name_servers_fail(&mut self, how: u8, pause_ms: u64) {
        if self.named.server.is_none() {
            return;
        }
        self.names_resolve().await;
        let (pause, address) = (Duration::from_millis(pause_ms), self.named.address());
        match how % 11 {
            0 => self.fail_to_answer(Says::Nothing, pause).await,
            1 => self.fail_to_answer(Says::Code(SERVFAIL), pause).await,
            2 => self.fail_to_answer(Says::Garbage, pause).await,
            3 => self.fail_to_answer(Says::Torn, pause).await,
            // Longer than it is waited for.
            4 => self.fail_to_answer(Says::Addresses(vec![address], Duration::from_millis(1500)), pause).await,
            // It is believed when it is said twice.
            5 => self.fail_to_answer(Says::Code(NXDOMAIN), Duration::ZERO).await,
            6 => self.deny(Says::Code(NXDOMAIN), pause).await,
            7 => self.deny(Says::Addresses(Vec::new(), Duration::ZERO), pause).await,
            8 => self.mislead(pause).await,
            // Slow, and one address more at which nobody is: both cost nothing.
            9 => self.serve_meanwhile(vec![address], Duration::from_millis(700), pause).await,
            _ => self.serve_meanwhile(vec![address, self.named.nowhere()], Duration::ZERO, pause).await,
        }
    }

    /// What was known goes on; what comes after it is another address.
    async fn fail_to_answer(&mut self, says: Says, pause: Duration) {
        let stale = self.told(&[NAME, STALE]);
        self.say_of_names(says);
        until(ASKED_MAX, STALE, async || self.told(&[NAME, STALE]) > stale).await;
        sleep(pause).await;
        self.names_are_well().await;
    }

    /// There is no such name, or it has no address: believed after a while.
    async fn deny(&mut self, says: Says, pause: Duration) {
        let nameless = self.account.trouble(Trouble::Nameless);
        let gone = self.told(&[NAME, GONE]);
        self.say_of_names(says);
        until(ASKED_MAX, GONE, async || self.told(&[NAME, GONE]) > gone).await;
        sleep(pause).await;
        self.names_are_well().await;
        drop(nameless);
    }

    /// An address at which nobody is, in place of the right one: believed, as by everybody.
    async fn mislead(&self, pause: Duration) {
        let misled = self.account.trouble(Trouble::Misled);
        let nowhere = self.named.nowhere();
        self.say_of_names(Says::Addresses(vec![nowhere], Duration::ZERO));
        self.named_is_at(&nowhere.to_string()).await;
        sleep(pause).await;
        self.say_of_names(self.named.truth());
        self.named_is_at(&self.named.address().to_string()).await;
        drop(misled);
    }

    /// Until it has been asked twice, and a while longer.
    async fn serve_meanwhile(&self, addresses: Vec<Ipv4Addr>, after: Duration, pause: Duration) {
        self.say_of_names(Says::Addresses(addresses, after));
        let server = self.named.server.as_ref().expect("it was looked for");
        let asked = server.asked();
        until(ASKED_MAX, "two questions", async || server.asked() >= asked + 2).await;
        sleep(pause).await;
        self.say_of_names(self.named.truth());
        self.named_is_at(&self.named.address().to_string()).await;
    }

    /// Waits until the last word about the name is that it resolves: a failure is told once, and the second one in a row counts
    /// for more than the first, whatever it is of.
    pub(super) async fn names_resolve(&self) {
        until(ASKED_MAX, "names to resolve", async || {
            let log = self.gateway.log();
            let of_it = |line: &&str| line.contains(NAME) && [STALE, GONE, WELL].iter().any(|word| line.contains(word));
            log.lines().rfind(of_it).is_none_or(|line| line.contains(WELL))
        })
        .await;
    }

    /// What the server says from now on.
    pub(super) fn say_of_names(&self, says: Says) {
        if let Some(server) = &self.named.server {
            server.say(says);
        }
    }

    /// The truth again, which is another one now, until the gateway has heard it.
    pub(super) async fn names_are_well(&mut self) {
        let well = self.told(&[NAME, WELL]);
        self.named.move_on();
        self.say_of_names(self.named.truth());
        until(ASKED_MAX, WELL, async || self.told(&[NAME, WELL]) > well).await;
        self.named_is_at(&self.named.address().to_string()).await;
    }

    /// Waits until the upstream has this address, and no other.
    async fn named_is_at(&self, address: &str) {
        let what = format!("{NAMED} to be at {address}");
        until(ASKED_MAX.max(WELL_MAX), &what, async || {
            let health = self.gateway.admin_json(&format!("/upstreams/{NAMED}/health")).await.unwrap_or_default();
            let targets = health["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            targets.len() == 1 && targets[0].to_string().contains(address)
        })
        .await;
    }
}
