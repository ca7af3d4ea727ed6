//! How much the admin API takes on at a time, how large it may be, and how long it may take: whoever may ask must not be
//! able to fill the gateway's memory, by intent or by a script that runs wild.

use super::access::is_open;
use super::answer::{Answer, later, message};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests at a time: people, a scraper or two, a deployment. Each may hold an answer as large as the document.
const REQUESTS: usize = 32;
/// Documents at a time, among those: each is read whole before it waits for its turn to be applied.
const DOCUMENTS: usize = 4;
/// One minute for a request, from its head to its answer: a large document takes seconds.
const TIME: Duration = Duration::from_secs(60);
/// 64 MiB: as large as a document's file may be.
const DOCUMENT_MAX: u64 = 64 << 20;
/// 64 KiB: nothing but a document has a body that is looked at.
const BODY_MAX: u64 = 64 << 10;

/// What a request may take of it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says next to nothing, and must be answered however busy it is.
    Open,
    /// Brings a document.
    Document,
    /// Everything else.
    Other,
}

impl Kind {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match path {
            "/config" if *method == Method::POST => Self::Document,
            _ if is_open(path) => Self::Open,
            _ => Self::Other,
        }
    }

    /// The largest body, in bytes.
    pub(super) const fn body_max(self) -> u64 {
        match self {
            Self::Document => DOCUMENT_MAX,
            Self::Open | Self::Other => BODY_MAX,
        }
    }

    /// Refuses what says itself that it is too large, before any of it is read.
    pub(super) fn check(self, fields: &HeaderMap) -> Result<(), Box<Answer>> {
        let length = fields.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.body_max()) { Err(Box::new(self.too_large())) } else { Ok(()) }
    }

    pub(super) fn too_large(self) -> Answer {
        let text = format!("the body is larger than {} KiB", self.body_max() >> 10);
        last(message(StatusCode::PAYLOAD_TOO_LARGE, &text))
    }
}

/// What is left of a door's places.
pub(super) struct Limits {
    requests: Places,
    documents: Places,
}

struct Places {
    semaphore: Semaphore,
    /// It was said that none is left.
    told: AtomicBool,
}

impl Places {
    fn new(count: usize) -> Self {
        Self { semaphore: Semaphore::new(count), told: AtomicBool::new(false) }
    }

    fn take(&self, what: &str) -> Result<SemaphorePermit<'_>, Box<Answer>> {
        if let Ok(place) = self.semaphore.try_acquire() {
            self.told.store(false, Ordering::Relaxed);
            return Ok(place);
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!("the admin API has more {what} at a time than it takes: answering 503");
        }
        Err(Box::new(last(later(&format!("too many {what} at a time: try again")))))
    }
}

impl Limits {
    pub(super) fn new() -> Self {
        Self { requests: Places::new(REQUESTS), documents: Places::new(DOCUMENTS) }
    }

    /// Lets a request be answered, if there is a place for it, within its time.
    pub(super) async fn within(&self, kind: Kind, answering: impl Future<Output = Answer>) -> Answer {
        let request = (kind != Kind::Open).then(|| self.requests.take("requests")).transpose();
        let document = (kind == Kind::Document).then(|| self.documents.take("documents")).transpose();
        let _places = match (request, document) {
            (Ok(request), Ok(document)) => (request, document),
            (Err(answer), _) | (_, Err(answer)) => return *answer,
        };
        tokio::time::timeout(TIME, answering).await.unwrap_or_else(|_| {
            tracing::warn!(seconds = TIME.as_secs(), "a request to the admin API took too long: answered 408");
            let text = format!("this took longer than {} s; what was asked for may still be done", TIME.as_secs());
            last(message(StatusCode::REQUEST_TIMEOUT, &text))
        })
    }
}

/// On a connection of which something may be left unread.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::answer::empty;
    use futures_util::future::{join_all, pending};
    use std::sync::Arc;

    async fn ask(limits: &Limits, kind: Kind) -> u16 {
        limits.within(kind, async { empty(StatusCode::NO_CONTENT) }).await.status().as_u16()
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_is_told_so_at_once_and_health_is_answered_always() {
        let limits = Arc::new(Limits::new());
        let fill = |kind: Kind, count: usize| {
            let limits = Arc::clone(&limits);
            tokio::spawn(async move { join_all((0..count).map(|_| limits.within(kind, pending()))).await })
        };
        let documents = fill(Kind::Document, DOCUMENTS);
        tokio::task::yield_now().await;
        assert_eq!([ask(&limits, Kind::Document).await, ask(&limits, Kind::Other).await], [503, 204]);
        let others = fill(Kind::Other, REQUESTS - DOCUMENTS);
        tokio::task::yield_now().await;
        let refused = limits.within(Kind::Other, async { empty(StatusCode::NO_CONTENT) }).await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &HeaderValue::from_static("1"))
        );
        assert_eq!(ask(&limits, Kind::Open).await, 204);
        // A minute later all of them have been answered.
        for answer in documents.await.unwrap().into_iter().chain(others.await.unwrap()) {
            assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
            assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
        }
        assert_eq!([ask(&limits, Kind::Document).await, ask(&limits, Kind::Other).await], [204, 204]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_a_minute() {
        let limits = Limits::new();
        let began = tokio::time::Instant::now();
        let slow = async |seconds: u64| {
            let answering = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                empty(StatusCode::NO_CONTENT)
            };
            limits.within(Kind::Other, answering).await.status().as_u16()
        };
        assert_eq!(slow(59).await, 204);
        assert_eq!(slow(3600).await, 408);
        assert_eq!(began.elapsed(), Duration::from_secs(59) + TIME);
    }
}
