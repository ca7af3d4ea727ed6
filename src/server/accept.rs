//! Accepting connections, and spreading them over the workers.
//!
//! `SO_REUSEPORT` spreads by a hash, not evenly: of four connections all land on one of two workers in one case of eight.
//! So a worker that has clearly more connections than the others passes a new one on, before anything is done with it.

use super::connection::{self, Accepted};
use super::mailbox::{Command, Post};
use super::sockets;
use crate::proxy::refusal::Refusal;
use crate::proxy::worker::{Room, Worker};
use crate::snapshot::{Listener, Snapshot};
use socket2::SockRef;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Pause after an `accept` that failed for want of something: descriptors, memory.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a listener that no snapshot names yet looks again.
const NOT_YET: Duration = Duration::from_millis(5);
/// Connections that are accepted before all else that is ready has its turn.
const AT_ONCE: u32 = 4;

/// How long a socket goes on accepting that is to be closed. Handshakes that were under way when another one took its
/// address over end in its queue, and to close it resets what is there.
const LINGER: Duration = Duration::from_secs(1);

/// Where connections are accepted.
pub(super) struct Place {
    pub(super) worker: Rc<Worker>,
    pub(super) posts: Arc<[Post]>,
    pub(super) naming: Rc<Naming>,
}

/// Which listener a socket belongs to.
pub(super) struct Naming {
    now: RefCell<Arc<str>>,
    /// From this generation of the snapshot on, another one.
    next: RefCell<Option<(u64, Arc<str>)>>,
    /// As it last was in a snapshot: for what is accepted when it has left the document.
    last: RefCell<Option<Arc<Listener>>>,
    /// Nothing is accepted before the snapshot of this generation: until then it may yet be that it does not come.
    since: u64,
    closed: Cell<bool>,
    /// Closed for other processes too.
    for_all: Cell<bool>,
    /// Another process has the socket too, and accepts: nothing is in its queue that would be lost here.
    released: Cell<bool>,
    /// One of the two has changed.
    changed: Notify,
}

impl Naming {
    pub(super) fn new(name: Arc<str>, since: u64) -> Self {
        Self {
            now: RefCell::new(name),
            next: RefCell::default(),
            last: RefCell::default(),
            since,
            closed: Cell::new(false),
            for_all: Cell::new(false),
            released: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Gives it to another listener, from a snapshot on.
    pub(super) fn rename(&self, name: Arc<str>, generation: u64) {
        self.next.replace(Some((generation, name)));
    }

    /// Accepts for a moment more, and no longer. `for_all`: no other process that has the socket shall either.
    pub(super) fn close(&self, for_all: bool) {
        self.for_all.set(for_all);
        self.closed.set(true);
        self.changed.notify_one();
    }

    /// Accepts no longer, from now on, but keeps the socket.
    pub(super) fn release(&self) {
        self.released.set(true);
        self.changed.notify_one();
    }

    /// Accepts again, if it was released.
    pub(super) fn resume(&self) {
        self.released.set(false);
        self.changed.notify_one();
    }

    /// `None`: no snapshot has named it yet.
    fn listener(&self, snapshot: &Snapshot) -> Option<Arc<Listener>> {
        if let Some((_, name)) = self.next.borrow_mut().take_if(|(generation, _)| *generation <= snapshot.generation) {
            self.now.replace(name);
        }
        if snapshot.generation < self.since {
            return None;
        }
        let found = snapshot.listeners.get(&*self.now.borrow()).map(Arc::clone);
        if found.is_some() {
            self.last.replace(found);
        }
        self.last.borrow().clone()
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.now.borrow())
    }
}

/// Accepts until it is closed.
pub(super) async fn run(place: Place, mut socket: StdListener) {
    let naming = &place.naming;
    while place.worker.shared.is_waiting() || naming.listener(&place.worker.snapshot()).is_none() {
        // Closed before anybody was told of it: nobody can rightly wait in its queue.
        if naming.closed.get() {
            return;
        }
        let _changed = timeout(NOT_YET, naming.changed.notified()).await;
    }
    loop {
        while naming.released.get() {
            if naming.closed.get() {
                return;
            }
            naming.changed.notified().await;
        }
        // Registered only while it is accepted from: who comes to the other process wakes nobody here.
        let taken = sockets::listen(&socket).and_then(|()| TcpListener::from_std(socket));
        match taken.map(|listener| accept_until_changed(&place, listener)) {
            Ok(accepting) => match accepting.await {
                Ok(Some(back)) => socket = back,
                Ok(None) => return,
                Err(error) => return tell_deaf(naming, &error),
            },
            Err(error) => return tell_deaf(naming, &error),
        }
    }
}

fn tell_deaf(naming: &Naming, error: &io::Error) {
    tracing::error!(listener = %naming.name(), %error, "a worker cannot listen");
}

/// Accepts until it is released: then the socket comes back; or closed.
async fn accept_until_changed(place: &Place, listener: TcpListener) -> io::Result<Option<StdListener>> {
    let naming = &place.naming;
    let port = listener.local_addr().map_or(0, |address| address.port());
    let mut failing = false;
    while !naming.closed.get() && !naming.released.get() {
        tokio::select! {
            biased;
            () = naming.changed.notified() => {}
            () = accept(place, &listener, port, AT_ONCE, &mut failing) => {}
        }
    }
    if naming.released.get() {
        return listener.into_std().map(Some);
    }
    // What stands in its queue has little time.
    drop(timeout(LINGER, accept(place, &listener, port, u32::MAX, &mut failing)).await);
    if naming.for_all.get() {
        // A process that this one took over from keeps it until its drain is over: clients would wait in its queue.
        SockRef::from(&listener).shutdown(Shutdown::Read)?;
    }
    Ok(None)
}

/// Never ends. After so many `at_once`, all else that is ready has its turn.
async fn accept(place: &Place, listener: &TcpListener, port: u16, at_once: u32, failing: &mut bool) {
    let mut accepted = 0_u32;
    loop {
        if accepted == at_once {
            accepted = 0;
            tokio::task::yield_now().await;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                *failing = false;
                accepted = accepted.wrapping_add(1);
                if let Err(error) = place.take(stream, peer, port) {
                    tracing::debug!(listener = %place.naming.name(), %error, "a connection could not be used");
                }
            }
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                if !*failing {
                    let name = place.naming.name();
                    tracing::error!(listener = %name, %error, "cannot accept connections; will go on trying");
                }
                *failing = true;
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
        let room = shared.room();
        if room == Room::OfIdle {
            self.posts.iter().for_each(Post::make_room);
        }
        let Some(listener) = self.naming.listener(&self.worker.snapshot()) else { return Ok(()) };
        if room == Room::None {
            // Closed without a word: an answer would cost what there is too little of.
            self.worker.refuse(&listener, peer.ip(), Refusal::Full);
            return Ok(());
        }
        let accepted = Accepted { listener, stream, peer, port };
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
