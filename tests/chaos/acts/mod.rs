//! Does what the schedule says.

mod clock;
mod death;
mod disk;
mod engine;
mod files;
mod handover;
mod memory;
mod names;

use crate::account::Account;
use crate::books::Past;
use crate::clock::WallClock;
use crate::document::Document;
use crate::excuse::Trouble;
use crate::fleet::Fleet;
use crate::log::AccessLog;
use crate::memory::Group;
use crate::named::Named;
use crate::schedule::{Act, Step};
use plimsoll_test_support::deployed::Deployed;
use plimsoll_test_support::gateway::Gateway;
use plimsoll_test_support::wait::until;
use rustix::process::Signal;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// 60 s: for replicas to be well again. A process that was killed again and again is started later and later.
const WELL_MAX: Duration = Duration::from_secs(60);
/// 15 s: for a document to be read.
const READ_MAX: Duration = Duration::from_secs(15);
/// 200 ms: from an engine's word that a container is dead or paused until the gateway has heard of it.
const HEARD: Duration = Duration::from_millis(200);
/// 100 ms: from KILL until a process's sockets are closed, on a busy machine. What comes to them meanwhile dies with it.
const DYING: Duration = Duration::from_millis(100);
/// 3.2 s: a process that was started so late is started twice as late the next time, and of requests that are held for so long
/// there are more than there is room for.
const LATE_S: f64 = 3.2;
/// 10 s: one that has run for so long is started at once, as at first.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// The upstream that all of it is about.
pub(crate) const UPSTREAM: &str = "web";

/// The gateway, its replicas, and who does things to them. Dropped in this order: the gateway goes before containers, and
/// before its cgroup.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) fleet: Fleet,
    pub(crate) document: Document,
    pub(crate) account: Arc<Account>,
    /// What is started when the gateway is replaced.
    pub(crate) deployed: Deployed,
    pub(crate) named: Named,
    pub(crate) log: AccessLog,
    pub(crate) past: Past,
    /// Of a client that speaks HTTP/1 over TLS.
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) clock: WallClock,
    /// In which the gateway is, if there can be one.
    pub(crate) group: Option<Group>,
    /// Lines of the access log in whose middle a disk was full, or the gateway was killed, perhaps.
    pub(crate) torn_max: u64,
    /// The most workers that a process of the gateway has had.
    pub(crate) workers_max: u8,
}

impl Scene {
    pub(crate) async fn perform(&mut self, step: &Step) {
        // A container that has just begun may not hear TERM, and its engine waits ten seconds for it: with all of them stopped,
        // for longer than requests are held.
        let stops_all = matches!(step.act, Act::Nobody { .. } | Act::Recreate | Act::RestartAll);
        if stops_all && matches!(self.fleet, Fleet::Containers(_)) {
            self.settle().await;
        }
        match step.act {
            Act::Kill { who } => self.kill(&self.one(who)).await,
            Act::KillAll => self.kill(&self.fleet.living()).await,
            Act::Term { who } => self.term(&self.one(who)).await,
            Act::Pause { who, pause_ms } => self.pause(&self.one(who), pause_ms).await,
            Act::Scale { replicas } => self.scale(replicas).await,
            Act::Nobody { pause_ms } => self.nobody(pause_ms).await,
            Act::Recreate => match &mut self.fleet {
                Fleet::Containers(containers) => containers.recreate().await,
                Fleet::Processes(_) => {
                    self.document.release += 1;
                    self.rewrite().await;
                }
            },
            Act::Reload { algorithm, timeout_s, listener, routes } => {
                self.document = Document { algorithm, timeout_s, listener, routes, ..self.document.clone() };
                self.rewrite().await;
            }
            Act::Broken { kind } => self.break_document(kind).await,
            Act::Hup => self.reread().await,
            Act::Post { algorithm } => self.post(algorithm).await,
            Act::Unhealthy { who, pause_ms } => self.take_out(who, pause_ms).await,
            Act::HandOver { workers, broken } => self.hand_over(workers, broken).await,
            Act::HandOverFails { why } => self.hand_over_fails(why).await,
            Act::Names { how, pause_ms } => self.name_servers_fail(how, pause_ms).await,
            Act::DiskFull { which, pause_ms } => self.fill_disk(which, pause_ms).await,
            Act::LogStuck { pause_ms } => self.leave_log_unread(pause_ms).await,
            Act::Descriptors { pause_ms } => self.take_descriptors(pause_ms).await,
            Act::Die { pause_ms } => self.die(pause_ms).await,
            Act::Clock { how, who, pause_ms } => self.leap(how, who, pause_ms).await,
            Act::Memory { pause_ms } => self.tighten_memory(pause_ms).await,
            Act::Engine { how, who, pause_ms } => self.engine_is_out_of_reach(how, who, pause_ms).await,
            Act::Restart { .. } | Act::RestartAll | Act::Remove { .. } | Act::Disconnect { .. } => {
                self.perform_on_containers(step.act).await;
            }
        }
        if step.settle {
            self.settle().await;
        }
    }

