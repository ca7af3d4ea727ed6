//! The end of a request's life, as a worker pays for it: its counts, and its line of the access log.

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll::telemetry::{
    AccessFormat, AccessRecord, AccessSink, RequestRecord, Telemetry, TelemetryOptions, place_json,
};
use plimsoll_core::model::Moment;
use plimsoll_core::protocol::Version;
use std::hint::black_box;
use std::time::Duration;

/// What a request is counted under: its service, its route, its upstream and its target.
fn count(criterion: &mut Criterion) {
    let telemetry = Telemetry::new(TelemetryOptions::default());
    let worker = telemetry.worker();
    let (service, route) = (telemetry.service("shop"), telemetry.route("shop", "cart"));
    let (upstream, target) = (telemetry.upstream("web.shop"), telemetry.target("web.shop", "10.0.0.5:8080"));
    let record = RequestRecord {
        service: service.id(),
        route: route.id(),
        upstream: upstream.id(),
        code: 200,
        duration_us: 12_345,
        bytes_in: 78,
        bytes_out: 1234,
        upstream_us: Some(11_007),
        wait_us: None,
        ended: None,
    };
    criterion.bench_function("count a request", |bencher| {
        let mut now = Moment::default();
        bencher.iter(|| {
            now += Duration::from_micros(10);
            worker.request_started(upstream.id(), now);
            worker.attempt(target.id(), None);
            worker.request_finished(black_box(&RequestRecord { ended: Some(now), ..record }));
        });
    });
    criterion
        .bench_function("scrape", |bencher| bencher.iter(|| telemetry.render(plimsoll::telemetry::clock::moment())));
}

/// A line, into blocks that a thread writes to `/dev/null`. It wants a second core: where the thread is behind, lines are
/// dropped, which costs less.
#[expect(clippy::expect_used, reason = "a benchmark may stop")]
fn log(criterion: &mut Criterion) {
    for (name, format) in [("json", AccessFormat::Json), ("combined", AccessFormat::Combined)] {
        let telemetry = Telemetry::new(TelemetryOptions::default());
        telemetry.set_access_log(Some((AccessSink::File("/dev/null".into()), format))).expect("it can be opened");
        let worker = telemetry.worker();
        let place = place_json("cart", "web", "web.shop");
        let record = AccessRecord {
            time_ms: 1_795_634_431_042,
            request_id: b"0123456789abcdef0123456789abcdef",
            client: b"192.0.2.7",
            method: b"GET",
            tls: true,
            host: b"shop.example",
            path: b"/cart/items/17",
            version: Version::Http11,
            place: &place,
            route: "cart",
            service: "web",
            upstream: "web.shop",
            target: "10.0.0.5:8080",
            status: 200,
            bytes_in: 78,
            bytes_out: 1234,
            duration_us: 12_345,
            upstream_us: Some(11_007),
            held_us: 0,
            attempts: 1,
            error: None,
            referer: Some(b"https://shop.example/"),
            user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        };
        criterion.bench_function(format!("log a line, {name}").as_str(), |bencher| {
            bencher.iter(|| worker.log(black_box(&record)));
        });
        telemetry.close_access_log(Duration::from_secs(1));
    }
}

criterion_group!(group, count, log);
criterion_main!(group);
