//! An allowance that fills up evenly: the generic cell rate algorithm (ITU-T I.371, annex A), which is a token bucket in
//! one number. What is kept of a client is the moment at which its allowance will be whole again.

use std::time::Duration;

/// So many requests in a time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds in which one request comes back.
    each_ns: u64,
    /// Nanoseconds in which an allowance that is used up becomes whole.
    burst_ns: u64,
}

impl Rate {
    /// `rate` requests per `per`, `burst` of them at once. At least one of each; one request comes back in a nanosecond at
    /// the soonest.
    #[must_use]
    pub fn new(rate: u32, per: Duration, burst: u32) -> Self {
        let per_ns = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let each_ns = (per_ns / u64::from(rate.max(1))).max(1);
        Self { each_ns, burst_ns: each_ns.saturating_mul(u64::from(burst.max(1))) }
    }

    /// Takes one request at `now_ns` from an allowance that would be whole at `whole_at_ns`; when it will be whole then.
    ///
    /// # Errors
    /// It is used up: nanoseconds until there is one again. A request that is refused takes nothing.
    pub fn take(&self, whole_at_ns: u64, now_ns: u64) -> Result<u64, u64> {
        // Never longer than this rate's own: the one before a reload may have been a slower one.
        let from = whole_at_ns.clamp(now_ns, now_ns.saturating_add(self.burst_ns));
        let whole_at = from.saturating_add(self.each_ns);
        match (whole_at - now_ns).checked_sub(self.burst_ns) {
            None | Some(0) => Ok(whole_at),
            Some(wait) => Err(wait),
        }
    }
}
