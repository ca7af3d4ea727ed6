//! The process's telemetry: series, what the control plane sets, collectors, the access log.

use super::access::{AccessFormat, AccessLog, AccessSink};
use super::metric::Family;
use super::render::MetricsOut;
use super::row::Buckets;
use super::series::{Kind, Series, SeriesTable};
use super::worker::WorkerTelemetry;
use parking_lot::{Mutex, RwLock};
use plimsoll_core::model::Moment;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What is fixed for the process's life.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// Upper bounds of histograms' buckets, seconds.
    pub buckets: Vec<f64>,
    /// Duration histograms by route, not by service alone.
    pub per_route: bool,
    /// Series of single targets.
    pub per_target: bool,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        let metrics = plimsoll_core::config::Metrics::default();
        Self { buckets: metrics.buckets, per_route: metrics.per_route, per_target: metrics.per_target }
    }
}

type Collector = Box<dyn Fn(&mut MetricsOut) + Send + Sync>;

/// Everything that is counted and logged, of all workers.
pub struct Telemetry {
    pub(super) options: TelemetryOptions,
    pub(super) buckets: Arc<Buckets>,
    pub(super) series: SeriesTable,
    pub(super) control: Control,
    pub(super) collectors: RwLock<Vec<Collector>>,
    pub(super) access: AccessLog,
    _kept: [Series; 3],
}

impl Telemetry {
    /// Telemetry without a worker yet and with the access log off.
    #[must_use]
    pub fn new(options: TelemetryOptions) -> Arc<Self> {
        let series = SeriesTable::new();
        // In the order of SeriesId::NO_SERVICE, NO_ROUTE, NO_UPSTREAM.
        let kept = [
            series.handle(Kind::Service, "", ""),
            series.handle(Kind::Route, "", ""),
            series.handle(Kind::Upstream, "", ""),
        ];
        Arc::new(Self {
            buckets: Arc::new(Buckets::new(options.buckets.clone())),
            options,
            series,
            control: Control::default(),
            collectors: RwLock::default(),
            access: AccessLog::new(),
            _kept: kept,
        })
    }

    /// The series of a service.
    pub fn service(&self, name: &str) -> Series {
        self.series.handle(Kind::Service, name, "")
    }

    /// The series of a route of a service.
    pub fn route(&self, service: &str, route: &str) -> Series {
        self.series.handle(Kind::Route, service, route)
    }

    /// The series of an upstream.
    pub fn upstream(&self, name: &str) -> Series {
        self.series.handle(Kind::Upstream, name, "")
    }

    /// The series of a target; counted nowhere where `per_target` is off.
    pub fn target(&self, upstream: &str, target: &str) -> Series {
        if self.options.per_target { self.series.handle(Kind::Target, upstream, target) } else { Series::nowhere() }
    }

    /// The series of a listener.
    pub fn listener(&self, name: &str) -> Series {
        self.series.handle(Kind::Listener, name, "")
    }

    /// A worker's end: counters and access log. One thread uses it.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> WorkerTelemetry {
        WorkerTelemetry::new(self.clone())
    }

    /// Sets a gauge of the control plane, such as [`metric::CONFIG_GENERATION`](super::metric::CONFIG_GENERATION).
    pub fn set(&self, family: &'static Family, labels: &[&str], value: f64) {
        self.control.change(family, labels, |old| *old = value);
    }

    /// Adds to a counter of the control plane, such as [`metric::PROVIDER_EVENTS`](super::metric::PROVIDER_EVENTS).
    pub fn add(&self, family: &'static Family, labels: &[&str], n: f64) {
        self.control.change(family, labels, |old| *old += n);
    }

    /// Forgets a value that [`Self::set`] or [`Self::add`] made.
    pub fn remove(&self, family: &'static Family, labels: &[&str]) {
        self.control.values.lock().remove(&control_key(family, labels));
    }

    /// Has `collect` asked at every scrape, for what its owner knows best at that moment. It must not block.
    pub fn register_collector(&self, collect: Box<dyn Fn(&mut MetricsOut) + Send + Sync>) {
        self.collectors.write().push(collect);
    }

    /// Sends access log lines there from now on, in that format; `None`: off.
    ///
    /// # Errors
    /// The file cannot be opened, or the writer's thread cannot be started: then nothing changed.
    pub fn set_access_log(&self, log: Option<(AccessSink, AccessFormat)>) -> io::Result<()> {
        self.access.set(log)
    }

    /// Opens the access log's file anew, as after a rotation.
    pub fn reopen_access_log(&self) {
        self.access.reopen();
    }

    /// Writes what workers have logged and ends the writer; waits for a reader that is slow at most `timeout`.
    /// Whether all was written.
    pub fn close_access_log(&self, timeout: Duration) -> bool {
        self.access.close(timeout)
    }

    /// Lets go of series that nobody has held for five minutes. Every scrape does so; where nobody scrapes, the control
    /// plane does, once a minute or so.
    pub fn sweep(&self, now: Moment) {
        self.series.sweep(now);
    }
}

/// Values that the control plane sets, by the family's name and label values: ordered, so that a scrape is.
#[derive(Default)]
pub(super) struct Control {
    values: Mutex<BTreeMap<ControlKey, (&'static Family, f64)>>,
}

type ControlKey = (&'static str, Vec<String>);

impl Control {
    fn change(&self, family: &'static Family, labels: &[&str], change: impl FnOnce(&mut f64)) {
        change(&mut self.values.lock().entry(control_key(family, labels)).or_insert((family, 0.0)).1);
    }

    pub(super) fn gather(&self, out: &mut MetricsOut) {
        for ((_, labels), (family, value)) in self.values.lock().iter() {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            out.value(family, &labels, *value);
        }
    }
}

fn control_key(family: &Family, labels: &[&str]) -> ControlKey {
    (family.name, labels.iter().map(|&label| label.to_owned()).collect())
}