    /// What an engine alone can do.
    async fn perform_on_containers(&mut self, act: Act) {
        let living = self.fleet.living();
        let Fleet::Containers(containers) = &mut self.fleet else { unreachable!("it is in no schedule of processes") };
        let one = |who: u8| living[usize::from(who) % living.len()].clone();
        match act {
            Act::Restart { who } => containers.run("restart", &[one(who)]).await,
            Act::RestartAll => containers.run("restart", &living).await,
            Act::Remove { who } => {
                let kill = self.account.trouble(Trouble::Killed);
                containers.remove(&one(who)).await;
                sleep(HEARD).await;
                drop(kill);
                containers.add().await;
            }
            Act::Disconnect { who, pause_ms } => {
                let kill = self.account.trouble(Trouble::Killed);
                containers.network("disconnect", &one(who)).await;
                sleep(HEARD).await;
                drop(kill);
                sleep(Duration::from_millis(pause_ms)).await;
                containers.network("connect", &one(who)).await;
            }
            _ => unreachable!("it is done elsewhere"),
        }
    }

    /// Waits until all replicas are well, and nobody waits for them: of requests that are held, one outage right after another
    /// would make more than there is room for.
    pub(crate) async fn settle(&self) {
        self.gateway.healthy(WELL_MAX, UPSTREAM, self.document.replicas.into()).await;
        until(WELL_MAX, "nobody to be held", async || {
            self.gateway.metric("plimsoll_upstream_held_requests", &[("upstream", UPSTREAM)]).await.unwrap_or(0.0)
                == 0.0
        })
        .await;
    }

    /// As [`Self::settle`], and until those have ended that were on their way out, and the name resolves.
    async fn settle_to_the_last(&self) {
        self.settle().await;
        self.names_resolve().await;
        let replicas = usize::from(self.document.replicas);
        until(WELL_MAX, "replicas that were let go to end", async || self.fleet.living().len() == replicas).await;
    }

    /// One of those that live, if any does.
    fn one(&self, who: u8) -> Vec<String> {
        let living = self.fleet.living();
        let at = usize::from(who) % living.len().max(1);
        living.into_iter().skip(at).take(1).collect()
    }

    /// Processes that end again and again are started later and later: where there is nobody else they are left alone for a while.
    async fn let_recover(&self, names: &[String]) {
        let log = self.gateway.log();
        let is_late = |name: &String| {
            let of_it = log.lines().filter(|line| line.ends_with(&format!(" replica={name}")));
            let pause =
                of_it.filter_map(|line| line.rsplit_once("; started again in ")?.1.split(' ').next()).next_back();
            // Milliseconds are not late.
            pause
                .and_then(|pause| pause.strip_suffix('s')?.parse::<f64>().ok())
                .is_some_and(|seconds| seconds >= LATE_S)
        };
        let are_all = !names.is_empty() && names.len() == self.fleet.living().len();
        if are_all && names.iter().all(is_late) {
            self.settle().await;
            sleep(WELL_AFTER).await;
        }
    }

    async fn kill(&self, names: &[String]) {
        self.let_recover(names).await;
        let kill = self.account.trouble(Trouble::Killed);
        match &self.fleet {
            // The gateway starts them again.
            Fleet::Processes(processes) => {
                processes.signal(names, Signal::KILL);
                sleep(DYING).await;
            }
            Fleet::Containers(containers) => {
                containers.run("kill", names).await;
                sleep(HEARD).await;
                drop(kill);
                containers.run("start", names).await;
            }
        }
    }

