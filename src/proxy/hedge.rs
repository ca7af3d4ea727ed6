//! Hedging: a request that its target is slow to answer is sent to a second one too, and the first answer counts.
//!
//! Both attempts live in the request's task. Whichever answers first wins, the other is dropped: its connection is closed, or
//! its stream reset. Where one fails, the other goes on alone; where both do, it is the attempt that has failed. Only the first
//! attempt of a request is hedged.

use super::attempt::{Answered, Attempt, Failed, Running, Tried};
use super::body::ClientSide;
use super::connecting::{self, Connected, Link};
use super::failure::Failure;
use super::request::Request;
use super::slots::Interrupt;
use super::worker::Worker;
use plimsoll_core::model::{Causes, Moment};
use plimsoll_core::protocol::BodyLength;
use plimsoll_core::upstream::{Acquired, Ask, InFlight, Target, Upstream};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Counts the request, and says after how long it is hedged; `None`: it is not.
#[inline]
pub(super) fn after(request: &Request, upstream: &Upstream, now: Moment) -> Option<Duration> {
    let after = upstream.hedging.after()?;
    upstream.hedging.request(now);
    let head = &request.head;
    // A second DELETE would be answered 404, and might be the first to be answered.
    (head.method.is_safe() && head.body == BodyLength::None && !head.upgrade).then_some(after)
}

/// The attempt on another target.
enum Second {
    /// It is not time yet.
    NotYet,
    Connecting(connecting::Alone, InFlight, u64),
    Running(Running),
    /// There is none, or no longer.
    Over,
}

impl Second {
    /// The target that may still answer.
    fn target(&self) -> Option<&Arc<Target>> {
        match self {
            Self::Connecting(_, in_flight, _) => Some(in_flight.target()),
            Self::Running(running) => Some(running.in_flight.target()),
            Self::NotYet | Self::Over => None,
        }
    }
}

/// Both attempts.
struct Race {
    first: Option<Running>,
    second: Second,
    /// When the second one began.
    second_began: Option<Moment>,
    /// It is the second one that has answered.
    won: bool,
    /// How the first one failed, while the second is under way.
    failed: Option<Failed>,
}

impl Race {
    /// Both are over, the second before anything was sent: it is the first one's failure that says what may be done.
    fn over(&mut self, second: Failed) -> Failed {
        self.failed.take().unwrap_or(second)
    }
}

