//! What a real engine said: a list, inspects of containers of each kind, and the events of their lives.

use super::*;

const LIST: &[u8] = include_bytes!("../recorded/list.json");
const NETWORKS: &[u8] = include_bytes!("../recorded/networks.json");
const EVENTS: &str = include_str!("../recorded/events.ndjson");
const INSPECTS: [&[u8]; 9] = [
    include_bytes!("../recorded/inspect_plain.json"),
    include_bytes!("../recorded/inspect_web.json"),
    include_bytes!("../recorded/inspect_host.json"),
    include_bytes!("../recorded/inspect_joined.json"),
    include_bytes!("../recorded/inspect_none.json"),
    include_bytes!("../recorded/inspect_created.json"),
    include_bytes!("../recorded/inspect_gone.json"),
    include_bytes!("../recorded/inspect_paused.json"),
    include_bytes!("../recorded/inspect_loop.json"),
];

fn inspects() -> Vec<Value> {
    INSPECTS.iter().map(|text| serde_json::from_slice(text).expect("recorded JSON")).collect()
}

fn recorded_model() -> Model {
    let mut model = Model::new(Settings { exposed_by_default: true, ..settings() });
    let (items, unreadable) = parse_list::<ListItem>(LIST).expect("a list");
    assert_eq!((items.len(), unreadable), (9, 0));
    let (networks, _) = parse_list::<Network>(NETWORKS).expect("a list");
    model.apply_networks(networks);
    model.apply_list(model.begin_list(ListKind::Gap), &items, NOW_MS, NOW_MS);
    answer(&mut model, &inspects(), NOW_MS);
    model
}

#[test]
fn containers_of_every_kind_become_replicas() {
    let model = recorded_model();
    let check = |name: &str, phase: Phase, address: Option<&str>, ports: &[u16]| {
        let replica = replica(&model, name);
        let address = address.map(|address| address.parse().expect("an address"));
        assert_eq!((replica.phase, replica.address, replica.ports.as_slice()), (phase, address, ports), "{name}");
    };
    check("rec-e-plain", Phase::Running, Some("172.17.0.2"), &[8080]);
    check("rec-e-web", Phase::Running, Some("172.18.0.2"), &[8080]);
    check("rec-e-host", Phase::Running, Some("127.0.0.1"), &[8080]);
    check("rec-e-joined", Phase::Running, Some("172.17.0.2"), &[8080]);
    check("rec-e-none", Phase::Running, None, &[8080]);
    check("rec-e-created", Phase::Stopped, None, &[]);
    check("rec-e-gone", Phase::Stopped, None, &[]);
    check("rec-e-paused", Phase::Paused, Some("172.17.0.4"), &[8080]);
    check("rec-e-loop", Phase::Stopped, None, &[]);
    let web = replica(&model, "rec-e-web");
    assert_eq!(web.group.to_string(), "docker/compose/web.shop");
    assert_eq!(web.health, RuntimeHealth::Healthy);
    assert_eq!(&*web.incarnation, "2026-11-25T19:29:18.152966126Z");
    assert_eq!(web.created_ms, 1_795_634_957_865);
    assert_eq!(replica(&model, "rec-e-plain").group.to_string(), "docker/container/rec-e-plain");
    let problems = model.facts(Freshness::Fresh).problems;
    let [problem] = problems.as_slice() else { panic!("one problem: {problems:?}") };
    assert!(problem.subject == "rec-e-none" && problem.message.contains("`none`"), "{problem:?}");
}

#[test]
fn a_replayed_recording_ends_where_the_engine_ended() {
    let mut model = recorded_model();
    let mut drained = Vec::new();
    for line in EVENTS.lines() {
        let event = parse_event(line.as_bytes()).expect("a recorded event");
        model.apply_event(&event, event.time_ns / 1_000_000);
        if event.action == "kill" && event.actor.attributes.get("name").is_some_and(|name| name == "rec-e-web") {
            drained.push(phase(&model, "rec-e-web"));
        }
        // A second delivery, as after a reconnect, changes nothing.
        assert_eq!(model.apply_event(&event, event.time_ns / 1_000_000), Urgency::Unchanged);
    }
    assert_eq!(drained, [Phase::Stopping, Phase::Stopping], "its stop signal, 3, then 9");
    for replica in model.facts(Freshness::Fresh).replicas {
        assert_eq!(replica.phase, Phase::Gone, "{}", replica.name);
    }
    assert_eq!(model.events_total(), 89);
    assert_eq!(model.corrections_total(), 0);
}

#[test]
fn garbage_on_the_stream_is_an_error_and_not_an_event() {
    for line in ["", "{", "[]", "{}", "null", "12", "{\"Type\":1}", "\u{1e}", "HTTP/1.1 400 Bad Request"] {
        assert!(parse_event(line.as_bytes()).is_err(), "{line:?}");
    }
    let sequence = "\u{1e}{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"a\",\"Attributes\":null}}";
    assert_eq!(parse_event(sequence.as_bytes()).expect("json-seq").actor.id, "a");
}

#[test]
fn one_odd_container_does_not_spoil_a_list() {
    let text = br#"[{"Id":"a","State":"running","Labels":null,"Ports":7,"NetworkSettings":{"Networks":null}}, 5]"#;
    let (items, unreadable) = parse_list::<ListItem>(text).expect("a list");
    assert_eq!((items.len(), unreadable), (1, 1));
    assert_eq!((items[0].id.as_str(), items[0].state.as_str()), ("a", "running"));
    assert!(parse_list::<ListItem>(b"{}").is_err());
    // Podman's number for a signal, its empty health status, and its network by name.
    let podman: Inspect = from(json!({
        "Id": "p", "Config": {"StopSignal": 15, "StopTimeout": 0}, "State": {"Status": "running", "Health": {"Status": ""}},
        "NetworkSettings": {"Networks": {"lab": {"NetworkID": "lab", "IPAddress": "10.89.0.2"}}},
    }));
    assert_eq!(podman.config.stop_signal, "15");
}
