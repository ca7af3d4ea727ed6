//! One attempt of a request on a target: connects, sends, and waits for the answer's head.

use super::body::ClientSide;
use super::connecting;
use super::exchange::{Exchange, Http1Exchange, Http2Exchange};
use super::failure::Failure;
use super::forward;
use super::request::Request;
use super::slots::{Interrupt, Slot};
use super::worker::Worker;
use crate::snapshot::Service;
use plimsoll_core::health::Outcome;
use plimsoll_core::model::{Causes, Moment};
use plimsoll_core::protocol::ResponseHead;
use plimsoll_core::upstream::{InFlight, Target};
use smallvec::SmallVec;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A target has begun to answer.
pub(crate) struct Answered {
    /// The head of its answer.
    pub(crate) head: Box<ResponseHead>,
    /// What is left to read of it.
    pub(crate) exchange: Exchange,
    /// The target's slot.
    pub(crate) in_flight: InFlight,
    /// How long it may take between two parts of its answer.
    pub(crate) read_timeout: Duration,
    /// Where the connection belongs when it is idle again.
    pub(crate) profile: u64,
}

/// Targets that this request was tried on. Avoided, not excluded.
pub(crate) type Tried = SmallVec<[Arc<Target>; 4]>;

/// A failed attempt.
pub(crate) struct Failed {
    /// Why.
    pub(crate) failure: Failure,
    /// Whether the target's kernel is known to have acknowledged nothing of it.
    pub(crate) never_acknowledged: bool,
    /// The connection had been idle, and ended as it was used: that says nothing of the target.
    pub(crate) stale: bool,
    /// A runtime feeds the target, and so takes it out itself.
    pub(crate) fed: bool,
}

impl Failed {
    /// Of a target that nothing was sent to.
    pub(super) const fn before_sending(failure: Failure, fed: bool) -> Self {
        Self { failure, never_acknowledged: true, stale: false, fed }
    }
}

/// An attempt under way.
pub(super) struct Attempt<'a, C> {
    /// Whose it is.
    pub(super) request: &'a mut Request,
    /// Who asks.
    pub(super) client: &'a mut C,
    /// What bounds it in time.
    pub(super) slot: &'a Slot,
    /// Whose targets are tried.
    pub(super) service: &'a Arc<Service>,
    /// Only a new connection will do: an idle one has just failed.
    pub(super) fresh: bool,
    /// After so long without an answer, a second target is asked.
    pub(super) hedge: Option<Duration>,
    /// When it began, on the target that has answered.
    pub(super) began: Moment,
}

/// A request on its way to a target.
pub(super) struct Running {
    /// What is sent and read.
    pub(super) exchange: Exchange,
    /// The target's slot.
    pub(super) in_flight: InFlight,
    /// Where the connection belongs when it is idle again.
    profile: u64,
    /// The head of its answer, as it comes.
    head: Box<ResponseHead>,
    /// What it waits for.
    pub(super) wait: Wait,
}

