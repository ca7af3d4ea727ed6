use super::*;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::pin::Pin;
use tokio::sync::watch::{Sender, channel};
use tokio::time::timeout;

/// A name server whose answers a test sets; it counts what it was asked.
#[derive(Default)]
struct Scripted {
    answers: Mutex<BTreeMap<String, Result<Answer, ResolveError>>>,
    asked: Mutex<BTreeMap<String, u32>>,
}

impl Scripted {
    fn answer(&self, host: &str, addresses: &[&str], ttl_s: u64) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let answer = Answer { addresses, valid_for: Duration::from_secs(ttl_s) };
        self.answers.lock().insert(host.to_owned(), Ok(answer));
    }

    fn fail(&self, host: &str) {
        self.answers.lock().insert(host.to_owned(), Err(ResolveError::NoAnswer("server failure".to_owned())));
    }

    fn forget(&self, host: &str) {
        self.answers.lock().insert(host.to_owned(), Err(ResolveError::NoAddress));
    }

    fn asked(&self, host: &str) -> u32 {
        self.asked.lock().get(host).copied().unwrap_or(0)
    }
}

impl Resolve for Scripted {
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'static, Result<Answer, ResolveError>> {
        *self.asked.lock().entry(host.to_string()).or_default() += 1;
        match self.answers.lock().get(&*host).cloned() {
            Some(answer) => Box::pin(async { answer }),
            None => Box::pin(std::future::pending()),
        }
    }
}

struct Bench {
    server: Arc<Scripted>,
    wanted: Sender<Wanted>,
    names: Pin<Box<dyn Stream<Item = Names> + Send>>,
}

impl Bench {
    fn new(wanted: &[(&str, u16)]) -> Self {
        let server = Arc::new(Scripted::default());
        let (sender, receiver) = channel(list(wanted));
        Self { server: server.clone(), wanted: sender, names: Box::pin(watch(server, receiver)) }
    }

    async fn next(&mut self) -> Names {
        timeout(Duration::from_secs(3600), self.names.next()).await.expect("nothing was told").unwrap()
    }

    /// Until it was asked once more. Nothing may be told meanwhile.
    async fn until_asked(&mut self, host: &str) {
        let before = self.server.asked(host);
        while self.server.asked(host) == before {
            self.quiet_for(1).await;
        }
    }

    async fn quiet_for(&mut self, seconds: u64) {
        assert!(timeout(Duration::from_secs(seconds), self.names.next()).await.is_err(), "something was told");
    }
}

fn list(wanted: &[(&str, u16)]) -> Wanted {
    wanted.iter().map(|(host, port)| ((*host).into(), *port)).collect()
}

