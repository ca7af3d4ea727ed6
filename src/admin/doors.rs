//! Where the admin API and the status endpoints are bound.

use super::access::{Door, Rules};
use super::secret::Token;
use super::serve::{Socket, serve};
use crate::control::Handle;
use crate::handover::{Handed, HandedDoor};
use arc_swap::ArcSwap;
use plimsoll_core::config::{AdminAddress, Gateway};
use rustix::fs::{Mode, chmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Why a door cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Everybody could reach it.
    #[error(
        "gateway.admin.address: {0} can be reached from other machines: bind it to loopback or to unix:PATH, or set \
         gateway.admin.token_file"
    )]
    NoToken(SocketAddr),
    /// The token cannot be read.
    #[error("gateway.admin.token_file: cannot read {}: {error}", .path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address} ({key}; set another, or `false` for none): {error}")]
    Bind {
        /// The document's key.
        key: &'static str,
        /// What it says.
        address: String,
        /// What the system says.
        error: io::Error,
    },
}

impl OpenError {
    /// Whether the document is at fault, rather than the machine.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        !matches!(self, Self::Bind { .. })
    }
}

/// A door that is bound.
struct Open {
    /// As the document says.
    address: String,
    socket: Socket,
    /// Somebody else bound it.
    given: bool,
    rules: Rules,
}

/// Doors that are bound; nobody is answered yet.
pub struct Doors {
    open: Vec<Open>,
    /// Where the admin API is bound, if over TCP.
    pub admin: Option<SocketAddr>,
    /// Where the status endpoints are bound.
    pub status: Option<SocketAddr>,
    /// The socket's file, removed at the end.
    unix: Option<SocketFile>,
    token_file: Option<PathBuf>,
}

impl Doors {
    /// Binds what the document asks for, unless another process has handed it over. Paths are relative to `folder`.
    ///
    /// # Errors
    /// What cannot be bound, and an admin API that everybody could reach.
    pub async fn open(gateway: &Gateway, folder: &Path) -> Result<Self, OpenError> {
        Self::open_or_take(gateway, folder, &mut Handed::default()).await
    }

    /// As [`Self::open`], with sockets that may have been handed over.
    pub(crate) async fn open_or_take(gateway: &Gateway, folder: &Path, handed: &mut Handed) -> Result<Self, OpenError> {
        let mut doors = Self { open: Vec::new(), admin: None, status: None, unix: None, token_file: None };
        if let Some(admin) = &gateway.admin {
            doors.token_file = admin.token_file.as_ref().map(|file| folder.join(&**file));
            let token = doors.token_file.as_deref().map(read_token).transpose()?.map(Arc::new);
            match &admin.address {
                AdminAddress::Tcp(address) => {
                    if token.is_none() && !address.ip().to_canonical().is_loopback() {
                        return Err(OpenError::NoToken(*address));
                    }
                    let (socket, bound, given) = bind("gateway.admin.address", *address, handed).await?;
                    doors.admin = Some(bound);
                    let rules = Rules { door: Door::Tcp(bound), token };
                    doors.open.push(Open { address: address.to_string(), socket, given, rules });
                }
                AdminAddress::Unix(path) => {
                    // As every process says it, wherever it was started.
                    let path = folder.join(&**path);
                    let path = std::path::absolute(&path).unwrap_or(path);
                    let address = format!("unix:{}", path.display());
                    let taken = handed.take_door(&address);
                    let (given, is_new) = (taken.as_ref().is_some_and(|door| door.given), taken.is_none());
                    let socket = match taken {
                        Some(door) => take_unix(door.socket),
                        None => bind_unix(&path),
                    };
                    let socket = socket.map_err(|error| OpenError::Bind {
                        key: "gateway.admin.address",
                        address: address.clone(),
                        error,
                    })?;
                    // Where it could not be bound, the file is another process's.
                    doors.unix = (!given).then(|| SocketFile { path, ours: Arc::new(AtomicBool::new(is_new)) });
                    let rules = Rules { door: Door::Unix, token };
                    doors.open.push(Open { address, socket: Socket::Unix(socket), given, rules });
                }
            }
        }
        if let Some(address) = gateway.status {
            let (socket, bound, given) = bind("gateway.status.address", address, handed).await?;
            doors.status = Some(bound);
            let rules = Rules { door: Door::Status, token: None };
            doors.open.push(Open { address: address.to_string(), socket, given, rules });
        }
        Ok(doors)
    }

    /// Answers at every door, until what comes back is dropped. A token that changes in its file holds from the next
    /// reload on.
    #[must_use = "the doors close when it is dropped"]
    pub fn serve(self, gateway: &Handle) -> Served {
        let (mut doors, mut tasks) = (Vec::new(), Vec::new());
        for Open { address, socket, given, rules } in self.open {
            let rules = Arc::new(ArcSwap::from_pointee(rules));
            if let Some(path) = &self.token_file {
                tasks.push(tokio::spawn(follow_token(path.clone(), Arc::clone(&rules), gateway.clone())));
            }
            doors.push(Answered { address, socket, given, rules });
        }
        let (gateway, unix) = (gateway.clone(), self.unix);
        let mut served = Served { tasks, answering: Vec::new(), over: CancellationToken::new(), doors, unix, gateway };
        served.answer();
        served
    }
}

