//! Sockets and workers: who accepts, on which thread a connection lives, and how all of it ends.
//!
//! A worker is a thread with a runtime of its own. Listening sockets belong to the process: each address is bound once a
//! worker (`SO_REUSEPORT`), before the snapshot that names it is published, and closed only when its address leaves the
//! document, after a moment more of accepting: to close a socket resets what waits in its queue.

mod accept;
mod announced;
mod connection;
mod mailbox;
mod owners;
mod sockets;
mod thread;

use crate::proxy::worker::Shared;
pub(crate) use mailbox::Drain;
use mailbox::{Command, Key, Mailbox, Post};
pub(crate) use owners::{SocketId, id as socket_id};
use parking_lot::Mutex;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use thread::Course;

/// Between two looks at whether the workers have ended.
const ENDED_LOOK: Duration = Duration::from_millis(5);

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
    course: Arc<Course>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    keys: AtomicU32,
}

/// An address at which the workers listen.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// To rename and close it by.
    pub(crate) key: Key,
    /// With the port that the kernel chose where 0 was asked for.
    pub(crate) address: SocketAddr,
    /// Its sockets.
    pub(crate) ids: Vec<SocketId>,
    /// The same, to be handed over.
    pub(crate) sockets: Arc<[TcpListener]>,
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
        let (course, mut threads) = (Arc::<Course>::default(), Vec::new());
        for (index, mailbox) in (0..workers).zip(boxes) {
            let context = thread::Context {
                index,
                options: ServerOptions { workers, ..options },
                shared: Arc::clone(&shared),
                posts: Arc::clone(&posts),
                mailbox,
                course: Arc::clone(&course),
            };
            threads.push(thread::spawn(context)?);
        }
        Ok(Self { shared, posts, course, threads: Mutex::new(threads), keys: AtomicU32::new(0) })
    }

    /// Binds an address for all workers, beside those of `ours` that it overlaps. They accept there as soon as a snapshot
    /// of at least the generation `since` has a listener of that name.
    ///
    /// # Errors
    /// What the kernel says: the address is in use, is not ours, or its port is reserved.
    pub(crate) fn listen(
        &self,
        name: &Arc<str>,
        address: SocketAddr,
        ours: &[SocketId],
        since: u64,
    ) -> io::Result<Listening> {
        let sockets::Group { address, sockets } = sockets::bind(address, self.posts.len(), ours)?;
        self.listening(name, address, sockets, since)
    }

    /// As [`Self::listen`], over sockets of one address that somebody else bound. Every one of them is accepted from: who
    /// closes one resets what is in its queue. Where there are fewer than workers, more are bound if the address is shared
    /// (`SO_REUSEPORT`), else workers share them.
    ///
    /// # Errors
    /// The sockets cannot be used.
    pub(crate) fn adopt(&self, name: &Arc<str>, sockets: &[TcpListener], since: u64) -> io::Result<Listening> {
        let sockets::Group { address, sockets } = sockets::adopt(sockets, self.posts.len())?;
        self.listening(name, address, sockets, since)
    }

    fn listening(
        &self,
        name: &Arc<str>,
        address: SocketAddr,
        sockets: Vec<TcpListener>,
        since: u64,
    ) -> io::Result<Listening> {
        let ids = sockets.iter().map(owners::id).collect::<io::Result<_>>()?;
        let key = self.hand_out(name, &sockets, since)?;
        Ok(Listening { key, address, ids, sockets: sockets.into() })
    }

    fn hand_out(&self, name: &Arc<str>, sockets: &[TcpListener], since: u64) -> io::Result<Key> {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        for (socket, post) in sockets::shares(sockets.len(), self.posts.len()) {
            let (Some(socket), Some(post)) = (sockets.get(socket), self.posts.get(post)) else { continue };
            let socket = socket.try_clone().inspect_err(|_| self.close(key, false))?;
            if post.send(Command::Listen { key, name: Arc::clone(name), since, socket }).is_err() {
                // Those before it listen already.
                self.close(key, false);
                return Err(io::Error::other("a worker takes no commands"));
            }
        }
        Ok(key)
    }

    /// From this generation of the snapshot on, sockets belong to another listener.
    pub(crate) fn rename(&self, key: Key, name: &Arc<str>, generation: u64) {
        for post in self.posts.iter() {
            if post.send(Command::Rename { key, name: Arc::clone(name), generation }).is_err() {
                tracing::warn!(listener = %name, "a worker takes no commands: what it accepts is another listener's");
            }
        }
    }

    /// Stops listening there, when what waits in the queues is accepted. Connections that were accepted go on. `for_all`: a
    /// process that has handed the sockets to this one, and still drains, no longer listens either.
    pub(crate) fn close(&self, key: Key, for_all: bool) {
        for post in self.posts.iter() {
            if post.send(Command::Close { key, for_all }).is_err() {
                tracing::warn!(key, "a worker takes no commands: it goes on listening");
            }
        }
    }

    /// Stops accepting at once, everywhere: other processes have the same sockets, and go on.
    pub(crate) fn release(&self) {
        self.posts.iter().for_each(Post::release);
    }

    /// Some target was cut off: attempts on it are given up at once.
    pub(crate) fn targets_cut_off(&self) {
        self.posts.iter().for_each(Post::targets_cut_off);
    }

    /// Memory is short: from now on new requests are shed, and what is kept for later ones at this moment is given back.
    /// `false`: it is so no longer.
    pub(crate) fn shed_for_memory(&self, short: bool) {
        self.shared.memory_short.store(short, Ordering::Relaxed);
        if short {
            self.posts.iter().for_each(Post::give_back);
        }
    }

    /// Bytes that workers held of heads and bodies at their last ticks.
    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.shared.lent() as u64
    }

    /// The process that accepted instead is gone: goes on as before [`Self::release`] and [`Self::drain`]. `false`: it is too
    /// late, some worker has ended.
    pub(crate) fn resume(&self) -> bool {
        if self.threads.lock().iter().any(JoinHandle::is_finished) || !self.course.resumes() {
            return false;
        }
        self.shared.draining.store(false, Ordering::Relaxed);
        self.posts.iter().for_each(Post::resume);
        true
    }

    /// Answers from now on close their connections; ends when the last connection has, or after `within`.
    pub(crate) async fn drain(&self, within: Duration) {
        self.drain_and_stay(Drain { within, stay: Duration::ZERO }).await;
    }

    /// As [`Self::drain`]. Where what comes back is dropped, the drain goes on.
    pub(crate) async fn drain_and_stay(&self, how: Drain) {
        self.course.begin();
        self.shared.draining.store(true, Ordering::Relaxed);
        self.posts.iter().for_each(|post| post.drain(how));
        let mut looks = tokio::time::interval(ENDED_LOOK);
        loop {
            looks.tick().await;
            if self.threads.lock().iter().all(JoinHandle::is_finished) {
                break;
            }
        }
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    }
}

#[cfg(test)]
mod tests;
