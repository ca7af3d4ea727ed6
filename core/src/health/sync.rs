//! The atomic of a health word. `tests/loom.rs` puts loom's in its place.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
