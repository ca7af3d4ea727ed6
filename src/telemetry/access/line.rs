//! A worker's end of the access log.

use super::record::{AccessFormat, AccessRecord};
use super::ring::{Producer, Pushed};
use super::writer::Shared;
use super::{combined, json};
use crate::telemetry::clock::CachedSecond;
use plimsoll_core::protocol::put::Room;
use std::cell::RefCell;
use std::sync::Arc;

/// Nearly all lines are shorter, bytes.
const ROOM: usize = 1024;

/// Formats lines into one buffer and puts them into the worker's ring.
pub(in crate::telemetry) struct LineWriter {
    shared: Arc<Shared>,
    ring: Producer,
    buffer: RefCell<Buffer>,
}

struct Buffer {
    room: [u8; ROOM],
    time: CachedSecond,
    long: Vec<u8>,
}

impl LineWriter {
    pub(super) fn new(shared: Arc<Shared>, ring: Producer) -> Self {
        let buffer = Buffer { room: [0; ROOM], time: CachedSecond::default(), long: Vec::new() };
        Self { shared, ring, buffer: RefCell::new(buffer) }
    }

    pub(in crate::telemetry) fn on(&self) -> bool {
        self.shared.format().is_some()
    }

    pub(in crate::telemetry) fn log(&self, record: &AccessRecord<'_>) {
        let Some(format) = self.shared.format() else { return };
        let mut buffer = self.buffer.borrow_mut();
        let Buffer { room, time, long } = &mut *buffer;
        let pushed = match format {
            AccessFormat::Json => {
                let mut room_left = Room::new(&mut room[..]);
                json::push(record, time, &mut room_left);
                match room_left.written().and_then(|written| room.get(..written)) {
                    Some(line) => self.ring.push(line),
                    None => self.push_long(long, |line| json::push(record, time, line)),
                }
            }
            AccessFormat::Combined => self.push_long(long, |line| combined::push(record, line)),
        };
        if pushed != Pushed::Kept {
            self.shared.nudge();
        }
    }

    /// Puts a line into the ring that is longer than there is room, or in the format that is not asked for to be quick.
    #[inline(never)]
    fn push_long(&self, line: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Pushed {
        line.clear();
        write(line);
        self.ring.push(line)
    }
}
