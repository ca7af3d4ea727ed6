//! Atomics and the mutex of the parts that hand something from one thread to another. `tests/loom.rs` compiles those parts
//! a second time with loom's in their place and goes through every interleaving.

pub(super) use parking_lot::Mutex;
pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
