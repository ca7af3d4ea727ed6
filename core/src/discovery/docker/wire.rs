//! The few fields of the Engine API that are read, leniently: an absent field, a `null` and a value of another type are
//! all the default, since engines differ (Podman numbers signals, leaves statuses empty, and names networks by name).
//!
//! The closed enums of generated clients fail a whole list over one such value; here one container at the most is odd.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// An entry of `GET /containers/json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ListItem {
    /// 64 hex digits.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// With a leading slash.
    #[serde(deserialize_with = "lenient")]
    pub names: Vec<String>,
    /// Seconds since the Unix epoch.
    #[serde(deserialize_with = "lenient")]
    pub created: u64,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// For people: `Up 4 seconds (healthy)`.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// Labels.
    #[serde(deserialize_with = "lenient")]
    pub labels: BTreeMap<String, String>,
    /// Ports.
    #[serde(deserialize_with = "lenient")]
    pub ports: Vec<ListPort>,
    /// Networks.
    #[serde(deserialize_with = "lenient")]
    pub network_settings: NetworkSettings,
}

/// A port of a [`ListItem`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ListPort {
    /// The container's.
    #[serde(deserialize_with = "lenient")]
    pub private_port: u16,
    /// `tcp`, `udp`, `sctp`.
    #[serde(rename = "Type", deserialize_with = "lenient")]
    pub kind: String,
}

/// `GET /containers/{id}/json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Inspect {
    /// 64 hex digits.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// With a leading slash.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// RFC 3339.
    #[serde(deserialize_with = "lenient")]
    pub created: String,
    /// Where it is in its life.
    #[serde(deserialize_with = "lenient")]
    pub state: State,
    /// What it was made from.
    #[serde(deserialize_with = "lenient")]
    pub config: Config,
    /// How it runs.
    #[serde(deserialize_with = "lenient")]
    pub host_config: HostConfig,
    /// Networks and ports.
    #[serde(deserialize_with = "lenient")]
    pub network_settings: NetworkSettings,
}

/// `State` of an inspect.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct State {
    /// As [`ListItem::state`].
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// True while `restarting`, too.
    #[serde(deserialize_with = "lenient")]
    pub running: bool,
    /// RFC 3339.
    #[serde(deserialize_with = "lenient")]
    pub started_at: String,
    /// Of the HEALTHCHECK.
    #[serde(deserialize_with = "lenient")]
    pub health: Health,
}

/// `State.Health`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`; `none` or empty without a check.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
}

/// `Config` of an inspect.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Config {
    /// Labels.
    #[serde(deserialize_with = "lenient")]
    pub labels: BTreeMap<String, String>,
    /// `8080/tcp` to nothing.
    #[serde(deserialize_with = "lenient")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// A name, a number, or a number as text; empty: TERM.
    #[serde(deserialize_with = "text_or_number")]
    pub stop_signal: String,
    /// Seconds.
    #[serde(deserialize_with = "lenient")]
    pub stop_timeout: Option<i64>,
    /// HEALTHCHECK.
    #[serde(deserialize_with = "lenient")]
    pub healthcheck: Option<Healthcheck>,
}

/// `Config.Healthcheck`; zero is the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]` or empty: none.
    #[serde(deserialize_with = "lenient")]
    pub test: Vec<String>,
    /// Nanoseconds.
    #[serde(deserialize_with = "lenient")]
    pub interval: u64,
    /// Nanoseconds.
    #[serde(deserialize_with = "lenient")]
    pub start_period: u64,
    /// Nanoseconds; API 1.44 and later.
    #[serde(deserialize_with = "lenient")]
    pub start_interval: u64,
}

/// `HostConfig` of an inspect.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HostConfig {
    /// `default`, a network's name, `host`, `none`, `container:ID`.
    #[serde(deserialize_with = "lenient")]
    pub network_mode: String,
}

/// `NetworkSettings` of an inspect and of a list's entry. The top-level address is not read: it is empty on networks of
/// the user's, and gone in API 1.52.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// By name.
    #[serde(deserialize_with = "lenient")]
    pub networks: BTreeMap<String, Attachment>,
    /// `8080/tcp` to where it is published.
    #[serde(deserialize_with = "lenient")]
    pub ports: BTreeMap<String, Option<Vec<Binding>>>,
}

/// A container's place in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// The network's id; its name in Podman.
    #[serde(rename = "NetworkID", deserialize_with = "lenient")]
    pub network_id: String,
    /// IPv4; empty while it has none.
    #[serde(rename = "IPAddress", deserialize_with = "lenient")]
    pub ip_address: String,
    /// IPv6; empty while it has none.
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "lenient")]
    pub ipv6_address: String,
    /// The engine's host, seen from this network.
    #[serde(rename = "Gateway", deserialize_with = "lenient")]
    pub gateway: String,
}

/// Where a port is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Binding {
    /// `0.0.0.0`, `::` or empty: all.
    #[serde(deserialize_with = "lenient")]
    pub host_ip: String,
    /// A number as text.
    #[serde(deserialize_with = "text_or_number")]
    pub host_port: String,
}

/// An entry of `GET /networks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Network {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// `bridge`, `overlay`, `macvlan`, …
    #[serde(deserialize_with = "lenient")]
    pub driver: String,
    /// Without a way out.
    #[serde(deserialize_with = "lenient")]
    pub internal: bool,
}

/// A line of `GET /events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Event {
    /// `container`, `network`.
    #[serde(rename = "Type", deserialize_with = "lenient")]
    pub kind: String,
    /// `start`, `die`, `health_status: healthy`, …
    #[serde(deserialize_with = "lenient")]
    pub action: String,
    /// What it happened to.
    #[serde(deserialize_with = "lenient")]
    pub actor: Actor,
    /// Seconds since the Unix epoch.
    #[serde(rename = "time", deserialize_with = "lenient")]
    pub time_s: u64,
    /// Nanoseconds since the Unix epoch.
    #[serde(rename = "timeNano", deserialize_with = "lenient")]
    pub time_ns: u64,
}

/// What an [`Event`] happened to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// A container's or a network's id.
    #[serde(rename = "ID", deserialize_with = "lenient")]
    pub id: String,
    /// Labels, and what the action adds: `name`, `signal`, `container`, `oldName`.
    #[serde(rename = "Attributes", deserialize_with = "lenient")]
    pub attributes: BTreeMap<String, String>,
}

/// One whole line of the event stream: JSON, perhaps after the record separator of `json-seq` (API 1.52 and later).
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_event(line: &[u8]) -> Result<Event, String> {
    let json = line.strip_prefix(&[0x1e]).unwrap_or(line);
    let event: Event = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let known = !event.kind.is_empty() && !event.action.is_empty();
    if known { Ok(event) } else { Err("an object that is no event".to_owned()) }
}

/// The entries of a list that can be read, and how many could not.
///
/// # Errors
/// The text is no JSON list.
pub fn parse_list<T: DeserializeOwned>(text: &[u8]) -> Result<(Vec<T>, usize), String> {
    let values: Vec<Value> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let count = values.len();
    let items: Vec<T> = values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect();
    let unreadable = count - items.len();
    Ok((items, unreadable))
}

/// The default for what is absent, `null`, or of another type.
fn lenient<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    })
}
