//! How many requests are in flight, over time.

use super::row::Row;
use super::sync::{Ordering, fence, spin_loop};

/// The time integral of requests in flight, in the first four cells of an upstream's row. In microseconds: of nanoseconds, the
/// sum over 20,000 requests in flight would overflow after ten days; of these, after 29 years.
///
/// Its parts make sense only together, so they stand behind a sequence lock: the writer makes the sequence odd, writes,
/// makes it even; a reader that saw it odd or changed reads again.
pub(super) struct Meter;

impl Meter {
    pub(super) const CELLS: usize = 4;
    const SEQUENCE: usize = 0;
    const COUNT: usize = 1;
    const INTEGRAL: usize = 2;
    const SINCE: usize = 3;

    /// One more in flight from `now_us` on.
    pub(super) fn enter(row: &Row, now_us: u64) {
        Self::change(row, now_us, |count| count.wrapping_add(1));
    }

    /// One less in flight from `now_us` on.
    pub(super) fn leave(row: &Row, now_us: u64) {
        Self::change(row, now_us, |count| count.saturating_sub(1));
    }

    fn change(row: &Row, now_us: u64, count: impl FnOnce(u64) -> u64) {
        let sequence = row.get(Self::SEQUENCE);
        row.cell(Self::SEQUENCE).store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let (before, since) = (row.get(Self::COUNT), row.get(Self::SINCE));
        row.add(Self::INTEGRAL, before * now_us.saturating_sub(since));
        row.cell(Self::SINCE).store(now_us.max(since), Ordering::Relaxed);
        row.cell(Self::COUNT).store(count(before), Ordering::Relaxed);
        row.cell(Self::SEQUENCE).store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Requests in flight, and the integral in request microseconds up to `now_us`.
    pub(super) fn read(row: &Row, now_us: u64) -> (u64, u64) {
        loop {
            let sequence = row.cell(Self::SEQUENCE).load(Ordering::Acquire);
            let (count, integral, since) = (row.get(Self::COUNT), row.get(Self::INTEGRAL), row.get(Self::SINCE));
            fence(Ordering::Acquire);
            if sequence.is_multiple_of(2) && row.get(Self::SEQUENCE) == sequence {
                return (count, integral + count * now_us.saturating_sub(since));
            }
            spin_loop();
        }
    }
}
