//! Whether a request may be tried again.

use super::attempt::Failed;
use super::request::Request;
use crate::snapshot::Service;
use plimsoll_core::model::Moment;

/// What counts against a request's tries.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    counted: u32,
    /// The next attempt needs a new connection: an idle one ended as it was used, and so may the others.
    pub(crate) fresh: bool,
}

impl Repeats {
    /// Whether another attempt is allowed, and safe.
    ///
    /// Safe is what the target cannot have acted on: it was never connected to, or its kernel acknowledged nothing. The
    /// rest is repeated only if the method is idempotent (RFC 9110 §9.2.2). The body must still be at hand.
    ///
    /// Not counted against the service's `retries`: an idle connection that ended, which happens once, since the next one
    /// is new; and what a runtime's target refused or never acknowledged, since such a target is taken out, so that each
    /// takes part in this once.
    ///
    /// What the target may have acted on draws on the upstream's retry budget, where it has one. When that is used up, the
    /// failure goes to the client as it is.
    pub(crate) fn allow(&mut self, request: &Request, service: &Service, failed: &Failed, now: Moment) -> bool {
        if !failed.failure.is_targets() || !request.upload.can_repeat() {
            return false;
        }
        let untouched = failed.failure.before_connect() || failed.never_acknowledged;
        if !untouched && !request.head.method.is_idempotent() {
            return false;
        }
        self.within_retries(service, failed) && (untouched || drawn(request, service, now))
    }

    fn within_retries(&mut self, service: &Service, failed: &Failed) -> bool {
        if failed.stale && !self.fresh {
            self.fresh = true;
            return true;
        }
        if failed.fed && failed.failure.takes_target_out() {
            return true;
        }
        self.counted += 1;
        self.counted <= u32::from(service.retries)
    }
}

fn drawn(request: &Request, service: &Service, now: Moment) -> bool {
    let drawn = service.upstream.retry_budget.draw(now);
    if !drawn {
        request.worker.telemetry.retry_refused(service.upstream_series.id(), "budget");
    }
    drawn
}
