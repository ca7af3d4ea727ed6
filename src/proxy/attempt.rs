//! Attempts of a request on targets, until one answers or none may be made any more.

use super::body::ClientSide;
use super::connecting;
use super::exchange::{Exchange, Http1Exchange, Http2Exchange};
use super::failure::Failure;
use super::forward;
use super::hedge;
use super::hold::{self, Hold};
use super::queue::Queue;
use super::request::Request;
use super::retry::Repeats;
use super::slots::{Interrupt, Slot};
use super::worker::Worker;
use crate::snapshot::Service;
use plimsoll_core::health::Outcome;
use plimsoll_core::protocol::ResponseHead;
use plimsoll_core::upstream::{Acquired, Ask, InFlight, Target};
use smallvec::SmallVec;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A target has begun to answer.
pub(crate) struct Answered {
    /// The head of its answer.
    pub(crate) head: ResponseHead,
    /// What is left to read of it.
    pub(crate) exchange: Exchange,
    /// The target's slot.
    pub(crate) in_flight: InFlight,
    /// The service that the attempt was made for: the request's, or its namesake in a newer document.
    pub(crate) service: Arc<Service>,
    /// Where the connection belongs when it is idle again.
    pub(crate) profile: u64,
}

/// Targets that this request was tried on. Avoided, not excluded.
pub(crate) type Tried = SmallVec<[Arc<Target>; 4]>;

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
        if !matches!(failure, Failure::AnswerCut | Failure::BadResponse(_)) {
            return false;
        }
        let (Some(target), Ok((service, _))) = (request.record.target.take(), current_service(request, true)) else {
            return false;
        };
        let failed = Failed { failure: Failure::Closed, never_acknowledged: false, stale: false, fed: target.fed };
        let allowed = self.repeats.allow(request, &service, &failed, request.worker.now());
        if allowed {
            request.worker.telemetry.retry(service.upstream_series.id(), failure.row().label);
            request.upload.rewind();
            self.tried.push(target);
        } else {
            request.record.target = Some(target);
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
    if request.record.attempts == 0 {
        slot.arm_request(request.settings().timeouts.request);
    }
    loop {
        let (service, in_flight, began) = match ask(request, tried, request.record.attempts > 0)? {
            // Nearly always, and without a future.
            Asked::Picked(picked) => picked,
            asked => ask_until_picked(asked, request, client, slot, hold, tried).await?,
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
        let took = now.saturating_duration_since(began);
        request.record.upstream_duration = Some(took);
        let started = request.record.started;
        let since = if began == started { took } else { now.saturating_duration_since(started) };
        request.record.answered = Some(since);
        let failed = match result {
            Ok(answered) => {
                let took = if answerer_began == began { took } else { now.saturating_duration_since(answerer_began) };
                answered.in_flight.target().record_latency(took, now);
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
type Picked = (Arc<Service>, InFlight, Instant);

/// What asking for a target came to.
enum Asked {
    Picked(Picked),
    /// The pool is of a newer document, in which the service may be another one: ask again.
    Newer,
    /// Ask again when the pool has changed since this version, or after a moment.
    Tried(Arc<Service>, u64),
    /// Ask again when there is something to pick.
    Hold(Arc<Service>),
    /// All targets are full: wait for a slot of one.
    Queue(Arc<Service>),
}

/// Asks for a target. `again`: it is not the request's first look.
#[inline]
fn ask(request: &Request, tried: &Tried, again: bool) -> Result<Asked, Failure> {
    let (service, generation) = current_service(request, again)?;
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
        Acquired::Full { .. } | Acquired::Empty { .. } if !again && newer(service.upstream.pool().generation()) => {
            Ok(Asked::Newer)
        }
        Acquired::Full { queue: true } => Ok(Asked::Queue(service)),
        Acquired::Full { queue: false } => Err(Failure::QueueFull),
        Acquired::Empty { .. } => Err(Failure::NoTarget),
    }
}

/// Waits and asks again until a target is picked.
async fn ask_until_picked<C: ClientSide>(
    mut asked: Asked,
    request: &mut Request,
    client: &mut C,
    slot: &Slot,
    hold: &mut Hold,
    tried: &mut Tried,
) -> Result<Picked, Failure> {
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
                    let (current, generation) = current_service(request, true)?;
                    if Arc::ptr_eq(&current.upstream, &service.upstream) && in_flight.generation() <= generation {
                        return Ok((current, in_flight, request.worker.now()));
                    }
                }
            }
        }
        asked = ask(request, tried, true)?;
    }
}

/// The request's service, and the generation of the snapshot that it is of. Where that document may not be the one any more
/// that the pool was made for (`again`: this is not its first look), its namesake in the present one: protocol, TLS, Host
/// and timeouts must fit the targets that the pool has now.
fn current_service(request: &Request, again: bool) -> Result<(Arc<Service>, u64), Failure> {
    let own = request.service().ok_or(Failure::NoService)?;
    let generation = request.generation();
    if !again {
        return Ok((Arc::clone(own), generation));
    }
    let current = request.worker.snapshot();
    match current.services.get(&own.name) {
        Some(service) => Ok((Arc::clone(service), current.generation)),
        // The document has it no longer, but its pool is still what it was.
        None if own.upstream.pool().generation() <= generation => Ok((Arc::clone(own), generation)),
        None => Err(Failure::NoTarget),
    }
}

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
    fresh: bool,
    /// After so long without an answer, a second target is asked.
    hedge: Option<Duration>,
    /// When it began, on the target that has answered.
    pub(super) began: Instant,
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
    head: ResponseHead,
    /// What it waits for.
    pub(super) wait: Wait,
}

