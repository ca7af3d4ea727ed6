//! The life of one replica: start, run, end, pause, start again; until it is told to stop.

use super::backoff::Backoff;
use super::child::{Guarded, Launch, Output};
use super::messages::Ending;
use super::output::{self, LastWords};
use super::port::Ports;
use super::provider::{ProcessOptions, ProcessSpec};
use plimsoll_core::model::TargetId;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Where replicas are reached.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Between the first tries to connect to a new replica's port; doubling up to [`READY_INTERVAL_MAX`].
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// Between later tries.
const READY_INTERVAL_MAX: Duration = Duration::from_millis(250);
/// Between looks at whether a replica has drained.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);
/// Where nobody tells whether it has drained: the time until everyone knows that it goes, and short requests have ended.
const BLIND_DRAIN: Duration = Duration::from_millis(500);
/// Output is waited for so long after the end: a descendant that escaped may hold the pipe.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// Everything one replica needs.
pub(super) struct Plan {
    /// `web.1`.
    pub(super) id: Arc<str>,
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) options: ProcessOptions,
    pub(super) ports: Ports,
    pub(super) seen: mpsc::UnboundedSender<Seen>,
    /// Drain and stop this one.
    pub(super) stop: CancellationToken,
    /// Everything ends: no more draining.
    pub(super) closing: CancellationToken,
}

/// What happened to a replica.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: Arc<str>,
    pub(super) what: What,
}

/// See [`Seen`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It runs, as this process, and was told this port.
    Started { incarnation: Arc<str>, port: u16 },
    /// Its port accepts.
    Ready,
    /// It ended, or could not be started; why, and when again.
    Down { why: String },
    /// It was told to stop, or is about to be.
    Stopping,
    /// It is no more, and will not come back.
    Gone,
}

/// Why a life ended.
enum LifeEnd {
    Told,
    Ended(Ending),
    NotStarted(std::io::Error),
}

impl Plan {
    /// Runs until told to stop. Says [`What::Gone`] last.
    pub(super) async fn live(self) {
        let mut backoff = Backoff::default();
        let last_words = LastWords::default();
        while !self.stop.is_cancelled() {
            let born = Instant::now();
            let end = self.one_life(&last_words).await;
            let lasted = born.elapsed();
            let pause = backoff.pause_after(lasted);
            let why = match end {
                LifeEnd::Told => break,
                LifeEnd::Ended(ending) => format!("{ending} after {lasted:.1?}{}", said(&last_words)),
                LifeEnd::NotStarted(error) => format!("cannot be started: {error}"),
            };
            tracing::warn!(replica = %self.id, "{why}; started again in {pause:?}");
            self.say(What::Down { why });
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
        self.say(What::Gone);
    }

    fn say(&self, what: What) {
        // The supervisor outlives its replicas, except when everything is torn down.
        self.seen.send(Seen { id: Arc::clone(&self.id), what }).ok();
    }

    async fn one_life(&self, last_words: &LastWords) -> LifeEnd {
        last_words.lock().clear();
        let lease = match self.ports.lease() {
            Ok(lease) => lease,
            Err(error) => return LifeEnd::NotStarted(error),
        };
        let (mut process, output) = match Guarded::start(&self.launch(lease.port)).await {
            Ok(started) => started,
            Err(error) => return LifeEnd::NotStarted(error),
        };
        let incarnation: Arc<str> = format!("{}-{}", process.pid, process.start_ticks).into();
        tracing::info!(replica = %self.id, pid = process.pid, port = lease.port, "started");
        self.say(What::Started { incarnation: Arc::clone(&incarnation), port: lease.port });

        let life = async {
            let ready = accepts(SocketAddr::from((ADDRESS, lease.port)));
            tokio::select! {
                ending = process.ended() => return LifeEnd::Ended(ending),
                () = self.stop.cancelled() => {}
                () = ready => {
                    tracing::debug!(replica = %self.id, "accepts connections");
                    self.say(What::Ready);
                    tokio::select! {
                        ending = process.ended() => return LifeEnd::Ended(ending),
                        () = self.stop.cancelled() => {}
                    }
                }
            }
            self.say(What::Stopping);
            let target = TargetId {
                provider: super::facts::NAME.into(),
                id: Arc::clone(&self.id),
                incarnation,
                port: lease.port,
            };
            self.wind_down(&mut process, &target).await;
            LifeEnd::Told
        };
        let forwarded = self.forward(output, last_words);
        tokio::pin!(forwarded);
        tokio::pin!(life);
        let end = tokio::select! {
            end = &mut life => {
                timeout(OUTPUT_GRACE, forwarded).await.ok();
                end
            }
            () = &mut forwarded => life.await,
        };
        end
    }

    /// Drain, TERM, KILL; each step only if the one before did not do.
    async fn wind_down(&self, process: &mut Guarded, target: &TargetId) {
        tokio::select! {
            _ = process.ended() => return,
            () = self.closing.cancelled() => {}
            () = drained(&self.options, target) => {}
        }
        process.terminate();
        if let Ok(ending) = timeout(self.options.stop_grace, process.ended()).await {
            tracing::info!(replica = %self.id, "stopped: {ending}");
            return;
        }
        tracing::warn!(replica = %self.id, "did not end within {:?} of TERM: killed", self.options.stop_grace);
        process.kill();
        process.ended().await;
    }

    fn launch(&self, port: u16) -> Launch<'_> {
        let source = &self.spec.source;
        let filled = |text: &Arc<str>| text.replace("{port}", &port.to_string());
        let own = [("PORT", port.to_string()), ("PLIMSOLL_REPLICA", self.id.to_string())];
        let written = source.env.iter().map(|(name, value)| (name.as_ref(), filled(value)));
        Launch {
            guard: &self.options.guard,
            command: source.command.iter().map(filled).collect(),
            env: own.into_iter().chain(written).collect(),
            folder: &self.spec.folder,
        }
    }

    async fn forward(&self, (stdout, stderr): Output, last_words: &LastWords) {
        let stdout = async {
            if let Some(from) = stdout {
                output::forward(from, Arc::clone(last_words), |line| {
                    tracing::info!(target: "plimsoll::process", replica = %self.id, stream = "stdout", "{line}");
                })
                .await;
            }
        };
        let stderr = async {
            if let Some(from) = stderr {
                output::forward(from, Arc::clone(last_words), |line| {
                    tracing::info!(target: "plimsoll::process", replica = %self.id, stream = "stderr", "{line}");
                })
                .await;
            }
        };
        tokio::join!(stdout, stderr);
    }
}

fn said(last_words: &LastWords) -> String {
    let last = last_words.lock();
    if last.is_empty() { String::new() } else { format!(", saying `{last}`") }
}

/// Returns once a connection to `address` succeeds.
async fn accepts(address: SocketAddr) {
    let mut interval = READY_INTERVAL;
    loop {
        sleep(interval).await;
        if matches!(timeout(Duration::from_secs(1), TcpStream::connect(address)).await, Ok(Ok(_))) {
            return;
        }
        interval = (interval * 2).min(READY_INTERVAL_MAX);
    }
}

async fn drained(options: &ProcessOptions, target: &TargetId) {
    let Some(drained) = &options.drained else { return sleep(BLIND_DRAIN).await };
    // One interval before the first look, in which the data path hears of it.
    let wait = async {
        loop {
            sleep(DRAIN_INTERVAL).await;
            if drained(target) {
                return;
            }
        }
    };
    timeout(options.drain_timeout, wait).await.ok();
}