impl<C: ClientSide> Attempt<'_, C> {
    /// Runs it, beginning with a target whose slot is taken.
    pub(super) async fn run(&mut self, in_flight: InFlight, tried: &mut Tried) -> Result<Answered, Failed> {
        let worker = Rc::clone(&self.request.worker);
        let fed = in_flight.target().fed;
        let before_sending = |failure| Failed::before_sending(failure, fed);
        // Compared only; whoever else is connected to, this one is still held by who has tried it.
        let first = Arc::as_ptr(in_flight.target());
        self.slot.on_target(Some(in_flight.target()));
        let way = connecting::Way { service: self.service, slot: self.slot, fresh: self.fresh };
        let connected = match connecting::kept(self.request, way, in_flight) {
            Ok(connected) => connected,
            Err(in_flight) => {
                let connected = connecting::connect(self.request, way, self.client, in_flight, tried).await;
                connected.map_err(before_sending)?
            }
        };
        let connecting::Connected { link, in_flight, profile } = connected;
        if !std::ptr::eq(Arc::as_ptr(in_flight.target()), first) {
            self.slot.on_target(Some(in_flight.target()));
        }
        let mut exchange = self.exchange(&worker, link, in_flight.target()).map_err(before_sending)?;
        let mut head = worker.take_response();
        let mut wait = Wait::NEW;
        if let Some(after) = self.hedge {
            let running = Running { exchange, in_flight, profile, head, wait };
            return Box::pin(self.hedged(after, running, tried)).await;
        }
        match poll_fn(|cx| self.poll_exchange(cx, &worker, &mut exchange, &mut head, &mut wait)).await {
            Ok(()) => {
                worker.telemetry.attempt(worker.target_series(in_flight.target()), None);
                Ok(Answered { head, exchange, in_flight, read_timeout: self.service.read_timeout, profile })
            }
            Err(failure) => {
                Err(self.failed(&worker, Running { exchange, in_flight, profile, head, wait }, failure, tried))
            }
        }
    }

    /// Has the request sent to a target by this link.
    ///
    /// # Errors
    /// It cannot be said in the target's protocol.
    #[inline]
    fn exchange(
        &mut self,
        worker: &Rc<Worker>,
        link: connecting::Link,
        target: &Arc<Target>,
    ) -> Result<Exchange, Failure> {
        self.request.record.target = Some(Arc::clone(target));
        match link {
            connecting::Link::Http1(connection) => {
                let out = forward::request(self.request, self.service, target);
                let body = self.request.head.body;
                Ok(Exchange::Http1(Box::new(Http1Exchange::new(connection, out, self.request.head.method, body))))
            }
            connecting::Link::Http2(place) => {
                let parts = forward::request_parts(self.request, self.service, target)?;
                let asked = (self.request.head.method, self.request.head.body);
                Ok(Exchange::Http2(Box::new(Http2Exchange::new(worker, place, parts, asked))))
            }
        }
    }

    /// Has the request sent to a target that it is connected to.
    ///
    /// # Errors
    /// It cannot be said in the target's protocol.
    pub(super) fn begin(&mut self, worker: &Rc<Worker>, connected: connecting::Connected) -> Result<Running, Failure> {
        let connecting::Connected { link, in_flight, profile } = connected;
        let exchange = self.exchange(worker, link, in_flight.target())?;
        Ok(Running { exchange, in_flight, profile, head: worker.take_response(), wait: Wait::NEW })
    }

    /// The target's answer has begun.
    pub(super) fn answered(&self, worker: &Worker, running: Running) -> Answered {
        let Running { exchange, in_flight, profile, head, wait: _ } = running;
        worker.telemetry.attempt(worker.target_series(in_flight.target()), None);
        Answered { head, exchange, in_flight, read_timeout: self.service.read_timeout, profile }
    }

    /// The target will not answer.
    #[cold]
    pub(super) fn failed(&mut self, worker: &Worker, running: Running, failure: Failure, tried: &mut Tried) -> Failed {
        let Running { exchange, in_flight, head, .. } = running;
        worker.put_response(head);
        let never_acknowledged = exchange.never_acknowledged();
        let stale = failure == Failure::Closed && exchange.is_stale();
        // Where the target had read it, it closed for another reason than idleness.
        if stale && never_acknowledged {
            exchange.found_stale();
        }
        let target = in_flight.target();
        self.request.record.target = Some(Arc::clone(target));
        if failure.is_targets() && !stale {
            report_failure(worker, self.service, target, &failure);
            tried.push(Arc::clone(target));
        }
        Failed { failure, never_acknowledged, stale, fed: target.fed }
    }

    /// The other attempt is over: this one, which began then, bounds the wait from now on.
    pub(super) fn leads(&self, running: &mut Running, began: Moment, now: Moment) {
        let Running { exchange, wait, .. } = running;
        wait.follows = false;
        wait.armed = Some((exchange.progress(), exchange.is_sent(), wait.continued));
        self.slot.arm(self.service.read_timeout.saturating_sub(now.since(began)));
    }

    /// Sends the request and waits for the answer's head.
    pub(super) fn poll_running(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        running: &mut Running,
    ) -> Poll<Result<(), Failure>> {
        let Running { exchange, head, wait, .. } = running;
        self.poll_exchange(cx, worker, exchange, head, wait)
    }

    /// Sends the request and waits for the answer's head.
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        exchange: &mut Exchange,
        head: &mut ResponseHead,
        wait: &mut Wait,
    ) -> Poll<Result<(), Failure>> {
        if wait.send_failed.is_none()
            && let Poll::Ready(Err(failure)) = exchange.poll_request(cx, worker, &mut self.request.upload, self.client)
        {
            if !failure.is_targets() {
                return Poll::Ready(Err(failure));
            }
            // It may have answered before it closed.
            wait.send_failed = Some(failure);
        }
        if self.client.is_behind() {
            exchange.read_little(true);
        }
        while let Poll::Ready(result) = exchange.poll_head(cx, worker, head) {
            if let Err(failure) = result {
                return Poll::Ready(Err(wait.send_failed.take().unwrap_or(failure)));
            }
            if head.status >= 200 || head.status == 101 {
                return Poll::Ready(Ok(()));
            }
            wait.continued = true;
            self.client.interim(head);
        }
        if self.client.poll_gone(cx, worker).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        self.arm(exchange, wait);
        match self.slot.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Interrupt::TimedOut) if wait.for_continue(self.request, exchange) => {
                wait.continued = true;
                self.client.send_continue();
                self.arm(exchange, wait);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Interrupt::GivenUp) if !self.can_repeat() && self.slot.waits_out_pause() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(interrupt) => Poll::Ready(Err(self.interrupted(interrupt, exchange))),
        }
    }

    /// Whether another target may do it again, though this one may have done it.
    fn can_repeat(&self) -> bool {
        self.request.head.method.is_idempotent() && self.request.upload.can_repeat()
    }

    /// Bounds the wait by what is waited for; begins again whenever something moved.
    fn arm(&self, exchange: &Exchange, wait: &mut Wait) {
        let state = (exchange.progress(), exchange.is_sent(), wait.continued);
        if wait.follows || wait.armed == Some(state) {
            return;
        }
        wait.armed = Some(state);
        let after = if exchange.is_sent() {
            self.service.read_timeout
        } else if wait.for_continue(self.request, exchange) {
            CONTINUE_AFTER
        } else {
            self.service.write_timeout.min(self.request.settings().timeouts.client_body)
        };
        self.slot.arm(after);
    }

    fn interrupted(&self, interrupt: Interrupt, exchange: &Exchange) -> Failure {
        match interrupt {
            Interrupt::TimedOut if exchange.is_sent() => Failure::ReadTimeout,
            Interrupt::TimedOut if exchange.waits_for_client() => Failure::ClientTimeout,
            Interrupt::TimedOut => Failure::WriteTimeout,
            Interrupt::RequestTimedOut => Failure::RequestTimeout,
            Interrupt::GivenUp => Failure::TargetGone,
            Interrupt::Overloaded => Failure::Overloaded,
            Interrupt::Drained => Failure::Drained,
        }
    }
}

