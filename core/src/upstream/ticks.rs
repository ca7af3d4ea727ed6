//! Instants as numbers, so that an atomic can hold one.

use std::sync::OnceLock;
use std::time::Instant;

/// Microseconds from the first instant that this process turned into a number; before it, negative.
pub(crate) type Ticks = i64;

/// A moment that never was.
pub(crate) const NEVER: Ticks = Ticks::MIN;

/// `at` as a number.
pub(crate) fn ticks(at: Instant) -> Ticks {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(|| at);
    let micros = |from: Instant, to: Instant| Ticks::try_from((to - from).as_micros()).unwrap_or(Ticks::MAX);
    if at >= origin { micros(origin, at) } else { -micros(at, origin) }
}
