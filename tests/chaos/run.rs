//! One run from its seed to its verdict.

use crate::account::Account;
use crate::acts::Scene;
use crate::books::Past;
use crate::checks::Before;
use crate::clock::WallClock;
use crate::document::{Document, Source};
use crate::fleet::{Containers, Fleet, Processes};
use crate::log::AccessLog;
use crate::memory::Group;
use crate::named::Named;
use crate::noise;
use crate::schedule::{Runtime, steps};
use crate::traffic::{Doors, HOST, Traffic};
use plimsoll_test_support::deployed::Deployed;
use plimsoll_test_support::docker::{Lab, available};
use plimsoll_test_support::gateway::Gateway;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::tls::Authority;
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};

/// What a run takes where nobody says otherwise, in seconds: three minutes for both.
const SECONDS: u64 = 90;
/// The seed where nobody gives another: a change is judged, not the luck of a seed. Of this one everything that is done to the
/// gateway itself and to its engine comes early, whatever the replicas are: within the first 16 steps, of 25 that containers get
/// through in a minute of CI.
pub(crate) const SEED: u64 = 158_115_618;
/// Replicas at the start.
const REPLICAS: u8 = 3;
/// For a gateway without traffic to end.
const END_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn processes_in_chaos_lose_nothing() {
    let plan = Plan::new("processes_in_chaos_lose_nothing");
    let record = tempfile::tempdir().expect("a folder");
    let source = Source::Processes(record.path().to_owned());
    let fleet = Fleet::Processes(Processes { record: record.path().to_owned() });
    plan.run(Runtime::Processes, source, fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn containers_in_chaos_lose_nothing() {
    let Some(engine) = available().await else { return };
    let plan = Plan::new("containers_in_chaos_lose_nothing");
    let record = tempfile::tempdir().expect("a folder");
    let mut containers = Containers::new(Lab::new(engine).await, record.path()).await;
    containers.scale(REPLICAS).await;
    let source = Source::Containers {
        provider: containers.provider(),
        found_by: format!("project: {}, service: web", containers.lab.id),
    };
    plan.run(Runtime::Containers, source, Fleet::Containers(containers)).await;
}

/// The seed, for how long, and how far it has come: what a failed run prints, however it fails.
struct Plan {
    test: &'static str,
    seed: u64,
    seconds: u64,
    step: AtomicU32,
}

impl Plan {
    fn new(test: &'static str) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let seed = number("PLIMSOLL_SEED").unwrap_or(SEED);
        let seconds = number("PLIMSOLL_CHAOS_SECONDS").unwrap_or(SECONDS);
        eprintln!("PLIMSOLL_SEED={seed}, for {seconds} s");
        Self { test, seed, seconds, step: AtomicU32::new(0) }
    }

    async fn run(self, runtime: Runtime, source: Source, fleet: Fleet) {
        Gateway::adopt_heirs();
        let noisy = Target::sample("noise", "noise").await;
        let authority = Authority::new();
        let log = AccessLog::new();
        let named = Named::new(fleet.record()).await;
        let document = Document {
            source,
            replicas: REPLICAS,
            release: 1,
            algorithm: 0,
            timeout_s: 60,
            listener: false,
            routes: 0,
            identity: authority.identity(&[HOST, noise::HOST]),
            ports: [0, 0],
            noise: noisy.address.port(),
            workers: 2,
            named: named.target.clone(),
            access_log: log.path(),
        };
        let deployed = Deployed::new(Path::new(env!("CARGO_BIN_EXE_plimsoll")));
        let (clock, group) = (WallClock::new(), Group::new());
        let joined = group.as_ref().map(Group::words).unwrap_or_default();
        let gateway = start(&[joined, named.words(), clock.words()].concat(), &deployed, &document.file()).await;
        let account = Arc::new(Account::new());
        let (past, books, workers_max) = (Past::default(), Arc::clone(&account), document.workers);
        let mut scene = Scene {
            gateway,
            fleet,
            document,
            account: books,
            deployed,
            named,
            log,
            past,
            trust: authority.client(&["http/1.1"]),
            clock,
            group,
            torn_max: 0,
            workers_max,
        };
        scene.settle().await;
        let https = scene.gateway.listener("https").await.expect("it listens");
        let doors = Doors { http: scene.gateway.http, https, trust: authority.client(&["h2"]) };
        let before = Before::of(&scene).await;
        let traffic = Traffic::start(self.seed, doors, Arc::clone(&account));
        self.act(runtime, &mut scene).await;
        scene.settle().await;
        traffic.stop().await;
        scene.all_counted(&account.statuses()).await;
        let mut wrong = before.against(&scene).await;
        let dropped = scene.dropped().await;
        eprintln!("{account}");
        scene.gateway.signal(Signal::TERM);
        let status = scene.gateway.ended(END_MAX).await;
        if !status.success() {
            wrong.push(format!("the gateway ended with {status}"));
        }
        wrong.extend(scene.lines_against(dropped));
        if account.lost() > 0 {
            wrong.push(format!("{} requests were lost", account.lost()));
        }
        if account.open() > 0 {
            wrong.push(format!("{} requests ended nowhere", account.open()));
        }
        assert!(wrong.is_empty(), "{}\n{account}\n{}", wrong.join("\n"), scene.gateway.log());
    }

    async fn act(&self, runtime: Runtime, scene: &mut Scene) {
        let begin = Instant::now();
        let end = Duration::from_secs(self.seconds);
        for step in steps(self.seed, runtime) {
            let due = Duration::from_millis(step.due_ms);
            if due.max(begin.elapsed()) > end {
                return sleep_until(begin + end).await;
            }
            sleep_until(begin + due).await;
            eprintln!("{} ms: {step:?}", begin.elapsed().as_millis());
            self.step.store(step.number, Ordering::Relaxed);
            scene.perform(&step).await;
        }
    }
}

/// Starts the gateway by these words, which stand before it.
async fn start(words: &[OsString], deployed: &Deployed, document: &str) -> Gateway {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(deployed.path()).stdin(Stdio::null());
    Gateway::start_by(command, document).await
}

impl Drop for Plan {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { test, seed, seconds, step } = self;
            let step = step.load(Ordering::Relaxed);
            eprintln!(
                "failed after step {step} began; again: PLIMSOLL_SEED={seed} PLIMSOLL_CHAOS_SECONDS={seconds} \
                 cargo test --profile ci --test chaos -- {test} --nocapture"
            );
        }
    }
}
