//! Accepting connections, and spreading them over the workers.
//!
//! `SO_REUSEPORT` spreads by a hash, not evenly: of four connections all land on one of two workers in one case of eight.
//! So a worker that has clearly more connections than the others passes a new one on, before anything is done with it.

use super::connection::{self, Accepted};
use super::mailbox::{Command, Post};
use crate::proxy::worker::Worker;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Pause after an `accept` that failed for want of something: descriptors, memory.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a listener that no snapshot names yet looks again.
const NOT_YET: Duration = Duration::from_millis(5);

/// Where connections are accepted.
pub(super) struct Place {
    pub(super) worker: Rc<Worker>,
    pub(super) posts: Arc<[Post]>,
    pub(super) name: Arc<str>,
}

/// Accepts until it is aborted.
pub(super) async fn run(place: Place, socket: StdListener) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(listener = %place.name, %error, "a worker cannot listen");
            return;
        }
    };
    let port = listener.local_addr().map_or(0, |address| address.port());
    while !place.worker.snapshot().listeners.contains_key(&place.name) {
        tokio::time::sleep(NOT_YET).await;
    }
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                failing = false;
                if let Err(error) = place.take(stream, peer, port) {
                    tracing::debug!(listener = %place.name, %error, "a connection could not be used");
                }
            }
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::error!(listener = %place.name, %error, "cannot accept connections; will go on trying");
                }
                failing = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Errors that say something of one connection alone.
fn is_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

impl Place {
    fn take(&self, stream: TcpStream, peer: SocketAddr, port: u16) -> io::Result<()> {
        let shared = &self.worker.shared;
        let open = shared.connections.load(Ordering::Relaxed);
        if open >= shared.max_connections.load(Ordering::Relaxed) {
            // Closed without a word: an answer would cost what there is too little of.
            shared.refused_connections.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let accepted = Accepted { listener: Arc::clone(&self.name), stream, peer, port };
        let Some(post) = self.less_loaded() else {
            connection::serve(&self.worker, &self.posts, accepted);
            return Ok(());
        };
        let Accepted { listener, stream, .. } = accepted;
        let command = Command::Connection { listener, stream: stream.into_std()?, peer, port };
        if let Err(command) = post.send(command)
            && let Command::Connection { listener, stream, .. } = *command
        {
            let stream = TcpStream::from_std(stream)?;
            connection::serve(&self.worker, &self.posts, Accepted { listener, stream, peer, port });
        }
        Ok(())
    }

    /// The worker with the fewest connections, if this one has clearly more than the mean.
    fn less_loaded(&self) -> Option<&Post> {
        let own = self.posts.get(usize::from(self.worker.index))?.open();
        let total: u32 = self.posts.iter().map(Post::open).sum();
        let count = u32::try_from(self.posts.len()).ok()?;
        // own + 1 > 1 + 9/8 of the mean, in whole numbers.
        if u64::from(own) * 8 * u64::from(count) <= u64::from(total) * 9 {
            return None;
        }
        let least = self.posts.iter().min_by_key(|post| post.open())?;
        (least.open() < own).then_some(least)
    }
}
