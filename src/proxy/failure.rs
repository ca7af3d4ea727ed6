//! Why a request failed. The body that the client gets, the access log's `error`, the metric and the retry all read the
//! same row.

use plimsoll_core::protocol::HeadError;

/// What went wrong with a request, or with one attempt of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The head is not a request that HTTP allows.
    BadRequest(HeadError),
    /// The body's framing is broken.
    BadBody(&'static str),
    /// The body is larger than `limits.request_body`.
    BodyTooLarge,
    /// The client sent nothing for too long in the middle of a request.
    ClientTimeout,
    /// The client left.
    ClientGone,
    /// The client has used up its allowance of requests; seconds until there is one again.
    TooManyRequests(u32),
    /// As many bytes are buffered as may be.
    Overloaded,
    /// Memory is short.
    MemoryShort,
    /// TRACE or CONNECT.
    MethodNotAllowed,
    /// The host does not belong to this TLS connection.
    Misdirected,
    /// The request has passed through this gateway before.
    Loop,
    /// No route matches.
    NoRoute,
    /// The route has no service.
    NoService,
    /// The route wants https; the status to answer with.
    HttpsRequired(u16),
    /// Nothing can be picked.
    NoTarget,
    /// As many requests are held as may be.
    HoldFull,
    /// Was held, and no target came in time.
    HoldTimedOut,
    /// All targets are full, and as many requests wait for a slot as may, or none may.
    QueueFull,
    /// Waited for a slot of a target, and none came in time.
    QueueTimedOut,
    /// The service's host does not resolve.
    NameNotResolved,
    /// A connect was refused.
    ConnectRefused,
    /// A connect failed otherwise, or its handshake did.
    ConnectFailed,
    /// A connect took too long.
    ConnectTimeout,
    /// The target hung up before it answered.
    Closed,
    /// What the target sent is not an answer that HTTP allows.
    BadResponse(&'static str),
    /// The answer ended before its time, after its head had gone out.
    AnswerCut,
    /// The target took too long to answer.
    ReadTimeout,
    /// The target took too long to take the request.
    WriteTimeout,
    /// The whole request took too long.
    RequestTimeout,
    /// The target vanished under the attempt.
    TargetGone,
    /// The gateway is shutting down and its time is over.
    Drained,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What the client is answered.
    pub(crate) status: u16,
    /// What the client is told.
    pub(crate) message: &'static str,
    /// `error` in the access log, and `reason` of attempts' metrics.
    pub(crate) label: &'static str,
    /// `reason` of the request's metric: the label, but where one of these has several causes.
    pub(crate) reason: &'static str,
    /// What the request counts as.
    pub(crate) fault: Fault,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The client: neither lost nor shed.
    Client,
    /// The gateway or the pool: the request is lost.
    Lost,
    /// Refused on purpose.
    Shed,
}

const fn row(status: u16, message: &'static str, label: &'static str, fault: Fault) -> Row {
    Row { status, message, label, reason: label, fault }
}

/// Kong's words for what a target does wrong.
const INVALID_RESPONSE: &str = "An invalid response was received from the upstream server";
const TIMING_OUT: &str = "The upstream server is timing out";
const OVERLOADED: &str = "The service is overloaded";
const OVERLOAD: Row = row(503, "The gateway is overloaded", "overload", Fault::Shed);
const NO_PEER: &str = "failure to get a peer from the ring-balancer";

impl Failure {
    /// The row of this failure.
    #[must_use]
    pub(crate) fn row(&self) -> Row {
        match self {
            Self::BadRequest(error) => row(error.status(), bad_request(error.status()), "bad_request", Fault::Client),
            Self::BadBody(_) => row(400, "Bad request", "bad_body", Fault::Client),
            Self::BodyTooLarge => row(413, "Payload too large", "body_too_large", Fault::Client),
            Self::ClientTimeout => row(408, "Request timeout", "client_timeout", Fault::Client),
            Self::ClientGone => row(499, "Client closed request", "client_gone", Fault::Client),
            Self::TooManyRequests(_) => row(429, "API rate limit exceeded", "rate_limited", Fault::Shed),
            Self::Overloaded => OVERLOAD,
            Self::MemoryShort => Row { reason: "memory", ..OVERLOAD },
            Self::MethodNotAllowed => row(405, "Method not allowed", "method_not_allowed", Fault::Client),
            Self::Misdirected => row(421, "Misdirected request", "misdirected", Fault::Client),
            Self::Loop => row(508, "Loop detected", "loop", Fault::Client),
            Self::NoRoute => row(404, "no Route matched with those values", "no_route", Fault::Client),
            Self::NoService => row(503, "no Service found with those values", "no_service", Fault::Client),
            Self::HttpsRequired(status) => row(*status, "Please use HTTPS protocol", "https_required", Fault::Client),
            Self::NoTarget => row(503, NO_PEER, "no_target", Fault::Lost),
            Self::HoldFull => row(503, NO_PEER, "hold_full", Fault::Shed),
            Self::HoldTimedOut => row(503, NO_PEER, "hold_timeout", Fault::Lost),
            Self::QueueFull => row(503, OVERLOADED, "queue_full", Fault::Shed),
            Self::QueueTimedOut => row(503, OVERLOADED, "queue_timeout", Fault::Shed),
            Self::NameNotResolved => row(503, "name resolution failed", "name_not_resolved", Fault::Lost),
            Self::ConnectRefused | Self::ConnectFailed => row(502, INVALID_RESPONSE, "connect_failed", Fault::Lost),
            Self::ConnectTimeout => row(504, TIMING_OUT, "connect_timeout", Fault::Lost),
            Self::Closed => row(502, INVALID_RESPONSE, "closed", Fault::Lost),
            Self::AnswerCut => row(502, INVALID_RESPONSE, "answer_cut", Fault::Lost),
            Self::BadResponse(_) => row(502, INVALID_RESPONSE, "bad_response", Fault::Lost),
            Self::ReadTimeout | Self::WriteTimeout => row(504, TIMING_OUT, "timeout", Fault::Lost),
            Self::RequestTimeout => row(504, TIMING_OUT, "request_timeout", Fault::Lost),
            Self::TargetGone => row(502, INVALID_RESPONSE, "target_gone", Fault::Lost),
            Self::Drained => row(503, "The gateway is shutting down", "drained", Fault::Lost),
        }
    }

    /// What the log says of it beyond the label.
    #[must_use]
    pub(crate) fn detail(&self) -> Option<&'static str> {
        match self {
            Self::BadRequest(error) => Some(error.reason()),
            Self::BadBody(why) | Self::BadResponse(why) => Some(why),
            _ => None,
        }
    }

    /// Whether the target was never connected to, so that trying again is safe whatever the method.
    #[must_use]
    pub(crate) fn before_connect(&self) -> bool {
        matches!(self, Self::ConnectRefused | Self::ConnectFailed | Self::ConnectTimeout)
    }

    /// Whether a runtime's target is out of its pool when this has happened: it is not picked again.
    #[must_use]
    pub(crate) fn takes_target_out(&self) -> bool {
        matches!(self, Self::ConnectRefused | Self::TargetGone)
    }

    /// Whether another attempt may help at all: the target or the way to it failed, before an answer began.
    #[must_use]
    pub(crate) fn is_targets(&self) -> bool {
        self.before_connect()
            || matches!(
                self,
                Self::Closed | Self::BadResponse(_) | Self::ReadTimeout | Self::WriteTimeout | Self::TargetGone
            )
    }

    /// Whether the target broke off an answer that it had begun.
    #[must_use]
    pub(crate) const fn breaks_answer(&self) -> bool {
        matches!(self, Self::AnswerCut | Self::BadResponse(_) | Self::ReadTimeout)
    }
}

/// The message of an error of the head, by status.
fn bad_request(status: u16) -> &'static str {
    match status {
        405 => "Method not allowed",
        414 => "URI too long",
        417 => "Expectation failed",
        431 => "Request header fields too large",
        501 => "Not implemented",
        505 => "HTTP version not supported",
        _ => "Bad request",
    }
}