/// A door at which somebody answers.
struct Answered {
    address: String,
    socket: Socket,
    given: bool,
    rules: Arc<ArcSwap<Rules>>,
}

/// Doors at which somebody answers.
pub struct Served {
    tasks: Vec<JoinHandle<()>>,
    answering: Vec<JoinHandle<()>>,
    /// For the connections: the answer that is under way is the last.
    over: CancellationToken,
    doors: Vec<Answered>,
    /// After the sockets, whose file it is.
    unix: Option<SocketFile>,
    gateway: Handle,
}

impl Served {
    /// Every door's socket, doubled.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn hand_over(&self) -> io::Result<Vec<HandedDoor>> {
        let double = |door: &Answered| {
            Ok(HandedDoor { address: door.address.clone(), given: door.given, socket: door.socket.double()? })
        };
        self.doors.iter().map(double).collect()
    }

    /// Whether a socket's file ends with this; another process may have to decide.
    pub(crate) fn keeps(&self) -> Arc<AtomicBool> {
        self.unix.as_ref().map_or_else(Arc::default, |file| Arc::clone(&file.ours))
    }

    /// Answers no more, from now on: another process does, at the same sockets. Connections are closed after the answer that
    /// is under way on them.
    pub(crate) fn release(&mut self) {
        self.keeps().store(false, Ordering::Relaxed);
        self.answering.drain(..).for_each(|task| task.abort());
        self.over.cancel();
    }

    /// That process is gone: answers again.
    pub(crate) fn take_back(&mut self) {
        self.keeps().store(true, Ordering::Relaxed);
        self.over = CancellationToken::new();
        self.answer();
    }

    fn answer(&mut self) {
        if let Some(file) = &self.unix {
            file.ours.store(true, Ordering::Relaxed);
        }
        for Answered { address, socket, rules, .. } in &self.doors {
            match socket.another() {
                Ok(socket) => {
                    let (rules, gateway) = (Arc::clone(rules), self.gateway.clone());
                    self.answering.push(tokio::spawn(serve(socket, rules, gateway, self.over.clone())));
                }
                Err(error) => tracing::error!(address, %error, "nobody is answered at this door"),
            }
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.iter().chain(&self.answering).for_each(JoinHandle::abort);
    }
}

/// A socket's file, which ends with this.
struct SocketFile {
    path: PathBuf,
    /// Not another process's.
    ours: Arc<AtomicBool>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that was to be another process's is removed too, if that listens elsewhere.
        if !self.ours.load(Ordering::Relaxed) && !is_left_behind(&self.path) {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the admin API's socket was gone already");
        }
    }
}

/// Whether nobody listens at a socket's file. Never waits.
fn is_left_behind(path: &Path) -> bool {
    let connected = || {
        let (flags, address) = (SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, SocketAddrUnix::new(path)?);
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    };
    connected() == Err(Errno::CONNREFUSED)
}

fn read_token(path: &Path) -> Result<Token, OpenError> {
    Token::read(path).map_err(|error| OpenError::Token { path: path.to_owned(), error })
}

async fn follow_token(path: PathBuf, rules: Arc<ArcSwap<Rules>>, gateway: Handle) {
    let mut changes = gateway.changes();
    let mut seen = gateway.view().applied_ms;
    while changes.changed().await.is_ok() {
        let applied = gateway.view().applied_ms;
        if seen == applied || matches!(rules.load().door, Door::Status) {
            continue;
        }
        seen = applied;
        match Token::read(&path) {
            Ok(token) => rules.store(Arc::new(Rules { token: Some(Arc::new(token)), ..Rules::clone(&rules.load()) })),
            Err(error) => tracing::error!(%error, "the admin API's token cannot be read: the last one holds"),
        }
    }
}

async fn bind(
    key: &'static str,
    address: SocketAddr,
    handed: &mut Handed,
) -> Result<(Socket, SocketAddr, bool), OpenError> {
    let failed = |error| OpenError::Bind { key, address: address.to_string(), error };
    let door = handed.take_door(&address.to_string());
    let given = door.as_ref().is_some_and(|door| door.given);
    let listener = match door {
        Some(door) => take_tcp(door.socket).map_err(failed)?,
        None => TcpListener::bind(address).await.map_err(failed)?,
    };
    let bound = listener.local_addr().map_err(failed)?;
    Ok((Socket::Tcp(listener), bound, given))
}

fn take_tcp(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn take_unix(socket: OwnedFd) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Binds a socket that its owner alone may use. It is made under another name and moved into place with its mode, so that
/// it is never wider; what is left of a process that ended is replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of this name that is no socket"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there"));
        }
        Ok(_) => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let private = tempfile_in(folder)?;
    let made = private.join("s");
    let bound = UnixListener::bind(&made).and_then(|listener| {
        chmod(&made, Mode::from_raw_mode(0o600))?;
        std::fs::rename(&made, path)?;
        Ok(listener)
    });
    std::fs::remove_dir_all(&private)?;
    bound
}

/// A folder that its owner alone may enter.
fn tempfile_in(folder: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let path = folder.join(format!(".plimsoll-{:08x}", fastrand::u32(..)));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}
