//! A gateway on port 0, targets, and a provider that says what a test wants.

use crate::control::{Gateway, Handle, Running};
use crate::providers::Provider;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use plimsoll_core::model::{Causes, Facts, Freshness, Phase, Replica, RuntimeHealth, UpstreamId};
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::{Answer, Wire};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// Longer than anything takes, on a machine that is busy.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// A document whose listener is on port 0. Without the machine's own containers: what they say is no affair of a test.
pub(super) fn document(rest: &str) -> String {
    with_gateway("", rest)
}

/// The same, with more under `gateway`, indented by two.
pub(super) fn with_gateway(gateway: &str, rest: &str) -> String {
    format!(
        "_format_version: \"3.0\"\ngateway:\n  workers: 2\n  admin: false\n  access_log: false\n  \
         providers: {{docker: false}}\n  \
         listeners: [{{name: http, address: \"127.0.0.1:0\"}}]\n{gateway}{rest}"
    )
}

/// A service for the host `web.test` before these targets.
pub(super) fn web(targets: &[SocketAddr]) -> String {
    let targets: Vec<String> = targets.iter().map(|address| format!("  - {{target: \"{address}\"}}\n")).collect();
    format!(
        "services:\n- {{name: web, host: pool, routes: [{{name: web, hosts: [web.test]}}]}}\nupstreams:\n- name: pool\n  \
         targets:\n{}",
        targets.concat()
    )
}

pub(super) async fn start(text: &str) -> Running {
    match Gateway::builder().document_text(text).start().await {
        Ok(running) => running,
        Err(error) => panic!("{error}"),
    }
}

/// One request on a connection of its own.
pub(super) async fn get(address: SocketAddr, host: &str) -> Answer {
    let mut wire = Wire::connect(address).await.unwrap();
    wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await.unwrap();
    wire.answer(false).await.unwrap()
}

/// The body that a host answers.
pub(super) async fn body(running: &Running, host: &str) -> String {
    let answer = get(running.address("http").unwrap(), host).await;
    format!("{} {}", answer.status, answer.text())
}

/// The other end of a [`Told`] provider.
pub(super) struct Teller {
    views: mpsc::UnboundedSender<Facts>,
    replicas: BTreeMap<String, Replica>,
}

/// A provider that says what its teller says.
pub(super) struct Told(mpsc::UnboundedReceiver<Facts>);

/// A Docker provider that nobody is behind.
pub(super) fn docker() -> (Teller, Box<dyn Provider>) {
    let (views, told) = mpsc::unbounded_channel();
    (Teller { views, replicas: BTreeMap::new() }, Box::new(Told(told)))
}

impl Provider for Told {
    fn watch(self: Box<Self>) -> BoxStream<'static, Facts> {
        futures_util::stream::unfold(self.0, |mut told| async { Some((told.recv().await?, told)) }).boxed()
    }
}

impl Teller {
    /// A replica of the service `web` of the project `shop`, on the host `web.test`, that runs.
    pub(super) fn add(&mut self, name: &str, address: SocketAddr) -> &mut Self {
        let labels = [("plimsoll.enable", "true"), ("plimsoll.route.hosts", "web.test")];
        let replica = Replica {
            id: name.into(),
            incarnation: "1".into(),
            name: name.to_owned(),
            group: UpstreamId {
                provider: "docker".into(),
                kind: "compose".into(),
                project: "shop".into(),
                service: "web".into(),
            },
            address: Some(address.ip()),
            networks: Default::default(),
            ports: vec![address.port()],
            published: Vec::new(),
            labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            phase: Phase::Running,
            health: RuntimeHealth::None,
            created_ms: 1,
        };
        self.replicas.insert(name.to_owned(), replica);
        self
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Replica)) -> &mut Self {
        change(self.replicas.get_mut(name).unwrap());
        self
    }

    pub(super) fn remove(&mut self, name: &str) -> &mut Self {
        self.replicas.remove(name);
        self
    }

    /// Says the whole view.
    pub(super) fn tell(&self) {
        let replicas = self.replicas.values().cloned().collect();
        let facts = Facts { provider: "docker".into(), replicas, problems: Vec::new(), freshness: Freshness::Fresh };
        self.views.send(facts).unwrap();
    }
}

/// The causes of a target, by its replica's name; `None`: it is in no pool.
pub(super) fn causes(handle: &Handle, replica: &str) -> Option<Causes> {
    let upstreams = handle.upstreams();
    let mut targets = upstreams.iter().flat_map(|upstream| &upstream.targets);
    targets.find(|target| *target.replica == *replica).map(|target| target.causes)
}

/// Waits until a target has exactly these causes.
pub(super) async fn until_causes(handle: &Handle, replica: &str, expected: Causes) {
    let what = format!("{replica} has the causes [{expected}]");
    until(LIMIT, &what, async || causes(handle, replica) == Some(expected)).await;
}
