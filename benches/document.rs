//! What a document costs on its way to being served: read, planned, compiled; and a whole reload of a running gateway, to
//! the swap of the snapshot and back.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use plimsoll::compile::{Compiler, Input};
use plimsoll::control::{Gateway, Source};
use plimsoll::telemetry::{Telemetry, TelemetryOptions};
use plimsoll::tls::{TargetTls, Trust};
use plimsoll_core::config::{self, Document, NoReferences, ReadOptions, read};
use plimsoll_core::model::UpstreamId;
use plimsoll_core::plan::{self, Names, Plan, plan};
use plimsoll_core::upstream::{Signal, Upstream};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SIZES: [usize; 3] = [1, 100, 10_000];
/// Routes a service has.
const ROUTES: usize = 10;

/// Services of ten routes each, with hosts and prefixes of their own, over pools of two targets.
fn document(routes: usize, marker: u64) -> String {
    let mut text = format!(
        "_format_version: \"3.0\"\ngateway:\n  admin: false\n  access_log: false\n  workers: 2\n  listeners:\n  \
         - {{name: http, address: \"127.0.0.1:0\"}}\n  headers: false\n_comment: \"{marker}\"\nservices:\n"
    );
    let mut put = |line: String| text.push_str(&line);
    for service in 0..routes.div_ceil(ROUTES) {
        put(format!("- name: service-{service}\n  host: pool-{service}\n  path: /base\n  routes:\n"));
        for route in 0..ROUTES.min(routes) {
            put(format!(
                "  - {{name: route-{service}-{route}, hosts: [h{route}.s{service}.test], paths: [/api/{route}, /v2/{route}], \
                 methods: [GET, POST]}}\n"
            ));
        }
    }
    put("upstreams:\n".to_owned());
    for service in 0..routes.div_ceil(ROUTES) {
        put(format!(
            "- {{name: pool-{service}, targets: [{{target: \"127.0.0.1:1\"}}, {{target: \"127.0.0.1:2\"}}]}}\n"
        ));
    }
    text
}

#[expect(clippy::expect_used, reason = "a benchmark may stop")]
fn parse(text: &str) -> Document {
    let options = ReadOptions { file: "bench.yaml", references: &NoReferences, source: config::Source::File };
    read(text, &options).expect("the document is sound").document
}

fn planned(document: &Document) -> Plan {
    plan(plan::Input { document, facts: &[], names: &Names::default(), own_ips: &[], doors: None })
}

/// No pool is ever published here.
struct Nobody;

impl Signal for Nobody {
    fn upstream_changed(&self, _: &UpstreamId) {}
}

#[expect(clippy::expect_used, reason = "a benchmark may stop")]
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for size in SIZES {
        let text = document(size, 0);
        let document = parse(&text);
        let plan = Arc::new(planned(&document));
        let upstream =
            |(id, name): (&UpstreamId, &Arc<str>)| Upstream::new(id.clone(), Arc::clone(name), Arc::new(Nobody));
        let upstreams: Vec<_> = plan.upstreams.iter().map(|one| upstream((&one.id, &one.name))).collect();
        let listeners = document.gateway.as_ref().and_then(|gateway| gateway.listeners.clone()).unwrap_or_default();
        let compiler =
            Compiler::new(Telemetry::new(TelemetryOptions::default()), Arc::new(TargetTls::new(Trust::System)));
        let compile = |previous| {
            compiler
                .compile(&Input {
                    plan: &plan,
                    generation: 1,
                    upstreams: &upstreams,
                    listeners: &listeners,
                    previous,
                    folder: Path::new("."),
                    kept: None,
                    now_ms: 0,
                })
                .expect("the document is sound")
        };
        let first = compile(None);
        group.bench_function(BenchmarkId::new("read", size), |bencher| bencher.iter(|| parse(black_box(&text))));
        group.bench_function(BenchmarkId::new("plan", size), |bencher| bencher.iter(|| planned(black_box(&document))));
        group.bench_function(BenchmarkId::new("compile", size), |bencher| bencher.iter(|| compile(None)));
        group.bench_function(BenchmarkId::new("compile again", size), |bencher| bencher.iter(|| compile(Some(&first))));
    }
    group.finish();
}

/// Two documents in turn, each unlike the one before it, until the new snapshot is the one that workers read.
#[expect(clippy::expect_used, reason = "a benchmark may stop")]
fn reload(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("reload");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for size in SIZES {
        let texts = [document(size, 1), document(size, 2)];
        let running = runtime.block_on(Gateway::builder().document_text(texts[0].as_str()).start()).expect("it starts");
        let handle = running.handle();
        let mut turn = 0;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                turn += 1;
                runtime.block_on(handle.apply(&texts[turn % 2], Source::File)).expect("the document is sound")
            });
        });
        runtime.block_on(running.drain_and_stop(Duration::ZERO, Duration::from_secs(1)));
    }
    group.finish();
}

criterion_group!(group, steps, reload);
criterion_main!(group);
