//! The process that gives its place away.

use super::error::HandoverError;
use super::message::{FromNew, FromOld, Handed, HandedTarget, Offer};
use super::new::VARIABLE;
use super::wire::Wire;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Until the new process says that it runs.
const HELLO: Duration = Duration::from_secs(10);
/// Until it accepts, once it was told to.
const SERVING: Duration = Duration::from_secs(10);
/// A process whose end of the wire is closed ends within this, or is ended.
pub(super) const ENDS: Duration = Duration::from_secs(1);
/// Between two looks at whether it lives.
const LOOK: Duration = Duration::from_millis(50);
/// Longer than most drains: for one that was told to stop and may have clients.
const DRAINS: Duration = Duration::from_secs(300);
/// What service managers say to one process alone.
const NOT_INHERITED: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// The program as it was started: by this path and with these arguments it is started again.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// This process's. The path is the one that it was started by, with its links, so that what is put there later is what
    /// is started.
    pub(crate) fn own() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        let path = match started_by(Path::new(&name)) {
            Some(path) => path,
            None => std::env::current_exe()?,
        };
        Ok(Self { path, name, arguments: arguments.collect() })
    }
}

/// Where a program of this name was found, as a shell finds it. `None`: what is there is not what runs.
fn started_by(name: &Path) -> Option<PathBuf> {
    let is_running = |path: &Path| {
        let (found, own) = (std::fs::metadata(path).ok()?, std::fs::metadata("/proc/self/exe").ok()?);
        (found.dev() == own.dev() && found.ino() == own.ino()).then(|| std::path::absolute(path).ok())?
    };
    if name.components().count() > 1 || name.is_absolute() {
        return is_running(name);
    }
    std::env::split_paths(&std::env::var_os("PATH")?).find_map(|folder| is_running(&folder.join(name)))
}

/// The process that is to take over.
pub(crate) struct Successor {
    child: Mutex<Child>,
    wire: Arc<Wire>,
    stage: Stage,
}

/// What becomes of it if it is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It serves nobody: it is killed.
    Preparing,
    /// It may serve already: it is told to stop.
    Taking,
    /// It goes on.
    Done,
}

impl Successor {
    /// Starts it, and waits until it says that it runs.
    pub(crate) async fn start(program: &Program) -> Result<Self, HandoverError> {
        let (own, other) = UnixStream::pair()?;
        let mut command = Command::new(&program.path);
        command.arg0(&program.name).args(&program.arguments);
        command.stdin(Stdio::from(OwnedFd::from(other))).env(VARIABLE, std::process::id().to_string());
        NOT_INHERITED.iter().for_each(|name| {
            command.env_remove(name);
        });
        let child = command.spawn().map_err(|error| HandoverError::Start { path: program.path.clone(), error })?;
        // Its end is then the child's alone: when the child is gone, that shows.
        drop(command);
        let mut new = Self { child: Mutex::new(child), wire: Arc::new(Wire::new(own)), stage: Stage::Preparing };
        match new.hear("hello", HELLO).await? {
            FromNew::Hello { version } => tracing::info!(pid = new.pid(), version, "the new process runs"),
            other => return Err(odd(&other)),
        }
        Ok(new)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().id()
    }

    /// Gives it all that it needs, and waits until it could serve.
    pub(crate) async fn prepare(&mut self, handed: Handed, limit: Duration) -> Result<(), HandoverError> {
        self.say(move |wire| {
            let offer = Offer::of(&handed);
            wire.send(&offer)?;
            wire.send_sockets(&handed.sockets())
        })
        .await?;
        match self.hear("ready", limit).await? {
            FromNew::Ready => Ok(()),
            other => Err(odd(&other)),
        }
    }

    /// Has it accept connections; returns when it does. From here on it is no longer killed.
    pub(crate) async fn take(&mut self, targets: Vec<HandedTarget>) -> Result<(), HandoverError> {
        self.stage = Stage::Taking;
        self.say(move |wire| wire.send(&FromOld::Take { targets })).await?;
        match self.hear("serving", SERVING).await? {
            FromNew::Serving => self.stage = Stage::Done,
            other => return Err(odd(&other)),
        }
        Ok(())
    }

