//! Both sides of an upgrade: a running gateway gives its place to a new process, and the new process takes it.

use super::Failure;
use super::serve::Serving;
use crate::control::{Frozen, Handle};
use crate::handover::{HandoverError, Place, Predecessor, Program, Successor};
use crate::telemetry::{clock, metric};
use anyhow::anyhow;
use rustix::process::Signal as Passed;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// Beyond what providers are waited for: threads, sockets, a large document.
const PREPARE: Duration = Duration::from_secs(30);

/// For local processes to start, and for providers that did not answer in time: longer, and the old process serves on, which
/// has what this one lacks.
const REPLICAS: Duration = Duration::from_secs(8);

/// What the old process stays for at least, to go on where the new one dies of its first requests.
pub(super) const STAYS: Duration = Duration::from_secs(2);

/// Upgrades of this process: one at a time.
pub(super) struct Upgrades {
    program: Result<Program, String>,
}

impl Upgrades {
    /// Keeps in mind by which path and with which arguments this process was started.
    pub(super) fn new() -> Self {
        let program = match Place::own().refusal() {
            Some(reason) => Err(reason),
            None => Program::own().map_err(|error| error.to_string()),
        };
        Self { program }
    }

    /// The program to start, unless this process cannot be replaced.
    pub(super) fn program(&self) -> Result<&Program, &str> {
        self.program.as_ref().map_err(String::as_str)
    }
}

/// A process that serves in this one's place.
pub(super) struct Heir {
    pub(super) process: Successor,
    /// A document that was said to this process from now on would be lost.
    _frozen: Frozen,
}

/// Gives the place to the heir: accepts no more, and drains. Signals are passed on to it. Returns when all has ended; or how
/// the heir died: then this process serves again, if that is not too late.
pub(super) async fn give_way(serving: &mut Serving, heir: &Heir, others: Others<'_>) -> Option<ExitStatus> {
    let (handle, process) = (serving.handle(), &heir.process);
    process.leave().await;
    let status = tokio::select! {
        () = serving.give_way(STAYS) => return None,
        status = process.died() => status,
        () = pass_on(&handle, process, others) => return None,
    };
    handle.telemetry().add(&metric::HANDOVER_FAILURES, &[], 1.0);
    if serving.take_back() {
        tracing::error!(%status, "the new process died: this one, which still drained, serves on");
        return Some(status);
    }
    tracing::error!(%status, "the new process died, and this one has ended its work: nobody serves any more");
    None
}

/// What may be told to the process that serves, whichever the signal reaches.
pub(super) struct Others<'a> {
    pub(super) reload: &'a mut Signal,
    pub(super) reopen: &'a mut Signal,
    pub(super) upgrade: &'a mut Signal,
}

/// Never ends.
async fn pass_on(handle: &Handle, heir: &Successor, others: Others<'_>) {
    loop {
        let signal = tokio::select! {
            _ = others.reload.recv() => Passed::HUP,
            () = handle.missed_a_reload() => Passed::HUP,
            _ = others.upgrade.recv() => Passed::USR2,
            _ = others.reopen.recv() => {
                handle.telemetry().reopen_access_log();
                Passed::USR1
            }
        };
        if !heir.signal(signal) {
            match signal {
                Passed::HUP => handle.miss_a_reload(),
                _ => tracing::warn!(?signal, "a signal reached nobody: the new process has just ended"),
            }
            // That is about to be found out, and then this is over.
            std::future::pending::<()>().await;
        }
    }
}

/// Starts the program anew and gives it all; returns when it accepts connections. Where that fails all is as it was.
pub(super) async fn hand_over(serving: &Serving, program: &Program) -> Option<Heir> {
    tracing::info!("handing over: a new process is started");
    match try_to(serving, program).await {
        Ok(heir) => {
            tracing::info!(pid = heir.process.pid(), "the new process serves");
            Some(heir)
        }
        Err(error) => {
            tracing::error!(%error, "handing over failed: this process serves on");
            serving.handle().telemetry().add(&metric::HANDOVER_FAILURES, &[], 1.0);
            None
        }
    }
}

async fn try_to(serving: &Serving, program: &Program) -> Result<Heir, HandoverError> {
    let mut new = Successor::start(program).await?;
    let handle = serving.handle();
    let told = tokio::time::timeout(PREPARE, handle.hand_over()).await;
    let told = told.map_err(|_| HandoverError::Export("documents are applied without a pause".to_owned()))?;
    let (mut handed, frozen) = told.map_err(|error| HandoverError::Export(error.to_string()))?;
    handed.doors = serving.doors()?;
    let patience = handle.plan().gateway.providers.sync_timeout + PREPARE;
    new.prepare(handed, patience).await?;
    new.take(handle.targets(&frozen)).await?;
    Ok(Heir { process: new, _frozen: frozen })
}

/// Waits until what was started could serve in the old process's place, and is to.
pub(super) async fn could_serve(serving: &Serving, old: &Predecessor) -> Result<(), Failure> {
    let handle = serving.handle();
    let mut changes = handle.changes();
    // Not every change of readiness is one of the view: providers are waited for no longer than they may take.
    while !handle.ready() {
        drop(tokio::time::timeout(Duration::from_millis(50), changes.changed()).await);
    }
    let targets = old.ready().await.map_err(|error| Failure::Environment(error.into()))?;
    handle.learn(&targets);
    let deadline = clock::now() + REPLICAS;
    while let Some(upstream) = handle.lacking(&targets) {
        if clock::now() >= deadline {
            let lacks = "has no target that can be picked yet, and has one in the process before";
            return Err(Failure::Environment(anyhow!("upstream {upstream} {lacks}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Serves in the old process's place. That has the last word: until then it may yet go on.
pub(super) fn take_over(serving: &mut Serving, old: Arc<Predecessor>) {
    serving.handle().accept();
    serving.open_doors();
    let keeps = serving.keeps_doors();
    keeps.store(false, Ordering::Relaxed);
    drop(tokio::spawn(async move {
        if old.serving().await {
            keeps.store(true, Ordering::Relaxed);
            tracing::info!("took over from the process before");
        }
    }));
}

/// What the old process is told of a failure: where it is, not the document's lines.
pub(super) fn brief(failure: &Failure) -> String {
    match failure {
        Failure::Input(text) | Failure::Usage(text) => text.lines().next().unwrap_or_default().to_owned(),
        Failure::Environment(error) => format!("{error:#}"),
    }
}
