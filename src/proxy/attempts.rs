//! Attempts of a request on targets, until one answers or none may be made any more.

use super::attempt::{Answered, Attempt, Failed, Tried};
use super::body::ClientSide;
use super::failure::Failure;
use super::hedge;
use super::hold::{self, Hold};
use super::queue::Queue;
use super::request::Request;
use super::retry::Repeats;
use super::slots::{Interrupt, Slot};
use super::worker::Worker;
use crate::snapshot::Service;
use plimsoll_core::model::Moment;
use plimsoll_core::upstream::{Acquired, Ask, InFlight};
use std::future::poll_fn;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// The service that an attempt is made for: nearly always that of the request's own document, and nobody counts who uses it.
enum Serving<'a> {
    Own(&'a Arc<Service>),
    Current(Arc<Service>),
}

impl Deref for Serving<'_> {
    type Target = Arc<Service>;

    fn deref(&self) -> &Arc<Service> {
        match self {
            Self::Own(service) => service,
            Self::Current(service) => service,
        }
    }
}

/// What a request's attempts so far have come to.
#[derive(Default)]
pub(crate) struct Tries {
    tried: Tried,
    hold: Hold,
    repeats: Repeats,
}

impl Tries {
    /// Whether there may be a further attempt although a target has begun to answer: it broke off before the client had
    /// anything of it.
    pub(crate) fn answer_broke(&mut self, request: &mut Request, failure: &Failure) -> bool {
        // What follows an upgrade is the client's, and may be gone already.
        if !matches!(failure, Failure::AnswerCut | Failure::BadResponse(_)) || request.record.status == 101 {
            return false;
        }
        let held = request.held();
        let Ok((service, _)) = current_service(request, held.service(), true) else { return false };
        let Some(target) = request.record.target.clone() else { return false };
        let failed = Failed { failure: Failure::Closed, never_acknowledged: false, stale: false, fed: target.fed };
        let allowed = self.repeats.allow(request, &service, &failed, request.worker.now());
        if allowed {
            request.worker.telemetry.retry(service.upstream_series.id(), failure.row().label);
            request.upload.rewind();
            request.record.bytes_out = 0;
            self.tried.push(target);
        }
        allowed
    }
}

/// Tries targets until one answers.
///
/// # Errors
/// Why no further attempt was made: the last one's failure, or the client's.
pub(crate) async fn attempts<C: ClientSide>(
    request: &mut Request,
    client: &mut C,
    slot: &Slot,
    tries: &mut Tries,
) -> Result<Answered, Failure> {
    let worker = Rc::clone(&request.worker);
    let Tries { tried, hold, repeats } = tries;
    if request.record.attempts > 0 {
        still_wanted(&worker, client, slot).await?;
    }
    let held = request.held();
    let own = held.service();
    loop {
        let (service, in_flight, began) = match ask(request, own, tried, request.record.attempts > 0)? {
            // Nearly always, and without a future.
            Asked::Picked(picked) => picked,
            asked => ask_until_picked(asked, own, request, client, slot, (&mut *hold, &mut *tried)).await?,
        };
        let mut hedge = None;
        if request.record.attempts == 0 {
            service.upstream.retry_budget.request(began);
            hedge = hedge::after(request, &service.upstream, began);
        }
        request.record.attempts += 1;
        let mut attempt = Attempt {
            request: &mut *request,
            client: &mut *client,
            slot,
            service: &service,
            fresh: repeats.fresh,
            hedge,
            began,
        };
        let result = attempt.run(in_flight, tried).await;
        let answerer_began = attempt.began;
        let now = worker.now();
        request.record.upstream_us = Some(now.micros_since(began));
        request.record.answered_us = now.micros_since(request.record.started);
        let failed = match result {
            Ok(answered) => {
                answered.in_flight.target().record_latency(now.micros_since(answerer_began), now);
                request.upload.forget();
                hold.answered();
                return Ok(answered);
            }
            Err(failed) => failed,
        };
        slot.on_target(None);
        if !repeats.allow(request, &service, &failed, now) {
            return Err(failed.failure);
        }
        still_wanted(&worker, client, slot).await?;
        worker.telemetry.retry(service.upstream_series.id(), failed.failure.row().label);
        request.upload.rewind();
    }
}

/// Whether a repeat still has someone to answer: it neither outlives its client nor the request's deadline.
///
/// # Errors
/// Why not.
async fn still_wanted<C: ClientSide>(worker: &Worker, client: &mut C, slot: &Slot) -> Result<(), Failure> {
    poll_fn(|cx| {
        if client.poll_gone(cx, worker).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        Poll::Ready(match slot.poll(cx) {
            Poll::Ready(Interrupt::RequestTimedOut) => Err(Failure::RequestTimeout),
            Poll::Ready(Interrupt::Drained) => Err(Failure::Drained),
            _ => Ok(()),
        })
    })
    .await
}

