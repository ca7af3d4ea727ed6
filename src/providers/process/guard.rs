//! The guard: this binary, executed again, between the gateway and one command.
//!
//! Two stages. `run` is the guard itself. It starts `exec`, which asks the kernel for KILL when the guard dies and then
//! becomes the command: a wish that survives `execve`, so that no code has to run between fork and exec.

use super::messages::{Ending, KILL, Report, TERMINATE};
use super::proc_stat;
use rustix::process::{self as sys, Pid, Signal};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

/// The hidden subcommand that leads here. A program that embeds Plimsoll and wants local processes calls [`guard_main`]
/// when this is its first argument.
pub const GUARD_COMMAND: &str = "__guard";

/// How we find ourselves, even after the binary was replaced on disk.
pub(super) const OWN_BINARY: &str = "/proc/self/exe";
/// The name that `ps` shows before the command has its own.
pub(super) const SHOWN_AS: &str = "plimsoll";
/// Said once the gateway is gone: see [`Guard::parent_is_gone`].
const ORPHANED: Signal = Signal::USR1;
/// Time between TERM and KILL when the guard itself is told to stop.
const OWN_GRACE: Duration = Duration::from_secs(10);
/// How often orphans that the guard adopted are reaped.
const REAP_INTERVAL: Duration = Duration::from_secs(10);
/// What a shell says when a command cannot be executed.
const CANNOT_EXECUTE: u8 = 127;

/// Runs a stage: `run|exec PARENT_PID COMMAND…`, as the gateway writes it.
pub fn guard_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let stage = arguments.next().unwrap_or_default();
    let parent = arguments.next().and_then(|parent| parent.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let command: Vec<OsString> = arguments.collect();
    match (stage.to_str(), parent) {
        (Some("run"), Some(parent)) if !command.is_empty() => run(parent, &command),
        (Some("exec"), Some(parent)) if !command.is_empty() => exec(parent, &command),
        _ => complain("this command is Plimsoll's own: it starts and watches a local process", ExitCode::from(2)),
    }
}

fn exec(parent: Pid, command: &[OsString]) -> ExitCode {
    use std::os::unix::process::CommandExt;
    // Asked for first, looked at second: a parent that died in between is noticed either way.
    let asked = sys::set_parent_process_death_signal(Some(Signal::KILL));
    if asked.is_err() || sys::getppid() != Some(parent) {
        return ExitCode::from(CANNOT_EXECUTE);
    }
    let [program, arguments @ ..] = command else { return ExitCode::from(CANNOT_EXECUTE) };
    let error = std::process::Command::new(program).args(arguments).exec();
    complain(&format!("cannot execute {}: {error}", program.display()), ExitCode::from(CANNOT_EXECUTE))
}

fn run(parent: Pid, command: &[OsString]) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("the guard cannot start: {error}"), ExitCode::FAILURE),
    };
    match runtime.block_on(watch_over(parent, command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("the guard cannot go on: {error}"), ExitCode::FAILURE),
    }
}

async fn watch_over(parent: Pid, command: &[OsString]) -> std::io::Result<()> {
    let mut guard = Guard::set_up(parent)?;
    let child = match start(command) {
        Ok(child) => child,
        Err(error) => {
            let failed = Report::Failed(format!("cannot start the guarded stage: {error}"));
            return guard.gateway.write_all(failed.line().as_bytes()).await;
        }
    };
    let Some(group) = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) else { return Ok(()) };
    guard.stay(child, group).await
}

fn start(command: &[OsString]) -> std::io::Result<Child> {
    let own_pid = sys::getpid().as_raw_nonzero().to_string();
    let mut stage = Command::new(OWN_BINARY);
    stage.arg0(SHOWN_AS).args([GUARD_COMMAND, "exec", &own_pid]).args(command);
    stage.stdin(Stdio::null()).process_group(0).spawn()
}

struct Guard {
    parent: Pid,
    gateway: UnixStream,
    orphaned: SignalStream,
    told: [SignalStream; 2],
}

