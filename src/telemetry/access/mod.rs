//! The access log: a line a request, formatted by the worker, written by a thread.
//!
//! A worker formats into a buffer of its own and copies the line into its ring (one writer, one reader, bounded). The
//! thread looks at all rings every 50 ms, and is woken before that only when a ring is half full, so that a line costs
//! the worker no system call. While the line's reader is stuck, rings fill and lines are dropped and counted.

mod combined;
mod escape;
mod json;
mod line;
mod record;
mod ring;
mod writer;

pub use json::place_json;
pub(super) use line::LineWriter;
pub use record::{AccessFormat, AccessRecord};
pub(super) use writer::AccessLog;
pub use writer::AccessSink;
