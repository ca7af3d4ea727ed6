//! The gateway's side of a guard: starts it, hears it, tells it to stop the command.

use super::guard::SHOWN_AS;
use super::messages::{Ending, KILL, Report, TERMINATE};
use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// From the guard's start to its first report. It has to start this binary twice.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// What a service manager, or the process before, gave to us and a command must not take for its own.
const NOT_INHERITED: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "PLIMSOLL_HANDOVER",
];

/// What to start.
pub(super) struct Launch<'a> {
    /// The guard: a program and its first arguments.
    pub(super) guard: &'a [String],
    /// The command, ready: nothing to be replaced in it.
    pub(super) command: Vec<String>,
    /// Added to our own environment.
    pub(super) env: Vec<(&'a str, String)>,
    /// Where it runs.
    pub(super) folder: &'a Path,
}

/// A command that runs, behind its guard. Dropping it closes the socket, on which the guard kills the command.
pub(super) struct Guarded {
    reports: Lines<BufReader<OwnedReadHalf>>,
    requests: OwnedWriteHalf,
    /// Kept, so that the runtime reaps it.
    guard: Child,
    /// Set once it was heard, so that a wait that was given up loses nothing.
    ending: Option<Ending>,
    /// The command's process id, which is its group's too.
    pub(super) pid: u32,
    /// With the pid: who it is.
    pub(super) start_ticks: u64,
}

/// What the command and its guard print.
pub(super) type Output = (Option<ChildStdout>, Option<ChildStderr>);

impl Guarded {
    /// Starts guard and command.
    ///
    /// # Errors
    /// When the guard cannot be executed or the folder does not exist. A command that cannot be executed is not seen
    /// here: it ends at once, with status 127 and a line on stderr.
    pub(super) async fn start(launch: &Launch<'_>) -> Result<(Self, Output)> {
        let [program, first_arguments @ ..] = launch.guard else {
            return Err(Error::new(ErrorKind::InvalidInput, "no guard program is set"));
        };
        // The kernel would say "no such file" of the program.
        if !launch.folder.is_dir() {
            let message = format!("working directory {} is not there", launch.folder.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command.arg0(SHOWN_AS).args(first_arguments).args(["run", &std::process::id().to_string()]);
        command.args(launch.command.iter().map(OsStr::new)).current_dir(launch.folder);
        NOT_INHERITED.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(launch.env.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C in a terminal is for the gateway, which drains before it stops anyone.
        let mut guard = command.process_group(0).spawn()?;
        // The command object holds the guard's end of the socket; we must not.
        drop(command);
        let output = (guard.stdout.take(), guard.stderr.take());
        let (read, requests) = UnixStream::from_std(ours)?.into_split();
        let mut guarded =
            Self { reports: BufReader::new(read).lines(), requests, guard, ending: None, pid: 0, start_ticks: 0 };
        let first = tokio::time::timeout(START_TIMEOUT, guarded.report()).await;
        match first {
            Ok(Some(Report::Started { pid, start_ticks })) => (guarded.pid, guarded.start_ticks) = (pid, start_ticks),
            Ok(Some(Report::Failed(why))) => return Err(Error::other(why)),
            Ok(Some(Report::Ended(ending))) => return Err(Error::other(format!("it {ending} before it began"))),
            Ok(None) => return Err(Error::other("its guard ended at once; is it this version's binary?")),
            Err(_) => return Err(Error::new(ErrorKind::TimedOut, "its guard said nothing for 10 s")),
        }
        Ok((guarded, output))
    }

    /// Waits for the command's end. When the guard was killed instead, kills the command's group in its place.
    pub(super) async fn ended(&mut self) -> Ending {
        while self.ending.is_none() {
            match self.report().await {
                Some(Report::Ended(ending)) => self.ending = Some(ending),
                Some(Report::Started { .. } | Report::Failed(_)) => {}
                None => {
                    if let Some(group) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) {
                        // An empty group is what we hope for.
                        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
                    }
                    self.ending = Some(Ending::Unknown);
                }
            }
        }
        // It has nothing left to do; its status says nothing that we do not know.
        self.guard.wait().await.ok();
        self.ending.unwrap_or(Ending::Unknown)
    }

    /// TERM to the command's group.
    pub(super) fn terminate(&self) {
        self.ask(TERMINATE);
    }

    /// KILL to the command's group.
    pub(super) fn kill(&self) {
        self.ask(KILL);
    }

    /// One byte always fits into the socket's buffer; a guard that has gone needs none.
    fn ask(&self, request: u8) {
        self.requests.try_write(&[request]).ok();
    }

    async fn report(&mut self) -> Option<Report> {
        loop {
            let line = self.reports.next_line().await.ok()??;
            if let Some(report) = Report::parse(&line) {
                return Some(report);
            }
        }
    }
}
