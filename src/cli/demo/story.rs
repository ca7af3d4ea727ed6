//! What happens, in which order, and how it is told.

use super::document::document;
use super::load;
use super::screen::{Picture, Screen, line, short, table, thousands};
use super::tally::Tally;
use super::{DemoArgs, bind, choose_port};
use crate::cli::Failure;
use crate::cli::serve::{Origin, start};
use crate::telemetry::{Telemetry, clock};
use anyhow::{Context, anyhow};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

const REPLICAS: u16 = 3;
/// From the start to the first answers of all replicas.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// From the first request to the first kill, unless the whole is short.
const FIRST_KILL: Duration = Duration::from_secs(4);
/// Between later kills.
const NEXT_KILL: Duration = Duration::from_secs(12);
/// After a kill, until it is said what became of its requests.
const AFTERMATH: Duration = Duration::from_millis(1_500);
/// The table is drawn so often.
const FRAME: Duration = Duration::from_millis(200);
/// Without a terminal, a line is said so often.
const PLAIN_FRAME: Duration = Duration::from_secs(2);
/// What is under way at the end has so long.
const FINISH_TIMEOUT: Duration = Duration::from_secs(11);

/// Tells it all.
pub(super) async fn tell(args: DemoArgs) -> Result<(), Failure> {
    let stop = ends(args.duration).context("cannot listen for signals")?;
    let port = choose_port(args.port)?;
    let admin = bind(0).ok();
    let binary = std::env::current_exe().context("this program does not find itself")?;
    let text = document(&binary.display().to_string(), port, admin, REPLICAS);
    let mut screen = Screen::new(args.quiet);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    introduce(&mut screen, &text, address);

    let started = Instant::now();
    let origin = Origin::Text(text.into());
    let first = origin.document(None)?;
    let serving = start(origin, first, None, None).await?;
    let telemetry = Arc::clone(serving.handle().telemetry());
    let mut story = Story { args, screen, address, telemetry, started, tally: Arc::default(), kills: Vec::new(), stop };
    let told = story.run().await;
    serving.stop().await;
    story.conclude();
    told?;
    let tally = story.tally.lock();
    match tally.last_loss.as_deref() {
        None => Ok(()),
        Some(why) => Err(anyhow!("{} requests were lost; the last one: {why}", thousands(tally.lost)).into()),
    }
}

/// Cancelled at the end of `duration`, or when a person or a program asks.
fn ends(duration: Option<Duration>) -> anyhow::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = async { sleep(duration.unwrap_or_default()).await }, if duration.is_some() => {}
            }
            stop.cancel();
        }
    });
    Ok(stop)
}

fn introduce(screen: &mut Screen, document: &str, address: SocketAddr) {
    let style = screen.style;
    let indented: String = document.lines().map(|line| format!("    {}\n", style.dim(line))).collect();
    let title = style.bold("Plimsoll: a load balancer, and something behind it, on this machine.");
    screen.say(&format!(
        "\n{title}\n\nThree replicas of a small web server run as local processes. The gateway starts\n\
         them, watches them and spreads requests over them. This is its whole document;\n\
         save it as plimsoll.yaml to keep it, and start it by: plimsoll run\n\n{indented}\n\
         Open {} in a browser, or type: curl http://{address}/\n",
        style.bold(&format!("http://{address}/")),
    ));
}

struct Story {
    args: DemoArgs,
    screen: Screen,
    address: SocketAddr,
    telemetry: Arc<Telemetry>,
    started: Instant,
    tally: Arc<Mutex<Tally>>,
    kills: Vec<Kill>,
    stop: CancellationToken,
}

/// One replica's violent end.
struct Kill {
    replica: String,
    pid: i32,
    at: Instant,
    /// Repeated requests before it.
    retries: u64,
    back: bool,
    told: bool,
}

