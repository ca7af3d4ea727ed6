//! A worker's thread.

use super::ServerOptions;
use super::accept;
use super::connection::{self, Accepted};
use super::mailbox::{Command, Drain, Key, Mail, Mailbox, Post};
use crate::proxy::slots::{Role, TICK};
use crate::proxy::worker::{Shared, Worker};
use rustc_hash::FxHashMap;
use std::io;
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

/// A drain closes idle connections after this long: until then a client may send one more request, and learn from its
/// answer that the connection ends.
const IDLE_DRAIN: Duration = Duration::from_secs(5);
/// What was cut at the end of a drain gets this long to be logged.
const CUT_GRACE: Duration = Duration::from_millis(200);

/// What a worker is made of.
pub(super) struct Context {
    pub(super) index: u16,
    pub(super) options: ServerOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) posts: Arc<[Post]>,
    pub(super) mailbox: Mailbox,
    pub(super) course: Arc<Course>,
}

/// How far a drain is: it is taken back for all workers, or for none.
#[derive(Debug, Default)]
pub(super) struct Course(AtomicU8);

impl Course {
    const DRAINING: u8 = 0;
    const ENDING: u8 = 1;
    const RESUMED: u8 = 2;

    /// A drain begins.
    pub(super) fn begin(&self) {
        self.0.store(Self::DRAINING, Ordering::SeqCst);
    }

    /// A worker is about to end; false: it is to go on instead, and is told so.
    fn ends(&self) -> bool {
        self.becomes(Self::ENDING)
    }

    /// All workers are to go on; false: one has ended, or is about to.
    pub(super) fn resumes(&self) -> bool {
        self.becomes(Self::RESUMED)
    }

    /// Whoever comes first decides.
    fn becomes(&self, next: u8) -> bool {
        let came = self.0.compare_exchange(Self::DRAINING, next, Ordering::SeqCst, Ordering::SeqCst);
        came.is_ok() || came == Err(next)
    }
}

/// Starts a worker.
///
/// # Errors
/// No thread, or no runtime, could be made.
pub(super) fn spawn(context: Context) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("worker-{}", context.index)).spawn(move || {
        if context.options.cpu_affinity
            && let Err(error) = pin(context.index)
        {
            tracing::warn!(worker = context.index, %error, "cannot bind the worker to a core: it runs on any");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
        match runtime {
            Ok(runtime) => runtime.block_on(run(context)),
            Err(error) => tracing::error!(%error, "a worker has no runtime"),
        }
    })
}

/// Binds this thread to the `index`th of the cores that the process may use.
fn pin(index: u16) -> rustix::io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let Some(core) = cores.get(usize::from(index) % cores.len().max(1)) else { return Ok(()) };
    let mut own = CpuSet::new();
    own.set(*core);
    sched_setaffinity(None, &own)
}

async fn run(context: Context) {
    let Context { index, options, shared, posts, mut mailbox, course } = context;
    let worker = Rc::new(Worker::new(index, options.workers, shared, options.seed ^ (u64::from(index) << 48)));
    drop(tokio::task::spawn_local(tick(Rc::clone(&worker))));
    let mut listening: FxHashMap<Key, Vec<Rc<accept::Naming>>> = FxHashMap::default();
    loop {
        match mailbox.next().await {
            Mail::CutOff => worker.slots.give_up_cut_off(),
            Mail::MakeRoom => worker.make_room(),
            Mail::GiveBack => worker.give_back(),
            Mail::Command(Command::Listen { key, name, since, socket }) => {
                let naming = Rc::new(accept::Naming::new(name, since));
                let (worker, posts) = (Rc::clone(&worker), Arc::clone(&posts));
                let place = accept::Place { worker, posts, naming: Rc::clone(&naming) };
                drop(tokio::task::spawn_local(accept::run(place, socket)));
                listening.entry(key).or_default().push(naming);
            }
            Mail::Command(Command::Rename { key, name, generation }) => {
                for naming in listening.get(&key).into_iter().flatten() {
                    naming.rename(Arc::clone(&name), generation);
                }
            }
            Mail::Command(Command::Close { key, for_all }) => {
                listening.remove(&key).into_iter().flatten().for_each(|naming| naming.close(for_all));
            }
            Mail::Release => listening.values().flatten().for_each(|naming| naming.release()),
            Mail::Resume => listening.values().flatten().for_each(|naming| naming.resume()),
            Mail::Command(Command::Connection { listener, stream, peer, port }) => {
                passed_on(&worker, &posts, stream, |stream| Accepted { listener, stream, peer, port });
            }
            Mail::Drain(how) => match drain(&worker, (&posts, &course), &mut mailbox, how).await {
                Drained::Ended => return,
                Drained::Resumed => listening.values().flatten().for_each(|naming| naming.resume()),
            },
        }
    }
}

