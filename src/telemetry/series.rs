//! Names that are counted under, and the ids that the data path knows them by.

use super::append::AppendList;
use super::row::Row;
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use plimsoll_core::model::Moment;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a series stays after its last handle went.
pub(super) const LINGER: Duration = Duration::from_secs(300);
/// Series that linger at a time; the oldest leave early. 10,000: a large document replaced by another.
pub(super) const LINGER_MAX: usize = 10_000;

const INDEX_BITS: u32 = 20;
const KIND_BITS: u32 = 3;
const SEGMENT: usize = 1024;
const SEGMENTS: usize = (1 << INDEX_BITS) / SEGMENT;

/// What a count is kept under, as the data path carries it: copied, never looked up by name. Valid for the process's
/// life; counts under a series that left are dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesId(u32);

impl SeriesId {
    /// Counted nowhere.
    pub const NONE: Self = Self(0);
    /// The service of requests that met none.
    pub const NO_SERVICE: Self = Self::new(1, Kind::Service, 0);
    /// The route of requests that met none.
    pub const NO_ROUTE: Self = Self::new(2, Kind::Route, 0);
    /// The upstream of what was shed or lost before there was one.
    pub const NO_UPSTREAM: Self = Self::new(3, Kind::Upstream, 0);

    const fn new(index: u32, kind: Kind, generation: u32) -> Self {
        Self(index | (kind as u32) << INDEX_BITS | generation << (INDEX_BITS + KIND_BITS))
    }

    /// As a number, for what cannot hold the type.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// Back from [`Self::to_bits`].
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) const fn index(self) -> usize {
        (self.0 & ((1 << INDEX_BITS) - 1)) as usize
    }

    pub(super) fn is(self, kind: Kind) -> bool {
        self.0 >> INDEX_BITS & ((1 << KIND_BITS) - 1) == kind as u32
    }
}

impl fmt::Debug for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesId({:#x})", self.0)
    }
}

/// Kinds of series; each has a layout of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Service = 1,
    Route = 2,
    Upstream = 3,
    Target = 4,
    Listener = 5,
}

/// Kind and label values: a service, (service, route), an upstream, (upstream, target), a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) first: Arc<str>,
    pub(super) second: Arc<str>,
}

/// One series with all its rows.
pub(super) struct Entry {
    pub(super) id: SeriesId,
    pub(super) key: Key,
    pub(super) rows: AppendList<Arc<Row>>,
    /// The highest time integral that was ever reported, in request microseconds: a worker's `now` may be a little older
    /// than the scrape's, and a counter must not fall by that.
    pub(super) reported_us: AtomicU64,
    handles: AtomicU32,
}

impl Entry {
    fn new(id: SeriesId, key: Key) -> Self {
        Self { id, key, rows: AppendList::new(), reported_us: AtomicU64::new(0), handles: AtomicU32::new(0) }
    }
}

/// Keeps a series: it leaves five minutes after its last handle was dropped, and taking a handle by the same name before
/// that finds it again, counts and all. Hold one wherever the [`SeriesId`] is held beyond a request.
#[must_use = "the series leaves five minutes after its last handle"]
pub struct Series(Arc<Entry>);

impl Series {
    fn of(entry: &Arc<Entry>) -> Self {
        entry.handles.fetch_add(1, Ordering::Relaxed);
        Self(entry.clone())
    }

    /// A handle on what is counted nowhere.
    pub(super) fn nowhere() -> Self {
        Self::of(&Arc::new(Entry::new(SeriesId::NONE, Key { kind: Kind::Target, first: "".into(), second: "".into() })))
    }

    /// What the data path counts under.
    #[must_use]
    pub fn id(&self) -> SeriesId {
        self.0.id
    }
}

impl Clone for Series {
    fn clone(&self) -> Self {
        Self::of(&self.0)
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.0.handles.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.0.key.kind, self.0.key.first, self.0.key.second)
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

type Segment = Box<[ArcSwapOption<Entry>]>;

/// All series. Workers read `segments` without a lock; names are the control plane's alone.
pub(super) struct SeriesTable {
    segments: Box<[OnceLock<Segment>]>,
    names: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    known: FxHashMap<Key, Known>,
    /// Ids of series that left, with the next generation.
    free: VecDeque<(u32, u32)>,
    next: u32,
}

struct Known {
    entry: Arc<Entry>,
    unused_since: Option<Moment>,
}

impl SeriesTable {
    pub(super) fn new() -> Self {
        let segments = (0..SEGMENTS).map(|_| OnceLock::new()).collect();
        Self { segments, names: Mutex::new(Names { next: 1, ..Names::default() }) }
    }

