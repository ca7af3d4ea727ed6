//! A proxy before the engine's socket that cuts, stalls, or tells garbage, and writes down what was asked for.

use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything goes through.
    Open,
    /// Connections are closed, and new ones at once.
    Cut,
    /// Nothing goes through; connections stay open.
    Stalled,
    /// Events do not go through; everything else does.
    Deaf,
    /// Garbage goes into the stream of events.
    Garbage,
}

pub(crate) struct Proxy {
    pub(crate) path: PathBuf,
    mode: watch::Sender<Mode>,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker.sock");
        let (mode, _) = watch::channel(Mode::Open);
        let requests = Arc::default();
        let task = listen(&path, &mode, &requests);
        Self { path, mode, requests, task, _folder: folder }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// The socket goes, with all connections, as when the engine ends.
    pub(crate) fn vanish(&self) {
        self.set(Mode::Cut);
        self.task.abort();
        std::fs::remove_file(&self.path).expect("the socket was there");
    }

    /// It is there again.
    pub(crate) fn come_back(&mut self) {
        self.set(Mode::Open);
        self.task = listen(&self.path, &self.mode, &self.requests);
    }

    /// Request lines, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    /// How often events were subscribed to.
    pub(crate) fn subscriptions(&self) -> usize {
        self.requests().iter().filter(|line| line.contains("/events?")).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(path: &Path, mode: &watch::Sender<Mode>, requests: &Arc<Mutex<Vec<String>>>) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("a socket");
    let (mode, requests) = (mode.subscribe(), Arc::clone(requests));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, mode.clone(), Arc::clone(&requests)));
        }
    })
}

/// A port, and what is done with each connection to it.
pub(crate) async fn tcp(accept: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            accept(client);
        }
    });
    port
}

/// To the engine and back.
pub(crate) async fn forward(mut client: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(mut engine) = UnixStream::connect("/var/run/docker.sock").await else { return };
    tokio::io::copy_bidirectional(&mut client, &mut engine).await.ok();
}

async fn carry(client: UnixStream, mut mode: watch::Receiver<Mode>, requests: Arc<Mutex<Vec<String>>>) {
    let Ok(engine) = UnixStream::connect("/var/run/docker.sock").await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_engine, mut to_engine) = engine.into_split();
    let (mut asked, mut told) = (vec![0; 65536], vec![0; 65536]);
    let mut is_events = false;
    loop {
        let now = *mode.borrow_and_update();
        let open = now == Mode::Open || (!is_events && now != Mode::Cut && now != Mode::Stalled);
        match now {
            Mode::Cut => return,
            Mode::Garbage if is_events => {
                to_client.write_all(b"10\r\n{\"Type\": <html>\n\r\n").await.ok();
                mode.changed().await.ok();
                continue;
            }
            _ => {}
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = from_client.read(&mut asked), if open => {
                let Ok(length @ 1..) = read else { return };
                let text = String::from_utf8_lossy(&asked[..length]);
                let line = text.lines().next().unwrap_or_default().to_owned();
                is_events |= line.contains("/events?");
                requests.lock().push(line);
                if to_engine.write_all(&asked[..length]).await.is_err() { return }
            }
            read = from_engine.read(&mut told), if open => {
                let Ok(length @ 1..) = read else { return };
                if to_client.write_all(&told[..length]).await.is_err() { return }
            }
        }
    }
}
