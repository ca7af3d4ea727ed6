//! From rows to text: sums over workers, printed by the `prometheus` crate.

use super::meter::Meter;
use super::metric::{self, Family, Type};
use super::registry::Telemetry;
use super::row::{Buckets, CODE_CELLS, Event, Row};
use super::series::{Entry, Kind};
use super::{process, worker};
use plimsoll_core::model::Moment;
use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What one scrape has gathered. Collectors add to it.
#[derive(Default)]
pub struct MetricsOut {
    families: BTreeMap<&'static str, (&'static Family, Vec<Metric>)>,
}

impl MetricsOut {
    /// Adds one value of a counter or gauge; label values stand in the order of the family's names.
    pub fn value(&mut self, family: &'static Family, labels: &[&str], value: f64) {
        let mut metric = labelled(family, labels);
        if family.kind == Type::Counter {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.push(family, metric);
    }

    /// Adds one histogram, summed over rows; nothing where nothing was observed.
    fn histogram(&mut self, family: &'static Family, labels: &[&str], buckets: &Buckets, rows: &[&Row], base: usize) {
        let sum = |cell: usize| rows.iter().map(|row| row.get(base + cell)).sum::<u64>();
        let mut histogram = Histogram::default();
        let mut cumulative = 0;
        let mut counted = Vec::with_capacity(buckets.seconds.len());
        for (index, bound) in buckets.seconds.iter().enumerate() {
            cumulative += sum(1 + index);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            counted.push(bucket);
        }
        cumulative += sum(1 + buckets.seconds.len());
        if cumulative == 0 {
            return;
        }
        histogram.set_bucket(counted);
        histogram.set_sample_count(cumulative);
        histogram.set_sample_sum(seconds(sum(0)));
        let mut metric = labelled(family, labels);
        metric.set_histogram(histogram);
        self.push(family, metric);
    }

    fn push(&mut self, family: &'static Family, metric: Metric) {
        self.families.entry(family.name).or_insert_with(|| (family, Vec::new())).1.push(metric);
    }

    fn into_text(mut self) -> String {
        let mut families = Vec::with_capacity(self.families.len());
        for known in metric::FAMILIES {
            families.extend(self.families.remove(known.name).map(proto));
        }
        families.extend(self.families.into_values().map(proto));
        let mut text = String::new();
        // Fails only for a family without a name or a metric, and there is none.
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "metrics cannot be printed");
        }
        text
    }
}

