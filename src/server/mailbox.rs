//! What reaches a worker from other threads: rare things, through one bounded queue and a few flags.

use crate::snapshot::Listener;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Commands that wait for one worker. Passed-on connections are the bulk of them; a worker that is this far behind is sent
/// no more of those.
const QUEUE: usize = 1024;

/// Which of the sockets that workers listen on: one each, of one address.
pub(crate) type Key = u32;

/// What a worker is told.
pub(super) enum Command {
    /// Accept on a socket, for a listener.
    /// Nothing is accepted before the snapshot of generation `since`.
    Listen { key: Key, name: Arc<str>, since: u64, socket: TcpListener },
    /// A socket belongs to another listener, from a generation of the snapshot on.
    Rename { key: Key, name: Arc<str>, generation: u64 },
    /// Accept on a socket no longer.
    Close { key: Key, for_all: bool },
    /// Serve a connection that another worker accepted, at this port.
    Connection { listener: Arc<Listener>, stream: TcpStream, peer: SocketAddr, port: u16 },
}

#[derive(Default)]
struct Flags {
    notify: Notify,
    cut_off: AtomicBool,
    make_room: AtomicBool,
    give_back: AtomicBool,
    release: AtomicBool,
    resume: AtomicBool,
    /// Milliseconds that a drain may take, plus one; 0: no drain.
    drain_ms: AtomicU64,
    /// And that it takes at least.
    stay_ms: AtomicU64,
    /// Client connections that live on the worker.
    open: AtomicU32,
}

/// The sending end.
pub(super) struct Post {
    sender: mpsc::Sender<Command>,
    flags: Arc<Flags>,
}

/// The worker's end.
pub(super) struct Mailbox {
    receiver: mpsc::Receiver<Command>,
    flags: Arc<Flags>,
}

/// What a worker found in its mailbox.
pub(super) enum Mail {
    /// A command.
    Command(Command),
    /// Some target was cut off.
    CutOff,
    /// Descriptors are short.
    MakeRoom,
    /// Memory is short.
    GiveBack,
    /// Accept nowhere any more, from now on.
    Release,
    /// Go on as before the release and the drain.
    Resume,
    /// Drain.
    Drain(Drain),
}

/// How long a drain takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// At the most: what is left then is cut.
    pub(crate) within: Duration,
    /// At least, even where nothing is left to end.
    pub(crate) stay: Duration,
}

/// A new mailbox.
pub(super) fn mailbox() -> (Post, Mailbox) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let flags = Arc::new(Flags::default());
    (Post { sender, flags: Arc::clone(&flags) }, Mailbox { receiver, flags })
}

impl Post {
    /// Sends a command.
    ///
    /// # Errors
    /// The command comes back: the queue is full, or the worker is gone.
    pub(super) fn send(&self, command: Command) -> Result<(), Box<Command>> {
        self.sender.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => Box::new(command),
        })
    }

    /// Some target was cut off.
    pub(super) fn targets_cut_off(&self) {
        self.flags.cut_off.store(true, Ordering::Release);
        self.flags.notify.notify_one();
    }

    /// Descriptors are short: idle connections to targets are to go.
    pub(super) fn make_room(&self) {
        self.flags.make_room.store(true, Ordering::Release);
        self.flags.notify.notify_one();
    }

    /// Memory is short: what is kept for later is to go.
    pub(super) fn give_back(&self) {
        self.flags.give_back.store(true, Ordering::Release);
        self.flags.notify.notify_one();
    }

    /// Another process accepts from now on.
    pub(super) fn release(&self) {
        self.flags.release.store(true, Ordering::Release);
        self.flags.notify.notify_one();
    }

    /// That process is gone: accept again, and drain no more.
    pub(super) fn resume(&self) {
        self.flags.release.store(false, Ordering::Release);
        self.flags.drain_ms.store(0, Ordering::Release);
        self.flags.resume.store(true, Ordering::Release);
        self.flags.notify.notify_one();
    }

    /// Drain.
    pub(super) fn drain(&self, drain: Drain) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.flags.stay_ms.store(ms(drain.stay), Ordering::Relaxed);
        self.flags.drain_ms.store(ms(drain.within).saturating_add(1), Ordering::Release);
        self.flags.notify.notify_one();
    }

    /// Client connections that live on the worker.
    pub(super) fn open(&self) -> u32 {
        self.flags.open.load(Ordering::Relaxed)
    }

    /// Counts a connection that comes to the worker.
    pub(super) fn opened(&self) {
        self.flags.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that left the worker.
    pub(super) fn closed(&self) {
        self.flags.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mailbox {
    /// What comes next.
    pub(super) async fn next(&mut self) -> Mail {
        loop {
            if self.flags.cut_off.swap(false, Ordering::AcqRel) {
                return Mail::CutOff;
            }
            if self.flags.make_room.swap(false, Ordering::AcqRel) {
                return Mail::MakeRoom;
            }
            if self.flags.give_back.swap(false, Ordering::AcqRel) {
                return Mail::GiveBack;
            }
            if self.flags.release.swap(false, Ordering::AcqRel) {
                return Mail::Release;
            }
            if self.flags.resume.swap(false, Ordering::AcqRel) {
                return Mail::Resume;
            }
            let drain_ms = self.flags.drain_ms.swap(0, Ordering::AcqRel);
            if drain_ms > 0 {
                let stay = Duration::from_millis(self.flags.stay_ms.load(Ordering::Relaxed));
                return Mail::Drain(Drain { within: Duration::from_millis(drain_ms - 1), stay });
            }
            tokio::select! {
                command = self.receiver.recv() => match command {
                    Some(command) => return Mail::Command(command),
                    // Everyone who could send is gone, and so is the reason to run.
                    None => return Mail::Drain(Drain { within: Duration::ZERO, stay: Duration::ZERO }),
                },
                () = self.flags.notify.notified() => {}
            }
        }
    }
}
