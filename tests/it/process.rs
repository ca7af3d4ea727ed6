//! The process provider with real processes: started, scaled, restarted, stopped, and never left behind.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use plimsoll::providers::Provider;
use plimsoll::providers::process::{GUARD_COMMAND, ProcessOptions, ProcessProvider, ProcessSpec};
use plimsoll_core::config::ProcessSource;
use plimsoll_core::model::{Facts, Phase, Replica};
use plimsoll_test_support::gateway::{Gateway, Start, document};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");
const DEADLINE: Duration = Duration::from_secs(20);
/// Marks every descendant of a test: the environment is inherited, whatever group a process moves to.
const MARK: &str = "PLIMSOLL_TEST_MARK";

fn options() -> ProcessOptions {
    ProcessOptions { guard: vec![BINARY.into(), GUARD_COMMAND.into()], ..ProcessOptions::default() }
}

fn spec(command: &[&str], replicas: u16, mark: &str) -> ProcessSpec {
    ProcessSpec {
        upstream: "web".into(),
        source: ProcessSource {
            command: command.iter().map(|word| (*word).into()).collect(),
            replicas,
            env: vec![(MARK.into(), mark.into())],
            working_directory: None,
        },
        folder: "/".into(),
    }
}

fn sample(replicas: u16, mark: &str) -> ProcessSpec {
    spec(&[BINARY, "__sample", "--address", "127.0.0.1", "--port", "{port}"], replicas, mark)
}

struct Watched {
    wanted: watch::Sender<Vec<ProcessSpec>>,
    facts: BoxStream<'static, Facts>,
}

fn watch(spec: ProcessSpec) -> Watched {
    let (wanted, receive) = watch::channel(vec![spec]);
    Watched { wanted, facts: Box::new(ProcessProvider::new(receive, options())).watch() }
}

impl Watched {
    /// The first facts that satisfy `condition`.
    async fn until(&mut self, what: &str, condition: impl Fn(&Facts) -> bool) -> Facts {
        let search = async {
            loop {
                let facts = self.facts.next().await.expect("the stream goes on");
                if condition(&facts) {
                    return facts;
                }
            }
        };
        timeout(DEADLINE, search).await.unwrap_or_else(|_| panic!("not in time: {what}"))
    }

    async fn end(self) {
        drop(self.wanted);
        timeout(DEADLINE, self.facts.for_each(|_| async {})).await.expect("it ends once nobody wants anything");
    }
}

fn running(facts: &Facts) -> BTreeMap<String, Replica> {
    let running = facts.replicas.iter().filter(|replica| replica.phase == Phase::Running);
    running.map(|replica| (replica.id.to_string(), replica.clone())).collect()
}

fn pid_of(replica: &Replica) -> Pid {
    let pid = replica.incarnation.split('-').next().and_then(|pid| pid.parse().ok());
    pid.and_then(Pid::from_raw).expect("an incarnation begins with the pid")
}

/// Processes that carry the mark, zombies not counted.
fn marked(mark: &str) -> Vec<i32> {
    let wanted = format!("{MARK}={mark}");
    let carries = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

async fn get(port: u16, path: &str) -> String {
    let ask = async {
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: sample\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writing");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reading");
        answer
    };
    timeout(DEADLINE, ask).await.expect("an answer in time")
}

#[tokio::test]
async fn replicas_scale_without_restarting_the_others() {
    let mut watched = watch(sample(3, "scale"));
    let three = running(&watched.until("three run", |facts| running(facts).len() == 3).await);
    for (id, replica) in &three {
        let answer = get(replica.ports[0], "/").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"replica\":\"{id}\"")), "{answer}");
    }

    watched.wanted.send_replace(vec![sample(5, "scale")]);
    let five = running(&watched.until("five run", |facts| running(facts).len() == 5).await);
    assert!(three.iter().all(|(id, replica)| five[id].incarnation == replica.incarnation));

    watched.wanted.send_replace(vec![sample(1, "scale")]);
    let stopping = |facts: &Facts| facts.replicas.iter().filter(|r| r.phase == Phase::Stopping).count() == 4;
    watched.until("four are told to stop, and said so before they go", stopping).await;
    let one = watched.until("one is left", |facts| facts.replicas.len() == 1).await;
    assert_eq!(running(&one)["web.1"].incarnation, three["web.1"].incarnation);

    watched.end().await;
    assert_eq!(marked("scale"), [] as [i32; 0]);
}

