//! What a worker counts with. Nothing here locks, allocates (after first use of a series) or makes a system call.

use super::access::{AccessRecord, LineWriter};
use super::meter::Meter;
use super::registry::Telemetry;
use super::row::{CODE_CELLS, Event, Row};
use super::series::{Kind, SeriesId};
use plimsoll_core::model::Moment;
use std::cell::RefCell;
use std::sync::Arc;

/// Cells of a service's row.
pub(super) const BYTES_IN: usize = 0;
pub(super) const BYTES_OUT: usize = 1;
pub(super) const SERVICE_DURATION: usize = 2;
/// Cells of an upstream's row, after its meter; the histogram of waits follows that of durations.
pub(super) const UPSTREAM_DURATION: usize = Meter::CELLS;
/// Cell of a target's row.
pub(super) const ATTEMPTS: usize = 0;
/// Cells of a listener's row.
pub(super) const OPENED: usize = 0;
pub(super) const CLOSED: usize = 1;

/// A request that was answered, or whose client went.
#[derive(Clone, Copy, Debug)]
pub struct RequestRecord {
    /// Its service, else [`SeriesId::NO_SERVICE`].
    pub service: SeriesId,
    /// Its route, else [`SeriesId::NO_ROUTE`].
    pub route: SeriesId,
    /// Its upstream, else [`SeriesId::NO_UPSTREAM`].
    pub upstream: SeriesId,
    /// The status that was sent; 499 where the client went before one was.
    pub code: u16,
    /// First byte of the request to last byte of the answer, microseconds.
    pub duration_us: u64,
    /// From the client.
    pub bytes_in: u64,
    /// To the client.
    pub bytes_out: u64,
    /// Waiting for the upstream's response head, microseconds; `None` where no attempt was made.
    pub upstream_us: Option<u64>,
    /// Queued or held, microseconds; `None` where it did not wait.
    pub wait_us: Option<u64>,
    /// Until when it was in flight on its upstream: once for each [`WorkerTelemetry::request_started`], on the same worker.
    pub ended: Option<Moment>,
}

/// A worker's counters and its access log. Used by one thread.
pub struct WorkerTelemetry {
    telemetry: Arc<Telemetry>,
    /// By index of the series. An entry whose id differs is of a series that left.
    rows: RefCell<Vec<Slot>>,
    lines: LineWriter,
}

#[derive(Clone)]
struct Slot {
    id: SeriesId,
    row: Option<Arc<Row>>,
}

