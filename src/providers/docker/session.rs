//! One session with the engine: subscribe, list, inspect what the model asks for, apply what comes, until the stream ends.

use super::Endpoint;
use super::client::{Client, Listed};
use super::follow::Follower;
use super::reader::EventStream;
use super::transport::Transport;
use crate::telemetry::clock;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use plimsoll_core::discovery::docker::{
    InspectTicket, Inspected, ListKind, ListTicket, Model, Network, Outlook, Settings, Urgency, Vantage,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How a session ended.
pub(super) struct Ended {
    /// Whether the engine answered at all.
    pub(super) answered: bool,
    /// How long it went on after everything was known; `None`: it never was.
    pub(super) synced_for: Option<Duration>,
    /// In words.
    pub(super) cause: String,
}

impl Ended {
    /// The engine did not answer.
    pub(super) fn unreached(cause: String) -> Self {
        Self { answered: false, synced_for: None, cause }
    }
}

/// From the first call to the stream's end. The model is made by the first session.
pub(super) async fn run(follower: &mut Follower, model: &mut Option<Model>, endpoint: Endpoint) -> Ended {
    let client = match Transport::new(endpoint) {
        Ok(transport) => Client::negotiate(transport).await,
        Err(cause) => Err(cause),
    };
    let client = match client {
        Ok(client) => client,
        Err(cause) => return Ended::unreached(cause),
    };
    // Each session anew: the engine may be another one now, or have said nothing of us the last time.
    let outlook = match outlook(&client, &follower.options.environment.own_ids).await {
        Ok(outlook) => outlook,
        Err(cause) => return Ended { answered: true, ..Ended::unreached(cause) },
    };
    let is_news = model.as_ref().is_none_or(|model| !model.looks_from(&outlook));
    let model = match model {
        Some(model) => model,
        None => model.insert(Model::new(settings(follower, outlook.clone()))),
    };
    if is_news {
        let (endpoint, vantage) = (client.transport().endpoint(), &outlook.vantage);
        tracing::info!(%endpoint, version = client.version(), ?vantage, "following the docker engine");
    }
    // Subscribed before anything is listed: what happens in between is told twice, not never.
    let client = Arc::new(client);
    let since = since(&client, model.last_event_ns());
    let mut stream = EventStream::open(Arc::clone(&client), since, filters(client.is_podman));
    if let Err(cause) = stream.wait_for_answer().await {
        return Ended { answered: true, ..Ended::unreached(cause) };
    }
    let mut session = Session {
        client,
        stream,
        calls: FuturesUnordered::new(),
        next_list: Instant::now(),
        lists_out: 0,
        checking: None,
        synced_at: None,
        publish_at: None,
        outlook: Some(outlook),
    };
    let cause = session.follow(model, follower).await;
    model.abandon_inspects();
    follower.publish(Some(model));
    let synced_for = session.synced_at.map(|at| at.elapsed());
    Ended { answered: true, synced_for, cause }
}

fn settings(follower: &Follower, outlook: Outlook) -> Settings {
    let provider = &follower.options.provider;
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Settings {
        outlook,
        network: provider.network.clone(),
        label_prefix: Arc::clone(&provider.label_prefix),
        exposed_by_default: provider.exposed_by_default,
        health: provider.health,
        grace_ms: ms(provider.grace),
        hold_ms: ms(follower.options.hold),
    }
}

struct Session {
    client: Arc<Client>,
    stream: EventStream,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    next_list: Instant,
    /// Lists under way: of containers, of networks.
    lists_out: u8,
    /// Corrections before the list whose suspects are being looked at.
    checking: Option<u64>,
    synced_at: Option<Instant>,
    publish_at: Option<Instant>,
    /// From where we look, until the model was told.
    outlook: Option<Outlook>,
}

/// What a call brought.
enum Answer {
    Networks(Result<Vec<Network>, String>),
    List(ListTicket, Result<Listed, String>),
    Inspect(InspectTicket, Inspected),
}

impl Session {
    /// Until the stream ends; then why.
    async fn follow(&mut self, model: &mut Model, follower: &mut Follower) -> String {
        let mut events = Vec::new();
        loop {
            self.ask(model, follower.options.list_every);
            let wake_at = self.wake_at(model);
            let mut urgency = Urgency::Unchanged;
            tokio::select! {
                count = self.stream.events.recv_many(&mut events, EVENTS_AT_A_TIME) => {
                    if count == 0 {
                        return self.stream.cause().await;
                    }
                    let (now_ms, wall_ms) = (clock::steady_ms(), clock::now_ms());
                    for event in events.drain(..) {
                        urgency = urgency.max(match event.is_late(wall_ms) {
                            false => model.apply_event(&event, now_ms),
                            true => model.apply_late_event(&event, now_ms),
                        });
                    }
                }
                Some(answer) = self.calls.next() => match self.take(answer, model) {
                    Ok(change) => urgency = change,
                    Err(cause) => return cause,
                },
                () = tokio::time::sleep_until(wake_at) => {}
            }
            urgency = urgency.max(model.tick(clock::steady_ms()));
            if let Err(cause) = self.settle(model, follower) {
                return cause;
            }
            self.tell(urgency, model, follower);
        }
    }

    /// Makes the calls that are due.
    fn ask(&mut self, model: &mut Model, list_every: Duration) {
        let now = Instant::now();
        if now >= self.next_list && self.lists_out == 0 {
            self.next_list = now + list_every;
            self.lists_out = 2;
            let kind = if self.synced_at.is_none() { ListKind::Gap } else { ListKind::Periodic };
            self.checking = self.synced_at.map(|_| model.corrections_total());
            let (ticket, client) = (model.begin_list(kind), Arc::clone(&self.client));
            self.calls.push(Box::pin(async move { Answer::List(ticket, client.containers().await) }));
            let client = Arc::clone(&self.client);
            self.calls.push(Box::pin(async move { Answer::Networks(client.networks().await) }));
        }
        for ticket in model.due_inspects(INSPECTS_AT_A_TIME, clock::steady_ms()) {
            let client = Arc::clone(&self.client);
            self.calls.push(Box::pin(async move {
                let inspected = client.inspect(&ticket.id).await;
                Answer::Inspect(ticket, inspected)
            }));
        }
    }

    fn wake_at(&self, model: &Model) -> Instant {
        let list = (self.lists_out == 0).then_some(self.next_list);
        // With all places taken, the next answer wakes.
        let has_room = self.calls.len() < INSPECTS_AT_A_TIME;
        let due = model.next_deadline().filter(|_| has_room).map(|due_ms| {
            let wait_ms = due_ms.saturating_sub(clock::steady_ms()).max(1);
            Instant::now() + Duration::from_millis(wait_ms)
        });
        let wake_at = [list, due, self.publish_at].into_iter().flatten().min();
        wake_at.unwrap_or_else(|| Instant::now() + IDLE_CHECK)
    }

    fn take(&mut self, answer: Answer, model: &mut Model) -> Result<Urgency, String> {
        if !matches!(answer, Answer::Inspect(..)) {
            self.lists_out = self.lists_out.saturating_sub(1);
        }
        match answer {
            Answer::Networks(Ok(networks)) => Ok(model.apply_networks(networks)),
            Answer::Networks(Err(error)) => {
                // Behind a proxy that keeps them, all are taken for bridges.
                tracing::debug!(%error, "the engine's networks are not known");
                Ok(Urgency::Unchanged)
            }
            Answer::List(ticket, listed) => {
                let Listed { items, unreadable, engine_time_s } = listed?;
                if unreadable > 0 {
                    tracing::warn!(unreadable, "entries of the engine's list of containers could not be read");
                }
                // Ours may differ from the clock that containers' starts are told by, and be set at any time.
                let engine_ms = engine_time_s.map_or_else(clock::now_ms, |time_s| time_s.saturating_mul(1000));
                Ok(model.apply_list(ticket, &items, clock::steady_ms(), engine_ms))
            }
            Answer::Inspect(ticket, inspected) => {
                let before = model.corrections_total();
                let urgency = model.apply_inspect(&ticket, inspected, clock::steady_ms());
                if model.corrections_total() > before {
                    tracing::warn!(container = %ticket.id, "a list found a change that no event told");
                }
                Ok(urgency)
            }
        }
    }

    /// Notes when all that a list asked for is through. A list by the clock that had something to correct means that
    /// the stream tells nothing any more.
    fn settle(&mut self, model: &mut Model, follower: &mut Follower) -> Result<(), String> {
        follower.status.note_counts(model.events_total(), model.corrections_total());
        if self.lists_out > 0 {
            return Ok(());
        }
        if self.synced_at.is_none() && model.is_synced() {
            // Not before: what a new outlook shows depends on our own container, which must be known.
            if let Some(outlook) = self.outlook.take() {
                model.look_from(outlook);
            }
            self.synced_at = Some(Instant::now());
            follower.note_synced(self.client.transport().endpoint());
            follower.publish(Some(model));
        }
        let Some(before) = self.checking.take_if(|_| !model.has_suspects()) else { return Ok(()) };
        if model.corrections_total() > before {
            return Err("a list found changes that the stream of events had not told".to_owned());
        }
        Ok(())
    }

    /// Tells removals at once, and the rest when a moment has gathered what belongs together.
    fn tell(&mut self, urgency: Urgency, model: &Model, follower: &Follower) {
        let now = Instant::now();
        let due = self.publish_at.is_some_and(|at| at <= now);
        if urgency == Urgency::Now || due {
            self.publish_at = None;
            follower.publish(Some(model));
        } else if urgency == Urgency::Soon && self.publish_at.is_none() {
            self.publish_at = Some(now + GATHER);
        }
    }
}

/// From where we look.
///
/// # Errors
/// It cannot be told now. To take that for an answer would make every address a wrong one.
async fn outlook(client: &Client, own_ids: &[String]) -> Result<Outlook, String> {
    let vantage = vantage(client, own_ids).await?;
    let host_address = if matches!(vantage, Vantage::Container(_)) { host_address().await } else { None };
    Ok(Outlook { vantage, host_address })
}

/// A container that the engine knows by our id is ours.
async fn vantage(client: &Client, own_ids: &[String]) -> Result<Vantage, String> {
    for id in own_ids {
        match client.inspect(id).await {
            Inspected::Found(own) if own.state.running => {
                let on_host = own.host_config.network_mode == "host";
                return Ok(if on_host { Vantage::Host } else { Vantage::Container(own.id.as_str().into()) });
            }
            Inspected::Found(_) | Inspected::Missing => {}
            Inspected::Failed(cause) => return Err(format!("whether the gateway runs in a container: {cause}")),
        }
    }
    match client.transport().endpoint() {
        Endpoint::Unix(_) => Ok(Vantage::Host),
        Endpoint::Tcp { host, port, .. } => match resolve(host, *port).await {
            Some(address) if address.is_loopback() => Ok(Vantage::Host),
            Some(address) => Ok(Vantage::Remote(Some(address))),
            None => Err(format!("the engine's host name {host} does not resolve")),
        },
    }
}

/// The engine's host as engines' name servers tell it to containers.
async fn host_address() -> Option<IpAddr> {
    for name in ["host.docker.internal", "host.containers.internal"] {
        if let Some(address) = resolve(name, 0).await {
            return Some(address);
        }
    }
    None
}

async fn resolve(host: &str, port: u16) -> Option<IpAddr> {
    let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await.ok()?.ok()?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.iter().find(|address| address.is_ipv4()).or_else(|| addresses.first()).copied()
}

/// From when on events are asked for: the last one that came, inclusive; at first a few seconds back by the engine's own
/// clock, since the answer's head comes before the subscription is in place.
fn since(client: &Client, last_event_ns: u64) -> String {
    if last_event_ns > 0 {
        let (seconds, nanoseconds) = (last_event_ns / 1_000_000_000, last_event_ns % 1_000_000_000);
        // Podman's file logger replays nothing for a fraction.
        return if client.is_podman { seconds.to_string() } else { format!("{seconds}.{nanoseconds:09}") };
    }
    let now_s = client.engine_time_s.unwrap_or_else(|| clock::now_ms() / 1000);
    now_s.saturating_sub(LOOK_BACK_S).to_string()
}

/// Filtered by the engine, so that health checks' `exec_*` do not fill its memory of 256 events. Never by label: network
/// events have none. Podman says some things in other words.
fn filters(is_podman: bool) -> String {
    let mut actions = vec![
        "start",
        "die",
        "kill",
        "pause",
        "unpause",
        "destroy",
        "rename",
        "update",
        "oom",
        "health_status",
        "connect",
        "disconnect",
    ];
    if is_podman {
        actions.extend(["died", "stop", "remove"]);
    }
    serde_json::json!({"type": ["container", "network"], "event": actions}).to_string()
}

/// Events applied between two looks at everything else.
const EVENTS_AT_A_TIME: usize = 256;
/// More would slow the engine for others.
const INSPECTS_AT_A_TIME: usize = 8;
/// Gathers what a `compose up` changes in one go.
const GATHER: Duration = Duration::from_millis(5);
/// Where nothing is to be waited for but answers, which wake.
const IDLE_CHECK: Duration = Duration::from_secs(1);
const LOOK_BACK_S: u64 = 5;
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_every_action_that_the_model_reads() {
        let docker = filters(false);
        assert!(docker.starts_with(r#"{"type":["container","network"],"event":["start","#), "{docker}");
        assert!(!docker.contains("exec") && !docker.contains("label") && !docker.contains("remove"));
        assert!(filters(true).contains("remove"));
    }
}