#[tokio::test]
async fn a_killed_replica_comes_back_as_another_incarnation() {
    let mut watched = watch(sample(2, "crash"));
    let before = running(&watched.until("two run", |facts| running(facts).len() == 2).await);
    let _ = get(before["web.1"].ports[0], "/").await;
    kill_process(pid_of(&before["web.1"]), Signal::KILL).expect("it was there");
    let down = watched.until("it is down", |facts| running(facts).len() == 1).await;
    assert_eq!(down.problems.len(), 1);
    assert!(down.problems[0].message.starts_with("was ended by signal 9"), "{:?}", down.problems);
    let after = running(&watched.until("two run again", |facts| running(facts).len() == 2).await);
    assert_ne!(after["web.1"].incarnation, before["web.1"].incarnation);
    assert_eq!(after["web.2"].incarnation, before["web.2"].incarnation);
    watched.until("and all is well", |facts| facts.problems.is_empty()).await;
    watched.end().await;
}

#[tokio::test]
async fn a_command_that_cannot_run_says_why() {
    let cases: &[(&[&str], &str)] = &[
        (&["/no/such/program"], "exited with status 127"),
        (&["/no/such/program"], "saying `plimsoll: cannot execute /no/such/program: No such file or directory"),
        (&["sh", "-c", "echo starting; echo no database >&2; exit 3"], "exited with status 3"),
        (&["sh", "-c", "echo starting; sleep 0.1; echo no database >&2; exit 3"], "saying `no database`"),
    ];
    for (command, expected) in cases {
        let mut watched = watch(spec(command, 1, "broken"));
        let facts = watched.until("a problem", |facts| !facts.problems.is_empty()).await;
        assert_eq!(facts.problems[0].subject, "web.1");
        assert!(facts.problems[0].message.contains(expected), "{expected}: {:?}", facts.problems);
        watched.end().await;
    }
}

#[tokio::test]
async fn a_command_that_ignores_term_is_killed_with_all_that_it_started() {
    let mut stubborn = options();
    stubborn.stop_grace = Duration::from_millis(200);
    let script = "trap '' TERM; (trap '' TERM; sleep 1000) & setsid sleep 1000 & while :; do sleep 1000; done";
    let (wanted, receive) = watch::channel(vec![spec(&["sh", "-c", script], 1, "stubborn")]);
    let facts = Box::new(ProcessProvider::new(receive, stubborn)).watch();
    let mut watched = Watched { wanted, facts };
    watched.until("it runs", |facts| running(facts).len() == 1).await;
    wait_until("the script has started its own", || marked("stubborn").len() >= 4).await;
    watched.end().await;
    assert_eq!(marked("stubborn"), [] as [i32; 0]);
}

#[tokio::test]
async fn another_command_rolls_and_a_broken_one_changes_nothing() {
    let mut watched = watch(sample(2, "roll"));
    let before = running(&watched.until("two run", |facts| running(facts).len() == 2).await);
    for replica in before.values() {
        let _ = get(replica.ports[0], "/health").await;
    }

    watched.wanted.send_replace(vec![spec(&["sh", "-c", "exit 1"], 2, "roll")]);
    let facts = watched.until("the new one fails", |facts| !facts.problems.is_empty()).await;
    assert!(before.iter().all(|(id, replica)| running(&facts)[id].incarnation == replica.incarnation));

    let mut renamed = sample(2, "roll");
    renamed.source.env.push(("RELEASE".into(), "2".into()));
    watched.wanted.send_replace(vec![renamed]);
    let all_new = |facts: &Facts| {
        let now = running(facts);
        now.len() == 2
            && facts.replicas.len() == 2
            && now.values().all(|new| before.values().all(|old| old.incarnation != new.incarnation))
    };
    watched.until("both were replaced", all_new).await;
    watched.end().await;
    assert_eq!(marked("roll"), [] as [i32; 0]);
}

/// A document with two local processes that run this, marked, and a route to them.
fn local(mark: &str, command: &str) -> String {
    let rest = format!(
        "services:\n- {{name: web, host: web, routes: [{{paths: [/]}}]}}\nupstreams:\n- name: web\n  discover: {{process: \
         {{replicas: 2, command: {command}, env: {{{MARK}: {mark}}}}}}}\n"
    );
    document("  providers: {docker: false}", &rest)
}

/// A gateway that has started what is stubborn: two guards, two shells, four sleeps.
async fn start_gateway(mark: &str) -> Gateway {
    let document = local(mark, "[sh, -c, \"sleep 1000 & setsid sleep 1000 & wait\"]");
    let gateway = Gateway::start(Start { binary: Path::new(BINARY), document, namespace: None }).await;
    wait_until("the gateway's processes run", || marked(mark).len() == 8).await;
    gateway
}

