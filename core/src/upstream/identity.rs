//! An upstream: what pools come and go under.

use super::pool::{NO_GENERATION, REMOVED};
use super::sync::{Ordering, fence};
use super::ticks::{NEVER, Ticks, ticks};
use super::waiting::{Changes, InLineFor, NextChange, Shed, SlotWaiter, Waiter, Waiters};
use super::{Hedging, IdleLimit, InFlight, Pool, RetryBudget, StateCounts, Target};
use crate::model::{Moment, UpstreamId};
use arc_swap::{ArcSwap, Guard};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Weak};

/// 16 requests a replica in the first round of those let go: safely below most listen queues.
const FIRST_ROUND: u32 = 16;

/// Something can be picked right now: no moment at which the last one went.
const NOT_LOST: Ticks = Ticks::MAX;

/// Tells the control plane that a pool wants rebuilding. Called from workers: it must neither block nor call back.
pub trait Signal: Send + Sync {
    /// Causes of targets of this upstream have changed. Called once until [`Upstream::take_changed`].
    fn upstream_changed(&self, id: &UpstreamId);
}

/// Targets that a request has tried.
type Tried = Box<[Arc<Target>]>;

/// One upstream, for as long as the process knows it: a reload finds the same pool, targets and waiters under it.
pub struct Upstream {
    /// Who it is.
    pub id: UpstreamId,
    /// Its name as shown.
    pub name: Arc<str>,
    /// What its targets have taught of their idle connections.
    pub idle_limit: Arc<IdleLimit>,
    /// What may be repeated.
    pub retry_budget: RetryBudget,
    /// What may be asked of a second target.
    pub hedging: Hedging,
    pool: ArcSwap<Pool>,
    changes: Changes,
    /// When nothing could be picked any more; [`NOT_LOST`], or [`NEVER`] before the first pool.
    lost_at: AtomicI64,
    changed: AtomicBool,
    /// A change was taken note of, and the pool that knows of it is being built.
    building: AtomicBool,
    waiters: Waiters,
    line: InLineFor<InFlight, Tried>,
    me: Weak<Self>,
    signal: Arc<dyn Signal>,
}

