//! Instants as numbers, so that an atomic can hold one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Microseconds from the first instant that this process turned into a number; before it, negative.
pub(crate) type Ticks = i64;

/// A moment that never was.
pub(crate) const NEVER: Ticks = Ticks::MIN;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// `at` as a number.
pub(crate) fn ticks(at: Instant) -> Ticks {
    let origin = *ORIGIN.get_or_init(|| at);
    match at.checked_duration_since(origin) {
        Some(since) => micros(since),
        None => -micros(origin - at),
    }
}

/// The moment that this number stands for, or the first one that was turned into a number where it is before that; `None`
/// before anything was.
pub(crate) fn moment(ticks: Ticks) -> Option<Instant> {
    let origin = *ORIGIN.get()?;
    origin.checked_add(Duration::from_micros(u64::try_from(ticks).unwrap_or(0)))
}

/// Whole microseconds: 292,000 years of them fit.
fn micros(duration: Duration) -> Ticks {
    let seconds = Ticks::try_from(duration.as_secs()).unwrap_or(Ticks::MAX);
    seconds.saturating_mul(1_000_000).saturating_add(Ticks::from(duration.subsec_micros()))
}