#[tokio::test]
async fn kill_9_of_the_gateway_leaves_nothing_behind() {
    let mut gateway = start_gateway("kill-gateway").await;
    gateway.signal(Signal::KILL);
    gateway.ended(DEADLINE).await;
    wait_until("nothing is left", || marked("kill-gateway").is_empty()).await;
}

#[tokio::test]
async fn after_kill_9_of_the_gateway_a_new_one_starts_its_own_processes_and_serves() {
    let mark = "kill-and-start";
    let sample = format!("[\"{BINARY}\", __sample, --address, 127.0.0.1, --port, \"{{port}}\"]");
    let start = || {
        let document = local(mark, &sample);
        Gateway::start(Start { binary: Path::new(BINARY), document, namespace: None })
    };
    let mut killed = start().await;
    killed.healthy(DEADLINE, "web", 2).await;
    assert!(get(killed.http.port(), "/").await.starts_with("HTTP/1.1 200"));
    let first = marked(mark);
    killed.signal(Signal::KILL);
    killed.ended(DEADLINE).await;
    // At once, as a service manager would: the old ones may still be ending.
    let gateway = start().await;
    gateway.healthy(DEADLINE, "web", 2).await;
    for _ in 0..20 {
        assert!(get(gateway.http.port(), "/").await.starts_with("HTTP/1.1 200"));
    }
    wait_until("the old ones are gone", || !marked(mark).iter().any(|pid| first.contains(pid))).await;
    // Two guards and two samples.
    assert_eq!(marked(mark).len(), 4);
}

#[tokio::test]
async fn kill_9_of_gateway_and_guards_at_once_ends_the_commands() {
    let gateway = start_gateway("kill-both").await;
    let is_guard = |pid: &i32| {
        let line = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
        line.windows(GUARD_COMMAND.len()).any(|window| window == GUARD_COMMAND.as_bytes())
    };
    let guards: Vec<i32> = marked("kill-both").into_iter().filter(is_guard).collect();
    assert_eq!(guards.len(), 2);
    gateway.signal(Signal::KILL);
    guards.into_iter().filter_map(Pid::from_raw).for_each(|guard| {
        kill_process(guard, Signal::KILL).ok();
    });
    // What the shells had started cannot be reached any more by anyone; the commands themselves are ended by the kernel.
    let is_shell =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sh");
    wait_until("no command is left", || !marked("kill-both").iter().any(is_shell)).await;
    for pid in marked("kill-both").into_iter().filter_map(Pid::from_raw) {
        kill_process(pid, Signal::KILL).ok();
    }
}

#[tokio::test]
async fn kill_9_of_a_guard_is_noticed_and_mended() {
    let mut watched = watch(sample(1, "kill-guard"));
    let before = running(&watched.until("it runs", |facts| running(facts).len() == 1).await);
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid_of(&before["web.1"]).as_raw_nonzero())).expect("it runs");
    let guard = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
    kill_process(guard.and_then(Pid::from_raw).expect("its parent"), Signal::KILL).expect("the guard runs");
    let down = watched.until("it is down", |facts| running(facts).is_empty()).await;
    assert!(down.problems[0].message.starts_with("ended together with its guard"), "{:?}", down.problems);
    watched.until("it runs again", |facts| running(facts).len() == 1).await;
    watched.end().await;
    assert_eq!(marked("kill-guard"), [] as [i32; 0]);
}

#[tokio::test]
async fn the_sample_finishes_what_it_accepted_after_term() {
    let mut watched = watch(sample(1, "finish"));
    let replica = running(&watched.until("it runs", |facts| running(facts).len() == 1).await)["web.1"].clone();
    let port = replica.ports[0];
    assert!(get(port, "/health").await.ends_with("well\n"));
    let slow = tokio::spawn(async move { get(port, "/slow?ms=1500").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    kill_process(pid_of(&replica), Signal::TERM).expect("it runs");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let late = get(port, "/").await;
    assert!(late.starts_with("HTTP/1.1 200") && late.contains("connection: close"), "still served: {late}");
    assert!(slow.await.expect("no panic").starts_with("HTTP/1.1 200"));
    watched
        .until("it left by itself", |facts| facts.problems.iter().any(|p| p.message.contains("exited with status 0")))
        .await;
    watched.end().await;
}