    /// All is its own from now on.
    pub(crate) async fn leave(&self) {
        if let Err(error) = self.say(|wire| wire.send(&FromOld::Yours)).await {
            tracing::debug!(%error, "the new process did not wait for the last word");
        }
    }

    /// Returns when it has died, and nobody else took over from it: one that ended in good order was told to.
    pub(crate) async fn died(&self) -> ExitStatus {
        loop {
            let wire = Arc::clone(&self.wire);
            let heard = tokio::task::spawn_blocking(move || wire.receive::<FromNew>(LOOK)).await;
            match heard.unwrap_or_else(|_| Err(io::Error::other("it could not be heard"))) {
                Ok(FromNew::Left) => return std::future::pending().await,
                // It says nothing, or its end is closed.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => tokio::time::sleep(LOOK).await,
            }
            let ended = self.child.lock().try_wait().ok().flatten();
            match ended {
                Some(status) if status.success() => return std::future::pending().await,
                Some(status) => return status,
                None => {}
            }
        }
    }

    /// Passes a signal on to it; false where it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let mut child = self.child.lock();
        // The number of one that has ended may be another's by now.
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        let told = Pid::from_raw(child.id().cast_signed()).map_or(Ok(()), |pid| kill_process(pid, signal));
        if let Err(error) = &told {
            tracing::debug!(%error, "the new process could not be told");
        }
        told.is_ok()
    }

    async fn say(&self, say: impl FnOnce(&Wire) -> io::Result<()> + Send + 'static) -> Result<(), HandoverError> {
        let wire = Arc::clone(&self.wire);
        let said = tokio::task::spawn_blocking(move || say(&wire)).await;
        Ok(said.unwrap_or_else(|_| Err(io::Error::other("it could not be said")))?)
    }

    async fn hear(&mut self, word: &'static str, limit: Duration) -> Result<FromNew, HandoverError> {
        let wire = Arc::clone(&self.wire);
        let heard = tokio::task::spawn_blocking(move || wire.receive(limit)).await;
        match heard.unwrap_or_else(|_| Err(io::Error::other("it could not be heard"))) {
            Ok(FromNew::Failed { reason }) => Err(HandoverError::Failed(reason)),
            Ok(said) => Ok(said),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(HandoverError::Late { word, limit })
            }
            Err(error) => match self.ended().await {
                Some(status) => Err(HandoverError::Ended(status)),
                None => Err(error.into()),
            },
        }
    }

    /// How it ended, if it does.
    async fn ended(&mut self) -> Option<ExitStatus> {
        for _ in 0..ENDS.as_millis() / 10 {
            if let Ok(Some(status)) = self.child.get_mut().try_wait() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        match self.stage {
            Stage::Done => {}
            Stage::Preparing => {
                // Before the wire is closed, which it would take for our end. One that has ended is reaped all the same.
                if let Err(error) = child.kill().and_then(|()| child.wait()) {
                    tracing::debug!(%error, "the new process could not be ended");
                }
            }
            Stage::Taking if matches!(child.try_wait(), Ok(Some(_))) => {}
            Stage::Taking => {
                let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return };
                // It may have clients, and drains. Nobody else waits for its end.
                let ending = std::thread::Builder::new().name("successor".to_owned()).spawn(move || end(pid));
                if let Err(error) = ending {
                    tracing::warn!(%error, "the new process could not be told to stop");
                }
            }
        }
    }
}

/// Has a process of ours end: told to, and at last made to.
fn end(pid: Pid) {
    for signal in [Signal::TERM, Signal::KILL] {
        if let Err(error) = kill_process(pid, signal) {
            tracing::debug!(%error, "the new process could not be told to stop");
        }
        for _ in 0..DRAINS.as_secs() {
            if !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn odd(said: &FromNew) -> HandoverError {
    HandoverError::Wire(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it said {said:?}, which does not come next"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_start_is_kept_if_it_leads_to_what_runs() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(started_by(&own).as_deref(), Some(&*own));
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert_eq!(started_by(&link), Some(link), "a link may lead to another version later");
        assert_eq!(started_by(Path::new("/bin/sh")), None, "a name that was made up");
    }
}