impl Guard {
    fn set_up(parent: Pid) -> std::io::Result<Self> {
        // Handlers first: these signals end a process that has none.
        let orphaned = signal(SignalKind::from_raw(ORPHANED.as_raw()))?;
        let told = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        // For names in `ps` alone, so that it may fail.
        rustix::thread::set_name(c"plimsoll-guard").ok();
        sys::set_parent_process_death_signal(Some(ORPHANED))?;
        sys::set_child_subreaper(Some(sys::getpid()))?;
        let socket = std::os::unix::net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        socket.set_nonblocking(true)?;
        Ok(Self { parent, gateway: UnixStream::from_std(socket)?, orphaned, told })
    }

    /// The parent-death signal comes when the thread that started us ends, which is not yet the gateway's end.
    fn parent_is_gone(&self) -> bool {
        sys::getppid() != Some(self.parent)
    }

    async fn stay(mut self, mut child: Child, group: Pid) -> std::io::Result<()> {
        let pid = group.as_raw_nonzero().get().unsigned_abs();
        let start_ticks = proc_stat::start_ticks(pid).unwrap_or_default();
        let mut gone = self.parent_is_gone() || !self.say(&Report::Started { pid, start_ticks }).await;
        let mut kill_at: Option<tokio::time::Instant> = None;
        let mut reap = tokio::time::interval(REAP_INTERVAL);
        let [terminate, interrupt] = &mut self.told;
        let mut request = [0];
        let ending = loop {
            if gone {
                send(group, Signal::KILL);
                break child.wait().await.map_or(Ending::Unknown, Ending::of);
            }
            tokio::select! {
                status = child.wait() => break status.map_or(Ending::Unknown, Ending::of),
                read = self.gateway.read(&mut request) => match read {
                    Ok(1..) if request == [TERMINATE] => send(group, Signal::TERM),
                    Ok(1..) if request == [KILL] => send(group, Signal::KILL),
                    Ok(1..) => {}
                    Ok(0) | Err(_) => gone = true,
                },
                _ = self.orphaned.recv() => gone = sys::getppid() != Some(self.parent),
                _ = terminate.recv() => kill_at = Some(stop_within_grace(group)),
                _ = interrupt.recv() => kill_at = Some(stop_within_grace(group)),
                () = async { tokio::time::sleep_until(kill_at.unwrap_or_else(tokio::time::Instant::now)).await },
                    if kill_at.is_some() => gone = true,
                _ = reap.tick() => reap_orphans(pid),
            }
        };
        sweep(group).await;
        self.say(&Report::Ended(ending)).await;
        Ok(())
    }

    /// Whether the gateway could still hear it.
    async fn say(&mut self, report: &Report) -> bool {
        self.gateway.write_all(report.line().as_bytes()).await.is_ok()
    }
}

fn stop_within_grace(group: Pid) -> tokio::time::Instant {
    send(group, Signal::TERM);
    tokio::time::Instant::now() + OWN_GRACE
}

/// To everyone in the group. That it is empty already is no error.
fn send(group: Pid, signal: Signal) {
    sys::kill_process_group(group, signal).ok();
}

/// Kills what the command left: its group, and descendants that went into groups of their own and were adopted by us.
async fn sweep(group: Pid) {
    /// Each round reaches one generation deeper, so that this is no bound in practice.
    const ROUNDS: usize = 100;
    send(group, Signal::KILL);
    for _ in 0..ROUNDS {
        reap_orphans(0);
        let left = proc_stat::children();
        if left.is_empty() {
            return;
        }
        for pid in left.into_iter().filter_map(as_pid) {
            sys::kill_process(pid, Signal::KILL).ok();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Collects adopted children that ended; `command` is left to the runtime, which waits for it.
fn reap_orphans(command: u32) {
    for pid in proc_stat::children().into_iter().filter(|pid| *pid != command).filter_map(as_pid) {
        sys::waitpid(Some(pid), sys::WaitOptions::NOHANG).ok();
    }
}

fn as_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(pid.try_into().ok()?)
}

#[expect(clippy::print_stderr, reason = "the gateway reads a guard's stderr, and a person who ran it sees it")]
fn complain(why: &str, code: ExitCode) -> ExitCode {
    eprintln!("plimsoll: {why}");
    code
}
