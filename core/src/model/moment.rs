//! Moments as plain numbers.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment on the monotonic clock, in whole microseconds from an origin that is the same for all of the process.
///
/// The data path reads the clock several times a request and takes differences of what it read, and atomics hold moments: both are
/// one word here. [`std::time::Instant`] keeps seconds and nanoseconds apart, and a difference takes some 40 instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// So many microseconds after the origin.
    #[inline]
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds from the origin.
    #[inline]
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Microseconds from `earlier`; 0 where that is later: another thread's clock may be a little ahead.
    #[inline]
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier`; none where that is later.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros_since(earlier))
    }
}

/// Whole microseconds; what is longer than 580,000 years is as long.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_where_its_length_says_and_none_is_negative() {
        let (begin, span) = (Moment::from_micros(7), Duration::from_micros(1_500));
        let end = begin + span;
        assert_eq!((end.since(begin), end.micros_since(begin), end - span), (span, 1_500, begin));
        assert_eq!((begin.since(end), begin - end.since(Moment::default())), (Duration::ZERO, Moment::default()));
        assert_eq!((end + Duration::MAX).micros(), u64::MAX);
    }
}
