//! Connections to targets that speak HTTP/2, by hyper: few a target, profile and worker, shared by its requests.

mod pipe;

pub use pipe::{Pipe, PipeBody, pipe};

use super::TargetConnection;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::Target;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Runs hyper's tasks on the worker's own thread, so that nothing has to be `Send`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}

/// Stream window of a response, bytes. One connection carries many streams, so its own window is larger.
const STREAM_WINDOW: u32 = 256 << 10;
/// Connection window, bytes.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// A connection whose target does not answer a PING for so long is given up: a target that vanished sends no FIN.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Requests that a connection carries at a time; those that come then get another one. Servers should allow as many at least
/// (RFC 9113 §5.1.2), and what is over a target's limit would wait in hyper, in a queue without a bound.
const STREAMS: u32 = 100;

/// A request's place on a connection that it shares. Free again when dropped.
#[derive(Debug)]
pub struct Http2Place {
    /// Takes the request.
    pub sender: SendRequest<PipeBody>,
    /// Whether others were sent over the connection before.
    pub reused: bool,
    streams: Rc<Cell<u32>>,
}

impl Http2Place {
    fn new(sender: SendRequest<PipeBody>, reused: bool, streams: &Rc<Cell<u32>>) -> Self {
        streams.set(streams.get() + 1);
        Self { sender, reused, streams: Rc::clone(streams) }
    }
}

impl Drop for Http2Place {
    fn drop(&mut self) {
        self.streams.set(self.streams.get().saturating_sub(1));
    }
}

struct Connection {
    sender: SendRequest<PipeBody>,
    streams: Rc<Cell<u32>>,
}

struct Entry {
    target: Arc<Target>,
    connections: Vec<Connection>,
}

/// HTTP/2 connections of one worker.
#[derive(Default)]
pub struct Http2Connections {
    entries: RefCell<FxHashMap<(usize, u64), Entry>>,
}

impl Http2Connections {
    /// A place on an open connection to a target, if one has any.
    #[must_use]
    pub fn get(&self, target: &Arc<Target>, profile: u64) -> Option<Http2Place> {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&(Arc::as_ptr(target) as usize, profile))?;
        entry.connections.retain(|connection| !connection.sender.is_closed());
        let free = entry.connections.iter().find(|connection| connection.streams.get() < STREAMS)?;
        Some(Http2Place::new(free.sender.clone(), true, &free.streams))
    }

    /// Keeps a new connection for the requests that come; a place on it for the one that made it.
    pub fn put(&self, target: &Arc<Target>, profile: u64, sender: SendRequest<PipeBody>) -> Http2Place {
        let streams = Rc::default();
        let place = Http2Place::new(sender.clone(), false, &streams);
        let mut entries = self.entries.borrow_mut();
        let entry = entries
            .entry((Arc::as_ptr(target) as usize, profile))
            .or_insert_with(|| Entry { target: Arc::clone(target), connections: Vec::new() });
        entry.connections.push(Connection { sender, streams });
        place
    }

    /// Lets go of connections that closed, or lead to a target that went. Called once a tick.
    pub fn sweep(&self) {
        self.entries.borrow_mut().retain(|_, entry| {
            entry.connections.retain(|connection| !connection.sender.is_closed());
            !entry.connections.is_empty() && !entry.target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining))
        });
    }

    /// Lets go of all of them; requests in flight finish.
    pub fn clear(&self) {
        self.entries.borrow_mut().clear();
    }
}

/// Speaks HTTP/2 over a new connection. Its task runs on the worker until the connection ends.
///
/// # Errors
/// What hyper says of the handshake.
pub async fn handshake(made: TargetConnection) -> hyper::Result<SendRequest<PipeBody>> {
    let TargetConnection { stream, counted, .. } = made;
    let (sender, connection) = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .handshake(TokioIo::new(stream))
        .await?;
    drop(tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "http/2 connection to a target ended");
        }
        drop(counted);
    }));
    Ok(sender)
}
