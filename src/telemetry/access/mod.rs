//! The access log: a line a request, formatted by the worker, written by a thread.
//!
//! A worker formats into a block of its own. It hands the block over to the thread, and gets others back, when it is nearly
//! full and once a tick; the thread looks every 50 ms, and is woken before that only when more than half of a worker's blocks
//! wait for it, so that a line costs the worker no system call and no word that another thread reads. While the line's reader
//! is stuck, all blocks fill, and lines are dropped and counted.

mod blocks;
mod combined;
mod escape;
mod json;
mod line;
mod record;
mod writer;

pub use json::place_json;
pub(super) use line::LineWriter;
pub use record::{AccessFormat, AccessRecord};
pub(super) use writer::AccessLog;
pub use writer::AccessSink;
