//! A worker's end of the access log.

use super::record::{AccessFormat, AccessRecord};
use super::ring::{Producer, Pushed};
use super::writer::Shared;
use super::{combined, json};
use crate::telemetry::clock::CachedSecond;
use std::cell::RefCell;
use std::sync::Arc;

/// Formats lines into one buffer and puts them into the worker's ring.
pub(in crate::telemetry) struct LineWriter {
    shared: Arc<Shared>,
    ring: Producer,
    buffer: RefCell<Buffer>,
}

#[derive(Default)]
struct Buffer {
    line: Vec<u8>,
    time: CachedSecond,
}

impl LineWriter {
    pub(super) fn new(shared: Arc<Shared>, ring: Producer) -> Self {
        Self { shared, ring, buffer: RefCell::default() }
    }

    pub(in crate::telemetry) fn on(&self) -> bool {
        self.shared.format().is_some()
    }

    pub(in crate::telemetry) fn log(&self, record: &AccessRecord<'_>) {
        let Some(format) = self.shared.format() else { return };
        let mut buffer = self.buffer.borrow_mut();
        let Buffer { line, time } = &mut *buffer;
        line.clear();
        match format {
            AccessFormat::Json => json::push(record, time, line),
            AccessFormat::Combined => combined::push(record, line),
        }
        if self.ring.push(line) != Pushed::Kept {
            self.shared.nudge();
        }
    }
}
