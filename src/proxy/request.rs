//! One request: what it asks, the snapshot it lives by, and what is recorded of it.

use super::body::Upload;
use super::buffer::HEAD_KEPT;
use super::client::Client;
use super::failure::Failure;
use super::record::Record;
use super::worker::{LocalSnapshot, Worker};
use crate::snapshot::{Route, Service, Settings};
use plimsoll_core::protocol::{BodyLength, RequestHead};
use plimsoll_core::router::RouteIndex;
use std::rc::Rc;
use std::sync::Arc;

/// A request under way, or one after another of a connection. Its route, and everything else in its snapshot, stay as they
/// are until it ends.
pub(crate) struct Request {
    /// Where it runs.
    pub(crate) worker: Rc<Worker>,
    /// Who asks.
    pub(crate) client: Rc<Client>,
    /// What is asked.
    pub(crate) head: RequestHead,
    /// The path that routes match, normalised.
    pub(crate) path: Vec<u8>,
    /// Whether `path` may be sent as it is.
    pub(crate) path_is_plain: bool,
    /// Bytes of `path` that the route's rule matched.
    pub(crate) matched: usize,
    /// Its body.
    pub(crate) upload: Upload,
    /// What is recorded of it.
    pub(crate) record: Record,
    held: Held,
    in_flight: bool,
    finished: bool,
}

/// What a request keeps alive of its document.
#[derive(Clone)]
pub(crate) enum Held {
    /// All of it, and the route that won.
    Snapshot(LocalSnapshot, Option<RouteIndex>),
    /// Its route, the settings and the generation alone.
    Route(Option<Arc<Route>>, Arc<Settings>, u64),
}

impl Held {
    /// The route, once one is found.
    fn route(&self) -> Option<&Route> {
        match self {
            Self::Snapshot(snapshot, index) => index.and_then(|index| snapshot.route(index)).map(AsRef::as_ref),
            Self::Route(route, ..) => route.as_deref(),
        }
    }

    /// The route's service.
    #[must_use]
    pub(crate) fn service(&self) -> Option<&Arc<Service>> {
        self.route().and_then(|route| route.service.as_ref())
    }
}

impl Request {
    /// One whose first byte is there, and whose head is still to be read: then comes [`Self::head_read`].
    #[must_use]
    pub(crate) fn new(worker: &Rc<Worker>, client: &Rc<Client>) -> Self {
        Self {
            worker: Rc::clone(worker),
            client: Rc::clone(client),
            head: worker.take_request(),
            path: Vec::new(),
            path_is_plain: false,
            matched: 0,
            upload: Upload::default(),
            record: Record::new(worker),
            held: Held::Snapshot(worker.snapshot(), None),
            in_flight: false,
            finished: true,
        }
    }

    /// Its head was read, or could not be; its record has begun already. What a request before it on its connection left
    /// here is forgotten.
    pub(crate) fn head_read(&mut self) {
        let snapshot = self.worker.snapshot();
        let limits = &snapshot.settings.limits;
        let has_body = self.head.body != BodyLength::None;
        self.upload = Upload::new(has_body, limits.replay_body as usize, limits.request_body);
        if self.path.capacity() == 0 {
            self.path = self.worker.buffers.take_head();
        }
        self.path.clear();
        self.path_is_plain = false;
        self.matched = 0;
        self.held = Held::Snapshot(snapshot, None);
        self.in_flight = false;
        self.finished = false;
    }

    /// The snapshot it lives by. One that keeps its route alone sees that of this moment.
    #[must_use]
    pub(crate) fn snapshot(&self) -> LocalSnapshot {
        match &self.held {
            Held::Snapshot(snapshot, _) => Rc::clone(snapshot),
            Held::Route(..) => self.worker.snapshot(),
        }
    }

    /// That snapshot's settings.
    #[must_use]
    pub(crate) fn settings(&self) -> &Settings {
        match &self.held {
            Held::Snapshot(snapshot, _) => &snapshot.settings,
            Held::Route(_, settings, _) => settings,
        }
    }

    /// The generation of that snapshot.
    #[must_use]
    pub(crate) fn generation(&self) -> u64 {
        match &self.held {
            Held::Snapshot(snapshot, _) => snapshot.generation,
            Held::Route(_, _, generation) => *generation,
        }
    }

    /// Sets the route that won.
    pub(crate) fn set_route(&mut self, index: RouteIndex, matched: usize) {
        self.matched = matched;
        if let Held::Snapshot(_, route) = &mut self.held {
            *route = Some(index);
        }
    }

    /// Lets go of the snapshot and keeps the route alone: an answer may take days, and yesterday's document should not
    /// stay in memory for it.
    pub(crate) fn detach(&mut self) {
        if let Held::Snapshot(snapshot, index) = &self.held {
            let route = index.and_then(|index| snapshot.route(index)).map(Arc::clone);
            self.held = Held::Route(route, Arc::clone(&snapshot.settings), snapshot.generation);
        }
    }

