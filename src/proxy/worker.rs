//! One worker's state: everything that its connections share, and nothing that another thread touches, apart from
//! [`Shared`].

use super::buffer::Buffers;
use super::clients::Clients;
use super::http2::{Pace, Turns};
use super::pipe::Pipes;
use super::refusal::Refusals;
use super::slots::Slots;
use crate::connect::{Http2Connections, IdlePool, descriptors_to_targets};
use crate::snapshot::Snapshot;
use crate::telemetry::clock::{self, DateLine};
use crate::telemetry::request_id::RequestIds;
use crate::telemetry::{SeriesId, Telemetry, WorkerTelemetry};
use arc_swap::ArcSwap;
use dashmap::DashMap;
use plimsoll_core::limits::ClientKey;
use plimsoll_core::model::Moment;
use plimsoll_core::protocol::{RequestHead, ResponseHead};
use plimsoll_core::upstream::{Target, WorkerRng};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// 5 s in ticks: who takes nothing of what is kept for it for so long may be cut where others need the memory.
const STALLED: u32 = 50;

/// Heads that a worker keeps for the next request.
const HEADS_KEPT: usize = 256;

/// A worker's reference to a snapshot: cloned by each request without touching a counter that other cores write.
pub(crate) type LocalSnapshot = Rc<Arc<Snapshot>>;

/// What all workers and the control plane share.
pub(crate) struct Shared {
    snapshot: ArcSwap<Snapshot>,
    /// The generation of `snapshot`: one load tells a worker that nothing changed.
    generation: AtomicU64,
    /// Counters, logs.
    pub(crate) telemetry: Arc<Telemetry>,
    /// Whether the gateway drains: answers close their connections.
    pub(crate) draining: AtomicBool,
    /// Whether memory is short: new requests are shed.
    pub(crate) memory_short: AtomicBool,
    /// Whether nothing is accepted yet: another process does that.
    pub(crate) waiting: AtomicBool,
    /// Client connections, over all workers.
    pub(crate) connections: AtomicU32,
    /// Client connections allowed.
    pub(crate) max_connections: AtomicU32,
    /// Client connections and those to targets together that are allowed.
    pub(crate) max_descriptors: AtomicU32,
    /// Descriptors of idle connections to targets, and of idle pipes, as workers said at their last ticks.
    idle_to_targets: AtomicU32,
    /// Bytes that workers' buffers held at their last ticks.
    lent: AtomicUsize,
    /// How often a worker wanted descriptors that others' idle connections may hold.
    room_wanted: AtomicU32,
    /// Client connections by client, where their number is limited: no more entries than connections.
    per_client: DashMap<ClientKey, u32>,
    /// What clients have taken of their allowances of requests.
    pub(crate) clients: Clients,
    /// When refused connections were last told of.
    pub(crate) refusals: Refusals,
    /// Our name in the `Via` of requests, like no other gateway's: one that carries it twice goes in circles.
    pub(crate) via: Box<str>,
}

/// Whether another client connection may be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Some,
    /// Once idle connections to targets are closed.
    OfIdle,
    None,
}

impl Shared {
    /// What is shared, around a first snapshot.
    #[must_use]
    pub(crate) fn new(snapshot: Arc<Snapshot>, telemetry: Arc<Telemetry>, via: Box<str>) -> Self {
        Self {
            generation: AtomicU64::new(snapshot.generation),
            snapshot: ArcSwap::new(snapshot),
            telemetry,
            draining: AtomicBool::new(false),
            memory_short: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            max_connections: AtomicU32::new(u32::MAX),
            max_descriptors: AtomicU32::new(u32::MAX),
            idle_to_targets: AtomicU32::new(0),
            lent: AtomicUsize::new(0),
            room_wanted: AtomicU32::new(0),
            per_client: DashMap::new(),
            clients: Clients::default(),
            refusals: Refusals::default(),
            via,
        }
    }

