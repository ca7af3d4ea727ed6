//! What orders a meter's cells. `tests/loom.rs` puts loom's in its place.

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{Ordering, fence};
