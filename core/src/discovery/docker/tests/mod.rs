//! The model on what a Docker Engine 20.10 (API 1.41) said, and on what it could say in any order.

mod addresses;
mod late;
mod recorded;
mod simulation;
mod transitions;

use super::*;
use crate::config::DockerHealth;
use crate::model::{Freshness, Phase, Replica, RuntimeHealth, Way};
use serde_json::{Value, json};

fn settings() -> Settings {
    Settings {
        outlook: looking_from(Vantage::Host),
        network: None,
        label_prefix: "plimsoll".into(),
        exposed_by_default: false,
        health: DockerHealth::Gate,
        grace_ms: 60_000,
        hold_ms: 60_000,
    }
}

fn looking_from(vantage: Vantage) -> Outlook {
    Outlook { vantage, host_address: None }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is read leniently")
}

/// A running container `id` on the network `front`, with `change` merged over it.
fn inspect(id: &str, change: Value) -> Value {
    let mut all = json!({
        "Id": id, "Name": format!("/{id}"), "Created": "2026-11-25T19:29:17.5Z",
        "State": {"Status": "running", "Running": true, "StartedAt": "2026-11-25T19:29:18Z"},
        "Config": {"Labels": {"plimsoll.enable": "true"}, "ExposedPorts": {"8080/tcp": {}}},
        "HostConfig": {"NetworkMode": "front"},
        "NetworkSettings": {"Networks": {"front": {"NetworkID": "n-front", "IPAddress": "172.18.0.2",
            "Gateway": "172.18.0.1"}}, "Ports": {"8080/tcp": null}},
    });
    merge(&mut all, change);
    all
}

/// Objects are merged; everything else is replaced.
fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// The list's entry that goes with an inspect.
fn item(inspect: &Value) -> Value {
    json!({
        "Id": inspect["Id"], "Names": [inspect["Name"]], "Created": 1_795_634_957, "State": inspect["State"]["Status"],
        "Labels": inspect["Config"]["Labels"], "NetworkSettings": inspect["NetworkSettings"],
        "Ports": [{"PrivatePort": 8080, "Type": "tcp"}],
    })
}

/// A model that has listed and inspected these.
fn model_of(settings: Settings, inspects: &[Value]) -> Model {
    let mut model = Model::new(settings);
    model.apply_networks(networks());
    let items: Vec<ListItem> = inspects.iter().map(|one| from(item(one))).collect();
    model.apply_list(model.begin_list(ListKind::Gap), &items, NOW_MS, NOW_MS);
    answer(&mut model, inspects, NOW_MS);
    assert!(model.is_synced());
    model
}

/// Answers all inspects that are due.
fn answer(model: &mut Model, inspects: &[Value], now_ms: u64) {
    for ticket in model.due_inspects(usize::MAX, now_ms) {
        let found = inspects.iter().find(|one| one["Id"].as_str() == Some(&*ticket.id));
        let inspected = found.map_or(Inspected::Missing, |one| Inspected::Found(Box::new(from(one.clone()))));
        model.apply_inspect(&ticket, inspected, now_ms);
    }
}

fn replica(model: &Model, name: &str) -> Replica {
    let replicas = model.facts(Freshness::Fresh).replicas;
    replicas.into_iter().find(|replica| replica.name == name).unwrap_or_else(|| panic!("{name} is in the facts"))
}

fn phase(model: &Model, name: &str) -> Phase {
    replica(model, name).phase
}

/// An event of a container, `after_ms` its start in [`inspect`].
fn event(id: &str, action: &str, attributes: Value, after_ms: u64) -> Event {
    from(json!({
        "Type": "container", "Action": action, "Actor": {"ID": id, "Attributes": attributes},
        "timeNano": (STARTED_MS + after_ms) * 1_000_000,
    }))
}

fn network_event(id: &str, action: &str, network: &str, after_ms: u64) -> Event {
    from(json!({
        "Type": "network", "Action": action,
        "Actor": {"ID": format!("n-{network}"), "Attributes": {"container": id, "name": network, "type": "bridge"}},
        "timeNano": (STARTED_MS + after_ms) * 1_000_000,
    }))
}

/// When containers of [`inspect`] started.
const STARTED_MS: u64 = 1_795_634_958_000;
const NOW_MS: u64 = STARTED_MS + 10_000;

fn networks() -> Vec<Network> {
    let of = |name: &str, driver: &str, internal: bool| {
        from(json!({"Id": format!("n-{name}"), "Name": name, "Driver": driver, "Internal": internal}))
    };
    vec![
        of("a-inner", "bridge", true),
        of("b", "bridge", false),
        of("c", "bridge", false),
        of("mesh", "overlay", false),
    ]
}
