//! The gateway under a service manager: what it is told, and the sockets that it gave.

use super::Failure;
use crate::control::{Handle, listeners_of};
use crate::manager::{Assigned, Door, Wanted, assign, given, tell, tell_reloading, watchdog};
use plimsoll_core::config::{AdminAddress, Document};
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Between two looks at whether it is ready.
const LOOK: Duration = Duration::from_millis(50);

/// The sockets that the service manager gave, and whose they are.
pub(super) fn sockets(document: &Document, folder: &Path) -> Result<Assigned, Failure> {
    let given = given().map_err(Failure::Input)?;
    if given.is_empty() {
        return Ok(Assigned::default());
    }
    let gateway = document.gateway.clone().unwrap_or_default();
    let admin = gateway.admin.map(|admin| match admin.address {
        AdminAddress::Tcp(address) => ("admin", Door::Tcp(address)),
        AdminAddress::Unix(path) => ("admin", Door::Unix(folder.join(&*path))),
    });
    let status = gateway.status.map(|address| ("status", Door::Tcp(address)));
    let listeners = listeners_of(document).into_iter().map(|listener| (listener.name, listener.address));
    let wanted = Wanted { listeners: listeners.collect(), doors: admin.into_iter().chain(status).collect() };
    assign(given, &wanted).map_err(Failure::Input)
}

/// Tells the service manager how the gateway is, until this is dropped.
pub(super) struct Told {
    tasks: Vec<JoinHandle<()>>,
}

impl Told {
    /// Begins to.
    pub(super) fn of(handle: &Handle) -> Self {
        let mut tasks = vec![tokio::spawn(tell_state(handle.clone()))];
        if let Some(period) = watchdog() {
            tasks.push(tokio::spawn(tell_alive(handle.clone(), period)));
        }
        Self { tasks }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reads the document again, and tells of it.
pub(super) async fn reload(handle: Handle) {
    tell_reloading().await;
    // What it comes to is in the log.
    drop(handle.reload().await);
    tell(format!("READY=1\n{}", state(&handle))).await;
}

/// The gateway ends.
pub(super) async fn tell_stopping() {
    tell("STOPPING=1\nSTATUS=draining".to_owned()).await;
}

/// The service manager is told of the new process once that has lived for a while: it believes nobody but the main process,
/// and ends the service with it.
pub(super) struct Announcing {
    now: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Announcing {
    /// After so long; until then it is told of this process, as before.
    pub(super) fn of(pid: u32, told: Told, after: Duration) -> Self {
        let (now, wait) = oneshot::channel();
        let task = tokio::spawn(async move {
            drop(tokio::time::timeout(after, wait).await);
            drop(told);
            tell_replaced(pid).await;
        });
        Self { now, task }
    }

    /// This process ends.
    pub(super) async fn at_once(self) {
        drop(self.now);
        drop(self.task.await);
    }

    /// The new process has died, and this one serves.
    pub(super) async fn take_back(self) {
        if self.task.is_finished() {
            tell_replaced(std::process::id()).await;
        } else {
            self.task.abort();
        }
    }
}

/// That process is the service from now on.
async fn tell_replaced(pid: u32) {
    tell(format!("MAINPID={pid}")).await;
}

async fn tell_state(handle: Handle) {
    let mut changes = handle.changes();
    while !handle.ready() {
        // Not every change of readiness is one of the view.
        drop(tokio::time::timeout(LOOK, changes.changed()).await);
    }
    let mut told = state(&handle);
    tell(format!("READY=1\n{told}")).await;
    while changes.changed().await.is_ok() {
        let now = state(&handle);
        if now != told {
            told.clone_from(&now);
            tell(now).await;
        }
    }
}

fn state(handle: &Handle) -> String {
    let view = handle.view();
    let (routes, upstreams) = (view.plan.routes.len(), view.plan.upstreams.len());
    let refused = if view.last_error.is_some() { "; the last document was refused" } else { "" };
    format!("STATUS=serving {routes} routes, {upstreams} upstreams{refused}")
}

/// As often as asked for, twice; only as long as the control plane answers.
async fn tell_alive(handle: Handle, period: Duration) {
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        if handle.is_alive().await {
            tell("WATCHDOG=1".to_owned()).await;
        }
    }
}
