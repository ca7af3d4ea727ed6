//! What the engine announces, with its own time stamps: the truth that a test compares the gateway with.

use super::Engine;
use parking_lot::Mutex;
use serde_json::Value;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// One event of a container or a network.
#[derive(Clone, Debug)]
pub struct Event {
    /// `start`, `die`, `kill`, `health_status: healthy`; of a network `connect`, `disconnect`.
    pub action: String,
    /// The container's id.
    pub container: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// A recording that runs until it is dropped.
pub struct Events {
    /// Kept for its end: dropping it kills the reader.
    _child: Child,
    seen: Arc<Mutex<Vec<Event>>>,
}

impl Events {
    /// Records from now on.
    #[must_use]
    pub fn record(engine: &Engine) -> Self {
        let mut child = Command::new("docker")
            .args(["events", "--format", "{{json .}}", "--filter", "type=container", "--filter", "type=network"])
            .env("DOCKER_HOST", engine.host())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("docker runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                into.lock().extend(parse(&line));
            }
        });
        Self { _child: child, seen }
    }

    /// When the engine last announced this of a container, milliseconds since the Unix epoch.
    #[must_use]
    pub fn last(&self, container: &str, action: &str) -> Option<u64> {
        let seen = self.seen.lock();
        let found = seen.iter().rev().find(|event| event.container == container && event.action == action);
        found.map(|event| event.at_ms)
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Event> {
        self.seen.lock().clone()
    }
}

fn parse(line: &str) -> Option<Event> {
    let event: Value = serde_json::from_str(line).ok()?;
    let actor = event.get("Actor")?;
    let container = match event["Type"].as_str()? {
        "container" => actor.get("ID"),
        _ => actor.get("Attributes")?.get("container"),
    };
    Some(Event {
        action: event["Action"].as_str()?.to_owned(),
        container: container?.as_str()?.to_owned(),
        at_ms: event["timeNano"].as_u64()? / 1_000_000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_containers_and_networks_name_the_container() {
        let check = |line: &str, expected: Option<(&str, &str, u64)>| {
            let event = parse(line);
            let event = event.as_ref().map(|event| (event.action.as_str(), event.container.as_str(), event.at_ms));
            assert_eq!(event, expected, "{line}");
        };
        check(
            r#"{"Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{}},"timeNano":1500000000000}"#,
            Some(("die", "abc", 1_500_000)),
        );
        check(
            r#"{"Type":"network","Action":"disconnect","Actor":{"ID":"n","Attributes":{"container":"abc"}},"timeNano":2000000}"#,
            Some(("disconnect", "abc", 2)),
        );
        check("not json", None);
    }
}
