//! What is told of a request once it is over: one line of the access log, and its counts.

use super::client::{Client, printed};
use super::failure::{Failure, Fault};
use super::worker::Worker;
use crate::snapshot::Route;
use crate::telemetry::{AccessRecord, RequestRecord, SeriesId};
use plimsoll_core::model::Moment;
use plimsoll_core::protocol::{Known, RequestHead};
use plimsoll_core::upstream::Target;
use std::sync::Arc;

/// Gathered while the request lives.
pub(crate) struct Record {
    /// Its first byte.
    pub(crate) started: Moment,
    /// When its head was there.
    pub(crate) asked: Moment,
    /// Wall time of its first byte, milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// 32 hexadecimal digits.
    pub(crate) id: [u8; 32],
    /// What was answered; 0 where nothing was.
    pub(crate) status: u16,
    /// Body bytes to the client.
    pub(crate) bytes_out: u64,
    /// Body bytes from the client.
    pub(crate) bytes_in: u64,
    /// From the beginning of the last attempt to its answer's head, microseconds.
    pub(crate) upstream_us: Option<u64>,
    /// From the first byte to the beginning of the last attempt's answer, microseconds.
    pub(crate) answered_us: u64,
    /// How long it was held, microseconds.
    pub(crate) held_us: u64,
    /// Tries on targets.
    pub(crate) attempts: u32,
    /// The last attempt's target.
    pub(crate) target: Option<Arc<Target>>,
    /// Why the gateway answered itself, or the answer was cut.
    pub(crate) failure: Option<Failure>,
}

impl Record {
    /// Of a request that begins now.
    #[must_use]
    pub(crate) fn new(worker: &Worker) -> Self {
        let mut record = Self {
            started: Moment::default(),
            asked: Moment::default(),
            time_ms: 0,
            id: [0; 32],
            status: 0,
            bytes_out: 0,
            bytes_in: 0,
            upstream_us: None,
            answered_us: 0,
            held_us: 0,
            attempts: 0,
            target: None,
            failure: None,
        };
        record.begin(worker);
        record
    }

    /// Another request begins now.
    pub(crate) fn begin(&mut self, worker: &Worker) {
        // By name, so that none is forgotten.
        let Self {
            started,
            asked,
            time_ms,
            id,
            status,
            bytes_out,
            bytes_in,
            upstream_us,
            answered_us,
            held_us,
            attempts,
            target,
            failure,
        } = self;
        *started = worker.now();
        *asked = *started;
        *time_ms = worker.wall_ms(*started);
        *id = worker.next_id();
        *status = 0;
        *bytes_out = 0;
        *bytes_in = 0;
        *upstream_us = None;
        *answered_us = 0;
        *held_us = 0;
        *attempts = 0;
        *target = None;
        *failure = None;
    }

    /// Counts the request, which is over now, and writes its line. `in_flight`: it had an upstream.
    pub(crate) fn finish(
        &self,
        worker: &Worker,
        client: &Client,
        head: &RequestHead,
        route: Option<&Route>,
        in_flight: bool,
        now: Moment,
    ) {
        let duration_us = now.micros_since(self.started);
        let service = route.and_then(|route| route.service.as_deref());
        let upstream = service.map_or(SeriesId::NO_UPSTREAM, |service| service.upstream_series.id());
        let code = if self.status == 0 { 499 } else { self.status };
        worker.telemetry.request_finished(&RequestRecord {
            service: service.map_or(SeriesId::NO_SERVICE, |service| service.series.id()),
            route: route.map_or(SeriesId::NO_ROUTE, |route| route.series.id()),
            upstream,
            code,
            duration_us,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            upstream_us: self.upstream_us,
            wait_us: (self.held_us > 0).then_some(self.held_us),
            ended: in_flight.then_some(now),
        });
        if let Some(detail) = self.failure.as_ref().and_then(Failure::detail) {
            tracing::debug!(client = %client.printed, detail, "a message that http does not allow");
        }
        let row = self.failure.as_ref().map(Failure::row);
        match row.map(|row| (row.fault, row.reason)) {
            Some((Fault::Lost, reason)) => worker.telemetry.lost(upstream, reason),
            Some((Fault::Shed, reason)) => worker.telemetry.shed(upstream, reason),
            _ => {}
        }
        if worker.telemetry.logs() {
            self.log(worker, client, head, route, duration_us, row.map(|row| row.label));
        }
    }

    fn log(
        &self,
        worker: &Worker,
        client: &Client,
        head: &RequestHead,
        route: Option<&Route>,
        duration_us: u64,
        error: Option<&'static str>,
    ) {
        let service = route.and_then(|route| route.service.as_deref());
        let behind = if client.trusted { client.behind(head, &worker.snapshot().settings).map(printed) } else { None };
        worker.telemetry.log(&AccessRecord {
            time_ms: self.time_ms,
            request_id: &self.id,
            client: behind.as_deref().unwrap_or(client.printed.as_bytes()),
            method: head.method_bytes(),
            tls: client.tls,
            host: head.host(),
            path: head.path(),
            version: head.version,
            place: route.map_or(b"", |route| &route.logged),
            route: route.map_or("", |route| &route.name),
            service: service.map_or("", |service| &service.name),
            upstream: service.map_or("", |service| &service.upstream.name),
            target: self.target.as_ref().map_or("", |target| &target.name),
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_us,
            upstream_us: self.upstream_us,
            held_us: self.held_us,
            attempts: self.attempts,
            error,
            referer: head.all("referer").next(),
            user_agent: head.known(Known::UserAgent),
        });
    }
}
