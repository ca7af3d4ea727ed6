//! Moments as signed numbers, so that an atomic can hold one, and one that never was.

use crate::model::Moment;

/// Microseconds from the origin of [`Moment`].
pub(crate) type Ticks = i64;

/// A moment that never was.
pub(crate) const NEVER: Ticks = Ticks::MIN;

/// `at` as a number.
#[inline]
pub(crate) fn ticks(at: Moment) -> Ticks {
    at.micros().try_into().unwrap_or(Ticks::MAX)
}

/// The moment that this number stands for.
#[inline]
pub(crate) fn moment(ticks: Ticks) -> Moment {
    Moment::from_micros(ticks.try_into().unwrap_or(0))
}