impl<C: ClientSide> Attempt<'_, C> {
    async fn run(&mut self, in_flight: InFlight, tried: &mut Tried) -> Result<Answered, Failed> {
        let worker = Rc::clone(&self.request.worker);
        let fed = in_flight.target().fed;
        let before_sending = |failure| Failed { failure, never_acknowledged: true, stale: false, fed };
        let first = Arc::clone(in_flight.target());
        self.slot.on_target(Some(&first));
        let way = connecting::Way { service: self.service, slot: self.slot, fresh: self.fresh };
        let connected = match connecting::kept(self.request, way, in_flight) {
            Ok(connected) => connected,
            Err(in_flight) => {
                let connected = connecting::connect(self.request, way, self.client, in_flight, tried).await;
                connected.map_err(before_sending)?
            }
        };
        if !Arc::ptr_eq(connected.in_flight.target(), &first) {
            self.slot.on_target(Some(connected.in_flight.target()));
        }
        drop(first);
        let mut running = self.begin(&worker, connected).map_err(before_sending)?;
        if let Some(after) = self.hedge {
            return Box::pin(self.hedged(after, running, tried)).await;
        }
        match poll_fn(|cx| self.poll_running(cx, &worker, &mut running)).await {
            Ok(()) => Ok(self.answered(&worker, running)),
            Err(failure) => Err(self.failed(&worker, running, failure, tried)),
        }
    }

    /// Has the request sent to a target that it is connected to.
    ///
    /// # Errors
    /// It cannot be said in the target's protocol.
    #[inline]
    pub(super) fn begin(&mut self, worker: &Rc<Worker>, connected: connecting::Connected) -> Result<Running, Failure> {
        let connecting::Connected { link, in_flight, profile } = connected;
        let target = in_flight.target();
        self.request.record.target = Some(Arc::clone(target));
        let exchange = match link {
            connecting::Link::Http1(connection) => {
                let out = forward::request(self.request, self.service, target);
                let body = self.request.head.body;
                Exchange::Http1(Box::new(Http1Exchange::new(connection, out, self.request.head.method, body)))
            }
            connecting::Link::Http2(place) => {
                let parts = forward::request_parts(self.request, self.service, target)?;
                let asked = (self.request.head.method, self.request.head.body);
                Exchange::Http2(Box::new(Http2Exchange::new(worker, place, parts, asked)))
            }
        };
        let wait = Wait { armed: None, send_failed: None, continued: false };
        Ok(Running { exchange, in_flight, profile, head: worker.take_response(), wait })
    }

    /// The target's answer has begun.
    #[inline]
    pub(super) fn answered(&self, worker: &Worker, running: Running) -> Answered {
        let Running { exchange, in_flight, profile, head, wait: _ } = running;
        report(worker, self.service, in_flight.target(), Some(Outcome::Status(head.status)), None);
        Answered { head, exchange, in_flight, service: Arc::clone(self.service), profile }
    }

    /// The target will not answer.
    pub(super) fn failed(&self, worker: &Worker, running: Running, failure: Failure, tried: &mut Tried) -> Failed {
        let Running { exchange, in_flight, head, .. } = running;
        worker.put_response(head);
        let never_acknowledged = exchange.never_acknowledged();
        let stale = failure == Failure::Closed && exchange.is_stale();
        // Where the target had read it, it closed for another reason than idleness.
        if stale && never_acknowledged {
            exchange.found_stale();
        }
        let target = in_flight.target();
        if failure.is_targets() && !stale {
            report_failure(worker, self.service, target, &failure);
            tried.push(Arc::clone(target));
        }
        Failed { failure, never_acknowledged, stale, fed: target.fed }
    }

    /// Sends the request and waits for the answer's head.
    #[inline]
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
        if wait.armed == Some(state) {
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
}

impl Wait {
    /// Begins the wait anew.
    pub(super) fn again(&mut self) {
        self.armed = None;
    }

    fn for_continue(&self, request: &Request, exchange: &Exchange) -> bool {
        request.head.expect_continue && !self.continued && !exchange.is_sent() && request.upload.taken() == 0
    }
}

/// Tells everyone who counts how an attempt went.
pub(crate) fn report(
    worker: &Worker,
    service: &Service,
    target: &Arc<Target>,
    outcome: Option<Outcome>,
    failure: Option<&'static str>,
) {
    worker.telemetry.attempt(worker.target_series(target), failure);
    let Some(outcome) = outcome else { return };
    let pool = service.upstream.pool();
    let judged = pool.passive().is_some_and(|rules| target.report(rules, outcome).is_some());
    // The control plane ejects it.
    let failing = pool.outlier().is_some_and(|rules| target.tallied(rules, outcome));
    if judged || failing {
        service.upstream.changed();
    }
}

/// Tells everyone who counts that an attempt failed.
pub(crate) fn report_failure(worker: &Worker, service: &Service, target: &Arc<Target>, failure: &Failure) {
    target.record_failure(worker.now());
    let outcome = match failure {
        Failure::ConnectTimeout | Failure::ReadTimeout | Failure::WriteTimeout => Some(Outcome::Timeout),
        // The runtime said so: no verdict on its health.
        Failure::TargetGone => None,
        _ => Some(Outcome::TcpFailure),
    };
    report(worker, service, target, outcome, Some(failure.row().label));
}
