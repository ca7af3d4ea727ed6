//! `plimsoll run`: serve, until told to stop.

use super::serve::{Origin, Serving, start};
use super::source::{find, load};
use super::{Command, Failure};
use crate::telemetry::log;
use anyhow::{Context, anyhow};
use clap::{Args, FromArgMatches};
use plimsoll_core::config::Log;
use std::path::PathBuf;
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
    let origin = args.config.or_else(find).map_or_else(|| Origin::Text(BUILT_IN.into()), Origin::File);
    let settings = log_settings(&origin)?;
    let log = log::init(&settings.level, settings.json).map_err(|error| anyhow!(error))?;
    let serving = tokio::select! {
        serving = start(origin, Some(log)) => serving?,
        () = signals.stop.told() => return Ok(()),
    };
    serve(&serving, &mut signals).await;
    tracing::info!("draining");
    tokio::select! {
        () = serving.stop() => tracing::info!("stopped"),
        () = signals.stop.told() => tracing::warn!("told to stop again: stopped at once"),
    }
    Ok(())
}

/// Until told to stop.
async fn serve(serving: &Serving, signals: &mut Signals) {
    loop {
        tokio::select! {
            () = signals.stop.told() => return,
            _ = signals.reload.recv() => {
                let handle = serving.handle();
                // Not here: a signal to stop must not wait for it. What it comes to is in the log.
                tokio::spawn(async move { handle.reload().await });
            }
            _ = signals.upgrade.recv() => {
                tracing::warn!("this version cannot hand its sockets to a new binary (USR2): it serves on");
            }
            _ = signals.reopen.recv() => {
                tracing::info!("opening log files again");
                serving.handle().telemetry().reopen_access_log();
            }
        }
    }
}

/// How the log looks, as the document says; a document with mistakes has the default, since they are told by who reads it next.
fn log_settings(origin: &Origin) -> Result<Log, Failure> {
    let Origin::File(path) = origin else { return Ok(Log::default()) };
    let read = load(path)?.read;
    Ok(read.ok().and_then(|read| read.document.gateway).map(|gateway| gateway.log).unwrap_or_default())
}

/// What the process can be told by signals.
struct Signals {
    stop: Stop,
    reload: Signal,
    reopen: Signal,
    /// Taken, so that it does not end the process.
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
