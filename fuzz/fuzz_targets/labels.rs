//! Labels, one `key=value` a line: whatever whoever may start a container writes, what is read stays inside its project, and
//! what is refused is refused in one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::config::DockerProvider;
use plimsoll_core::discovery::labels::{LabelSettings, glob, network_label, read_labels};
use plimsoll_core::model::{Phase, Replica, RuntimeHealth, UpstreamId};
use std::collections::BTreeMap;

fn replica(labels: BTreeMap<String, String>) -> Replica {
    Replica {
        id: "c0ffee".into(),
        incarnation: "1".into(),
        name: "shop-web-1".into(),
        group: UpstreamId {
            provider: "docker".into(),
            kind: "compose".into(),
            project: "shop".into(),
            service: "web".into(),
        },
        address: None,
        networks: BTreeMap::new(),
        ports: vec![8080],
        published: Vec::new(),
        labels,
        phase: Phase::Running,
        health: RuntimeHealth::None,
        created_ms: 0,
    }
}

fuzz_target!(|text: &str| {
    let labels: BTreeMap<String, String> = text
        .lines()
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if let (Some((pattern, _)), Some((_, text))) = (labels.first_key_value(), labels.last_key_value()) {
        assert!(glob("*", text) && (pattern != text || glob(pattern, text) || pattern.contains('*')));
    }
    let provider = DockerProvider { exposed_by_default: true, ..DockerProvider::default() };
    assert_eq!(network_label(&labels, "plimsoll"), labels.get("plimsoll.network").map(String::as_str));
    let replica = replica(labels);
    match read_labels(&replica, &LabelSettings::of(&provider)) {
        Err(problem) => {
            assert_eq!(problem.subject, "shop-web-1");
            assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem:?}");
        }
        Ok(None) => assert!(replica.labels.contains_key("plimsoll.enable"), "exposed unless it says otherwise"),
        Ok(Some(said)) => {
            assert!(said.routes.is_sorted_by(|(one, _), (other, _)| one < other));
            for (name, route) in &said.routes {
                let own = if name.is_empty() { "web.shop".to_owned() } else { format!("web.shop/{name}") };
                assert_eq!(*route.name, *own);
                assert_eq!(route.service.as_deref(), Some("web.shop"), "no other project's");
            }
            assert!(said.port != Some(0));
        }
    }
});