    /// It finishes what it has in hand, and whoever comes meanwhile.
    async fn term(&self, names: &[String]) {
        // The only one must not be away for longer than requests are held, with what came before.
        self.settle().await;
        self.let_recover(names).await;
        match &self.fleet {
            Fleet::Processes(processes) => processes.signal(names, Signal::TERM),
            Fleet::Containers(containers) => {
                containers.run("kill -s TERM", names).await;
                containers.run("wait", names).await;
                containers.run("start", names).await;
                self.settle().await;
            }
        }
    }

    /// What it has in hand is answered later, or elsewhere.
    async fn pause(&self, names: &[String], pause_ms: u64) {
        let pause = Duration::from_millis(pause_ms);
        match &self.fleet {
            Fleet::Processes(processes) => {
                processes.signal(names, Signal::STOP);
                sleep(pause).await;
                processes.signal(names, Signal::CONT);
            }
            Fleet::Containers(containers) => {
                containers.run("pause", names).await;
                sleep(pause).await;
                containers.run("unpause", names).await;
            }
        }
    }

    async fn scale(&mut self, replicas: u8) {
        self.document.replicas = replicas;
        match &mut self.fleet {
            Fleet::Processes(_) => self.rewrite().await,
            Fleet::Containers(containers) => containers.scale(replicas).await,
        }
    }

    async fn nobody(&mut self, pause_ms: u64) {
        let pause = Duration::from_millis(pause_ms);
        if let Fleet::Containers(containers) = &self.fleet {
            containers.run("stop", &containers.names()).await;
            sleep(pause).await;
            return containers.run("start", &containers.names()).await;
        }
        let replicas = self.document.replicas;
        self.scale(0).await;
        sleep(pause).await;
        self.scale(replicas).await;
    }

    async fn rewrite(&self) {
        let (path, text) = (self.gateway.document_path(), self.document.file());
        if std::fs::read_to_string(path).is_ok_and(|written| written == text) {
            // What says the same is not read again by itself.
            return self.reread().await;
        }
        self.gateway.rewrite(&text).await;
        self.assert_read().await;
    }

    async fn reread(&self) {
        let before = self.stamp().await;
        self.gateway.signal(Signal::HUP);
        until(READ_MAX, "the document to be read again", async || self.stamp().await != before).await;
        self.assert_read().await;
    }

    /// What changes with every reload: the time alone has whole seconds.
    async fn stamp(&self) -> [Option<f64>; 2] {
        [
            self.gateway.metric("plimsoll_config_last_reload_timestamp_seconds", &[]).await,
            self.gateway.metric("plimsoll_config_generation", &[]).await,
        ]
    }

    async fn assert_read(&self) {
        let read = self.gateway.metric("plimsoll_config_last_reload_successful", &[]).await;
        assert_eq!(read, Some(1.0), "a good document was refused");
    }

    async fn post(&mut self, algorithm: u8) {
        self.document.algorithm = algorithm;
        let answer = self.gateway.admin("POST", "/config", &self.document.posted()).await.expect("an answer");
        assert_eq!(answer.status, 201, "POST /config: {}", answer.text());
        sleep(Duration::from_millis(100)).await;
        // The last one said wins; from here on the file says the same.
        self.rewrite().await;
    }

    async fn break_document(&self, kind: u8) {
        let shown = async || self.gateway.admin("GET", "/snapshot", "").await.map(|answer| answer.text());
        let before = shown().await.expect("an answer");
        self.gateway.rewrite(&self.document.broken(kind)).await;
        let read = self.gateway.metric("plimsoll_config_last_reload_successful", &[]).await;
        assert_eq!(read, Some(0.0), "a broken document was taken:\n{}", self.document.broken(kind));
        assert_eq!(shown().await, Some(before), "a broken document changed something");
        self.rewrite().await;
    }

    /// One of several, since the last one that is there would be missed; none that is on its way out, since it cannot be put back.
    async fn take_out(&self, who: u8, pause_ms: u64) {
        self.settle_to_the_last().await;
        let living = self.fleet.living();
        if living.len() < 2 {
            return;
        }
        let name = &living[usize::from(who) % living.len()];
        let put = async |state: &str| {
            let path = format!("/upstreams/{UPSTREAM}/targets/{name}/{state}");
            let answer = self.gateway.admin("PUT", &path, "").await.expect("an answer");
            assert!(answer.status < 300, "PUT {path}: {} {}", answer.status, answer.text());
        };
        put("unhealthy").await;
        sleep(Duration::from_millis(pause_ms)).await;
        put("healthy").await;
    }
}