/// A client that waits for `100 Continue` gets it from us after this long.
const CONTINUE_AFTER: Duration = Duration::from_secs(1);

/// What an attempt on a target waits for.
pub(super) struct Wait {
    armed: Option<(u32, bool, bool)>,
    send_failed: Option<Failure>,
    /// Whether the client was told to go on, or anything else.
    pub(super) continued: bool,
    /// Another attempt of the request is under way, which bounds the wait.
    pub(super) follows: bool,
}

impl Wait {
    const NEW: Self = Self { armed: None, send_failed: None, continued: false, follows: false };

    fn for_continue(&self, request: &Request, exchange: &Exchange) -> bool {
        request.head.expect_continue && !self.continued && !exchange.is_sent() && request.upload.taken() == 0
    }
}

/// Tells who judges targets how an answer went on that had begun with this status: to its end, unless it `failed`.
#[inline]
pub(crate) fn judge_answer(request: &Request, target: &Arc<Target>, status: u16, failed: Option<&Failure>) {
    let Some(service) = request.service() else { return };
    match failed {
        Some(failure) if failure.breaks_answer() => {
            let worker = &request.worker;
            worker.telemetry.answer_broke(worker.target_series(target), failure.row().label);
            target.record_failure(worker.now());
            // What the runtime has taken out is no longer judged.
            if !target.causes().intersects(Causes::CUT_OFF) {
                judge(service, target, outcome(failure));
            }
        }
        _ => judge(service, target, Some(Outcome::Status(status))),
    }
}

/// Tells everyone who counts that an attempt failed.
pub(crate) fn report_failure(worker: &Worker, service: &Service, target: &Arc<Target>, failure: &Failure) {
    target.record_failure(worker.now());
    worker.telemetry.attempt(worker.target_series(target), Some(failure.row().label));
    judge(service, target, outcome(failure));
}

const fn outcome(failure: &Failure) -> Option<Outcome> {
    match failure {
        Failure::ConnectTimeout | Failure::ReadTimeout | Failure::WriteTimeout => Some(Outcome::Timeout),
        // The runtime said so: no verdict on its health.
        Failure::TargetGone => None,
        _ => Some(Outcome::TcpFailure),
    }
}

/// For passive checks and `outlier`.
fn judge(service: &Service, target: &Target, outcome: Option<Outcome>) {
    let Some(outcome) = outcome else { return };
    let pool = service.upstream.pool();
    let judged = pool.passive().is_some_and(|rules| target.report(rules, outcome).is_some());
    // The control plane ejects it.
    let failing = pool.outlier().is_some_and(|rules| target.tallied(rules, outcome));
    if judged || failing {
        service.upstream.changed();
    }
}
