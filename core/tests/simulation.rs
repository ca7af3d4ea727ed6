//! Targets come, go, drain, fail and recover while requests are picked, held, let go, answered and given up, as a seed has
//! it. After each step what must always hold is asserted. `PLIMSOLL_SEED` replays the seed that a failure prints.
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test may stop")]

use plimsoll_core::health::{CheckRules, Outcome};
use plimsoll_core::model::{Cause, Causes, Moment, TargetId, UpstreamId};
use plimsoll_core::upstream::{
    Acquired, Ask, BALANCERS, InFlight, Member, Pool, PoolOptions, Signal, Target, Upstream, WaitLimits, WaitOver,
    Waiter, WorkerRng,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Seeds that are tried where none is given.
const SEEDS: u64 = 300;
/// Steps of a seed.
const STEPS: usize = 1500;
/// How long a request is held.
const HOLD: Duration = Duration::from_secs(5);
/// Causes that come and go without a verdict of ours.
const MARKS: [Cause; 5] = [Cause::Draining, Cause::Refused, Cause::Runtime, Cause::Starting, Cause::Paused];

#[test]
fn no_seed_breaks_what_must_always_hold() {
    let seeds = match std::env::var("PLIMSOLL_SEED") {
        Ok(seed) => vec![seed.parse().expect("PLIMSOLL_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    };
    let mut total = Tally::default();
    for seed in &seeds {
        let seed = *seed;
        let told = Told(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
            world.check();
        }
        world.end();
        total.add(&world.tally);
        std::mem::forget(told);
    }
    let least = [total.picked, total.held, total.let_go, total.late, total.again].into_iter().min();
    assert!(seeds.len() == 1 || least > Some(100), "{total:?}");
}

impl Tally {
    const fn add(&mut self, other: &Self) {
        self.picked += other.picked;
        self.held += other.held;
        self.let_go += other.let_go;
        self.late += other.late;
        self.again += other.again;
    }
}

/// Tells the seed when a step panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("replay with PLIMSOLL_SEED={}", self.0);
    }
}

#[derive(Default)]
struct Rebuild(AtomicBool);

impl Signal for Rebuild {
    fn upstream_changed(&self, _: &UpstreamId) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A request that got its target, perhaps after it was held.
struct Served {
    inflight: InFlight,
    turn: Option<Waiter>,
    tried: Vec<Arc<Target>>,
}

/// A request that is held.
struct Held {
    waiter: Waiter,
    deadline: Moment,
}

fn answered(turn: Option<Waiter>) {
    if let Some(turn) = turn {
        turn.answered();
    }
}

/// What came to pass, to see that a simulation is not idle.
#[derive(Debug, Default)]
struct Tally {
    picked: u32,
    held: u32,
    let_go: u32,
    late: u32,
    again: u32,
}

struct World {
    tally: Tally,
    rng: WorkerRng,
    now: Moment,
    upstream: Arc<Upstream>,
    rebuild: Arc<Rebuild>,
    checks: CheckRules,
    options: PoolOptions,
    born: u16,
    served: Vec<Served>,
    held: Vec<Held>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = WorkerRng::with_seed(seed);
        let rebuild = Arc::new(Rebuild::default());
        let checks = CheckRules {
            healthy_statuses: [200].into_iter().collect(),
            successes: rng.u8(0..3),
            unhealthy_statuses: [500].into_iter().collect(),
            http_failures: rng.u8(0..4),
            tcp_failures: rng.u8(0..4),
            timeouts: rng.u8(0..4),
        };
        let options = PoolOptions {
            generation: seed,
            algorithm: rng.choice(BALANCERS.iter().copied()).expect("there is one"),
            members: Vec::new(),
            fed: true,
            hold: Some(WaitLimits { max_requests: 200, max_bytes: 10_000, timeout: HOLD }),
            grace: Duration::from_secs(3600),
            threshold: if rng.bool() { 0.0 } else { 40.0 },
            passive: Some(checks.clone()),
            max_concurrency: rng.bool().then_some(8),
            queue: None,
            retry_budget: None,
            hedging: None,
            outlier: None,
            slow_start: None,
        };
        let signal = Arc::clone(&rebuild) as Arc<dyn Signal>;
        let upstream = Upstream::new(UpstreamId::document("web"), "web".into(), signal);
        let now = Moment::default();
        upstream.publish(Arc::new(Pool::build(options.clone(), None, now)));
        Self {
            tally: Tally::default(),
            rng,
            now,
            upstream,
            rebuild,
            checks,
            options,
            born: 0,
            served: Vec::new(),
            held: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.rng.u64(0..30));
        match self.rng.u8(..100) {
            0..4 => self.join(),
            4..5 => self.leave(),
            5..14 => self.mark(),
            14..21 => self.control(),
            21..24 => self.probe(),
            24..55 => self.request(Vec::new(), None, None),
            55..90 => self.finish(),
            90..93 => self.give_up(),
            93 if self.rng.u8(..4) == 0 => self.vanish(),
            _ => self.tick(),
        }
    }

    fn join(&mut self) {
        self.born += 1;
        let id = TargetId {
            provider: "docker".into(),
            id: format!("c{}", self.born).into(),
            incarnation: "1".into(),
            port: 80,
        };
        let name: Arc<str> = format!("web-{}", self.born).into();
        let address = ([10, 0, 0, 1], self.born).into();
        let target = Target::new(id, address, Arc::clone(&name), name, true, Causes::NONE.with(Cause::Starting));
        self.options.members.push(Member { target, weight: self.rng.u16(0..4) });
        self.publish();
    }

    fn leave(&mut self) {
        if let Some(place) = self.anyone() {
            let member = self.options.members.swap_remove(place);
            member.target.set(Cause::Gone);
            self.publish();
        }
    }

    /// All of them at once, as in a recreate.
    fn vanish(&mut self) {
        for member in self.options.members.drain(..) {
            member.target.set(Cause::Gone);
        }
        self.publish();
    }

    /// A mark is set or cleared, and the upstream told; the pool is rebuilt later.
    fn mark(&mut self) {
        let Some(place) = self.anyone() else { return };
        let target = &self.options.members[place].target;
        let all = MARKS.into_iter().fold(Causes::NONE, Causes::with);
        let changed = match self.rng.u8(..8) {
            0 | 1 => target.set(self.rng.choice(MARKS).expect("there is one")),
            2 => target.clear(self.rng.choice(MARKS).expect("there is one")),
            3 => target.set_healthy(),
            _ => target.assign(all, Causes::NONE),
        };
        if changed {
            self.upstream.changed();
        }
    }

    /// The control plane comes round.
    fn control(&mut self) {
        if self.rebuild.0.swap(false, Ordering::SeqCst) {
            assert!(self.upstream.take_changed());
            self.publish();
        }
    }

    fn publish(&mut self) {
        let old = Arc::clone(&self.upstream.pool());
        let pool = Pool::build(self.options.clone(), Some(&old), self.now);
        self.upstream.publish(Arc::new(pool));
    }

    fn probe(&mut self) {
        let Some(place) = self.anyone() else { return };
        let outcome = self.outcome();
        if self.options.members[place].target.probed(&self.checks, outcome).is_some() {
            self.upstream.changed();
        }
    }

    fn outcome(&mut self) -> Outcome {
        if self.rng.u8(..10) < 7 {
            return Outcome::Status(200);
        }
        let outcomes = [Outcome::Status(500), Outcome::TcpFailure, Outcome::Timeout];
        self.rng.choice(outcomes).expect("there is one")
    }

    /// A request comes, or an attempt is made again: after a hold (`turn`, `deadline`) or a failure (`tried`).
    fn request(&mut self, tried: Vec<Arc<Target>>, turn: Option<Waiter>, deadline: Option<Moment>) {
        let ask = Ask { tried: &tried, now: self.now, key: 0 };
        match self.upstream.acquire(&ask, &mut self.rng) {
            Acquired::Got(inflight) => {
                let target = inflight.target();
                assert!(target.causes().is_empty(), "picked {target:?}");
                assert!(!tried.iter().any(|tried| Arc::ptr_eq(tried, target)), "picked again: {target:?}");
                let weight = self.options.members.iter().find(|member| Arc::ptr_eq(&member.target, target));
                assert!(weight.is_some_and(|member| member.weight > 0), "picked {target:?}, which has no share");
                self.tally.picked += 1;
                self.tally.again += u32::from(!tried.is_empty());
                self.tally.let_go += u32::from(turn.is_some());
                self.served.push(Served { inflight, turn, tried });
            }
            Acquired::Empty { hold: true } => {
                let deadline = deadline.unwrap_or(self.now + HOLD);
                let worker = self.rng.u16(0..3);
                if let Ok(waiter) = self.upstream.wait(self.rng.u64(0..100), worker, deadline) {
                    self.tally.held += 1;
                    self.held.push(Held { waiter, deadline });
                }
            }
            Acquired::Empty { hold: false } | Acquired::Full { .. } | Acquired::Tried { .. } => {}
        }
    }

    /// A target answers, or fails its request.
    fn finish(&mut self) {
        if self.served.is_empty() {
            return;
        }
        let Served { inflight, turn, mut tried } = self.served.swap_remove(self.rng.usize(..self.served.len()));
        let outcome = self.outcome();
        let target = Arc::clone(inflight.target());
        if target.report(&self.checks, outcome).is_some() {
            self.upstream.changed();
        }
        drop(inflight);
        if let Outcome::Status(_) = outcome {
            target.record_latency(1000 * self.rng.u64(1..100), self.now);
            answered(turn);
        } else {
            target.record_failure(self.now);
            tried.push(target);
            if tried.len() < 4 {
                self.request(tried, turn, None);
            }
        }
    }

    /// A client goes away.
    fn give_up(&mut self) {
        if self.rng.bool() && !self.served.is_empty() {
            self.served.swap_remove(self.rng.usize(..self.served.len()));
        } else if !self.held.is_empty() {
            self.held.swap_remove(self.rng.usize(..self.held.len()));
        }
    }

    /// A worker looks at what it holds.
    fn tick(&mut self) {
        let cx = Context::from_waker(Waker::noop());
        for mut held in std::mem::take(&mut self.held) {
            match held.waiter.poll_ready(&cx, self.now) {
                Poll::Pending => {
                    assert!(self.now < held.deadline, "waits past its deadline");
                    self.held.push(held);
                }
                Poll::Ready(WaitOver::Try) => self.request(Vec::new(), Some(held.waiter), Some(held.deadline)),
                Poll::Ready(WaitOver::TimedOut) => {
                    self.tally.late += 1;
                    assert!(self.now >= held.deadline);
                }
                Poll::Ready(WaitOver::Closed) => panic!("nobody closed it"),
            }
        }
    }

    fn anyone(&mut self) -> Option<usize> {
        let count = self.options.members.len();
        (count > 0).then(|| self.rng.usize(..count))
    }

    /// What must hold after each step.
    fn check(&self) {
        let mut counts: HashMap<*const Target, u32> = HashMap::new();
        for served in &self.served {
            *counts.entry(Arc::as_ptr(served.inflight.target())).or_default() += 1;
        }
        for served in &self.served {
            let target = served.inflight.target();
            assert_eq!(counts.get(&Arc::as_ptr(target)), Some(&target.inflight()), "{target:?}");
        }
        let pool = self.upstream.pool();
        for member in pool.targets() {
            let count = counts.get(&Arc::as_ptr(&member.target)).copied().unwrap_or_default();
            assert_eq!(member.target.inflight(), count, "{:?}", member.target);
            assert!(self.options.max_concurrency.is_none_or(|max| count <= max));
            let found = member.target.counters().unhealthy.is_some();
            let causes = member.target.causes();
            assert_eq!(found, causes.has(Cause::Active) || causes.has(Cause::Passive), "{:?}", member.target);
        }
        assert!(self.upstream.held() <= self.held.len(), "more wait than there are");
    }

    /// Everything ends well: replicas come back, whoever waits gets through, counts return to zero.
    fn end(&mut self) {
        self.join();
        let last = self.options.members.last_mut().expect("one has just joined");
        last.weight = 1;
        last.target.clear(Cause::Starting);
        self.options.threshold = 0.0;
        self.options.max_concurrency = None;
        self.publish();
        for _ in 0..100 {
            self.tick();
            for served in std::mem::take(&mut self.served) {
                answered(served.turn);
            }
        }
        assert!(self.held.is_empty(), "{} wait for ever", self.held.len());
        assert_eq!((self.upstream.held(), self.upstream.inflight()), (0, 0));
        let changed = self.rebuild.0.load(Ordering::SeqCst);
        assert_eq!(self.upstream.take_changed(), changed, "a change that the control plane was not told of");
    }
}