    /// The route, once one is found.
    #[must_use]
    pub(crate) fn route(&self) -> Option<&Route> {
        self.held.route()
    }

    /// What it keeps alive of its document, for who needs it beside the request.
    #[must_use]
    pub(crate) fn held(&self) -> Held {
        self.held.clone()
    }

    /// The route's service.
    #[must_use]
    pub(crate) fn service(&self) -> Option<&Arc<Service>> {
        self.held.service()
    }

    /// Counts the request in its upstream's concurrency from now on.
    pub(crate) fn enter_upstream(&mut self) {
        if let Some(series) = self.service().map(|service| service.upstream_series.id()) {
            self.in_flight = true;
            self.worker.telemetry.request_started(series, self.record.asked);
        }
    }

    /// Memory that it takes while it is held, bytes.
    #[must_use]
    pub(crate) fn held_bytes(&self) -> u64 {
        (self.head.capacity() + self.path.capacity()) as u64 + self.upload.taken()
    }

    /// Counts and logs it. Nothing of it is left to do, and what is large of it is let go: another one of its connection may
    /// follow much later.
    pub(crate) fn finish(&mut self) {
        debug_assert!(!self.finished, "a request ends once");
        self.finished = true;
        self.record.bytes_in = self.upload.taken();
        let now = self.worker.now();
        self.record.finish(&self.worker, &self.client, &self.head, self.route(), self.in_flight, now);
        self.record.target = None;
        self.upload = Upload::default();
        if self.head.capacity() > HEAD_KEPT {
            self.head = RequestHead::default();
        }
        if self.path.capacity() > HEAD_KEPT {
            self.path = Vec::new();
        }
    }

    /// Lets go of the document: nobody knows when the rest of the next head comes.
    pub(crate) fn let_go(&mut self) {
        if let Held::Snapshot(snapshot, _) = &self.held {
            self.held = Held::Route(None, Arc::clone(&snapshot.settings), snapshot.generation);
        }
    }
}

impl Drop for Request {
    /// A request whose task was dropped in the middle is counted and logged too.
    fn drop(&mut self) {
        if !self.finished {
            self.record.failure.get_or_insert(Failure::ClientGone);
            self.finish();
        }
        self.worker.put_request(std::mem::take(&mut self.head));
        self.worker.buffers.put_head(std::mem::take(&mut self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::worker::Shared;
    use crate::snapshot::{Listener, Snapshot};
    use crate::telemetry::{Telemetry, TelemetryOptions};
    use plimsoll_core::config::{AddedHeaders, Document, Http2, Limits, Timeouts};
    use plimsoll_core::plan::{Input, Names, plan};
    use plimsoll_core::protocol::h1::parse_request;
    use plimsoll_core::protocol::{HeadLimits, uri};
    use plimsoll_core::router::Router;

    const WIDE: HeadLimits = HeadLimits { request_line: 50_000, headers: 50_000, count: 100 };

    fn snapshot() -> Snapshot {
        let settings = Settings {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            http2: Http2::default(),
            head_limits: WIDE,
            headers: AddedHeaders::default(),
            request_rate: None,
            trusted_proxies: Vec::new(),
        };
        let document = Document::default();
        let input = Input { document: &document, facts: &[], names: &Names::default(), own_ips: &[], doors: None };
        Snapshot {
            generation: 1,
            router: Arc::new(Router::compile(&[]).unwrap()),
            routes: Vec::new(),
            services: Default::default(),
            settings: Arc::new(settings),
            listeners: Default::default(),
            plan: Arc::new(plan(input)),
        }
    }

    #[test]
    fn the_next_request_of_a_connection_begins_anew_and_nothing_large_waits_for_it() {
        let telemetry = Telemetry::new(TelemetryOptions::default());
        let listener = Arc::new(Listener {
            name: "http".into(),
            series: telemetry.listener("http"),
            address: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            http2: true,
            proxy_protocol: false,
        });
        let shared = Arc::new(Shared::new(Arc::new(snapshot()), telemetry, "test".into()));
        let worker = Rc::new(Worker::new(0, 1, shared, 7));
        let client = Rc::new(Client::new("192.0.2.7:4711".parse().unwrap(), 80, listener, false));
        let mut request = Request::new(&worker, &client);
        let mut ask = |path: &str| {
            let text = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
            parse_request(text.as_bytes(), &WIDE, &mut request.head).unwrap();
            request.head_read();
            let before = (request.path.clone(), request.matched, request.upload.taken(), request.upload.can_repeat());
            assert_eq!(before, (Vec::new(), 0, 0, true));
            request.path_is_plain = uri::normalise_path(request.head.path(), &mut request.path);
            request.matched = request.path.len();
            request.finish();
            (request.head.capacity(), request.path.capacity(), request.upload.can_repeat())
        };
        let (head, path, keeps) = ask(&format!("/{}", "a".repeat(40_000)));
        assert!(head <= HEAD_KEPT && path <= HEAD_KEPT && !keeps, "{head}, {path}");
        ask("/b");
    }
}
