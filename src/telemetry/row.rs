//! One worker's counters of one series.
//!
//! A row is whole cache lines, so that no two workers write the same one; cells inside it are not padded. One thread
//! writes (relaxed load and store), any thread reads.

use super::append::AppendList;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

/// Cells of a 128-byte line.
const LINE_CELLS: usize = 16;
/// Status codes that a route's row holds before it grows.
pub(super) const CODE_CELLS: usize = 8;
/// A code's cell is the code in the upper bits over its count: 2^54 requests of one code.
const CODE_SHIFT: u32 = 54;

/// Counters of one series on one worker.
pub(super) struct Row {
    lines: Box<[CachePadded<[AtomicU64; LINE_CELLS]>]>,
    more_codes: AppendList<[AtomicU64; CODE_CELLS]>,
    reasons: AppendList<Reason>,
}

/// A count with a name of its own, for what is rare.
pub(super) struct Reason {
    pub(super) event: Event,
    pub(super) reason: &'static str,
    count: AtomicU64,
}

/// What a [`Reason`] is the reason of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Retry,
    RetryRefused,
    Hedge,
    Lost,
    Shed,
    Failure,
    Refused,
}

impl Row {
    /// A row of at least `cells` zeros.
    pub(super) fn new(cells: usize) -> Self {
        let lines = (0..cells.div_ceil(LINE_CELLS)).map(|_| CachePadded::default()).collect();
        Self { lines, more_codes: AppendList::new(), reasons: AppendList::new() }
    }

    pub(super) fn cell(&self, index: usize) -> &AtomicU64 {
        &self.lines[index / LINE_CELLS][index % LINE_CELLS]
    }

    pub(super) fn get(&self, index: usize) -> u64 {
        self.cell(index).load(Ordering::Relaxed)
    }

    /// Only for the row's worker, as all that writes.
    pub(super) fn add(&self, index: usize, n: u64) {
        bump(self.cell(index), n);
    }

    /// Counts one answer of this status. Cells 0 to 7 of the row are codes.
    pub(super) fn count_code(&self, code: u16) {
        let code = u64::from(code.min(1023));
        if (0..CODE_CELLS).any(|index| try_code(self.cell(index), code)) {
            return;
        }
        if self.more_codes.iter().any(|cells| cells.iter().any(|cell| try_code(cell, code))) {
            return;
        }
        let cells = <[AtomicU64; CODE_CELLS]>::default();
        cells[0].store(code << CODE_SHIFT | 1, Ordering::Relaxed);
        self.more_codes.push(cells);
    }

    /// The codes that were counted, with their counts.
    pub(super) fn codes(&self) -> impl Iterator<Item = (u16, u64)> {
        let first = (0..CODE_CELLS).map(|index| self.cell(index));
        first.chain(self.more_codes.iter().flatten()).filter_map(|cell| {
            let value = cell.load(Ordering::Relaxed);
            let code = u16::try_from(value >> CODE_SHIFT).ok()?;
            (value != 0).then_some((code, value & ((1 << CODE_SHIFT) - 1)))
        })
    }

    pub(super) fn count_reason(&self, event: Event, reason: &'static str) {
        match self.reasons.iter().find(|known| known.event == event && known.reason == reason) {
            Some(known) => bump(&known.count, 1),
            None => self.reasons.push(Reason { event, reason, count: AtomicU64::new(1) }),
        }
    }

    pub(super) fn reasons(&self) -> impl Iterator<Item = (Event, &'static str, u64)> {
        self.reasons.iter().map(|known| (known.event, known.reason, known.count.load(Ordering::Relaxed)))
    }
}

fn bump(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// Counts in this cell if it is this code's, or nobody's yet.
fn try_code(cell: &AtomicU64, code: u64) -> bool {
    let value = cell.load(Ordering::Relaxed);
    if value == 0 {
        cell.store(code << CODE_SHIFT | 1, Ordering::Relaxed);
    } else if value >> CODE_SHIFT == code {
        cell.store(value + 1, Ordering::Relaxed);
    } else {
        return false;
    }
    true
}

/// A histogram's upper bounds, ascending.
pub(super) struct Buckets {
    pub(super) seconds: Vec<f64>,
    micros: Vec<u64>,
    /// By a value's number of bits: how many bounds are below all of them. Bounds rise by about a power of two, so that few are
    /// left to look at.
    below: [usize; 65],
}

impl Buckets {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from floats saturate")]
    pub(super) fn new(mut seconds: Vec<f64>) -> Self {
        seconds.retain(|bound| bound.is_finite() && *bound > 0.0);
        seconds.sort_by(f64::total_cmp);
        seconds.dedup();
        let micros: Vec<u64> = seconds.iter().map(|bound| (bound * 1e6).round() as u64).collect();
        let below = std::array::from_fn(|bits| {
            let least = if bits == 0 { 0 } else { 1 << (bits - 1) };
            micros.partition_point(|bound| *bound < least)
        });
        Self { seconds, micros, below }
    }

    /// Cells that a histogram takes: the sum in microseconds, a count for each bound, one for what is above all.
    pub(super) fn cells(&self) -> usize {
        self.micros.len() + 2
    }

    /// Counts so many microseconds in the histogram that begins at cell `base`.
    #[inline]
    pub(super) fn observe(&self, row: &Row, base: usize, micros: u64) {
        row.add(base, micros);
        row.add(base + 1 + self.bucket(micros), 1);
    }

    /// The first bound that is not below; how many there are, where all are.
    #[inline]
    fn bucket(&self, micros: u64) -> usize {
        let bits = u64::BITS - micros.leading_zeros();
        let mut bucket = self.below[bits as usize];
        while self.micros.get(bucket).is_some_and(|bound| *bound < micros) {
            bucket += 1;
        }
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_more_codes_than_fit_its_first_cells() {
        let row = Row::new(CODE_CELLS);
        for round in 0..3 {
            (200..230).for_each(|code| row.count_code(code));
            assert_eq!(row.codes().count(), 30, "round {round}");
        }
        assert!(row.codes().all(|(code, count)| (200..230).contains(&code) && count == 3));
    }

    #[test]
    fn a_value_is_counted_in_the_first_bucket_that_is_not_below_it() {
        let buckets = Buckets::new(vec![0.01, 0.005, 1.0]);
        let check = |value_us: u64, bucket: usize| {
            let row = Row::new(buckets.cells());
            buckets.observe(&row, 0, value_us);
            assert_eq!((row.get(0), row.get(1 + bucket)), (value_us, 1), "{value_us} µs");
        };
        check(0, 0);
        check(5_000, 0);
        check(5_001, 1);
        check(10_000, 1);
        check(1_000_000, 2);
        check(1_000_001, 3);
    }

    #[test]
    fn a_bucket_is_found_as_by_looking_at_all_bounds() {
        let defaults = plimsoll_core::config::Metrics::default().buckets;
        for bounds in [vec![], vec![0.000_001], vec![1e9, 1e15], defaults] {
            let buckets = Buckets::new(bounds);
            let powers = (0..64).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]);
            let near = buckets.micros.iter().flat_map(|bound| [bound - 1, *bound, bound.saturating_add(1)]);
            for value in powers.chain(near).chain([u64::MAX]) {
                let expected = buckets.micros.iter().filter(|bound| **bound < value).count();
                assert_eq!(buckets.bucket(value), expected, "{value} in {:?}", buckets.micros);
            }
        }
    }
}
