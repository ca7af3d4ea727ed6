//! Sockets and workers: who accepts, on which thread a connection lives, and how all of it ends.
//!
//! A worker is a thread with a runtime of its own. Listening sockets belong to the process: each address is bound once a
//! worker (`SO_REUSEPORT`), before the snapshot that names it is published, and closed only when its address leaves the
//! document: closing one of two sockets of an address resets what waits in its queue.

mod accept;
mod connection;
mod mailbox;
mod sockets;
mod thread;

use crate::proxy::worker::Shared;
use mailbox::{Command, Mailbox, Post};
use parking_lot::Mutex;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// How workers are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerOptions {
    /// Threads.
    pub(crate) workers: u16,
    /// A worker a core.
    pub(crate) cpu_affinity: bool,
    /// Makes the workers' random choices.
    pub(crate) seed: u64,
}

/// The workers, running until they are drained.
pub(crate) struct Server {
    shared: Arc<Shared>,
    posts: Arc<[Post]>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Starts the workers. They serve nothing until they are told to listen.
    ///
    /// # Errors
    /// A thread or its runtime could not be made.
    pub(crate) fn start(options: ServerOptions, shared: Arc<Shared>) -> io::Result<Self> {
        let workers = options.workers.max(1);
        let (posts, boxes): (Vec<Post>, Vec<Mailbox>) = (0..workers).map(|_| mailbox::mailbox()).unzip();
        let posts: Arc<[Post]> = posts.into();
        let mut threads = Vec::new();
        for (index, mailbox) in (0..workers).zip(boxes) {
            let context = thread::Context {
                index,
                options: ServerOptions { workers, ..options },
                shared: Arc::clone(&shared),
                posts: Arc::clone(&posts),
                mailbox,
            };
            threads.push(thread::spawn(context)?);
        }
        Ok(Self { shared, posts, threads: Mutex::new(threads) })
    }

    /// Binds an address for all workers. They accept there as soon as a snapshot has a listener of that name. Gives the
    /// address that was bound, with its port where 0 was asked for.
    ///
    /// # Errors
    /// What the kernel says: the address is in use, is not ours, or its port is reserved.
    pub(crate) fn listen(&self, name: &str, address: SocketAddr) -> io::Result<SocketAddr> {
        let (bound, sockets) = sockets::bind(address, self.posts.len())?;
        self.hand_out(name, sockets)?;
        Ok(bound)
    }

    /// As [`Self::listen`], over a socket that somebody else bound.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub(crate) fn adopt(&self, name: &str, listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.set_nonblocking(true)?;
        let sockets = self.posts.iter().map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
        self.hand_out(name, sockets)?;
        listener.local_addr()
    }

    fn hand_out(&self, name: &str, sockets: Vec<TcpListener>) -> io::Result<()> {
        for (post, socket) in self.posts.iter().zip(sockets) {
            post.send(Command::Listen { name: name.into(), socket })
                .map_err(|_| io::Error::other("a worker takes no commands"))?;
        }
        Ok(())
    }

    /// Stops listening there. Connections that were accepted go on.
    pub(crate) fn close(&self, name: &str) {
        for post in self.posts.iter() {
            if post.send(Command::Close { name: name.into() }).is_err() {
                tracing::warn!(listener = name, "a worker takes no commands: it goes on listening");
            }
        }
    }

    /// Some target was cut off: attempts on it are given up at once.
    pub(crate) fn targets_cut_off(&self) {
        self.posts.iter().for_each(Post::targets_cut_off);
    }

    /// Answers from now on close their connections; ends when the last connection has, or after `timeout`.
    pub(crate) async fn drain(&self, timeout: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.posts.iter().for_each(|post| post.drain(timeout));
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a worker ended by a panic");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("waiting for the workers failed");
        }
    }
}

#[cfg(test)]
mod tests;
