//! A connection for an attempt: an idle one, or a new one; after a while a second one beside it, to another target.
//!
//! A container that vanished is a black hole, not a refusal: connects to it get no answer at all. So a connect that has not
//! been answered after 250 ms gets company, and the first to be made wins.

use super::attempt::{Tried, report_failure};
use super::body::ClientSide;
use super::failure::Failure;
use super::forward;
use super::request::Request;
use super::slots::{Interrupt, Slot};
use super::worker::Worker;
use crate::connect::{self, Http2Place, TargetConnection};
use crate::snapshot::Service;
use plimsoll_core::model::{Cause, Causes, Moment};
use plimsoll_core::protocol::uri;
use plimsoll_core::upstream::{Acquired, Ask, InFlight, Target};
use rustc_hash::FxHasher;
use rustls::CertificateError;
use smallvec::SmallVec;
use std::future::{Future, poll_fn};
use std::hash::Hasher;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// After so long without an answer, a second connect is begun.
const SECOND_AFTER: Duration = Duration::from_millis(250);

/// A connection that may carry the attempt.
pub(crate) enum Link {
    /// HTTP/1.1, for this request alone.
    Http1(Box<TargetConnection>),
    /// HTTP/2, shared.
    Http2(Http2Place),
}

/// A link to a target whose slot is taken.
pub(crate) struct Connected {
    /// The connection.
    pub(crate) link: Link,
    /// The target's slot.
    pub(crate) in_flight: InFlight,
    /// Where the connection belongs when it is idle again.
    pub(crate) profile: u64,
}

/// How an attempt is connected.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    /// Whose target it is.
    pub(crate) service: &'a Arc<Service>,
    /// What bounds it in time.
    pub(crate) slot: &'a Slot,
    /// Only a new connection will do.
    pub(crate) fresh: bool,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Link>>>>;

struct Candidate {
    connecting: Connecting,
    in_flight: InFlight,
    profile: u64,
}

/// A connection to the target of `in_flight` that is there already; gives that back where there is none.
///
/// # Errors
/// `in_flight`.
#[inline]
pub(crate) fn kept(request: &Request, way: Way<'_>, in_flight: InFlight) -> Result<Connected, InFlight> {
    if way.fresh {
        return Err(in_flight);
    }
    let (Request { worker, .. }, service, target) = (request, way.service, in_flight.target());
    let profile = profile(request, service, target).1;
    let link = if service.connect.http2 {
        worker.http2.get(target, profile).map(Link::Http2)
    } else {
        let once = !request.head.method.is_idempotent();
        worker.idle.take(target, profile, worker.slots.tick(), once).map(Link::Http1)
    };
    match link {
        Some(link) => Ok(Connected { link, in_flight, profile }),
        None => Err(in_flight),
    }
}

/// Connects to the target of `in_flight`, or to another one that answers sooner.
///
/// # Errors
/// Why no connection was made. Targets that failed are added to `tried`.
pub(crate) async fn connect<C: ClientSide>(
    request: &Request,
    way: Way<'_>,
    client: &mut C,
    in_flight: InFlight,
    tried: &mut Tried,
) -> Result<Connected, Failure> {
    let Way { service, slot, .. } = way;
    let worker = &request.worker;
    let (server_name, profile) = profile(request, service, in_flight.target());
    let mut race = Race {
        worker: Rc::clone(worker),
        service,
        slot,
        tried,
        began: worker.now(),
        candidates: SmallVec::new(),
        second: false,
    };
    race.add(in_flight, profile, server_name);
    slot.arm(SECOND_AFTER.min(service.connect_timeout));
    let result = poll_fn(|cx| race.poll(cx, request, client)).await;
    slot.disarm();
    result
}

/// What shapes the connection: the name asked for under TLS, and the hash of all of it.
fn profile(request: &Request, service: &Service, target: &Target) -> (String, u64) {
    if service.connect.tls.is_none() {
        return (String::new(), service.connect.hash);
    }
    let (name, _) = uri::split_host(forward::host(request, service, target));
    let name = String::from_utf8_lossy(name).into_owned();
    let mut hasher = FxHasher::default();
    hasher.write_u64(service.connect.hash);
    hasher.write(name.as_bytes());
    (name, hasher.finish())
}

async fn new_link(
    worker: Rc<Worker>,
    service: Arc<Service>,
    target: Arc<Target>,
    name: String,
    profile: u64,
) -> io::Result<Link> {
    let learnt = &service.upstream.idle_limit;
    let connection = connect::connect(&target, service.connect.tls.as_ref(), &name, learnt).await?;
    if !service.connect.http2 {
        return Ok(Link::Http1(connection));
    }
    let sender = connect::handshake(connection).await.map_err(io::Error::other)?;
    Ok(Link::Http2(worker.http2.put(&target, profile, sender)))
}

/// See [`alone`].
pub(crate) type Alone = Pin<Box<dyn Future<Output = Result<Link, Failure>>>>;

/// A new connection to this target alone, within the service's time for it, and where it belongs when it is idle again.
pub(crate) fn alone(request: &Request, service: &Arc<Service>, target: &Arc<Target>) -> (Alone, u64) {
    let by_client = request.route().is_some_and(|route| route.preserve_host);
    let (name, profile) = profile(request, service, target);
    let (worker, within) = (Rc::clone(&request.worker), service.connect_timeout);
    let made = new_link(Rc::clone(&worker), Arc::clone(service), Arc::clone(target), name, profile);
    let made = async move {
        match tokio::time::timeout(within, made).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(failure_of(&worker, &error, by_client)),
            Err(_) => Err(Failure::ConnectTimeout),
        }
    };
    (Box::pin(made), profile)
}

