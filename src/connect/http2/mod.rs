//! HTTP/2 over `h2`: what both sides of it need, and connections to targets, few a target, profile and worker, shared by
//! its requests.

mod room;

pub use room::poll_room;

use super::TargetConnection;
use bytes::Bytes;
use h2::client::{self, SendRequest};
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::Target;
use rustc_hash::FxHashMap;
use socket2::{SockRef, TcpKeepalive};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Stream window of a response, bytes. One connection carries many streams, so its own window is larger.
pub const STREAM_WINDOW: u32 = 256 << 10;
/// Bytes of a stream's request that wait to be written, at the most, however wide the target's window is.
const SEND_BUFFER: usize = 64 << 10;

/// Requests that a connection carries at a time, where its target does not allow fewer; those that come then get another
/// one. Servers should allow as many at least (RFC 9113 §5.1.2), and so many may go before their SETTINGS came.
const STREAMS: usize = 100;

/// Connection window, bytes: all streams' together, so that those whose clients do not read leave room for the others. What
/// lies in it counts as buffered, a stream at a time.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;
const _: () = assert!(CONNECTION_WINDOW as usize == STREAM_WINDOW as usize * STREAMS, "every stream has its window");

/// A target that vanished sends no FIN, and what is silent for so long is asked by the kernel whether it is there. Not by
/// PING: gRPC's servers end the connection of a client that sends more than two of those in five minutes (gRPC's proposal
/// A8).
const SILENCE: Duration = Duration::from_secs(20);
/// Between the kernel's questions; how many stay without an answer before the connection is given up.
const ASKED_EVERY: Duration = Duration::from_secs(5);
const ASKED: u32 = 4;

/// A request's place on a connection that it shares. Free again when dropped.
#[derive(Debug)]
pub struct Http2Place {
    /// Takes the request.
    pub sender: SendRequest<Bytes>,
    /// Whether others were sent over the connection before.
    pub reused: bool,
    used: Rc<Used>,
}

impl Http2Place {
    fn new(sender: SendRequest<Bytes>, reused: bool, used: &Rc<Used>) -> Self {
        used.streams.set(used.streams.get() + 1);
        used.idle.set(0);
        Self { sender, reused, used: Rc::clone(used) }
    }
}

impl Drop for Http2Place {
    fn drop(&mut self) {
        self.used.streams.set(self.used.streams.get().saturating_sub(1));
    }
}

/// How a connection is used.
#[derive(Debug, Default)]
struct Used {
    streams: Cell<usize>,
    /// Ticks since it had one.
    idle: Cell<u32>,
}

struct Connection {
    sender: SendRequest<Bytes>,
    used: Rc<Used>,
}

impl Connection {
    /// Whether it may carry new requests: it has not ended, nor said that it will.
    fn is_open(&mut self) -> bool {
        // Never pending: only what is sent over this very handle would make it wait, and all is sent over its clones.
        !matches!(self.sender.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
    }

    /// Whether there is room for another request: what is over the target's own limit would wait in `h2`.
    fn has_place(&self) -> bool {
        let streams = self.used.streams.get();
        streams < STREAMS && streams < self.sender.current_max_send_streams()
    }

    /// Whether it has had no stream for so many ticks, this one counted.
    fn is_idle(&self, ticks: u32) -> bool {
        let Used { streams, idle } = &*self.used;
        idle.set(if streams.get() == 0 { idle.get().saturating_add(1) } else { 0 });
        idle.get() > ticks
    }
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
        entry.connections.retain_mut(Connection::is_open);
        let free = entry.connections.iter().find(|connection| connection.has_place())?;
        Some(Http2Place::new(free.sender.clone(), true, &free.used))
    }

    /// Keeps a new connection for the requests that come; a place on it for the one that made it.
    pub fn put(&self, target: &Arc<Target>, profile: u64, sender: SendRequest<Bytes>) -> Http2Place {
        let used = Rc::default();
        let place = Http2Place::new(sender.clone(), false, &used);
        let mut entries = self.entries.borrow_mut();
        let entry = entries
            .entry((Arc::as_ptr(target) as usize, profile))
            .or_insert_with(|| Entry { target: Arc::clone(target), connections: Vec::new() });
        entry.connections.push(Connection { sender, used });
        place
    }

    /// Lets go of connections that closed, were idle for more than so many ticks, or lead to a target that went. Called once a
    /// tick.
    pub fn sweep(&self, idle: u32) {
        self.entries.borrow_mut().retain(|_, entry| {
            entry.connections.retain_mut(|connection| connection.is_open() && !connection.is_idle(idle));
            !entry.connections.is_empty() && !entry.target.causes().intersects(Causes::CUT_OFF.with(Cause::Draining))
        });
    }

    /// Lets go of those without a stream.
    pub fn clear_idle(&self) {
        self.entries.borrow_mut().retain(|_, entry| {
            entry.connections.retain(|connection| connection.used.streams.get() > 0);
            !entry.connections.is_empty()
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
/// What `h2` says of the handshake.
pub async fn handshake(made: Box<TargetConnection>) -> Result<SendRequest<Bytes>, h2::Error> {
    let TargetConnection { stream, counted, .. } = *made;
    if let Some(tcp) = stream.tcp() {
        let asking = TcpKeepalive::new().with_time(SILENCE).with_interval(ASKED_EVERY).with_retries(ASKED);
        let socket = SockRef::from(tcp);
        let set = socket.set_tcp_keepalive(&asking).and_then(|()| {
            // What was sent and is not acknowledged is given up as soon.
            socket.set_tcp_user_timeout(Some(SILENCE + ASKED_EVERY * ASKED))
        });
        if let Err(error) = set {
            tracing::debug!(%error, "a connection to a target is not watched over");
        }
    }
    let (sender, connection) = client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .initial_max_send_streams(STREAMS)
        // What a target still sends of requests that were given up is a mistake of its to `h2`, as soon as it has forgotten
        // their streams; and after a thousand in its life the connection would end, with all that is under way.
        .max_local_error_reset_streams(None)
        .enable_push(false)
        .handshake(stream)
        .await?;
    drop(tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "http/2 connection to a target ended");
        }
        drop(counted);
    }));
    Ok(sender)
}
