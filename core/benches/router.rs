//! What a route costs, and that it costs the same among many: ten against ten thousand hosts and prefixes.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use plimsoll_core::router::{Ask, NoFields, Router, Rules};
use std::hint::black_box;
use std::sync::Arc;

fn rules(hosts: Vec<Arc<str>>, paths: Vec<Arc<str>>) -> Rules {
    Rules {
        hosts,
        paths,
        methods: Vec::new(),
        headers: Vec::new(),
        snis: Vec::new(),
        regex_priority: 0,
        tier: 0,
        enabled: true,
    }
}

fn ask<'a>(host: &'a str, path: &'a str) -> Ask<'a> {
    Ask {
        method: b"GET",
        host: host.as_bytes(),
        port: 8000,
        path: path.as_bytes(),
        tls: false,
        sni: None,
        fields: &NoFields,
    }
}

#[expect(clippy::expect_used, reason = "a benchmark may stop")]
fn bench(criterion: &mut Criterion, name: &str, rules_of: impl Fn(usize) -> Rules, ask: &Ask<'_>) {
    let mut group = criterion.benchmark_group(name);
    for count in [10, 10_000] {
        let all: Vec<Rules> = (0..count).map(&rules_of).collect();
        let router = Router::compile(&all).expect("the rules are sound");
        assert!(router.route(ask).is_some(), "{name} finds a route");
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| router.route(black_box(ask)));
        });
    }
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    let host = |index: usize| vec![Arc::from(format!("service-{index}.example.test"))];
    let path = |index: usize| vec![Arc::from(format!("/api/v1/things-{index}/"))];
    bench(criterion, "hosts", |index| rules(host(index), Vec::new()), &ask("service-7.example.test:8000", "/a/b"));
    bench(
        criterion,
        "prefixes",
        |index| rules(Vec::new(), path(index)),
        &ask("any.test", "/api/v1/things-7/orders/12"),
    );
    let wildcard = |index: usize| rules(vec![Arc::from(format!("*.tenant-{index}.test"))], path(index));
    bench(criterion, "wildcards", wildcard, &ask("www.eu.tenant-7.test", "/api/v1/things-7/orders/12"));
    let mixed = |index: usize| rules(host(index), vec!["/".into(), "/static/".into(), r"~/v\d+/".into()]);
    bench(criterion, "mixed", mixed, &ask("service-7.example.test", "/static/logo.svg"));
}

criterion_group!(group, benches);
criterion_main!(group);
