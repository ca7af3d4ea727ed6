//! Containers of a lab of the test's own, driven through the engine's command line.

use plimsoll_test_support::docker::{Lab, Mode, Replica, SocketProxy};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Those that there are; stopped ones are among them.
pub(crate) struct Containers {
    pub(crate) lab: Lab,
    pub(crate) record: PathBuf,
    /// Between the gateway and the engine; what is done to containers goes past it.
    relay: SocketProxy,
    network: String,
    replicas: Vec<Replica>,
    /// How many there have been.
    made: u32,
}

impl Containers {
    pub(crate) async fn new(lab: Lab, record: &Path) -> Self {
        // Containers are nobody.
        std::fs::set_permissions(record, PermissionsExt::from_mode(0o777)).expect("ours");
        let network = lab.network("front").await;
        let relay = SocketProxy::before(&lab.engine.socket);
        Self { lab, record: record.to_owned(), relay, network, replicas: Vec::new(), made: 0 }
    }

    /// `gateway.providers`.
    pub(crate) fn provider(&self) -> String {
        self.lab.provider_at(&self.relay.socket().display().to_string())
    }

    /// What becomes of what the gateway and the engine say to each other.
    pub(crate) fn relay(&self, mode: Mode) {
        self.relay.set(mode);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.replicas.iter().map(|replica| replica.name.clone()).collect()
    }

    /// Makes new ones or stops and removes some, in good order, until there are so many.
    pub(crate) async fn scale(&mut self, to: u8) {
        let to = usize::from(to);
        while self.replicas.len() < to {
            self.add().await;
        }
        let surplus: Vec<_> = self.replicas.drain(to..).map(|replica| replica.name).collect();
        if !surplus.is_empty() {
            self.run("stop", &surplus).await;
            self.run("rm", &surplus).await;
        }
    }

    /// Stops and removes all, and makes as many.
    pub(crate) async fn recreate(&mut self) {
        let count = u8::try_from(self.replicas.len()).expect("there are few");
        self.scale(0).await;
        self.scale(count).await;
    }

    /// Removes one while it runs.
    pub(crate) async fn remove(&mut self, name: &str) {
        self.replicas.retain(|replica| replica.name != name);
        self.run("rm -f", &[name.to_owned()]).await;
    }

    pub(crate) async fn add(&mut self) {
        self.made += 1;
        let (record, network) = (self.record.display(), &self.network);
        let more = format!("--network {network} -v {record}:/record -e RECORD=/record");
        self.replicas.push(self.lab.replica("web", &format!("web-{}", self.made), &more).await);
    }

    /// Takes the network from one, or gives it back.
    pub(crate) async fn network(&self, verb: &str, name: &str) {
        self.lab.engine.run(&format!("network {verb} {} {name}", self.network)).await;
    }

    /// `docker COMMAND NAME…`.
    pub(crate) async fn run(&self, command: &str, names: &[String]) {
        self.lab.engine.run(&format!("{command} {}", names.join(" "))).await;
    }
}
