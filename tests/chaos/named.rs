//! The upstream that is found by its name, and the name server that the gateway asks for it.
//!
//! The system's resolver asks who `/etc/resolv.conf` names, on port 53. So the gateway gets a view of files of its own (a mount
//! namespace) and the name server an address of loopback of its own: both want root. Without, the upstream has an address,
//! and nothing happens to names.

use plimsoll_sample::{Options, serve};
use plimsoll_test_support::names::{NameServer, Says};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;

/// The name.
pub(crate) const NAME: &str = "named.test";
/// What the gateway calls the upstream, and its service.
pub(crate) const NAMED: &str = "named";

/// Two replicas of it, on one port of two addresses, and who tells where they are.
pub(crate) struct Named {
    /// The name with the port, or where there is no name server an address.
    pub(crate) target: String,
    pub(crate) server: Option<NameServer>,
    replicas: [Ipv4Addr; 2],
    /// Which of them the name leads to.
    at: usize,
    /// `resolv.conf`, and a folder to mount a small disk on.
    folder: TempDir,
    /// Dropped: the replicas end.
    _stop: watch::Sender<bool>,
}

impl Named {
    pub(crate) async fn new(record: &Path) -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let own = |net: u8| Ipv4Addr::new(127, net, high, low.clamp(1, 254));
        let replicas = [own(54), own(55)];
        let (stop, stopped) = watch::channel(false);
        let mut port = 0;
        for address in replicas {
            let listener = TcpListener::bind((address, port)).await.expect("an address of loopback");
            port = listener.local_addr().expect("it is bound").port();
            let (linger, replica) = (Duration::from_millis(500), format!("named-{address}"));
            let options = Options { service: NAMED.to_owned(), replica, linger, record: Some(record.to_owned()) };
            drop(tokio::spawn(serve(listener, options, stopped.clone())));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let server = start(own(53), &folder, replicas[0]).await;
        let host = if server.is_some() { NAME.to_owned() } else { replicas[0].to_string() };
        Self { target: format!("{host}:{port}"), server, replicas, at: 0, folder, _stop: stop }
    }

    /// What is so: the address of one.
    pub(crate) fn truth(&self) -> Says {
        Says::Addresses(vec![self.replicas[self.at]], Duration::ZERO)
    }

    /// From now on it is the other one.
    pub(crate) const fn move_on(&mut self) {
        self.at = 1 - self.at;
    }

    /// The address that is told.
    pub(crate) const fn address(&self) -> Ipv4Addr {
        self.replicas[self.at]
    }

    /// One at which nobody listens.
    pub(crate) fn nowhere(&self) -> Ipv4Addr {
        let [_, _, high, low] = self.replicas[0].octets();
        Ipv4Addr::new(127, 56, high, low)
    }

    /// Where the gateway alone sees a small disk, if it sees files of its own.
    pub(crate) fn disk(&self) -> Option<PathBuf> {
        self.server.as_ref().map(|_| self.folder.path().join("disk"))
    }

    /// What stands before a program that shall ask the name server.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let words = self.disk().map(|disk| own_files(&self.folder.path().join("resolv.conf"), &disk));
        words.unwrap_or_default()
    }
}

/// What runs a program with another `/etc/resolv.conf`, and a disk of 256 KiB.
fn own_files(resolv_conf: &Path, disk: &Path) -> Vec<OsString> {
    let script =
        "mount --bind \"$1\" /etc/resolv.conf && mount -t tmpfs -o size=256k small \"$2\" && shift 2 && exec \"$@\"";
    let words = ["unshare", "--mount", "sh", "-c", script, "sh"];
    words.into_iter().map(OsString::from).chain([resolv_conf.into(), disk.into()]).collect()
}

/// The name server, where there can be one.
async fn start(address: Ipv4Addr, folder: &TempDir, truth: Ipv4Addr) -> Option<NameServer> {
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("disk")).expect("a folder");
    std::fs::write(at("resolv.conf"), format!("nameserver {address}\noptions timeout:1 attempts:2\n")).expect("a file");
    let words = own_files(&at("resolv.conf"), &at("disk"));
    let tried = Command::new(&words[0]).args(&words[1..]).arg("true").kill_on_drop(true).output().await;
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("no mount namespace: nothing happens to names");
        return None;
    }
    let says = Says::Addresses(vec![truth], Duration::ZERO);
    let server = NameServer::start(SocketAddr::from((address, 53)), says).await;
    server.inspect_err(|error| eprintln!("no name server ({error}): nothing happens to names")).ok()
}