impl Story {
    async fn run(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            up = timeout(START_TIMEOUT, everyone_answers(self.address)) => {
                up.context("not all replicas answered within 20 s")?;
            }
            () = self.stop.cancelled() => {
                self.say("Ended before the replicas were up.");
                return Ok(());
            }
        }
        self.say("Three replicas are up. 200 requests a second begin, one in four slow.");
        let load = tokio::spawn(load::run(self.address, Arc::clone(&self.tally)));
        self.show().await;
        load.abort();
        timeout(FINISH_TIMEOUT, self.finish()).await.ok();
        Ok(())
    }

    /// Until the end: draws, kills, and says what came of it.
    async fn show(&mut self) {
        let mut frames = interval(if self.screen.live { FRAME } else { PLAIN_FRAME.min(FRAME) });
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = self.args.duration.map_or(FIRST_KILL, |whole| (whole / 3).min(FIRST_KILL));
        let mut next_kill = Instant::now() + first;
        let mut next_line = Instant::now() + PLAIN_FRAME;
        while !self.stop.is_cancelled() {
            tokio::select! {
                _ = frames.tick() => {}
                () = self.stop.cancelled() => return,
            }
            if Instant::now() >= next_kill {
                next_kill += NEXT_KILL;
                self.kill_one();
            }
            self.follow_up();
            if self.screen.live {
                let lines = table(&self.picture(), self.screen.style);
                self.screen.draw(&lines);
            } else if !self.args.quiet && Instant::now() >= next_line {
                next_line += PLAIN_FRAME;
                self.say(&line(&self.picture()));
            }
        }
    }

    fn kill_one(&mut self) {
        // web.2 first, then web.3, web.1, and round again.
        let number = (self.kills.len() + 1) % usize::from(REPLICAS) + 1;
        let replica = format!("{}.{number}", super::document::UPSTREAM);
        let Some(pid) = self.tally.lock().pid(&replica) else { return };
        let retries = self.retries();
        if Pid::from_raw(pid).is_none_or(|pid| kill_process(pid, Signal::KILL).is_err()) {
            return;
        }
        self.say(&format!("{replica} (pid {pid}) is killed (kill -9) in the middle of its requests."));
        self.kills.push(Kill { replica, pid, at: Instant::now(), retries, back: false, told: false });
    }

    /// Says when a killed replica is back, and how its requests fared.
    fn follow_up(&mut self) {
        let Some(mut kill) = self.kills.pop() else { return };
        if !kill.back && self.tally.lock().pid(&kill.replica).is_some_and(|pid| pid != kill.pid) {
            kill.back = true;
            let pid = self.tally.lock().pid(&kill.replica).unwrap_or_default();
            let after = short(kill.at.elapsed());
            self.say(&format!("{} is back as pid {pid}, and takes its share again after {after}.", kill.replica));
        }
        if !kill.told && kill.at.elapsed() >= AFTERMATH {
            kill.told = true;
            let repeated = self.retries().saturating_sub(kill.retries);
            let lost = self.tally.lock().lost;
            self.say(&match (lost, repeated) {
                (0, 1) => "Nothing was lost: the request it had in hand was repeated elsewhere.".to_owned(),
                (0, 2..) => {
                    format!("Nothing was lost: {repeated} requests it had in hand were repeated elsewhere.")
                }
                (0, _) => "Nothing was lost: the others took over.".to_owned(),
                (lost, _) => format!("{lost} requests were lost. That should not be; please report it."),
            });
        }
        self.kills.push(kill);
    }

    /// Attempts that were repeated so far, as the gateway's metrics say.
    fn retries(&self) -> u64 {
        sum_of("plimsoll_retries_total", &self.telemetry.render(clock::moment()))
    }

    async fn finish(&self) {
        while self.tally.lock().in_flight() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn picture(&self) -> Picture {
        let now = Instant::now().into_std();
        let mut tally = self.tally.lock();
        let killed = self.kills.iter().filter(|kill| !kill.back).map(|kill| kill.replica.clone());
        Picture {
            rows: tally.rows(now),
            down: killed.collect(),
            rate: tally.rate(now),
            answered: tally.answered,
            lost: tally.lost,
            latencies: tally.latencies(now),
            url: format!("http://{}/", self.address),
        }
    }

    fn say(&mut self, text: &str) {
        let at = format!("{:>6.1} s  ", self.started.elapsed().as_secs_f64());
        let at = self.screen.style.dim(&at);
        self.screen.say(&format!("{at}{text}"));
    }

    fn conclude(&mut self) {
        let (sent, answered, lost) = {
            let tally = self.tally.lock();
            (thousands(tally.sent), thousands(tally.answered), tally.lost)
        };
        let verdict = format!("{} lost", thousands(lost));
        if self.screen.live && self.tally.lock().answered > 0 {
            // The last table stays, without the line that invites to go on and the sums, which follow.
            let mut lines = table(&self.picture(), self.screen.style);
            lines.truncate(lines.len().saturating_sub(3));
            self.screen.say(&lines.join("\n"));
        }
        let style = self.screen.style;
        let verdict = if lost == 0 { style.good(&verdict) } else { style.bad(&verdict) };
        let kills = match self.kills.len() {
            0 => "no replica killed".to_owned(),
            1 => "one replica killed".to_owned(),
            many => format!("{many} replicas killed"),
        };
        self.screen.say(&format!(
            "\n{sent} requests sent, {answered} answered, {verdict}; {kills}.\nAll processes are stopped."
        ));
    }
}

async fn everyone_answers(address: SocketAddr) {
    let (idle, mut seen) = (Mutex::new(Vec::new()), BTreeSet::new());
    while seen.len() < usize::from(REPLICAS) {
        match load::ask(address, "/", &idle).await {
            Ok((replica, _)) => drop(seen.insert(replica)),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The sum over all series of a metric in Prometheus' text format; 0 where it has none yet.
fn sum_of(name: &str, text: &str) -> u64 {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') { rest.rsplit_once('}')?.1 } else { rest };
        value.strip_prefix(' ')?.split(' ').next()?.parse::<f64>().ok()
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let sum = values.sum::<f64>() as u64;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_series() {
        let text = "# TYPE plimsoll_retries_total counter\nplimsoll_retries_total{upstream=\"a}b\",reason=\"x\"} 3\n\
                    plimsoll_retries_total{upstream=\"c\"} 4\nplimsoll_retries_total_other 100\n";
        assert_eq!(sum_of("plimsoll_retries_total", text), 7);
        assert_eq!(sum_of("plimsoll_retries_total", ""), 0);
    }
}
