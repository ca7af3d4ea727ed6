//! Open-loop load that accounts for every request. Requests start on schedule, whatever the answers do; latency counts
//! from the moment a request was due, so that a gateway that stalls cannot hide it (coordinated omission). Every request
//! ends up in one place: answered right, refused with a stated reason, or lost.

mod report;
mod request;
mod schedule;
#[cfg(test)]
mod tests;

pub use report::{Answered, Failed, Report};

use report::Tally;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// What kinds of requests, as weights: with `{get: 6, post: 2, slow: 1, fresh: 1}` six of ten are GETs on a connection kept
/// alive, one of ten a GET on a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// GETs without a body.
    pub get: u32,
    /// POSTs with a body of 1 B to 32 KiB, with a length or chunked by turns.
    pub post: u32,
    /// GETs that the replica answers after [`Load::slow`].
    pub slow: u32,
    /// GETs and POSTs by turns, each on a new connection.
    pub fresh: u32,
}

impl Mix {
    /// A bit of everything.
    pub const ALL: Self = Self { get: 5, post: 3, slow: 1, fresh: 2 };
    /// GETs alone, kept alive.
    pub const GETS: Self = Self { get: 1, post: 0, slow: 0, fresh: 0 };
}

/// Load to be started.
#[derive(Clone, Debug)]
pub struct Load {
    /// The gateway's listener.
    pub address: SocketAddr,
    /// The Host of every request.
    pub host: String,
    /// The service whose replicas alone may answer.
    pub service: String,
    /// Requests a second.
    pub rate: u32,
    /// Of what kinds.
    pub mix: Mix,
    /// How long slow answers take.
    pub slow: Duration,
    /// How long a client waits before it gives a request up for lost.
    pub patience: Duration,
    /// A network namespace to send from (`/run/netns/NAME`).
    pub namespace: Option<PathBuf>,
}

impl Load {
    /// Every kind, 150 a second, slow ones 300 ms, patience 30 s.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str, service: &str) -> Self {
        Self {
            address,
            host: host.to_owned(),
            service: service.to_owned(),
            rate: 150,
            mix: Mix::ALL,
            slow: Duration::from_millis(300),
            patience: Duration::from_secs(30),
            namespace: None,
        }
    }

    /// Starts on a thread of its own, so that what the test does meanwhile does not delay it.
    #[must_use]
    pub fn start(self) -> Running {
        let (stop, stopped) = oneshot::channel();
        let tally = Arc::new(Tally::default());
        let shared = Arc::clone(&tally);
        let run = move || {
            if let Some(path) = &self.namespace {
                let namespace = std::fs::File::open(path).expect("the network namespace is there");
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("may enter it");
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(schedule::run(self, shared, stopped));
        };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(run).expect("a thread");
        Running { stop, thread, tally }
    }
}

/// Load that is running.
pub struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    tally: Arc<Tally>,
}

impl Running {
    /// What has happened so far; requests in flight are in none of its places.
    #[must_use]
    pub fn so_far(&self) -> Report {
        self.tally.report()
    }

    /// Lets the load run so long.
    pub async fn go_on(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Starts nothing more, waits for what is in flight, prints the losses, and gives the whole account.
    pub async fn stop(self) -> Report {
        self.stop.send(()).expect("the load's thread waits for this");
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join().expect("the load's thread did not panic")).await.unwrap();
        let report = self.tally.report();
        eprintln!("{report}");
        report
    }
}
