//! The thread on which documents are read, planned and compiled, and on which what is large is freed: off the runtime that
//! takes events and marks, and niced, so that a reload does not take the workers' time.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::oneshot;

/// 8: a worker that is busy keeps six sevenths of its core. At 5, three quarters of it, a worker that needed four fifths fell
/// behind while documents came all the time; at 10, beside two busy workers, 20 ms of work took 334 ms.
const NICE: i32 = 8;

type Work = Box<dyn FnOnce() + Send>;

/// A handle on the thread, which ends with it.
pub(super) struct CompileThread {
    work: Sender<Work>,
}

impl CompileThread {
    /// Starts it.
    ///
    /// # Errors
    /// The process may have no more threads.
    pub(super) fn start() -> io::Result<Self> {
        let (work, queue) = channel::<Work>();
        std::thread::Builder::new().name("compile".to_owned()).spawn(move || {
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "the compile thread keeps its priority");
            }
            for work in queue {
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    tracing::error!("a step of the compile thread panicked");
                }
            }
        })?;
        Ok(Self { work })
    }

    /// Does it there. `None`: it panicked.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = Box::new(move || drop(done.send(job())));
        self.work.send(work).ok()?;
        result.await.ok()
    }

    /// Frees it there.
    pub(super) fn free(&self, what: impl Send + 'static) {
        // Where the thread is gone, it is freed here.
        drop(self.work.send(Box::new(move || drop(what))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_costs_one_step_and_not_the_thread() {
        let thread = CompileThread::start().unwrap();
        assert_eq!(thread.run(|| 1).await, Some(1));
        assert_eq!(thread.run(|| -> u32 { panic!("as tested") }).await, None);
        assert_eq!(thread.run(|| 2).await, Some(2));
    }
}