fn proto((family, metrics): (&'static Family, Vec<Metric>)) -> MetricFamily {
    let mut out = MetricFamily::default();
    out.set_name(family.name.to_owned());
    out.set_help(family.help.to_owned());
    out.set_field_type(match family.kind {
        Type::Counter => MetricType::COUNTER,
        Type::Gauge => MetricType::GAUGE,
        Type::Histogram => MetricType::HISTOGRAM,
    });
    out.set_metric(metrics);
    out
}

fn labelled(family: &Family, values: &[&str]) -> Metric {
    debug_assert_eq!(family.labels.len(), values.len(), "{}", family.name);
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(family.labels.iter().zip(values).map(pair).collect())
}

/// Whole numbers up to 2^53 are exact, which a counter reaches after centuries.
#[expect(clippy::cast_precision_loss, reason = "Prometheus' values are floats")]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

fn seconds(micros: u64) -> f64 {
    float(micros) / 1e6
}

impl Telemetry {
    /// The scrape: everything as Prometheus' text format (`text/plain; version=0.0.4`). `now` is [`clock::moment`]'s.
    ///
    /// [`clock::moment`]: super::clock::moment
    #[must_use]
    pub fn render(&self, now: Moment) -> String {
        let mut out = MetricsOut::default();
        out.value(&metric::BUILD_INFO, &[env!("CARGO_PKG_VERSION"), env!("PLIMSOLL_COMMIT")], 1.0);
        self.sweep(now);
        for entry in self.series.entries() {
            self.gather(&entry, now, &mut out);
        }
        self.control.gather(&mut out);
        for collect in self.collectors.read().iter() {
            collect(&mut out);
        }
        out.value(&metric::ACCESS_LOG_DROPPED, &[], float(self.access.dropped()));
        process::gather(&mut out);
        out.into_text()
    }

    /// Requests that were answered, of all routes.
    #[must_use]
    pub fn requests(&self) -> u64 {
        let entries = self.series.entries();
        let routes = entries.iter().filter(|entry| matches!(entry.key.kind, Kind::Route));
        routes.flat_map(|entry| entry.rows.iter()).flat_map(|row| row.codes()).map(|(_, count)| count).sum()
    }

    fn gather(&self, entry: &Entry, now: Moment, out: &mut MetricsOut) {
        let rows: Vec<&Row> = entry.rows.iter().map(Arc::as_ref).collect();
        let sum = |cell: usize| rows.iter().map(|row| row.get(cell)).sum::<u64>();
        let (first, second) = (&*entry.key.first, &*entry.key.second);
        match entry.key.kind {
            Kind::Service if !rows.is_empty() => {
                out.value(&metric::BYTES, &[first, "in"], float(sum(worker::BYTES_IN)));
                out.value(&metric::BYTES, &[first, "out"], float(sum(worker::BYTES_OUT)));
                if !self.options.per_route {
                    out.histogram(&metric::REQUEST_DURATION, &[first], &self.buckets, &rows, worker::SERVICE_DURATION);
                }
            }
            Kind::Route => {
                let mut codes = BTreeMap::new();
                rows.iter().flat_map(|row| row.codes()).for_each(|(code, n)| *codes.entry(code).or_insert(0) += n);
                for (code, count) in codes {
                    out.value(&metric::REQUESTS, &[first, second, &code.to_string()], float(count));
                }
                if self.options.per_route {
                    out.histogram(&metric::ROUTE_DURATION, &[first, second], &self.buckets, &rows, CODE_CELLS);
                }
            }
            Kind::Upstream => self.gather_upstream(entry, &rows, now, out),
            Kind::Target if !rows.is_empty() => {
                out.value(&metric::TARGET_REQUESTS, &[first, second], float(sum(worker::ATTEMPTS)));
            }
            Kind::Listener => {
                let (opened, closed) = (sum(worker::OPENED), sum(worker::CLOSED));
                out.value(&metric::CLIENT_CONNECTIONS, &[first], float(opened.saturating_sub(closed)));
                out.value(&metric::CLIENT_CONNECTIONS_TOTAL, &[first], float(opened));
            }
            Kind::Service | Kind::Target => {}
        }
        gather_reasons(&rows, first, second, out);
    }

    fn gather_upstream(&self, entry: &Entry, rows: &[&Row], now: Moment, out: &mut MetricsOut) {
        let name = [&*entry.key.first];
        if rows.is_empty() && name[0].is_empty() {
            return;
        }
        let now_us = now.micros();
        let (mut count, mut integral) = (0, 0);
        for row in rows {
            let (in_flight, area) = Meter::read(row, now_us);
            count += in_flight;
            integral += area;
        }
        let reported = entry.reported_us.fetch_max(integral, Ordering::Relaxed).max(integral);
        out.value(&metric::UPSTREAM_INFLIGHT, &name, float(count));
        out.value(&metric::CONCURRENCY, &name, seconds(reported));
        out.histogram(&metric::UPSTREAM_DURATION, &name, &self.buckets, rows, worker::UPSTREAM_DURATION);
        out.histogram(&metric::WAIT, &name, &self.buckets, rows, worker::UPSTREAM_DURATION + self.buckets.cells());
    }
}

/// Counts by reason; a target's carry its name too.
fn gather_reasons(rows: &[&Row], first: &str, second: &str, out: &mut MetricsOut) {
    let mut reasons: Vec<(Event, &'static str, u64)> = Vec::new();
    for (event, reason, count) in rows.iter().flat_map(|row| row.reasons()) {
        match reasons.iter_mut().find(|known| known.0 == event && known.1 == reason) {
            Some(known) => known.2 += count,
            None => reasons.push((event, reason, count)),
        }
    }
    for (event, reason, count) in reasons {
        match event {
            Event::Retry => out.value(&metric::RETRIES, &[first, reason], float(count)),
            Event::RetryRefused => out.value(&metric::RETRIES_REFUSED, &[first, reason], float(count)),
            Event::Hedge => out.value(&metric::HEDGES, &[first, reason], float(count)),
            Event::Lost => out.value(&metric::LOST, &[first, reason], float(count)),
            Event::Shed => out.value(&metric::SHED, &[first, reason], float(count)),
            Event::Refused => out.value(&metric::CLIENT_CONNECTIONS_REFUSED, &[first, reason], float(count)),
            Event::Failure => out.value(&metric::TARGET_FAILURES, &[first, second, reason], float(count)),
        }
    }
}
