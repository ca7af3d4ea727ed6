//! A proxy before an engine's socket that can be cut, stall, or speak garbage.

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// In the middle of an answer this is neither a chunk nor an event.
const GARBAGE: &[u8] = b"\xff{\"Type\":3]\r\n\0garbage\n";

/// What the proxy does. A change applies to connections that are open already, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes bytes on.
    Pass,
    /// Closes every connection, and new ones at once.
    Cut,
    /// Keeps connections open and passes nothing on.
    Stall,
    /// Writes garbage into every answer, then closes.
    Garbage,
}

/// The proxy; it ends on drop.
pub struct SocketProxy {
    mode: watch::Sender<Mode>,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl SocketProxy {
    /// Listens before `engine`.
    #[must_use]
    pub fn before(engine: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("plt").tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let (mode, modes) = watch::channel(Mode::Pass);
        let engine = engine.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, engine.clone(), modes.clone()));
            }
        });
        Self { mode, folder, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Changes what it does.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for SocketProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: UnixStream, engine: PathBuf, mut modes: watch::Receiver<Mode>) {
    if *modes.borrow_and_update() == Mode::Cut {
        return;
    }
    let Ok(mut engine) = UnixStream::connect(engine).await else { return };
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let mode = *modes.borrow_and_update();
        if mode == Mode::Garbage {
            // Whether it arrives does not matter: the connection ends either way.
            drop(client.write_all(GARBAGE).await);
            return;
        }
        let passing = mode == Mode::Pass;
        // Either side's end, or a failed write, ends both.
        let done = tokio::select! {
            changed = modes.changed() => changed.is_err() || *modes.borrow() == Mode::Cut,
            read = client.read(&mut up), if passing => match read {
                Ok(count @ 1..) => engine.write_all(&up[..count]).await.is_err(),
                _ => true,
            },
            read = engine.read(&mut down), if passing => match read {
                Ok(count @ 1..) => client.write_all(&down[..count]).await.is_err(),
                _ => true,
            },
        };
        if done {
            return;
        }
    }
}