/// Serves a connection that another worker accepted.
fn passed_on(
    worker: &Rc<Worker>,
    posts: &Arc<[Post]>,
    stream: StdStream,
    accepted: impl FnOnce(TcpStream) -> Accepted,
) {
    match TcpStream::from_std(stream) {
        Ok(stream) => connection::serve(worker, posts, accepted(stream)),
        Err(error) => tracing::debug!(%error, "a connection could not be registered"),
    }
}

async fn tick(worker: Rc<Worker>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.tick();
    }
}

/// How a drain ended.
enum Drained {
    /// Nothing is left.
    Ended,
    /// It is to go on as before.
    Resumed,
}

/// Ends when no connection is left on any worker, at the latest after `within`. Accepting goes on: what comes is answered, and
/// closed. A worker that left before the others would reset what waits in its socket's queue.
async fn drain(
    worker: &Rc<Worker>,
    (posts, course): (&Arc<[Post]>, &Course),
    mailbox: &mut Mailbox,
    how: Drain,
) -> Drained {
    let began = Instant::now();
    let (end, stay) = (began + how.within, began + how.stay.min(how.within));
    worker.slots.drain(Role::Http2);
    loop {
        // Again and again, as below: one may begin in a drain.
        worker.slots.drain(Role::WebSocket);
        let now = Instant::now();
        let none_left = now >= stay && worker.slots.is_empty() && posts.iter().all(|post| post.open() == 0);
        let next = if none_left { now } else { (now + TICK).min(end) };
        match timeout_at(next, mailbox.next()).await {
            Ok(Mail::CutOff) => worker.slots.give_up_cut_off(),
            Ok(Mail::MakeRoom) => worker.make_room(),
            Ok(Mail::GiveBack) => worker.give_back(),
            Ok(Mail::Resume) => return Drained::Resumed,
            Ok(Mail::Command(Command::Connection { listener, stream, peer, port })) => {
                passed_on(worker, posts, stream, |stream| Accepted { listener, stream, peer, port });
            }
            Err(_) if (none_left || Instant::now() >= end) && course.ends() => break,
            Ok(_) | Err(_) => {}
        }
        // Again and again: a client that was told of a connection that lives on is idle only once it has read its answer.
        if began.elapsed() >= IDLE_DRAIN || end <= Instant::now() {
            worker.slots.drain(Role::Idle);
        }
    }
    worker.slots.drain(Role::Idle);
    worker.slots.drain(Role::Http2);
    worker.slots.drain(Role::Busy);
    if !worker.slots.is_empty() {
        sleep_until(Instant::now() + CUT_GRACE).await;
    }
    Drained::Ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_taken_back_for_all_workers_or_for_none() {
        let course = Course::default();
        assert!(course.ends() && course.ends(), "the second worker, too");
        assert!(!course.resumes(), "one has ended");
        course.begin();
        assert!(course.resumes() && course.resumes());
        assert!(!course.ends(), "it is to go on");
    }
}