#[track_caller]
fn check(names: &Names, host: &str, port: u16, expected: Option<Result<&[&str], &str>>) {
    let host = Arc::from(host);
    let found = names.resolved(&host, port);
    let found = found.map(|known| known.map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let expected = expected.map(|known| known.map(|list| list.iter().map(ToString::to_string).collect()));
    assert_eq!(found, expected, "{host}:{port}");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_for_again_when_its_time_is_over_and_told_when_it_changed() {
    let mut bench = Bench::new(&[("web", 80)]);
    bench.server.answer("web", &["10.0.0.2", "10.0.0.1"], 5);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.1:80", "10.0.0.2:80"])));
    bench.server.answer("web", &["10.0.0.1", "10.0.0.2", "10.0.0.1"], 5);
    bench.quiet_for(12).await;
    assert_eq!(bench.server.asked("web"), 3, "at 0, 5 and 10 s");
    bench.server.answer("web", &["10.0.0.3"], 5);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.3:80"])));
}

#[tokio::test(start_paused = true)]
async fn times_are_kept_between_a_second_and_a_minute() {
    let mut bench = Bench::new(&[("none", 80), ("long", 80)]);
    bench.server.answer("none", &["10.0.0.1"], 0);
    bench.server.answer("long", &["10.0.0.2"], 86_400);
    bench.next().await;
    bench.quiet_for(121).await;
    assert_eq!((bench.server.asked("none"), bench.server.asked("long")), (121 + 1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_good_answer_and_is_tried_again_ever_more_slowly() {
    let mut bench = Bench::new(&[("web", 80)]);
    bench.server.answer("web", &["10.0.0.1"], 1);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.1:80"])));
    bench.server.fail("web");
    bench.quiet_for(1 + 1 + 2 + 4 + 8 + 16 + 30 + 30).await;
    assert!((8..=9).contains(&bench.server.asked("web")), "{}", bench.server.asked("web"));
    bench.server.answer("web", &["10.0.0.9"], 1);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.9:80"])));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_said_twice_to_have_no_address_loses_those_that_it_had() {
    let mut bench = Bench::new(&[("web", 80)]);
    bench.server.answer("web", &["10.0.0.1"], 5);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.1:80"])));
    bench.server.forget("web");
    bench.quiet_for(5).await;
    assert_eq!(bench.server.asked("web"), 2, "said once");
    let began = Instant::now();
    check(&bench.next().await, "web", 80, Some(Err("the name has no address")));
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
    bench.server.answer("web", &["10.0.0.2"], 5);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.2:80"])));
}

#[tokio::test(start_paused = true)]
async fn that_a_name_has_no_address_is_not_believed_where_servers_disagree() {
    let mut bench = Bench::new(&[("web", 80)]);
    bench.server.answer("web", &["10.0.0.1"], 1);
    bench.next().await;
    for _ in 0..4 {
        bench.server.forget("web");
        bench.until_asked("web").await;
        bench.server.fail("web");
        bench.until_asked("web").await;
    }
    bench.server.forget("web");
    bench.until_asked("web").await;
    bench.server.answer("web", &["10.0.0.1"], 1);
    bench.until_asked("web").await;
    bench.server.forget("web");
    bench.until_asked("web").await;
}

#[tokio::test(start_paused = true)]
async fn addresses_outlive_their_name_servers_by_an_hour() {
    let mut bench = Bench::new(&[("web", 80)]);
    bench.server.answer("web", &["10.0.0.1"], 1);
    bench.next().await;
    bench.server.fail("web");
    bench.quiet_for(STALE_MAX.as_secs()).await;
    check(&bench.next().await, "web", 80, Some(Err("server failure")));
    // And once more: the hour is counted anew after every good answer.
    bench.server.answer("web", &["10.0.0.1"], 1);
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.1:80"])));
    bench.server.fail("web");
    bench.quiet_for(STALE_MAX.as_secs()).await;
    check(&bench.next().await, "web", 80, Some(Err("server failure")));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_resolved_is_told_with_its_error_and_one_without_an_answer_is_absent() {
    let mut bench = Bench::new(&[("bad", 80), ("slow", 80)]);
    bench.server.fail("bad");
    let names = bench.next().await;
    check(&names, "bad", 80, Some(Err("server failure")));
    check(&names, "slow", 80, None);
    bench.server.answer("bad", &["::1"], 60);
    check(&bench.next().await, "bad", 80, Some(Ok(&["[::1]:80"])));
}

#[tokio::test(start_paused = true)]
async fn new_names_are_resolved_and_old_ones_forgotten_when_the_document_changes() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.next().await, Names::default());
    bench.server.answer("web", &["10.0.0.1"], 60);
    bench.server.answer("api", &["10.0.0.2"], 60);
    bench.wanted.send(list(&[("web", 80)])).unwrap();
    check(&bench.next().await, "web", 80, Some(Ok(&["10.0.0.1:80"])));
    bench.wanted.send(list(&[("web", 81)])).unwrap();
    let names = bench.next().await;
    check(&names, "web", 80, None);
    check(&names, "web", 81, Some(Ok(&["10.0.0.1:81"])));
    assert_eq!(bench.server.asked("web"), 1);
    bench.wanted.send(list(&[("api", 80)])).unwrap();
    let names = bench.next().await;
    check(&names, "web", 81, None);
    check(&names, "api", 80, Some(Ok(&["10.0.0.2:80"])));
    drop(bench.wanted);
    assert!(bench.names.next().await.is_none());
}