impl Upstream {
    /// An upstream without targets, until a pool is published.
    #[must_use]
    pub fn new(id: UpstreamId, name: Arc<str>, signal: Arc<dyn Signal>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            id,
            name,
            idle_limit: Arc::default(),
            retry_budget: RetryBudget::new(),
            hedging: Hedging::new(),
            pool: ArcSwap::from_pointee(Pool::empty(NO_GENERATION)),
            changes: Changes::new(),
            lost_at: AtomicI64::new(NEVER),
            changed: AtomicBool::new(false),
            building: AtomicBool::new(false),
            waiters: Waiters::new(FIRST_ROUND),
            line: InLineFor::new(),
            me: Weak::clone(me),
            signal,
        })
    }

    /// The pool of this moment. Not to be kept over an await.
    #[must_use]
    pub fn pool(&self) -> Guard<Arc<Pool>> {
        self.pool.load()
    }

    /// Puts a new pool in place, lets waiting requests go if it has something for them, and gives the old one back, to be
    /// dropped where that harms nobody. One publisher at a time. Opens an upstream that was closed.
    pub fn publish(&self, pool: Arc<Pool>) -> Arc<Pool> {
        if !pool.usable().is_empty() {
            self.lost_at.store(NOT_LOST, Ordering::Relaxed);
        } else if matches!(self.lost_at.load(Ordering::Relaxed), NOT_LOST | NEVER) {
            self.lost_at.store(pool.built(), Ordering::Relaxed);
        }
        self.retry_budget.set(pool.options().retry_budget);
        self.hedging.set(pool.options().hedging);
        let old = self.pool.swap(pool);
        self.waiters.open();
        self.line.open();
        self.after_change();
        self.building.store(false, Ordering::SeqCst);
        old
    }

    /// Causes of a target have changed: tells the control plane (once, until it takes note) and lets waiting requests go
    /// if there is something for them now.
    pub fn changed(&self) {
        if !self.changed.swap(true, Ordering::SeqCst) {
            self.signal.upstream_changed(&self.id);
        }
        self.after_change();
    }

    /// Whether [`Upstream::changed`] was called since the last time. To be asked before the causes are read for a rebuild.
    /// A pool is to be published where it was.
    pub fn take_changed(&self) -> bool {
        if !self.changed.load(Ordering::SeqCst) {
            return false;
        }
        self.building.store(true, Ordering::SeqCst);
        self.changed.swap(false, Ordering::SeqCst)
    }

    /// Whether the pool that was seen after this version of changes is about to be replaced, or was since.
    pub(super) fn is_changing(&self, version: u64) -> bool {
        self.changed.load(Ordering::SeqCst) || self.building.load(Ordering::SeqCst) || self.changes.version() != version
    }

    /// The upstream was removed, after the document that no longer has it was published: nothing can be picked until a pool
    /// is published, and waiting requests ask anew, with [`WaitOver::Closed`](super::WaitOver::Closed). Gives the last pool
    /// back.
    pub fn close(&self) -> Arc<Pool> {
        let old = self.pool.swap(Arc::new(Pool::empty(REMOVED)));
        self.lost_at.store(NEVER, Ordering::Relaxed);
        self.waiters.close();
        self.line.close();
        self.changes.bump();
        old
    }

    /// Waits for something to pick. `bytes`: what the request holds meanwhile; `worker`: the index of the caller's;
    /// `deadline`: when it gives up, kept when the same request waits again.
    ///
    /// # Errors
    /// The queue is full, closed, or there is none.
    pub fn wait(self: &Arc<Self>, bytes: u64, worker: u16, deadline: Moment) -> Result<Waiter, Shed> {
        let limits = self.pool().options().hold.ok_or(Shed::Off)?;
        let place = self.waiters.enter(worker, bytes, ticks(deadline), (limits.max_requests, limits.max_bytes))?;
        let waiter = Waiter::new(Arc::clone(self), place, worker);
        // Something may have come between the caller's pick and our entry.
        fence(Ordering::SeqCst);
        self.let_go();
        Ok(waiter)
    }

    /// Waits for a slot of a target, since all are taken; of one that it has not tried, while there is one. `bytes`: what the
    /// request holds meanwhile; `times`: now, and when it gives up.
    ///
    /// # Errors
    /// The line is full, closed, or there is none.
    pub fn wait_for_slot(
        self: &Arc<Self>,
        tried: &[Arc<Target>],
        bytes: u64,
        times: (Moment, Moment),
    ) -> Result<SlotWaiter, Shed> {
        let limits = self.pool().options().queue.ok_or(Shed::Off)?;
        let times = (ticks(times.0), ticks(times.1));
        let number = self.line.enter(tried.into(), bytes, times, (limits.max_requests, limits.max_bytes))?;
        let waiter = SlotWaiter::new(Arc::clone(self), number);
        // A slot may have been freed between the caller's look and our entry.
        fence(Ordering::SeqCst);
        self.hand_over();
        Ok(waiter)
    }

    /// Ready when a pool was published, or causes have changed, since `version`, which
    /// [`Acquired::Tried`](super::Acquired::Tried) gave.
    #[must_use]
    pub fn next_change(self: &Arc<Self>, version: u64) -> NextChange {
        NextChange::new(Arc::clone(self), version)
    }

    /// Requests in flight on the targets of the present pool.
    #[must_use]
    pub fn inflight(&self) -> u64 {
        self.pool().targets().iter().map(|member| u64::from(member.target.inflight())).sum()
    }

    /// Requests that wait because nothing can be picked.
    #[must_use]
    pub fn held(&self) -> usize {
        self.waiters.count()
    }

    /// Requests that wait because all targets are full.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.line.count()
    }

    /// Targets of the present pool by state, now.
    #[must_use]
    pub fn counts(&self) -> StateCounts {
        self.pool().counts()
    }

    /// Whether something could be picked less than `grace` ago. Where nothing ever could, `grace` counts from when the
    /// upstream was first seen, so that a service that is started together with its gateway loses nothing either.
    pub(super) fn within_grace(&self, pool: &Pool, now: Ticks) -> bool {
        let lost_at = self.lost_at.load(Ordering::Relaxed);
        let grace = Ticks::try_from(pool.options().grace.as_micros()).unwrap_or(Ticks::MAX);
        lost_at == NOT_LOST || now.saturating_sub(lost_at) < grace
    }

    pub(super) const fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(super) const fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    pub(super) const fn line(&self) -> &InLineFor<InFlight, Tried> {
        &self.line
    }

    /// Itself, to be kept.
    pub(super) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// A slot was freed; now who waits for one.
    pub(super) fn slot_freed(&self) {
        fence(Ordering::SeqCst);
        if self.line.count() > 0 {
            self.hand_over();
        }
    }

    /// Lets waiting requests go, as far as there is something for them.
    pub(super) fn let_go(&self) {
        self.waiters.let_go(self.pool().room(), None);
    }

    /// A request that was let go is done with its turn.
    pub(super) fn turn_over(&self, answered: bool, worker: u16) {
        self.waiters.done(answered, self.pool().room(), worker);
    }

    /// What was changed can be seen; now who waits.
    fn after_change(&self) {
        self.changes.bump();
        fence(Ordering::SeqCst);
        if self.waiters.count() > 0 {
            self.let_go();
        }
        if self.line.count() > 0 {
            self.hand_over();
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("id", &self.id).field("pool", &self.pool()).finish_non_exhaustive()
    }
}
