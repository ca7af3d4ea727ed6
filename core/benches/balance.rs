//! What a pick costs with 3, 100 and 1,000 targets, by algorithm, and what building their pool does.
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use plimsoll_core::model::{Causes, Moment, TargetId, UpstreamId};
use plimsoll_core::upstream::{
    Ask, BALANCERS, Member, Pool, PoolOptions, Signal, Target, Upstream, WorkerRng, balancer,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const SIZES: [u16; 3] = [3, 100, 1000];

struct Nobody;

impl Signal for Nobody {
    fn upstream_changed(&self, _: &UpstreamId) {}
}

fn options(algorithm: &str, count: u16, weight: fn(u16) -> u16) -> PoolOptions {
    let members = (1..=count)
        .map(|number| {
            let name: Arc<str> = format!("10.0.0.1:{number}").into();
            let id =
                TargetId { provider: "docker".into(), id: Arc::clone(&name), incarnation: "1".into(), port: number };
            let address = ([10, 0, 0, 1], number).into();
            let target = Target::new(id, address, Arc::clone(&name), name, true, Causes::NONE);
            Member { target, weight: weight(number) }
        })
        .collect();
    PoolOptions {
        generation: 1,
        algorithm: balancer(algorithm).expect("it exists"),
        members,
        fed: true,
        hold: None,
        grace: Duration::ZERO,
        threshold: 0.0,
        passive: None,
        max_concurrency: None,
        queue: None,
        retry_budget: None,
        hedging: None,
        outlier: None,
        slow_start: None,
    }
}

fn now() -> Moment {
    Moment::from_micros(3_600_000_000)
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for algorithm in BALANCERS {
        for count in SIZES {
            let pool = Pool::build(options(algorithm.name(), count, |_| 1), None, now());
            let (ask, mut rng) = (Ask { tried: &[], now: now(), key: 0 }, WorkerRng::with_seed(1));
            for member in pool.targets() {
                member.target.record_latency(1000 * rng.u64(1..50), ask.now);
            }
            group.bench_function(BenchmarkId::new(algorithm.name(), count), |bencher| {
                bencher.iter(|| black_box(pool.pick(black_box(&ask), &mut rng)));
            });
        }
    }
    // Weights that are dealt out by a table, and by a tree.
    for (name, weight) in [("table", (|number| 1 + number % 3) as fn(u16) -> u16), ("tree", |number| 20_000 + number)] {
        let pool = Pool::build(options("round-robin", 100, weight), None, now());
        let (ask, mut rng) = (Ask { tried: &[], now: now(), key: 0 }, WorkerRng::with_seed(1));
        group.bench_function(BenchmarkId::new("round-robin weighted", name), |bencher| {
            bencher.iter(|| black_box(pool.pick(black_box(&ask), &mut rng)));
        });
    }
    group.finish();
}

/// A pick, its slot, and the slot's return: what an attempt pays.
fn acquire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("acquire");
    for algorithm in BALANCERS {
        let upstream = Upstream::new(UpstreamId::document("web"), "web".into(), Arc::new(Nobody));
        upstream.publish(Arc::new(Pool::build(options(algorithm.name(), 3, |_| 1), None, now())));
        let (ask, mut rng) = (Ask { tried: &[], now: now(), key: 0 }, WorkerRng::with_seed(1));
        group.bench_function(algorithm.name(), |bencher| {
            bencher.iter(|| black_box(upstream.acquire(black_box(&ask), &mut rng)));
        });
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    for algorithm in BALANCERS {
        for count in SIZES {
            let options = options(algorithm.name(), count, |number| 1 + number % 3);
            group.bench_function(BenchmarkId::new(algorithm.name(), count), |bencher| {
                bencher.iter(|| black_box(Pool::build(options.clone(), None, now())));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pick, acquire, build);
criterion_main!(benches);
