//! What an engine says, one JSON text a line after a byte that tells which: `e` an event, `l` a list, `i` an inspect, `n` the
//! networks. Whatever comes in whatever order, the model is bounded by what was said, and its facts are in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::config::DockerHealth;
use plimsoll_core::discovery::docker::{
    Inspect, Inspected, ListItem, ListKind, Model, Outlook, Settings, Vantage, parse_event, parse_list,
};
use plimsoll_core::model::Freshness;

/// When the recorded containers had been started, milliseconds since the Unix epoch.
const NOW_MS: u64 = 1_795_634_968_000;

fn settings() -> Settings {
    Settings {
        outlook: Outlook { vantage: Vantage::Host, host_address: None },
        network: None,
        label_prefix: "plimsoll".into(),
        exposed_by_default: true,
        health: DockerHealth::Gate,
        grace_ms: 60_000,
        hold_ms: 60_000,
    }
}

fuzz_target!(|text: &[u8]| {
    let mut model = Model::new(settings());
    let mut now_ms = NOW_MS;
    for line in text.split(|&byte| byte == b'\n') {
        let Some((kind, json)) = line.split_first() else { continue };
        now_ms += 1000;
        match kind {
            b'e' => match parse_event(json) {
                Ok(event) => {
                    match event.is_late(now_ms) {
                        true => model.apply_late_event(&event, now_ms),
                        false => model.apply_event(&event, now_ms),
                    };
                }
                Err(error) => assert!(!error.is_empty()),
            },
            b'l' => {
                let kind = if model.is_synced() { ListKind::Periodic } else { ListKind::Gap };
                let ticket = model.begin_list(kind);
                if let Ok((items, _)) = parse_list::<ListItem>(json) {
                    model.apply_list(ticket, &items, now_ms, now_ms);
                }
            }
            b'i' => {
                let found = serde_json::from_slice::<Inspect>(json);
                for ticket in model.due_inspects(8, now_ms) {
                    let inspected = match &found {
                        Ok(inspect) => Inspected::Found(Box::new(inspect.clone())),
                        Err(error) => Inspected::Failed(error.to_string()),
                    };
                    model.apply_inspect(&ticket, inspected, now_ms);
                }
            }
            b'n' => {
                if let Ok((networks, _)) = parse_list(json) {
                    model.apply_networks(networks);
                }
            }
            b'g' => model.abandon_inspects(),
            b'm' => now_ms += 60_000,
            _ => {}
        }
        model.tick(now_ms);
        assert!(model.next_deadline().is_none_or(|at| at >= NOW_MS));
        let facts = model.facts(Freshness::Fresh);
        for replica in &facts.replicas {
            assert!(replica.ports.is_sorted_by(|one, other| one < other), "{:?}", replica.ports);
        }
        assert!(facts.replicas.is_sorted_by(|one, other| one.id < other.id));
    }
    // However it is looked at.
    model.look_from(Outlook { vantage: Vantage::Remote(None), host_address: None });
    assert!(model.facts(Freshness::Fresh).replicas.iter().all(|replica| !replica.name.is_empty()));
});
