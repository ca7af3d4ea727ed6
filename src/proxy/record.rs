//! What is told of a request once it is over: one line of the access log, and its counts.

use super::client::{Client, printed};
use super::failure::{Failure, Fault};
use super::worker::Worker;
use crate::snapshot::{Route, Service};
use crate::telemetry::{AccessRecord, RequestRecord, SeriesId};
use plimsoll_core::protocol::{Known, RequestHead, Version};
use plimsoll_core::upstream::Target;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Gathered while the request lives.
pub(crate) struct Record {
    /// Its first byte.
    pub(crate) started: Instant,
    /// The same, as counters have it.
    pub(crate) started_us: u64,
    /// When its head was there.
    pub(crate) asked: Instant,
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
    /// From the beginning of the last attempt to its answer's head.
    pub(crate) upstream_duration: Option<Duration>,
    /// From the first byte to the beginning of the last attempt's answer.
    pub(crate) answered: Option<Duration>,
    /// How long it was held.
    pub(crate) held: Duration,
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
        let started = worker.now();
        let started_us = worker.telemetry.since_epoch(started);
        Self {
            started,
            asked: started,
            started_us,
            time_ms: worker.wall_ms(started_us),
            id: worker.next_id(),
            status: 0,
            bytes_out: 0,
            bytes_in: 0,
            upstream_duration: None,
            answered: None,
            held: Duration::ZERO,
            attempts: 0,
            target: None,
            failure: None,
        }
    }

    /// Counts the request, which took this long, and writes its line.
    pub(crate) fn finish(
        &self,
        worker: &Worker,
        client: &Client,
        head: &RequestHead,
        route: Option<&Route>,
        service: Option<&Service>,
        duration: Duration,
    ) {
        let upstream = service.map_or(SeriesId::NO_UPSTREAM, |service| service.upstream_series.id());
        let code = if self.status == 0 { 499 } else { self.status };
        worker.telemetry.request_finished(&RequestRecord {
            service: service.map_or(SeriesId::NO_SERVICE, |service| service.series.id()),
            route: route.map_or(SeriesId::NO_ROUTE, |route| route.series.id()),
            upstream,
            code,
            duration,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            upstream_duration: self.upstream_duration,
            wait: (self.held > Duration::ZERO).then_some(self.held),
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
            self.log(worker, client, head, route, service, duration, row.map(|row| row.label));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, of what `finish` has at hand")]
    fn log(
        &self,
        worker: &Worker,
        client: &Client,
        head: &RequestHead,
        route: Option<&Route>,
        service: Option<&Service>,
        duration: Duration,
        error: Option<&'static str>,
    ) {
        let behind = if client.trusted { client.behind(head, &worker.snapshot().settings).map(printed) } else { None };
        worker.telemetry.log(&AccessRecord {
            time_ms: self.time_ms,
            request_id: &self.id,
            client: behind.as_deref().unwrap_or(client.printed.as_bytes()),
            method: head.method_bytes(),
            scheme: client.scheme(),
            host: head.host(),
            path: head.path(),
            protocol: match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
                Version::Http2 => "HTTP/2",
            },
            place: route.map_or(b"", |route| &route.logged),
            route: route.map_or("", |route| &route.name),
            service: service.map_or("", |service| &service.name),
            upstream: service.map_or("", |service| &service.upstream.name),
            target: self.target.as_ref().map_or("", |target| &target.name),
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration,
            upstream_duration: self.upstream_duration,
            held: self.held,
            attempts: self.attempts,
            error,
            referer: head.all("referer").next(),
            user_agent: head.known(Known::UserAgent),
        });
    }
}
