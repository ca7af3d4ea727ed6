//! Connections to targets that speak HTTP/2, by hyper: one a target, profile and worker, shared by its requests.

mod pipe;

pub use pipe::{Pipe, PipeBody, pipe};

use super::Stream;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::Target;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::future::Future;
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

struct Entry {
    target: Arc<Target>,
    sender: SendRequest<PipeBody>,
}

/// HTTP/2 connections of one worker.
#[derive(Default)]
pub struct Http2Connections {
    entries: RefCell<FxHashMap<(usize, u64), Entry>>,
}

impl Http2Connections {
    /// The open connection to a target, if there is one.
    #[must_use]
    pub fn get(&self, target: &Arc<Target>, profile: u64) -> Option<SendRequest<PipeBody>> {
        let mut entries = self.entries.borrow_mut();
        let key = (Arc::as_ptr(target) as usize, profile);
        let entry = entries.get(&key)?;
        if entry.sender.is_closed() {
            entries.remove(&key);
            return None;
        }
        Some(entry.sender.clone())
    }

    /// Keeps a connection for the requests that come.
    pub fn put(&self, target: &Arc<Target>, profile: u64, sender: SendRequest<PipeBody>) {
        let entry = Entry { target: Arc::clone(target), sender };
        self.entries.borrow_mut().insert((Arc::as_ptr(target) as usize, profile), entry);
    }

    /// Lets go of connections that closed, or lead to a target that went. Called once a tick.
    pub fn sweep(&self) {
        self.entries.borrow_mut().retain(|_, entry| {
            !entry.sender.is_closed() && !entry.target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining))
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
pub async fn handshake(stream: Stream) -> hyper::Result<SendRequest<PipeBody>> {
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
    }));
    Ok(sender)
}
