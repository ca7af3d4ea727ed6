//! Hedging: a request that its target is slow to answer is sent to a second one too, and the first answer counts.
//!
//! Both attempts live in the request's task. Whichever answers first wins, the other is dropped: its connection is closed, or
//! its stream reset. Where one fails, the other goes on alone; where both do, it is the attempt that has failed. Only the first
//! attempt of a request is hedged.

use super::attempt::{Answered, Attempt, Failed, Running, Tried, report_failure};
use super::body::ClientSide;
use super::connecting::{self, Connected};
use super::failure::Failure;
use super::request::Request;
use super::slots::Interrupt;
use super::worker::Worker;
use plimsoll_core::model::Causes;
use plimsoll_core::protocol::BodyLength;
use plimsoll_core::upstream::{Acquired, Ask, InFlight, Target, Upstream};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts the request, and says after how long it is hedged; `None`: it is not.
#[inline]
pub(super) fn after(request: &Request, upstream: &Upstream, now: Instant) -> Option<Duration> {
    let after = upstream.hedging.after()?;
    upstream.hedging.request(now);
    let head = &request.head;
    (head.method.is_idempotent() && head.body == BodyLength::None && !head.upgrade).then_some(after)
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
    second_began: Option<Instant>,
    /// It is the second one that has answered.
    won: bool,
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
        let mut race = Race { first: Some(first), second: Second::NotYet, second_began: None, won: false };
        let mut due = pin!(tokio::time::sleep(after));
        let result = poll_fn(|cx| self.poll_race(cx, &worker, &mut race, due.as_mut(), tried)).await;
        if let Some(began) = race.second_began {
            worker.telemetry.hedge(self.service.upstream_series.id(), if race.won { "won" } else { "lost" });
            if let (true, Some(slow)) = (race.won, &race.first) {
                // At least so long; less than it is known for says nothing.
                let (target, now) = (slow.in_flight.target(), worker.now());
                let took = now.saturating_duration_since(self.began);
                if target.latency(now).is_none_or(|known| known < took) {
                    target.record_latency(took, now);
                }
            }
            if race.won {
                self.began = began;
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
        if let Some(mut running) = race.first.take() {
            match self.poll_running(cx, worker, &mut running) {
                Poll::Pending => race.first = Some(running),
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(self.answered(worker, running))),
                Poll::Ready(Err(failure)) => {
                    let failed = self.failed(worker, running, failure, tried);
                    if !failed.failure.is_targets() || !self.goes_on(&mut race.second) {
                        return Poll::Ready(Err(failed));
                    }
                }
            }
        }
        loop {
            let next = match std::mem::replace(&mut race.second, Second::Over) {
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
                        return if race.first.is_some() { Poll::Pending } else { self.poll_alone(cx, worker) };
                    }
                    Poll::Ready(connected) => {
                        let fed = in_flight.target().fed;
                        let begun = match connected {
                            Ok(link) => self.begin(worker, Connected { link, in_flight, profile }),
                            Err(failure) => {
                                self.second_failed(worker, in_flight.target(), &failure, tried);
                                Err(failure)
                            }
                        };
                        match begun {
                            Ok(running) => Second::Running(running),
                            Err(_) if race.first.is_some() => Second::Over,
                            Err(failure) => return Poll::Ready(Err(before_sending(failure, fed))),
                        }
                    }
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
                        let failed = self.failed(worker, running, failure, tried);
                        if race.first.is_none() || !failed.failure.is_targets() {
                            return Poll::Ready(Err(failed));
                        }
                        Second::Over
                    }
                },
            };
            race.second = next;
        }
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
        if same || in_flight.generation() > self.request.generation() {
            return Second::Over;
        }
        if !upstream.hedging.draw(now) {
            worker.telemetry.hedge(self.service.upstream_series.id(), "refused");
            return Second::Over;
        }
        self.request.record.attempts += 1;
        let way = connecting::Way { service: self.service, slot: self.slot, fresh: false };
        match connecting::kept(self.request, way, in_flight) {
            Ok(connected) => self.begin(worker, connected).map_or(Second::Over, Second::Running),
            Err(in_flight) => {
                let (connecting, profile) = connecting::alone(self.request, self.service, in_flight.target());
                Second::Connecting(connecting, in_flight, profile)
            }
        }
    }

    /// The first target has failed: whether the second may still answer. From now on it is the one that is watched.
    fn goes_on(&mut self, second: &mut Second) -> bool {
        let Some(target) = second.target() else { return false };
        if target.causes().intersects(Causes::CUT_OFF) {
            return false;
        }
        self.slot.on_target(Some(target));
        self.slot.disarm();
        if let Second::Running(running) = second {
            running.wait.again();
        }
        true
    }

    fn second_failed(&self, worker: &Worker, target: &Arc<Target>, failure: &Failure, tried: &mut Tried) {
        if failure.is_targets() {
            report_failure(worker, self.service, target, failure);
            tried.push(Arc::clone(target));
        }
    }

    /// What ends the wait for a connection when nothing else is waited for.
    fn poll_alone(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<Answered, Failed>> {
        let failure = if self.client.poll_gone(cx, worker).is_ready() {
            Failure::ClientGone
        } else {
            match self.slot.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Interrupt::TimedOut) => Failure::ConnectTimeout,
                Poll::Ready(Interrupt::RequestTimedOut) => Failure::RequestTimeout,
                Poll::Ready(Interrupt::GivenUp) => Failure::TargetGone,
                Poll::Ready(Interrupt::Drained) => Failure::Drained,
            }
        };
        Poll::Ready(Err(before_sending(failure, false)))
    }
}

/// Of a target that nothing was sent to.
const fn before_sending(failure: Failure, fed: bool) -> Failed {
    Failed { failure, never_acknowledged: true, stale: false, fed }
}