impl<C: ClientSide> Attempt<'_, C> {
    /// Waits for the answer of a target that has just been asked; for that of another one too, when it takes long.
    pub(super) async fn hedged(
        &mut self,
        after: Duration,
        first: Running,
        tried: &mut Tried,
    ) -> Result<Answered, Failed> {
        let worker = Rc::clone(&self.request.worker);
        let mut race =
            Race { first: Some(first), second: Second::NotYet, second_began: None, won: false, failed: None };
        let mut due = pin!(tokio::time::sleep(after));
        let result = poll_fn(|cx| self.poll_race(cx, &worker, &mut race, due.as_mut(), tried)).await;
        if let Some(began) = race.second_began {
            worker.telemetry.hedge(self.service.upstream_series.id(), if race.won { "won" } else { "lost" });
            if let (true, Some(slow)) = (race.won, &race.first) {
                // At least so long; less than it is known for says nothing.
                let (target, now) = (slow.in_flight.target(), worker.now());
                worker.telemetry.attempt(worker.target_series(target), None);
                let took = now.since(self.began);
                if target.latency(now).is_none_or(|known| known < took) {
                    target.record_latency(now.micros_since(self.began), now);
                }
            }
            if let (false, Second::Running(given_up)) = (race.won, &race.second) {
                worker.telemetry.attempt(worker.target_series(given_up.in_flight.target()), None);
            }
            if let (true, Ok(answered)) = (race.won, &result) {
                self.began = began;
                // What becomes of the other target is nothing to this answer.
                self.slot.on_target(Some(answered.in_flight.target()));
            }
        }
        if let Ok(answered) = &result {
            self.request.record.target = Some(Arc::clone(answered.in_flight.target()));
        }
        result
    }

    fn poll_race(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Rc<Worker>,
        race: &mut Race,
        mut due: Pin<&mut tokio::time::Sleep>,
        tried: &mut Tried,
    ) -> Poll<Result<Answered, Failed>> {
        if let Poll::Ready(over) = self.poll_first(cx, worker, race, tried) {
            return Poll::Ready(over);
        }
        loop {
            race.second = match std::mem::replace(&mut race.second, Second::Over) {
                Second::Over => return Poll::Pending,
                Second::NotYet => {
                    if due.as_mut().poll(cx).is_pending() {
                        race.second = Second::NotYet;
                        return Poll::Pending;
                    }
                    let Some(first) = &race.first else { return Poll::Pending };
                    let second = self.begin_second(worker, first);
                    race.second_began = second.target().map(|_| worker.now());
                    second
                }
                Second::Connecting(mut connecting, in_flight, profile) => match connecting.as_mut().poll(cx) {
                    Poll::Pending => {
                        race.second = Second::Connecting(connecting, in_flight, profile);
                        // Alone, it is who looks at the client and the clock.
                        return if race.first.is_some() { Poll::Pending } else { self.poll_alone(cx, worker, race) };
                    }
                    Poll::Ready(connected) => match self.connected(worker, connected, (in_flight, profile), tried) {
                        Ok(mut running) => {
                            running.wait.follows = race.first.is_some();
                            Second::Running(running)
                        }
                        Err(_) if race.first.is_some() => Second::Over,
                        Err(failed) => return Poll::Ready(Err(race.over(failed))),
                    },
                },
                Second::Running(mut running) => match self.poll_running(cx, worker, &mut running) {
                    Poll::Pending => {
                        race.second = Second::Running(running);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => {
                        race.won = true;
                        return Poll::Ready(Ok(self.answered(worker, running)));
                    }
                    Poll::Ready(Err(failure)) => {
                        let mut failed = self.failed(worker, running, failure, tried);
                        if race.first.is_none() || !failed.failure.is_targets() {
                            // What the first target may have done counts as well.
                            failed.never_acknowledged &=
                                race.failed.as_ref().is_none_or(|first| first.never_acknowledged);
                            return Poll::Ready(Err(failed));
                        }
                        Second::Over
                    }
                },
            };
        }
    }

    /// Ready when the first target has answered, or has failed and the second does not go on.
    fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        race: &mut Race,
        tried: &mut Tried,
    ) -> Poll<Result<Answered, Failed>> {
        let Some(mut running) = race.first.take() else { return Poll::Pending };
        match self.poll_running(cx, worker, &mut running) {
            Poll::Pending => race.first = Some(running),
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(self.answered(worker, running))),
            Poll::Ready(Err(failure)) => {
                let failed = self.failed(worker, running, failure, tried);
                if !failed.failure.is_targets() || !self.goes_on(worker, race) {
                    return Poll::Ready(Err(failed));
                }
                race.failed = Some(failed);
            }
        }
        Poll::Pending
    }

    /// Sends the request to the second target, if it could be connected to.
    fn connected(
        &mut self,
        worker: &Rc<Worker>,
        connected: Result<Link, Failure>,
        (in_flight, profile): (InFlight, u64),
        tried: &mut Tried,
    ) -> Result<Running, Failed> {
        let fed = in_flight.target().fed;
        let begun = match connected {
            Ok(link) => self.begin(worker, Connected { link, in_flight, profile }),
            Err(failure) => {
                if failure.is_targets() {
                    connecting::not_connected(worker, self.service, in_flight.target(), &failure, tried);
                }
                Err(failure)
            }
        };
        begun.map_err(|failure| Failed::before_sending(failure, fed))
    }

    /// Asks another target, where one may be picked at once.
    fn begin_second(&mut self, worker: &Rc<Worker>, first: &Running) -> Second {
        // Interim answers are a sign of life.
        if first.wait.continued {
            return Second::Over;
        }
        let (upstream, now) = (&self.service.upstream, worker.now());
        let avoid: Tried = std::iter::once(Arc::clone(first.in_flight.target())).collect();
        let ask = Ask { tried: &avoid, now, key: 0 };
        let Acquired::Got(in_flight) = worker.with_rng(|rng| upstream.acquire(&ask, rng)) else { return Second::Over };
        let same = Arc::ptr_eq(in_flight.target(), first.in_flight.target());
        // In a panic it may be one that is not well.
        let panics = !upstream.pool().ignored().is_empty();
        if same || panics || in_flight.generation() > self.request.generation() {
            return Second::Over;
        }
        if !upstream.hedging.draw(now) {
            worker.telemetry.hedge(self.service.upstream_series.id(), "refused");
            return Second::Over;
        }
        self.request.record.attempts += 1;
        let way = connecting::Way { service: self.service, slot: self.slot, fresh: false };
        match connecting::kept(self.request, way, in_flight) {
            Ok(connected) => self.begin(worker, connected).map_or(Second::Over, |mut running| {
                running.wait.follows = true;
                Second::Running(running)
            }),
            Err(in_flight) => {
                let (connecting, profile) = connecting::alone(self.request, self.service, in_flight.target());
                Second::Connecting(connecting, in_flight, profile)
            }
        }
    }

    /// The first target has failed: whether the second may still answer. From now on it is the one that is watched.
    fn goes_on(&mut self, worker: &Worker, race: &mut Race) -> bool {
        let (Some(target), Some(began)) = (race.second.target(), race.second_began) else { return false };
        if target.causes().intersects(Causes::CUT_OFF) {
            return false;
        }
        self.slot.on_target(Some(target));
        match &mut race.second {
            Second::Running(running) => self.leads(running, began, worker.now()),
            // It has a time of its own.
            _ => self.slot.disarm(),
        }
        true
    }

    /// What ends the wait for a connection when nothing else is waited for.
    fn poll_alone(&mut self, cx: &mut Context<'_>, worker: &Worker, race: &mut Race) -> Poll<Result<Answered, Failed>> {
        let ended = |failure| Poll::Ready(Err(Failed::before_sending(failure, false)));
        if self.client.poll_gone(cx, worker).is_ready() {
            return ended(Failure::ClientGone);
        }
        match self.slot.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Interrupt::RequestTimedOut) => ended(Failure::RequestTimeout),
            Poll::Ready(Interrupt::Overloaded) => ended(Failure::Overloaded),
            Poll::Ready(Interrupt::Drained) => ended(Failure::Drained),
            Poll::Ready(Interrupt::TimedOut | Interrupt::GivenUp) => {
                Poll::Ready(Err(race.over(Failed::before_sending(Failure::TargetGone, false))))
            }
        }
    }
}
