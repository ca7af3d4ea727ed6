//! `plimsoll run`: serve, until told to stop.

use super::managed::{Announcing, Told, reload, tell_stopping};
use super::serve::{First, Origin, Serving, start};
use super::source::find;
use super::upgrade::{Heir, Others, STAYS, Upgrades, brief, could_serve, give_way, hand_over, take_over};
use super::{Command, Failure};
use crate::handover::Predecessor;
use crate::telemetry::log;
use anyhow::{Context, anyhow};
use clap::{Args, FromArgMatches};
use plimsoll_core::config::{Document, Log};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is served where there is no document: containers that say so by their labels.
const BUILT_IN: &str = "_format_version: \"3.0\"\n";
/// What still runs when the process ends is not waited for longer.
const RUNTIME_END: Duration = Duration::from_millis(200);

/// `plimsoll run`.
pub(super) const COMMAND: Command = Command {
    name: "run",
    about: "Serve",
    example: "plimsoll run --config plimsoll.yaml",
    arguments: |command| RunArgs::augment_args(command),
    run: |matches| {
        let args = RunArgs::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?;
        log::open().context("the log cannot start")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("plimsoll-control").enable_all().build();
        let runtime = runtime.context("the runtime cannot start")?;
        let ended = runtime.block_on(run(args));
        runtime.shutdown_timeout(RUNTIME_END);
        ended
    },
};

#[derive(Args, Clone, Debug)]
struct RunArgs {
    /// The document [default: ./plimsoll.yaml, then /etc/plimsoll/plimsoll.yaml, then containers by their labels alone]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

async fn run(args: RunArgs) -> Result<(), Failure> {
    // Before anything else: process 1 of a container ignores signals without a handler.
    let mut signals = Signals::install().context("cannot listen for signals")?;
    let upgrades = Upgrades::new();
    let old = Predecessor::find().context("cannot take over")?.map(Arc::new);
    let started = tokio::select! {
        started = begin(args, old.as_deref()) => started,
        () = signals.stop.told() => return Ok(()),
    };
    let mut serving = match (started, &old) {
        (Ok(serving), _) => serving,
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(old)) => {
            old.failed(brief(&failure)).await;
            return Err(failure);
        }
    };
    if let Some(old) = &old {
        // From here on it has clients, and ends as every gateway does.
        take_over(&mut serving, Arc::clone(old));
    }
    loop {
        let told = Told::of(&serving.handle());
        match serve(&serving, &upgrades, &mut signals).await {
            End::Told => {
                stop(serving, &mut signals.stop).await;
                return Ok(());
            }
            End::Replaced(heir) => {
                if let Some(old) = &old {
                    old.left().await;
                }
                let Some(back) = replaced(serving, heir, told, &mut signals).await else { return Ok(()) };
                serving = back;
            }
        }
    }
}

/// Drains, and ends; at once if told to again.
async fn stop(serving: Serving, stop: &mut Stop) {
    tracing::info!("draining");
    let stopped = async {
        tell_stopping().await;
        serving.stop().await;
    };
    tokio::select! {
        () = stopped => tracing::info!("stopped"),
        () = stop.told() => tell_at_once(),
    }
}

/// Gives way, drains, and ends; at once if told to twice. What serves again comes back: the new process died.
async fn replaced(mut serving: Serving, heir: Heir, told: Told, signals: &mut Signals) -> Option<Serving> {
    tracing::info!("draining");
    let announcing = Announcing::of(heir.process.pid(), told, STAYS);
    let Signals { stop: told, reload, reopen, upgrade } = signals;
    // Who was replaced was not told to stop yet.
    let mut left = 2_u32;
    let died = tokio::select! {
        died = give_way(&mut serving, &heir, Others { reload, reopen, upgrade }) => died,
        () = told_times(told, &mut left) => {
            tell_at_once();
            return None;
        }
    };
    if died.is_some() {
        if left < 2 {
            stop(serving, told).await;
            return None;
        }
        announcing.take_back().await;
        return Some(serving);
    }
    let ended = async {
        announcing.at_once().await;
        serving.end().await;
    };
    tokio::select! {
        () = ended => tracing::info!("stopped"),
        () = told_times(told, &mut left) => tell_at_once(),
    }
    None
}

fn tell_at_once() {
    tracing::warn!("told to stop again: stopped at once");
}

