//! Whether a target can be connected to: how one that a runtime feeds, and for which nobody else decides, begins to serve,
//! and how one that refused a connect comes back.

use parking_lot::Mutex;
use plimsoll_core::model::{Cause, Causes};
use plimsoll_core::upstream::{Target, Upstream};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Between the first two connects; doubled until [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// A connect that gets no answer.
const CONNECT: Duration = Duration::from_secs(1);
/// Nothing connects to these: they are not reached, or not to be used again.
const POINTLESS: Causes = Causes::CUT_OFF.with(Cause::Draining);

/// Connects to targets until they can be connected to.
#[derive(Default)]
pub(super) struct Readiness {
    running: Arc<Mutex<FxHashMap<usize, Arc<Target>>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Readiness {
    /// Begins to connect to a target, unless that goes on already. Clears `Refused`, and `Starting` if `decides`.
    pub(super) fn watch(&self, upstream: &Arc<Upstream>, target: &Arc<Target>, decides: bool) {
        let causes = target.causes();
        let waits = causes.has(Cause::Refused) || (decides && causes.has(Cause::Starting));
        if !target.fed || !waits || causes.intersects(POINTLESS) {
            return;
        }
        let key = Arc::as_ptr(target) as usize;
        // The entry keeps the target, and so its address as a key.
        if self.running.lock().insert(key, Arc::clone(target)).is_some() {
            return;
        }
        let (upstream, target, running) = (Arc::clone(upstream), Arc::clone(target), Arc::clone(&self.running));
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let connected = connect(&target).await;
            running.lock().remove(&key);
            let refused = connected && target.clear(Cause::Refused);
            let started = connected && decides && target.clear(Cause::Starting);
            if refused || started {
                upstream.changed();
            }
        });
    }
}

/// Connects until it succeeds, or is pointless.
async fn connect(target: &Target) -> bool {
    let mut pause = PAUSE_MIN;
    while !target.causes().intersects(POINTLESS) {
        if let Ok(Ok(_)) = tokio::time::timeout(CONNECT, TcpStream::connect(target.address)).await {
            return true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    false
}
