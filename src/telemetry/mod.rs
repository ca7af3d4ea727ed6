//! What the gateway says about itself: counters, the access log, its own log, and the clock they are stamped with.
//!
//! Counters belong to a worker. A *series* is a name that is counted under (a service, a route, an upstream, a target, a
//! listener); a worker makes its *row* of the series at first use and publishes it in an append-only list, and from then
//! on it is the only writer: a plain load and a plain store a count, no lock-prefixed instruction, no cache line that two
//! workers write. A scrape sums the rows and disturbs nobody. Series outlive snapshots and leave five minutes after the
//! last handle on them.
//!
//! Access log lines are formatted by the worker into a block of its own; a thread gets whole blocks, of which there is a
//! bounded number, and writes them: a pipe that nobody reads costs lines (counted), never requests.
//!
//! Not here: what is measured of a pool (its owner registers a collector) and any decision that is taken on a count.

mod access;
mod append;
pub mod clock;
pub mod log;
mod meter;
pub mod metric;
mod process;
mod registry;
mod render;
pub mod request_id;
mod row;
mod series;
mod sync;
mod worker;

/// `Server` on the gateway's own answers.
pub const SERVER: &str = concat!("plimsoll/", env!("CARGO_PKG_VERSION"));

pub use access::{AccessFormat, AccessRecord, AccessSink, place_json};
pub use registry::{Telemetry, TelemetryOptions};
pub use render::MetricsOut;
pub use series::{Series, SeriesId};
pub use worker::{RequestRecord, WorkerTelemetry};

#[cfg(test)]
mod meter_tests;