impl WorkerTelemetry {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        let lines = telemetry.access.worker();
        Self { telemetry, rows: RefCell::default(), lines }
    }

    /// A request is in flight on the upstream from this moment on: it has a route, whether or not it has a target yet. It is
    /// until [`Self::request_finished`] says that it has `ended`, also when it is cut off.
    pub fn request_started(&self, upstream: SeriesId, now: Moment) {
        self.with_row(upstream, Kind::Upstream, |row| Meter::enter(row, now.micros()));
    }

    /// Counts a request once it is over.
    #[inline]
    pub fn request_finished(&self, record: &RequestRecord) {
        {
            let rows = self.rows.borrow();
            // It leaves before it is counted: who has seen it counted will not find it in flight.
            if let (Some(upstream), Some(route), Some(service)) = (
                row_of(&rows, record.upstream, Kind::Upstream),
                row_of(&rows, record.route, Kind::Route),
                row_of(&rows, record.service, Kind::Service),
            ) {
                self.left(record, upstream);
                self.answered(record, route);
                self.served(record, service);
                return;
            }
        }
        self.request_finished_slowly(record);
    }

    /// Where one of its series is new to the worker, or counted nowhere.
    #[cold]
    fn request_finished_slowly(&self, record: &RequestRecord) {
        self.with_row(record.upstream, Kind::Upstream, |row| self.left(record, row));
        self.with_row(record.route, Kind::Route, |row| self.answered(record, row));
        self.with_row(record.service, Kind::Service, |row| self.served(record, row));
    }

    #[inline]
    fn left(&self, record: &RequestRecord, upstream: &Row) {
        let buckets = &*self.telemetry.buckets;
        if let Some(ended) = record.ended {
            Meter::leave(upstream, ended.micros());
        }
        if let Some(duration) = record.upstream_us {
            buckets.observe(upstream, UPSTREAM_DURATION, duration);
        }
        if let Some(wait) = record.wait_us {
            buckets.observe(upstream, UPSTREAM_DURATION + buckets.cells(), wait);
        }
    }

    #[inline]
    fn answered(&self, record: &RequestRecord, route: &Row) {
        route.count_code(record.code);
        if self.telemetry.options.per_route {
            self.telemetry.buckets.observe(route, CODE_CELLS, record.duration_us);
        }
    }

    #[inline]
    fn served(&self, record: &RequestRecord, service: &Row) {
        service.add(BYTES_IN, record.bytes_in);
        service.add(BYTES_OUT, record.bytes_out);
        if !self.telemetry.options.per_route {
            self.telemetry.buckets.observe(service, SERVICE_DURATION, record.duration_us);
        }
    }

    /// An attempt on a target is over; `failure` is its kind where it failed.
    pub fn attempt(&self, target: SeriesId, failure: Option<&'static str>) {
        self.with_row(target, Kind::Target, |row| {
            row.add(ATTEMPTS, 1);
            if let Some(kind) = failure {
                row.count_reason(Event::Failure, kind);
            }
        });
    }

    /// The answer to an attempt broke off after it had begun.
    pub fn answer_broke(&self, target: SeriesId, kind: &'static str) {
        self.with_row(target, Kind::Target, |row| row.count_reason(Event::Failure, kind));
    }

    /// A further attempt is made.
    pub fn retry(&self, upstream: SeriesId, reason: &'static str) {
        self.with_row(upstream, Kind::Upstream, |row| row.count_reason(Event::Retry, reason));
    }

    /// A further attempt would have been safe, and is not made.
    pub fn retry_refused(&self, upstream: SeriesId, reason: &'static str) {
        self.with_row(upstream, Kind::Upstream, |row| row.count_reason(Event::RetryRefused, reason));
    }

    /// A request was slow to be answered; `outcome` is what came of asking a second target.
    pub fn hedge(&self, upstream: SeriesId, outcome: &'static str) {
        self.with_row(upstream, Kind::Upstream, |row| row.count_reason(Event::Hedge, outcome));
    }

    /// A request was failed by the gateway or the pool.
    pub fn lost(&self, upstream: SeriesId, reason: &'static str) {
        self.with_row(upstream, Kind::Upstream, |row| row.count_reason(Event::Lost, reason));
    }

    /// A request was refused on purpose.
    pub fn shed(&self, upstream: SeriesId, reason: &'static str) {
        self.with_row(upstream, Kind::Upstream, |row| row.count_reason(Event::Shed, reason));
    }

    /// A client connection was accepted.
    pub fn connection_opened(&self, listener: SeriesId) {
        self.with_row(listener, Kind::Listener, |row| row.add(OPENED, 1));
    }

    /// A client connection is gone, on whichever worker.
    pub fn connection_closed(&self, listener: SeriesId) {
        self.with_row(listener, Kind::Listener, |row| row.add(CLOSED, 1));
    }

    /// A client connection was closed before anything was served on it.
    pub fn connection_refused(&self, listener: SeriesId, reason: &'static str) {
        self.with_row(listener, Kind::Listener, |row| row.count_reason(Event::Refused, reason));
    }

    /// Whether [`Self::log`] would do anything.
    #[must_use]
    pub fn logs(&self) -> bool {
        self.lines.on()
    }

    /// Writes a line of the access log; drops and counts it when its reader is too slow.
    pub fn log(&self, record: &AccessRecord<'_>) {
        self.lines.log(record);
    }

    /// Once a tick: lines that were logged go to their writer.
    pub fn tick(&self) {
        self.lines.tick();
    }

    #[inline]
    fn with_row(&self, id: SeriesId, kind: Kind, count: impl FnOnce(&Row)) {
        if let Some(row) = row_of(&self.rows.borrow(), id, kind) {
            count(row);
            return;
        }
        if let Some(row) = self.first_use(id, kind) {
            count(&row);
        }
    }

    #[cold]
    fn first_use(&self, id: SeriesId, kind: Kind) -> Option<Arc<Row>> {
        if !id.is(kind) {
            debug_assert_eq!(id, SeriesId::NONE, "not a {kind:?}");
            return None;
        }
        if self.rows.borrow().get(id.index()).is_some_and(|slot| slot.id == id) {
            return None; // It left.
        }
        let histogram = self.telemetry.buckets.cells();
        let cells = match kind {
            Kind::Service => SERVICE_DURATION + histogram,
            Kind::Route => CODE_CELLS + if self.telemetry.options.per_route { histogram } else { 0 },
            Kind::Upstream => UPSTREAM_DURATION + 2 * histogram,
            Kind::Target | Kind::Listener => 2,
        };
        let row = self.telemetry.series.entry(id).map(|entry| {
            let row = Arc::new(Row::new(cells));
            entry.rows.push(row.clone());
            row
        });
        let mut rows = self.rows.borrow_mut();
        if rows.len() <= id.index() {
            rows.resize(id.index() + 1, Slot { id: SeriesId::NONE, row: None });
        }
        rows[id.index()] = Slot { id, row: row.clone() };
        row
    }
}

/// The row of a series that was used before, and is still there. The id says that the slot is its own, and of its kind.
#[inline]
fn row_of(rows: &[Slot], id: SeriesId, kind: Kind) -> Option<&Row> {
    let slot = rows.get(id.index()).filter(|slot| slot.id == id)?;
    debug_assert!(slot.row.is_none() || id.is(kind), "not a {kind:?}");
    slot.row.as_deref()
}

#[cfg(test)]
#[path = "worker/tests.rs"]
mod tests;
