//! Whether a request may be tried again.

use super::attempt::Failed;
use super::request::Request;
use crate::snapshot::Service;

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
    pub(crate) fn allow(&mut self, request: &Request, service: &Service, failed: &Failed) -> bool {
        if !failed.failure.is_targets() || !request.upload.can_repeat() {
            return false;
        }
        let untouched = failed.failure.before_connect() || failed.never_acknowledged;
        if !untouched && !request.head.method.is_idempotent() {
            return false;
        }
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