    /// Publishes a snapshot; gives the old one back, which the caller keeps until nobody else does.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let generation = snapshot.generation;
        let old = self.snapshot.swap(snapshot);
        self.generation.store(generation, Ordering::Release);
        old
    }

    /// The snapshot of this moment.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Counts a connection of a client that may have `limit`; false if it has them already. To be paired with
    /// [`Self::client_left`].
    pub(crate) fn client_came(&self, client: ClientKey, limit: u32) -> bool {
        let mut count = self.per_client.entry(client).or_insert(0);
        let may = *count < limit;
        if may {
            *count += 1;
        }
        may
    }

    /// One of the client's connections that were counted is over.
    pub(crate) fn client_left(&self, client: ClientKey) {
        self.per_client.remove_if_mut(&client, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }

    /// Whether another client connection may be had.
    #[must_use]
    pub(crate) fn room(&self) -> Room {
        let open = self.connections.load(Ordering::Relaxed);
        if open >= self.max_connections.load(Ordering::Relaxed) {
            return Room::None;
        }
        let descriptors = self.max_descriptors.load(Ordering::Relaxed);
        let taken = open.saturating_add(descriptors_to_targets());
        if taken < descriptors {
            Room::Some
        } else if taken.saturating_sub(self.idle_to_targets.load(Ordering::Relaxed)) < descriptors {
            Room::OfIdle
        } else {
            Room::None
        }
    }

    /// Bytes that workers hold of bodies and heads.
    #[must_use]
    pub(crate) fn lent(&self) -> usize {
        self.lent.load(Ordering::Relaxed)
    }

    /// Whether nothing is accepted yet.
    #[must_use]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether the gateway drains.
    #[must_use]
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// One worker.
pub(crate) struct Worker {
    /// Its number, from 0.
    pub(crate) index: u16,
    /// What it shares with the others.
    pub(crate) shared: Arc<Shared>,
    /// Its counters and its access log.
    pub(crate) telemetry: WorkerTelemetry,
    /// Its buffers.
    pub(crate) buffers: Buffers,
    /// Its pipes for long bodies.
    pub(crate) pipes: Pipes,
    /// Its deadlines.
    pub(crate) slots: Rc<Slots>,
    /// Who of its HTTP/2 clients stands in line.
    pub(crate) turns: Rc<Turns>,
    /// When those of them who leave answers untaken may ask for more.
    pub(crate) pace: Pace,
    /// Its idle connections to targets.
    pub(crate) idle: IdlePool,
    /// Its HTTP/2 connections to targets.
    pub http2: Http2Connections,
    /// How many workers there are.
    pub(crate) workers: u16,
    rng: RefCell<WorkerRng>,
    ids: RefCell<RequestIds>,
    date: RefCell<DateLine>,
    /// The same moment on both clocks, read at every tick.
    moment: Cell<(Moment, u64)>,
    /// Of `Shared::idle_to_targets`.
    idle_said: Cell<u32>,
    /// Of `Shared::lent`.
    lent_said: Cell<usize>,
    /// Of `Shared::room_wanted`.
    room_given: Cell<u32>,
    /// The tick at which it last said that descriptors are short.
    warned: Cell<Option<u32>>,
    snapshot: RefCell<LocalSnapshot>,
    requests: RefCell<Vec<RequestHead>>,
    #[expect(clippy::vec_box, reason = "they are handed on as boxes")]
    responses: RefCell<Vec<Box<ResponseHead>>>,
}

impl Worker {
    /// A worker with nothing on it. `seed` makes its random choices.
    #[must_use]
    pub(crate) fn new(index: u16, workers: u16, shared: Arc<Shared>, seed: u64) -> Self {
        let snapshot = Rc::new(shared.snapshot());
        let telemetry = shared.telemetry.worker();
        let moment = (clock::moment(), clock::now_ms());
        let buffers = Buffers::default();
        buffers.set_share(share(&snapshot, workers.max(1)));
        Self {
            index,
            workers: workers.max(1),
            telemetry,
            shared,
            pipes: buffers.pipes(),
            buffers,
            slots: Rc::default(),
            turns: Rc::default(),
            pace: Pace::default(),
            idle: IdlePool::default(),
            http2: Http2Connections::default(),
            rng: RefCell::new(WorkerRng::with_seed(seed)),
            ids: RefCell::new(RequestIds::new(seed.rotate_left(32) ^ u64::from(index))),
            date: RefCell::default(),
            moment: Cell::new(moment),
            idle_said: Cell::new(0),
            lent_said: Cell::new(0),
            room_given: Cell::new(0),
            warned: Cell::new(None),
            snapshot: RefCell::new(snapshot),
            requests: RefCell::default(),
            responses: RefCell::default(),
        }
    }

    /// The snapshot of this moment.
    #[inline]
    #[must_use]
    pub(crate) fn snapshot(&self) -> LocalSnapshot {
        self.with_snapshot(Rc::clone)
    }

    /// Looks something up in the snapshot of this moment.
    #[inline]
    pub(crate) fn with_snapshot<T>(&self, look: impl FnOnce(&LocalSnapshot) -> T) -> T {
        let mut held = self.snapshot.borrow_mut();
        if held.generation != self.shared.generation.load(Ordering::Acquire) {
            *held = Rc::new(self.shared.snapshot());
        }
        look(&held)
    }

    /// The time now.
    #[inline]
    #[must_use]
    pub(crate) fn now(&self) -> Moment {
        clock::moment()
    }

    /// Wall time, milliseconds since 1970, of a moment of this tick. Saves a second look at a clock for every request.
    #[inline]
    #[must_use]
    pub(crate) fn wall_ms(&self, at: Moment) -> u64 {
        let (moment, wall_ms) = self.moment.get();
        wall_ms + at.micros_since(moment) / 1000
    }

    /// Makes random choices.
    #[inline]
    pub(crate) fn with_rng<T>(&self, choose: impl FnOnce(&mut WorkerRng) -> T) -> T {
        choose(&mut self.rng.borrow_mut())
    }

    /// The next request's id.
    #[must_use]
    pub(crate) fn next_id(&self) -> [u8; 32] {
        self.ids.borrow_mut().next_id()
    }

    /// The `Date` line, true to a tick.
    #[inline]
    pub(crate) fn with_date<T>(&self, use_it: impl FnOnce(&[u8]) -> T) -> T {
        use_it(self.date.borrow_mut().line(self.moment.get().1))
    }

    /// What a target's attempts are counted under.
    #[must_use]
    pub(crate) fn target_series(&self, target: &Target) -> SeriesId {
        SeriesId::from_bits(target.tag())
    }

    /// A request head, to be read into.
    #[inline]
    #[must_use]
    pub(crate) fn take_request(&self) -> RequestHead {
        self.requests.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a request head back.
    #[inline]
    pub(crate) fn put_request(&self, head: RequestHead) {
        let mut kept = self.requests.borrow_mut();
        if kept.len() < HEADS_KEPT && head.capacity() <= super::buffer::HEAD_KEPT {
            kept.push(head);
        }
    }

    /// A response head, to be read into. In a box, since it goes from hand to hand.
    #[inline]
    #[must_use]
    pub(crate) fn take_response(&self) -> Box<ResponseHead> {
        self.responses.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a response head back.
    #[inline]
    pub(crate) fn put_response(&self, head: Box<ResponseHead>) {
        let mut kept = self.responses.borrow_mut();
        if kept.len() < HEADS_KEPT && head.capacity() <= super::buffer::HEAD_KEPT {
            kept.push(head);
        }
    }

    /// Idle connections that this worker keeps to one target: its part of the limit.
    #[must_use]
    pub(crate) fn idle_cap(&self, limit: u32) -> usize {
        (limit / u32::from(self.workers)).max(1) as usize
    }

    /// No descriptor was left: closes idle connections to targets, and has other workers do so at their next ticks.
    pub(crate) fn want_room(&self) {
        let wanted = self.shared.room_wanted.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.room_given.set(wanted);
        self.make_room();
    }

    /// Closes idle connections to targets, since descriptors are short. Says so once a minute.
    pub(crate) fn make_room(&self) {
        const QUIET: u32 = 600;
        self.close_idle();
        let now = self.slots.tick();
        if self.warned.get().is_none_or(|warned| now.saturating_sub(warned) >= QUIET) {
            self.warned.set(Some(now));
            tracing::warn!(
                "file descriptors are short: idle connections to targets are closed; raise the limit of open files"
            );
        }
    }

    /// Gives back what is kept for later requests, since memory is short.
    pub(crate) fn give_back(&self) {
        self.close_idle();
        self.buffers.clear();
        self.requests.take();
        self.responses.take();
        super::allocator::give_back();
    }

    fn close_idle(&self) {
        self.idle.clear();
        self.http2.clear_idle();
        self.pipes.clear();
        self.say_idle();
    }

    fn say_idle(&self) {
        let now = u32::try_from(self.idle.len() + self.pipes.idle_descriptors()).unwrap_or(u32::MAX);
        let before = self.idle_said.replace(now);
        self.shared.idle_to_targets.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Once a tick: deadlines, caches, idle connections, lines of the access log.
    pub(crate) fn tick(&self) {
        self.telemetry.tick();
        self.slots.sweep();
        let tick = self.slots.tick();
        self.idle.sweep(tick);
        self.pipes.sweep(tick);
        let wanted = self.shared.room_wanted.load(Ordering::Relaxed);
        if self.room_given.replace(wanted) != wanted {
            self.make_room();
        }
        self.say_idle();
        let snapshot = self.snapshot();
        let idle = self.slots.after(snapshot.settings.timeouts.upstream_idle);
        self.http2.sweep(idle.saturating_sub(tick));
        self.moment.set((clock::moment(), clock::now_ms()));
        self.make_others_room(share(&snapshot, self.workers));
    }

    /// Where more is lent than may be, gives up who has kept the same bytes waiting for longest.
    fn make_others_room(&self, share: usize) {
        self.buffers.set_share(share);
        let lent = self.buffers.lent();
        if lent > share {
            self.slots.cut_stalled(lent - share, STALLED);
        }
        let before = self.lent_said.replace(lent);
        self.shared.lent.fetch_add(lent.wrapping_sub(before), Ordering::Relaxed);
    }
}

/// How many of all workers' bytes one of so many may lend.
fn share(snapshot: &Snapshot, workers: u16) -> usize {
    let bytes = snapshot.settings.limits.buffered_bytes / u64::from(workers);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
