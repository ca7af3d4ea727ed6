use crate::telemetry::metric;
use crate::telemetry::*;
use plimsoll_core::model::Moment;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn telemetry(per_route: bool) -> Arc<Telemetry> {
    Telemetry::new(TelemetryOptions { buckets: vec![0.01, 0.1], per_route, ..TelemetryOptions::default() })
}

fn record(service: SeriesId, route: SeriesId, upstream: SeriesId) -> RequestRecord {
    RequestRecord {
        service,
        route,
        upstream,
        code: 200,
        duration_us: 50_000,
        bytes_in: 10,
        bytes_out: 100,
        upstream_us: Some(5_000),
        wait_us: None,
        ended: None,
    }
}

/// A request of which no more is known than when it left its upstream.
fn ended(upstream: SeriesId, at: Moment) -> RequestRecord {
    let record = record(SeriesId::NO_SERVICE, SeriesId::NO_ROUTE, upstream);
    RequestRecord { upstream_us: None, ended: Some(at), ..record }
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[track_caller]
fn check(text: &str, series: &str, expected: f64) {
    assert_eq!(value(text, series), Some(expected), "{series}\n{text}");
}

#[test]
fn a_scrape_sums_the_rows_of_all_workers() {
    let telemetry = telemetry(false);
    let (service, route) = (telemetry.service("shop"), telemetry.route("shop", "cart"));
    let upstream = telemetry.upstream("web");
    let target = telemetry.target("web", "a:80");
    let listener = telemetry.listener("http");
    let (one, other) = (telemetry.worker(), telemetry.worker());
    for worker in [&one, &other] {
        worker.request_finished(&record(service.id(), route.id(), upstream.id()));
        worker.attempt(target.id(), None);
        worker.retry(upstream.id(), "connect_failed");
    }
    let failed =
        RequestRecord { code: 502, wait_us: Some(1_000_000), ..record(service.id(), route.id(), upstream.id()) };
    one.request_finished(&failed);
    one.attempt(target.id(), Some("reset"));
    one.lost(upstream.id(), "connect_failed");
    other.shed(SeriesId::NO_UPSTREAM, "connections");
    one.connection_opened(listener.id());
    one.connection_opened(listener.id());
    other.connection_closed(listener.id());

    let text = telemetry.render(clock::moment());
    check(&text, r#"plimsoll_http_requests_total{service="shop",route="cart",code="200"}"#, 2.0);
    check(&text, r#"plimsoll_http_requests_total{service="shop",route="cart",code="502"}"#, 1.0);
    check(&text, r#"plimsoll_http_request_duration_seconds_bucket{service="shop",le="0.01"}"#, 0.0);
    check(&text, r#"plimsoll_http_request_duration_seconds_bucket{service="shop",le="0.1"}"#, 3.0);
    check(&text, r#"plimsoll_http_request_duration_seconds_bucket{service="shop",le="+Inf"}"#, 3.0);
    check(&text, r#"plimsoll_http_request_duration_seconds_sum{service="shop"}"#, 0.15);
    check(&text, r#"plimsoll_http_upstream_duration_seconds_bucket{upstream="web",le="0.01"}"#, 3.0);
    check(&text, r#"plimsoll_upstream_wait_seconds_count{upstream="web"}"#, 1.0);
    check(&text, r#"plimsoll_http_bytes_total{service="shop",direction="out"}"#, 300.0);
    check(&text, r#"plimsoll_target_requests_total{upstream="web",target="a:80"}"#, 3.0);
    check(&text, r#"plimsoll_target_failures_total{upstream="web",target="a:80",kind="reset"}"#, 1.0);
    check(&text, r#"plimsoll_retries_total{upstream="web",reason="connect_failed"}"#, 2.0);
    check(&text, r#"plimsoll_requests_lost_total{upstream="web",reason="connect_failed"}"#, 1.0);
    check(&text, r#"plimsoll_requests_shed_total{upstream="",reason="connections"}"#, 1.0);
    check(&text, r#"plimsoll_client_connections{listener="http"}"#, 1.0);
    check(&text, r#"plimsoll_client_connections_total{listener="http"}"#, 2.0);
    check(&text, "plimsoll_access_log_dropped_total", 0.0);
    assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    assert!(value(&text, "process_start_time_seconds").unwrap() > 1.7e9);
    assert!(value(&text, "process_open_fds").unwrap() >= 3.0);
}

#[test]
fn durations_carry_the_route_where_the_document_wants_it() {
    let telemetry = telemetry(true);
    let (service, route) = (telemetry.service("shop"), telemetry.route("shop", "cart"));
    let worker = telemetry.worker();
    worker.request_finished(&record(service.id(), route.id(), SeriesId::NO_UPSTREAM));
    let text = telemetry.render(clock::moment());
    check(&text, r#"plimsoll_http_request_duration_seconds_count{service="shop",route="cart"}"#, 1.0);
    assert!(!text.contains(r#"seconds_count{service="shop"}"#), "{text}");
}

#[test]
fn what_the_control_plane_sets_and_what_collectors_say_is_printed() {
    let telemetry = telemetry(false);
    telemetry.set(&metric::CONFIG_GENERATION, &[], 7.0);
    telemetry.add(&metric::PROVIDER_EVENTS, &["docker"], 2.0);
    telemetry.add(&metric::PROVIDER_EVENTS, &["docker"], 1.0);
    telemetry.set(&metric::PROVIDER_UP, &["gone"], 1.0);
    telemetry.remove(&metric::PROVIDER_UP, &["gone"]);
    telemetry.register_collector(Box::new(|out| {
        out.value(&metric::UPSTREAM_TARGETS, &["web", "healthy"], 3.0);
    }));
    let text = telemetry.render(clock::moment());
    check(&text, "plimsoll_config_generation", 7.0);
    check(&text, r#"plimsoll_provider_events_total{provider="docker"}"#, 3.0);
    check(&text, r#"plimsoll_upstream_targets{upstream="web",state="healthy"}"#, 3.0);
    assert!(!text.contains("gone"));
}

#[test]
fn a_series_that_left_is_neither_printed_nor_counted_and_its_name_begins_anew() {
    let telemetry = telemetry(false);
    let worker = telemetry.worker();
    let target = telemetry.target("web", "a:80");
    let old = target.id();
    worker.attempt(old, None);
    drop(target);
    let now = clock::moment();
    let series = r#"plimsoll_target_requests_total{upstream="web",target="a:80"}"#;
    check(&telemetry.render(now), series, 1.0);
    assert_eq!(value(&telemetry.render(now + Duration::from_secs(301)), series), None);
    worker.attempt(old, None);
    telemetry.worker().attempt(old, None);
    let target = telemetry.target("web", "a:80");
    worker.attempt(target.id(), None);
    check(&telemetry.render(now + Duration::from_secs(302)), series, 1.0);
}

#[test]
fn single_targets_are_counted_nowhere_where_the_document_does_not_want_them() {
    let telemetry = Telemetry::new(TelemetryOptions { per_target: false, ..TelemetryOptions::default() });
    let target = telemetry.target("web", "a:80");
    assert_eq!(target.id(), SeriesId::NONE);
    telemetry.worker().attempt(target.id(), Some("reset"));
    assert!(!telemetry.render(clock::moment()).contains("plimsoll_target_"));
}

/// Four workers start and end requests as fast as they can while two threads scrape. The integral must only rise, and
/// never pass what so many requests could have amounted to (as a torn read would).
#[test]
fn the_concurrency_integral_only_rises_while_it_is_scraped_under_load() {
    const WORKERS: u32 = 4;
    const DEPTH: u32 = 8;
    let telemetry = telemetry(false);
    let upstream = telemetry.upstream("web");
    let begin = clock::moment();
    let stop = AtomicBool::new(false);
    let scrape = |now: Moment| {
        let text = telemetry.render(now);
        value(&text, r#"plimsoll_upstream_concurrency_seconds_total{upstream="web"}"#).unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let worker = telemetry.worker();
                while !stop.load(Ordering::Relaxed) {
                    (0..DEPTH).for_each(|_| worker.request_started(upstream.id(), clock::moment()));
                    (0..DEPTH).for_each(|_| worker.request_finished(&ended(upstream.id(), clock::moment())));
                }
            });
        }
        let scrapers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut before = 0.0;
                    for _ in 0..300 {
                        let value = scrape(clock::moment());
                        let most = f64::from(WORKERS * DEPTH) * clock::moment().since(begin).as_secs_f64();
                        assert!(value >= before, "fell from {before} to {value}");
                        assert!(value <= most, "{value} is more than {most}");
                        before = value;
                    }
                })
            })
            .collect();
        let results: Vec<_> = scrapers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok), "a scraper failed");
    });
    let (text, last) = (telemetry.render(clock::moment()), scrape(clock::moment()));
    check(&text, r#"plimsoll_upstream_inflight_requests{upstream="web"}"#, 0.0);
    assert!(last > 0.0 && (scrape(clock::moment()) - last).abs() < 1e-9, "nothing is in flight: it stands still");
}

#[test]
fn a_request_in_flight_for_a_second_adds_a_second() {
    let telemetry = telemetry(false);
    let upstream = telemetry.upstream("web");
    let worker = telemetry.worker();
    let now = clock::moment();
    worker.request_started(upstream.id(), now);
    worker.request_started(upstream.id(), now + Duration::from_millis(500));
    let text = telemetry.render(now + Duration::from_secs(1));
    check(&text, r#"plimsoll_upstream_concurrency_seconds_total{upstream="web"}"#, 1.5);
    check(&text, r#"plimsoll_upstream_inflight_requests{upstream="web"}"#, 2.0);
}
