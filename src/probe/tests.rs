use super::{ProbeOptions, Prober};
use crate::tls::{TargetTls, Trust};
use plimsoll_core::config::{ActiveChecks, CheckKind};
use plimsoll_core::model::{Cause, Causes, TargetId, UpstreamId};
use plimsoll_core::upstream::{Signal, Target, Upstream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

#[derive(Default)]
struct Told(AtomicU32);

impl Signal for Told {
    fn upstream_changed(&self, _: &UpstreamId) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A target that counts its connections and answers whatever `status` says; 0: hangs up.
struct Replica {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    seen: Arc<AtomicU32>,
    heads: Arc<parking_lot::Mutex<Vec<String>>>,
}

async fn replica(listener: TcpListener, status: u16) -> Replica {
    let replica = Replica {
        address: listener.local_addr().unwrap(),
        status: Arc::new(AtomicU16::new(status)),
        seen: Arc::default(),
        heads: Arc::default(),
    };
    let (status, seen, heads) = (replica.status.clone(), replica.seen.clone(), replica.heads.clone());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            seen.fetch_add(1, Ordering::Relaxed);
            let (status, heads) = (status.load(Ordering::Relaxed), heads.clone());
            if status == 0 {
                continue;
            }
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                heads.lock().push(String::from_utf8(head).unwrap());
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    replica
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn target(address: SocketAddr, causes: &[Cause]) -> Arc<Target> {
    let id = TargetId { provider: "docker".into(), id: "c1".into(), incarnation: "1".into(), port: address.port() };
    let causes = causes.iter().fold(Causes::NONE, |set, cause| set.with(*cause));
    Target::new(id, address, address.to_string().into(), "web-1".into(), true, causes)
}

struct Setup {
    prober: Prober,
    options: ProbeOptions,
    told: Arc<Told>,
}

fn setup(checks: ActiveChecks) -> Setup {
    let told = Arc::new(Told::default());
    let upstream = Upstream::new(UpstreamId::document("web"), "web".into(), told.clone());
    let prober = Prober::new(Handle::current(), Arc::new(TargetTls::new(Trust::System)));
    Setup { prober, options: ProbeOptions { upstream, checks, host_header: None }, told }
}

fn every(millis: u64) -> ActiveChecks {
    let mut checks = ActiveChecks { timeout: Duration::from_millis(500), ..ActiveChecks::default() };
    checks.healthy.interval = Duration::from_millis(millis);
    checks.healthy.successes = 2;
    checks.unhealthy.interval = Duration::from_millis(millis);
    checks.unhealthy.http_failures = 2;
    checks.unhealthy.tcp_failures = 2;
    checks.unhealthy.timeouts = 1;
    checks
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test]
async fn probes_take_a_target_out_and_bring_it_back() {
    let replica = replica(listener().await, 500).await;
    let target = target(replica.address, &[]);
    let mut setup = setup(every(10));
    setup.options.host_header = Some("web.internal".into());
    setup.options.checks.headers = vec![("x-probe".into(), vec!["1".into()])];
    setup.prober.set(&setup.options, &[(target.clone(), false)]);
    until("two bad answers", || target.causes().has(Cause::Active)).await;
    assert_eq!(setup.told.0.load(Ordering::Relaxed), 1);
    assert!(setup.options.upstream.take_changed());
    replica.status.store(200, Ordering::Relaxed);
    until("two good answers", || target.causes().is_empty()).await;
    until("told", || setup.told.0.load(Ordering::Relaxed) == 2).await;
    let head = replica.heads.lock()[0].to_lowercase();
    for line in ["get / http/1.1\r\n", "host: web.internal\r\n", "x-probe: 1\r\n", "connection: close\r\n"] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn probes_bring_back_what_was_set_unhealthy_by_hand_as_in_kong() {
    let replica = replica(listener().await, 200).await;
    let [checked, alone] = [target(replica.address, &[]), target(replica.address, &[])];
    let setup = setup(every(10));
    assert!(checked.set_unhealthy() && alone.set_unhealthy());
    setup.prober.set(&setup.options, &[(checked.clone(), false)]);
    until("two good answers", || checked.causes().is_empty()).await;
    until("told", || setup.told.0.load(Ordering::Relaxed) == 1).await;
    assert_eq!(alone.causes(), Causes::NONE.with(Cause::Manual), "without checks it stays as it was set");
}

#[tokio::test]
async fn a_target_that_stops_listening_or_answering_is_found_out() {
    let (silent, vanishing) = (listener().await, listener().await);
    let slow = target(silent.local_addr().unwrap(), &[]);
    let dead = target(vanishing.local_addr().unwrap(), &[]);
    drop(vanishing);
    let mut setup = setup(every(10));
    setup.options.checks.timeout = Duration::from_millis(30);
    setup.prober.set(&setup.options, &[(slow.clone(), false), (dead.clone(), false)]);
    until("out", || slow.causes().has(Cause::Active) && dead.causes().has(Cause::Active)).await;
}

#[tokio::test]
async fn a_new_target_is_let_in_by_its_first_answer() {
    let check = async |checks: ActiveChecks, cause: Cause, first: u16| {
        let replica = replica(listener().await, first).await;
        let target = target(replica.address, &[cause]);
        let setup = setup(checks);
        setup.prober.set(&setup.options, &[(target.clone(), true)]);
        until("asked more than once", || replica.seen.load(Ordering::Relaxed) > 1).await;
        assert_eq!(target.causes(), Causes::NONE.with(cause), "a target that does not answer stays out");
        replica.status.store(200, Ordering::Relaxed);
        until("let in", || target.causes().is_empty()).await;
        until("told", || setup.told.0.load(Ordering::Relaxed) == 1).await;
    };
    // No active checks: what accepts and hangs up is a published port's proxy.
    check(ActiveChecks::default(), Cause::Starting, 0).await;
    check(ActiveChecks::default(), Cause::Refused, 0).await;
    // Active checks at long intervals: readiness does not wait for them, and goes by what they ask.
    check(every(60_000), Cause::Starting, 503).await;
    check(every(60_000), Cause::Refused, 0).await;
}

#[tokio::test]
async fn a_refused_target_comes_back_when_it_listens_again() {
    let first = listener().await;
    let address = first.local_addr().unwrap();
    drop(first);
    let target = target(address, &[Cause::Refused]);
    let setup = setup(ActiveChecks::default());
    setup.prober.set(&setup.options, &[(target.clone(), false)]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(target.causes().has(Cause::Refused));
    let _again = TcpListener::bind(address).await.unwrap();
    until("listens again", || target.causes().is_empty()).await;
}

#[tokio::test]
async fn what_is_gone_or_not_ours_to_judge_is_never_probed() {
    let check = async |causes: &[Cause], readiness: bool| {
        let replica = replica(listener().await, 500).await;
        let target = target(replica.address, causes);
        let setup = setup(every(5));
        setup.prober.set(&setup.options, &[(target.clone(), readiness)]);
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert_eq!(replica.seen.load(Ordering::Relaxed), 0, "{causes:?}");
    };
    for cause in [Cause::Draining, Cause::Paused, Cause::Disconnected, Cause::Gone] {
        check(&[cause, Cause::Starting], true).await;
        check(&[cause, Cause::Refused], true).await;
        check(&[cause], true).await;
    }
    // The runtime's health check has not decided.
    check(&[Cause::Starting], false).await;
}

#[tokio::test]
async fn setting_the_same_again_disturbs_no_counter_and_taking_checks_away_forgets_their_verdict() {
    let replica = replica(listener().await, 500).await;
    let target = target(replica.address, &[]);
    let mut setup = setup(every(30));
    let all = [(target.clone(), false)];
    let setting = async {
        loop {
            setup.prober.set(&setup.options, &all);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    tokio::select! {
        () = setting => {}
        () = until("out although set ten times an interval", || target.causes().has(Cause::Active)) => {}
    }
    setup.options.checks = ActiveChecks::default();
    setup.prober.set(&setup.options, &all);
    assert!(target.causes().is_empty());
    let seen = replica.seen.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(replica.seen.load(Ordering::Relaxed) <= seen + 1, "probes go on");
}

#[tokio::test]
async fn removing_an_upstream_ends_its_probes() {
    let replica = replica(listener().await, 200).await;
    let target = target(replica.address, &[]);
    let setup = setup(every(5));
    setup.prober.set(&setup.options, &[(target.clone(), false)]);
    until("probed", || replica.seen.load(Ordering::Relaxed) > 2).await;
    setup.prober.remove(&setup.options.upstream.id);
    until("let go of", || Arc::strong_count(&target) == 1).await;
}

#[tokio::test]
async fn a_tcp_check_asks_for_a_connection_alone() {
    let quiet = listener().await;
    let target = target(quiet.local_addr().unwrap(), &[]);
    let mut setup = setup(every(5));
    setup.options.checks.kind = CheckKind::Tcp;
    setup.prober.set(&setup.options, &[(target.clone(), false)]);
    let mut accepted = quiet.accept().await.unwrap().0;
    let mut bytes = Vec::new();
    accepted.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.is_empty());
    drop((accepted, quiet));
    until("out", || target.causes().has(Cause::Active)).await;
}