/// Until told so many times.
async fn told_times(stop: &mut Stop, left: &mut u32) {
    while *left > 0 {
        stop.told().await;
        *left -= 1;
    }
}

/// Starts the gateway, in another process's place if there is one.
async fn begin(args: RunArgs, old: Option<&Predecessor>) -> Result<Serving, Failure> {
    let mut handed = match old {
        Some(old) => Some(old.receive().await.context("cannot take over")?),
        None => None,
    };
    let handed_file = handed.as_mut().and_then(|handed| handed.file.take());
    let file = args.config.or(handed_file).or_else(find);
    let origin = file.map_or_else(|| Origin::Text(BUILT_IN.into()), Origin::File);
    let first = origin.document(handed.as_ref());
    let settings = log_settings(first.as_ref().ok().map(First::document));
    let log = log::init(&settings).map_err(|error| anyhow!(error))?;
    let serving = start(origin, first?, Some(log), handed).await?;
    if let Some(old) = old {
        could_serve(&serving, old).await?;
    }
    Ok(serving)
}

/// Why the gateway is to stop.
enum End {
    /// A signal.
    Told,
    /// Another process serves.
    Replaced(Heir),
}

/// Until told to stop, or replaced.
async fn serve(serving: &Serving, upgrades: &Upgrades, signals: &mut Signals) -> End {
    loop {
        tokio::select! {
            () = signals.stop.told() => return End::Told,
            _ = signals.upgrade.recv() => match upgrades.program() {
                Err(reason) => tracing::error!(reason, "this process cannot be replaced (USR2): it serves on"),
                Ok(program) => {
                    let reopened = Cell::new(false);
                    let meanwhile = Meanwhile { upgrade: &mut signals.upgrade, reopened: &reopened };
                    let new = tokio::select! {
                        new = hand_over(serving, program) => new,
                        () = signals.stop.told() => return End::Told,
                        () = others(&mut signals.reload, &mut signals.reopen, Some(meanwhile), serving) => None,
                    };
                    if let Some(new) = new {
                        if reopened.get() {
                            // It may have opened the one that was moved away.
                            // Where it has ended already, this process's files are open.
                            let _ended = new.process.signal(rustix::process::Signal::USR1);
                        }
                        return End::Replaced(new);
                    }
                }
            },
            () = others(&mut signals.reload, &mut signals.reopen, None, serving) => {}
        }
    }
}

/// What is heard while a new process is started.
struct Meanwhile<'a> {
    upgrade: &'a mut Signal,
    /// Log files were opened again.
    reopened: &'a Cell<bool>,
}

/// Signals after which all goes on. Never ends.
async fn others(hangup: &mut Signal, reopen: &mut Signal, mut meanwhile: Option<Meanwhile<'_>>, serving: &Serving) {
    let handle = serving.handle();
    let hands_over = meanwhile.is_some();
    let reopened = meanwhile.as_ref().map(|meanwhile| meanwhile.reopened);
    loop {
        let again = async {
            match &mut meanwhile {
                Some(meanwhile) => meanwhile.upgrade.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup.recv() => {
                // Not here: a signal to stop must not wait for it. What it comes to is in the log.
                tokio::spawn(reload(handle.clone()));
            }
            // Nobody took over.
            () = handle.missed_a_reload(), if !hands_over => drop(tokio::spawn(reload(handle.clone()))),
            _ = reopen.recv() => {
                tracing::info!("opening log files again");
                handle.telemetry().reopen_access_log();
                if let Some(reopened) = reopened {
                    reopened.set(true);
                }
            }
            _ = again => tracing::warn!("a new process is being started already: this USR2 starts no other"),
        }
    }
}

/// How the log looks, as the document says; without one, or with mistakes in it, the default.
fn log_settings(document: Option<&Document>) -> Log {
    document.and_then(|document| document.gateway.as_ref()).map(|gateway| gateway.log.clone()).unwrap_or_default()
}

/// What the process can be told by signals.
struct Signals {
    stop: Stop,
    reload: Signal,
    reopen: Signal,
    /// Another process is to take over.
    upgrade: Signal,
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        let stop = Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        let (reload, reopen) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);
        Ok(Self { stop, reload, reopen, upgrade: signal(SignalKind::user_defined2())? })
    }
}

impl Stop {
    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
