//! One request: what it asks, the snapshot it lives by, and what is recorded of it.

use super::body::Upload;
use super::client::Client;
use super::failure::Failure;
use super::record::Record;
use super::worker::{LocalSnapshot, Worker};
use crate::snapshot::{Route, Service, Settings};
use plimsoll_core::protocol::{BodyLength, RequestHead};
use plimsoll_core::router::RouteIndex;
use std::rc::Rc;
use std::sync::Arc;

/// A request under way, or one after another of a connection. Its route, and everything else in its snapshot, stay as they are until it ends.
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
enum Held {
    /// All of it, and the route that won.
    Snapshot(LocalSnapshot, Option<RouteIndex>),
    /// Its route, the settings and the generation alone.
    Route(Option<Arc<Route>>, Arc<Settings>, u64),
}

impl Request {
    /// One whose head is still to be read; then it [begins](Self::begin).
    #[must_use]
    pub(crate) fn new(worker: &Rc<Worker>, client: &Rc<Client>) -> Self {
        Self {
            worker: Rc::clone(worker),
            client: Rc::clone(client),
            head: worker.take_request(),
            path: worker.buffers.take_head(),
            path_is_plain: false,
            matched: 0,
            upload: Upload::default(),
            record: Record::new(worker),
            held: Held::Snapshot(worker.snapshot(), None),
            in_flight: false,
            finished: true,
        }
    }

    /// Its head was read, or could not be. What the request before it on its connection left here is forgotten.
    pub(crate) fn begin(&mut self) {
        let snapshot = self.worker.snapshot();
        let limits = &snapshot.settings.limits;
        let has_body = self.head.body != BodyLength::None;
        self.upload = Upload::new(has_body, limits.replay_body as usize, limits.request_body);
        self.path.clear();
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
        match &self.held {
            Held::Snapshot(snapshot, index) => index.and_then(|index| snapshot.route(index)).map(AsRef::as_ref),
            Held::Route(route, ..) => route.as_deref(),
        }
    }

    /// The route's service.
    #[must_use]
    pub(crate) fn service(&self) -> Option<&Arc<Service>> {
        self.route().and_then(|route| route.service.as_ref())
    }

    /// Counts the request in its upstream's concurrency from now on.
    pub(crate) fn enter_upstream(&mut self) {
        if let Some(series) = self.service().map(|service| service.upstream_series.id()) {
            self.in_flight = true;
            self.worker.telemetry.request_started(series, self.record.started);
        }
    }

    /// Memory that it takes while it is held, bytes.
    #[must_use]
    pub(crate) fn held_bytes(&self) -> u64 {
        (self.head.capacity() + self.path.capacity()) as u64 + self.upload.taken()
    }

    /// Counts and logs it. Nothing of it is left to do.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.record.bytes_in = self.upload.taken();
        let now = self.worker.now();
        self.record.finish(&self.worker, &self.client, &self.head, self.route(), self.in_flight, now);
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
