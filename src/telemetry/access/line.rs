//! A worker's end of the access log.

use super::blocks::{Fate, Filler};
use super::record::{AccessFormat, AccessRecord};
use super::writer::Shared;
use super::{combined, json};
use crate::telemetry::clock::CachedSecond;
use std::cell::RefCell;
use std::sync::Arc;

/// Of a long line, so many bytes are kept for the next.
const LONG_KEPT: usize = 4096;

/// Formats lines into the worker's block.
pub(in crate::telemetry) struct LineWriter {
    shared: Arc<Shared>,
    lines: RefCell<Lines>,
}

struct Lines {
    time: CachedSecond,
    blocks: Filler,
    long: Vec<u8>,
}

impl LineWriter {
    pub(super) fn new(shared: Arc<Shared>, blocks: Filler) -> Self {
        Self { shared, lines: RefCell::new(Lines { time: CachedSecond::default(), blocks, long: Vec::new() }) }
    }

    #[inline]
    pub(in crate::telemetry) fn on(&self) -> bool {
        self.shared.format().is_some()
    }

    #[inline]
    pub(in crate::telemetry) fn log(&self, record: &AccessRecord<'_>) {
        let Some(format) = self.shared.format() else { return };
        let mut lines = self.lines.borrow_mut();
        let Lines { time, blocks, .. } = &mut *lines;
        let put = match format {
            AccessFormat::Json => json::push_quick(record, time, blocks.room()),
            AccessFormat::Combined => None,
        };
        let fate = match put {
            Some(bytes) => blocks.filled(bytes),
            None => lines.log_slowly(record, format),
        };
        self.tell(fate);
    }

    /// Once a tick: what was logged goes to the writer.
    pub(in crate::telemetry) fn tick(&self) {
        self.tell(self.lines.borrow_mut().blocks.tick());
    }

    fn tell(&self, fate: Fate) {
        match fate {
            Fate::Kept => {}
            Fate::Many => self.shared.nudge(),
            Fate::Dropped(lines) => self.shared.lose(lines),
        }
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let fate = self.lines.get_mut().blocks.end();
        self.tell(fate);
    }
}

impl Lines {
    /// Logs what there is no room for, what holds something to escape, or what is in the format that is not asked for to be
    /// quick.
    #[inline(never)]
    fn log_slowly(&mut self, record: &AccessRecord<'_>, format: AccessFormat) -> Fate {
        self.long.clear();
        match format {
            AccessFormat::Json => json::push(record, &mut self.time, &mut self.long),
            AccessFormat::Combined => combined::push(record, &mut self.long),
        }
        let fate = self.blocks.put(&self.long);
        self.long.shrink_to(LONG_KEPT);
        fate
    }
}