struct Race<'a> {
    worker: Rc<Worker>,
    service: &'a Arc<Service>,
    slot: &'a Slot,
    tried: &'a mut Tried,
    began: Moment,
    candidates: SmallVec<[Candidate; 2]>,
    second: bool,
}

impl Race<'_> {
    fn add(&mut self, in_flight: InFlight, profile: u64, server_name: String) {
        let target = Arc::clone(in_flight.target());
        let connecting =
            Box::pin(new_link(Rc::clone(&self.worker), Arc::clone(self.service), target, server_name, profile));
        self.candidates.push(Candidate { connecting, in_flight, profile });
    }

    fn poll<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
        client: &mut C,
    ) -> Poll<Result<Connected, Failure>> {
        // A name that the client chose says nothing of the target.
        let by_client = request.route().is_some_and(|route| route.preserve_host);
        let mut last = None;
        let mut index = 0;
        while let Some(candidate) = self.candidates.get_mut(index) {
            match candidate.connecting.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok(link)) => {
                    let Candidate { in_flight, profile, .. } = self.candidates.swap_remove(index);
                    return Poll::Ready(Ok(Connected { link, in_flight, profile }));
                }
                Poll::Ready(Err(error)) => {
                    let failure = failure_of(&self.worker, &error, by_client);
                    if failure == Failure::Misdirected {
                        return Poll::Ready(Err(failure));
                    }
                    self.failed(index, &failure);
                    last = Some(failure);
                }
            }
        }
        if self.candidates.is_empty() {
            return Poll::Ready(Err(last.unwrap_or(Failure::ConnectFailed)));
        }
        if client.poll_gone(cx, &self.worker).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        match self.slot.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(interrupt) => self.interrupted(cx, request, interrupt),
        }
    }

    fn interrupted(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
        interrupt: Interrupt,
    ) -> Poll<Result<Connected, Failure>> {
        match interrupt {
            Interrupt::RequestTimedOut => return Poll::Ready(Err(Failure::RequestTimeout)),
            Interrupt::Overloaded => return Poll::Ready(Err(Failure::Overloaded)),
            Interrupt::Drained => return Poll::Ready(Err(Failure::Drained)),
            Interrupt::GivenUp => {
                self.slot.on_target(None);
                let gone = |candidate: &Candidate| candidate.in_flight.target().causes().intersects(Causes::CUT_OFF);
                while let Some(index) = self.candidates.iter().position(gone) {
                    self.failed(index, &Failure::TargetGone);
                }
                let Some(left) = self.candidates.first() else { return Poll::Ready(Err(Failure::TargetGone)) };
                self.slot.on_target(Some(left.in_flight.target()));
                let passed = self.worker.now().since(self.began);
                self.slot.arm(self.service.connect_timeout.saturating_sub(passed));
            }
            Interrupt::TimedOut => {
                let passed = self.worker.now().since(self.began);
                if passed >= self.service.connect_timeout {
                    while !self.candidates.is_empty() {
                        self.failed(0, &Failure::ConnectTimeout);
                    }
                    return Poll::Ready(Err(Failure::ConnectTimeout));
                }
                if !self.second {
                    self.second = true;
                    self.begin_second(request);
                }
                self.slot.arm(self.service.connect_timeout.saturating_sub(passed));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Begins a connect to another target, if there is one.
    fn begin_second(&mut self, request: &Request) {
        let mut avoid = self.tried.clone();
        avoid.extend(self.candidates.iter().map(|candidate| Arc::clone(candidate.in_flight.target())));
        let ask = Ask { tried: &avoid, now: self.worker.now(), key: 0 };
        let acquired = self.worker.with_rng(|rng| self.service.upstream.acquire(&ask, rng));
        let Acquired::Got(in_flight) = acquired else { return };
        if avoid.iter().any(|target| Arc::ptr_eq(target, in_flight.target())) {
            return;
        }
        let (server_name, profile) = profile(request, self.service, in_flight.target());
        self.add(in_flight, profile, server_name);
    }

    fn failed(&mut self, index: usize, failure: &Failure) {
        let candidate = self.candidates.swap_remove(index);
        if !failure.is_targets() {
            return;
        }
        not_connected(&self.worker, self.service, candidate.in_flight.target(), failure, self.tried);
    }
}

/// Tells everyone who counts that a target could not be connected to.
pub(crate) fn not_connected(
    worker: &Worker,
    service: &Service,
    target: &Arc<Target>,
    failure: &Failure,
    tried: &mut Tried,
) {
    // What a runtime feeds is out until an event or a probe says otherwise. A document's target answers to Kong's
    // counters alone.
    if *failure == Failure::ConnectRefused && target.fed && target.set(Cause::Refused) {
        service.upstream.changed();
    }
    report_failure(worker, service, target, failure);
    tried.push(Arc::clone(target));
}

/// Whether a connect failed over the name that was asked for by TLS: it is none, or the target's certificate is for others.
fn is_about_the_name(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let others = matches!(
        tls,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ))
    );
    others || error.kind() == io::ErrorKind::InvalidInput
}

/// Whether no descriptor is left, to the process or to the system. (No address to connect from is something else: it speaks
/// of one destination.)
fn is_want(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.raw_os_error().is_some_and(|raw| [Errno::MFILE, Errno::NFILE].contains(&Errno::from_raw_os_error(raw)))
}

fn failure_of(worker: &Worker, error: &io::Error, by_client: bool) -> Failure {
    match error.kind() {
        _ if by_client && is_about_the_name(error) => Failure::Misdirected,
        // No fault of the target, and no reason to try others.
        _ if is_want(error) => {
            // Those who come next find what idle connections held.
            worker.want_room();
            Failure::Overloaded
        }
        io::ErrorKind::ConnectionRefused => Failure::ConnectRefused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::ConnectFailed,
    }
}