    /// Finds or makes the series. With a million of them, a further one is counted nowhere.
    pub(super) fn handle(&self, kind: Kind, first: &str, second: &str) -> Series {
        let key = Key { kind, first: first.into(), second: second.into() };
        let mut names = self.names.lock();
        if let Some(known) = names.known.get_mut(&key) {
            known.unused_since = None;
            return Series::of(&known.entry);
        }
        let id = names.take_id(kind);
        let entry = Arc::new(Entry::new(id, key.clone()));
        if id != SeriesId::NONE {
            self.slot(id).store(Some(entry.clone()));
            names.known.insert(key, Known { entry: entry.clone(), unused_since: None });
        }
        Series::of(&entry)
    }

    /// The series of an id, unless it left.
    pub(super) fn entry(&self, id: SeriesId) -> Option<Arc<Entry>> {
        self.slot(id).load_full().filter(|entry| entry.id == id)
    }

    fn slot(&self, id: SeriesId) -> &ArcSwapOption<Entry> {
        let segment = self.segments[id.index() / SEGMENT]
            .get_or_init(|| (0..SEGMENT).map(|_| ArcSwapOption::const_empty()).collect());
        &segment[id.index() % SEGMENT]
    }

    /// All series, ordered by kind and name.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.names.lock().known.values().map(|known| known.entry.clone()).collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries
    }

    /// Lets go of the series that nobody has held for [`LINGER`], and of the oldest that nobody holds, where they are
    /// more than [`LINGER_MAX`].
    pub(super) fn sweep(&self, now: Moment) {
        let mut names = self.names.lock();
        let mut unused = Vec::new();
        for (key, known) in &mut names.known {
            if known.entry.handles.load(Ordering::Acquire) == 0 {
                unused.push((*known.unused_since.get_or_insert(now), key.clone()));
            }
        }
        unused.sort();
        let surplus = unused.len().saturating_sub(LINGER_MAX);
        for (position, (since, key)) in unused.into_iter().enumerate() {
            let leaves = position < surplus || now.since(since) >= LINGER;
            if let Some(left) = leaves.then(|| names.known.remove(&key)).flatten() {
                self.slot(left.entry.id).store(None);
                names.give_back(left.entry.id);
            }
        }
    }
}

impl Names {
    fn take_id(&mut self, kind: Kind) -> SeriesId {
        // An id rests for a thousand others before it is used again.
        if self.next < 1 << INDEX_BITS && self.free.len() <= 1024 {
            let index = self.next;
            self.next += 1;
            return SeriesId::new(index, kind, 0);
        }
        self.free.pop_front().map_or(SeriesId::NONE, |(index, generation)| SeriesId::new(index, kind, generation))
    }

    fn give_back(&mut self, id: SeriesId) {
        let index = id.0 & ((1 << INDEX_BITS) - 1);
        let generation = (id.0 >> (INDEX_BITS + KIND_BITS)) + 1;
        self.free.push_back((index, generation % (1 << (32 - INDEX_BITS - KIND_BITS))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_leaves_five_minutes_after_its_last_handle_and_is_found_again_before_that() {
        let table = SeriesTable::new();
        let start = crate::telemetry::clock::moment();
        let handle = table.handle(Kind::Target, "web", "a:80");
        let id = handle.id();
        let second = handle.clone();
        drop(handle);
        let check = |after_s: u64, stays: bool| {
            table.sweep(start + Duration::from_secs(after_s));
            assert_eq!(table.entry(id).is_some(), stays, "after {after_s} s");
        };
        check(1000, true);
        drop(second);
        check(1001, true);
        check(1300, true);
        let again = table.handle(Kind::Target, "web", "a:80");
        assert_eq!(again.id(), id);
        check(2000, true);
        drop(again);
        check(2001, true);
        check(2301, false);
        assert_ne!(table.handle(Kind::Target, "web", "a:80").id(), id);
    }

    #[test]
    fn the_number_of_series_that_linger_is_bounded() {
        let table = SeriesTable::new();
        for n in 0..LINGER_MAX + 50 {
            drop(table.handle(Kind::Target, "web", &n.to_string()));
        }
        table.sweep(crate::telemetry::clock::moment());
        assert_eq!(table.entries().len(), LINGER_MAX);
    }

    #[test]
    fn an_id_that_is_used_again_is_not_the_old_one() {
        let mut names = Names { next: 1 << INDEX_BITS, ..Names::default() };
        assert_eq!(names.take_id(Kind::Route), SeriesId::NONE);
        let old = SeriesId::new(7, Kind::Route, 511);
        names.give_back(old);
        let new = names.take_id(Kind::Service);
        assert_eq!((new.index(), new.is(Kind::Service)), (7, true));
        assert_ne!(new, old);
    }
}