/// A target for an attempt, the service that it is made for, and when it begins.
type Picked<'a> = (Serving<'a>, InFlight, Moment);

/// What asking for a target came to.
enum Asked<'a> {
    Picked(Picked<'a>),
    /// The pool is of a newer document, in which the service may be another one, or none has it any more: ask again.
    Newer,
    /// Ask again when the pool has changed since this version, or after a moment.
    Tried(Serving<'a>, u64),
    /// Ask again when there is something to pick.
    Hold(Serving<'a>),
    /// All targets are full: wait for a slot of one.
    Queue(Serving<'a>),
}

/// Asks for a target. `again`: it is not the request's first look.
#[inline]
fn ask<'a>(request: &Request, own: Option<&'a Arc<Service>>, tried: &Tried, again: bool) -> Result<Asked<'a>, Failure> {
    let (service, generation) = current_service(request, own, again)?;
    if service.unresolved {
        return Err(Failure::NameNotResolved);
    }
    // The first attempt begins where the request does: a look at the clock costs more than what lies between.
    let now = if again { request.worker.now() } else { request.record.asked };
    let ask = Ask { tried, now, key: 0 };
    let newer = |pool: u64| pool > generation;
    match request.worker.with_rng(|rng| service.upstream.acquire(&ask, rng)) {
        Acquired::Got(in_flight) if newer(in_flight.generation()) => Ok(Asked::Newer),
        Acquired::Got(in_flight) => Ok(Asked::Picked((service, in_flight, now))),
        Acquired::Tried { version } => Ok(Asked::Tried(service, version)),
        Acquired::Empty { hold: true } => Ok(Asked::Hold(service)),
        // Its snapshot was in place before the pool, and before an upstream that it does not have was closed.
        Acquired::Full { .. } | Acquired::Empty { .. } if newer(service.upstream.pool().generation()) => {
            Ok(Asked::Newer)
        }
        Acquired::Full { queue: true } => Ok(Asked::Queue(service)),
        Acquired::Full { queue: false } => Err(Failure::QueueFull),
        Acquired::Empty { .. } => Err(Failure::NoTarget),
    }
}

/// Waits and asks again until a target is picked.
async fn ask_until_picked<'a, C: ClientSide>(
    mut asked: Asked<'a>,
    own: Option<&'a Arc<Service>>,
    request: &mut Request,
    client: &mut C,
    slot: &Slot,
    (hold, tried): (&mut Hold, &mut Tried),
) -> Result<Picked<'a>, Failure> {
    let mut queue = Queue::default();
    loop {
        match asked {
            Asked::Picked(picked) => return Ok(picked),
            Asked::Newer => {}
            Asked::Tried(service, version) => {
                hold::next_change(request, &service.upstream, version, client, slot).await?;
                tried.clear();
            }
            Asked::Hold(service) => hold.wait(request, &service.upstream, client, slot).await?,
            Asked::Queue(service) => {
                if let Some(in_flight) = queue.wait(request, &service.upstream, tried, client, slot).await? {
                    let (current, generation) = current_service(request, own, true)?;
                    if Arc::ptr_eq(&current.upstream, &service.upstream) && in_flight.generation() <= generation {
                        return Ok((current, in_flight, request.worker.now()));
                    }
                }
            }
        }
        asked = ask(request, own, tried, true)?;
    }
}

/// The request's service, and the generation of the snapshot that it is of. Where that document may not be the one any more
/// that the pool was made for (`again`: this is not its first look), its namesake in the present one: protocol, TLS, Host
/// and timeouts must fit the targets that the pool has now.
fn current_service<'a>(
    request: &Request,
    own: Option<&'a Arc<Service>>,
    again: bool,
) -> Result<(Serving<'a>, u64), Failure> {
    let own = own.ok_or(Failure::NoService)?;
    let generation = request.generation();
    if !again {
        return Ok((Serving::Own(own), generation));
    }
    let current = request.worker.snapshot();
    match current.services.get(&own.name) {
        Some(service) => Ok((Serving::Current(Arc::clone(service)), current.generation)),
        // The document has it no longer, but its pool is still what it was.
        None if own.upstream.pool().generation() <= generation => Ok((Serving::Own(own), generation)),
        None => Err(Failure::NoTarget),
    }
}
