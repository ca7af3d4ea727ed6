//! A small engine whose containers live at random, whose events come late and sometimes not at all, and whose answers are
//! as old as they may be: at the end the model holds what the engine holds.

use super::*;
use std::collections::{BTreeMap, VecDeque};

/// What the engine knows of one container.
#[derive(Clone, Debug)]
struct Real {
    status: &'static str,
    started_s: u64,
    address: u8,
    connected: bool,
    health: &'static str,
}

struct Engine {
    rng: fastrand::Rng,
    now_ms: u64,
    containers: BTreeMap<String, Real>,
    born: u64,
    /// When each is delivered.
    events: VecDeque<(u64, Event)>,
    /// Chance of an event to be lost, percent.
    loss: u8,
}

impl Engine {
    fn emit(&mut self, kind: &str, id: &str, action: &str, mut attributes: Value) {
        if self.rng.u8(..100) < self.loss {
            return;
        }
        let actor = if kind == "network" { "n-front" } else { id };
        if kind == "network" {
            attributes = json!({"container": id, "name": "front"});
        }
        // In order, as a stream is.
        let earliest = self.events.back().map_or(0, |(at, _)| *at);
        let at = (self.now_ms + self.rng.u64(0..250)).max(earliest);
        let event = json!({"Type": kind, "Action": action, "Actor": {"ID": actor, "Attributes": attributes},
            "timeNano": self.now_ms * 1_000_000 + self.rng.u64(1..1_000_000)});
        self.events.push_back((at, from(event)));
    }

    fn start(&mut self, id: &str) {
        let (address, started_s) = (self.rng.u8(2..6), self.now_ms / 1000);
        let Some(real) = self.containers.get_mut(id) else { return };
        *real = Real { status: "running", started_s, address, connected: true, health: "" };
        self.emit("network", id, "connect", json!({}));
        self.emit("container", id, "start", json!({}));
    }

    fn end(&mut self, id: &str) {
        let Some(real) = self.containers.get_mut(id) else { return };
        real.status = "exited";
        self.emit("network", id, "disconnect", json!({}));
        self.emit("container", id, "die", json!({}));
    }

    /// One thing happens.
    fn step(&mut self) {
        self.now_ms += self.rng.u64(1..1500);
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        let picked = self.rng.choice(&ids).cloned().filter(|_| self.rng.u8(..8) > 0);
        let Some(id) = picked else {
            self.born += 1;
            let id = format!("c{}", self.born);
            self.containers
                .insert(id.clone(), Real { status: "created", started_s: 0, address: 0, connected: false, health: "" });
            return self.start(&id);
        };
        let real = self.containers[&id].clone();
        match (self.rng.u8(..9), real.status) {
            (0, "running") => {
                self.emit("container", &id, "kill", json!({"signal": "15"}));
                self.end(&id);
            }
            (1, "running") => self.end(&id),
            (2, "running") => {
                self.containers.get_mut(&id).expect("it is there").status = "paused";
                self.emit("container", &id, "pause", json!({}));
            }
            (2, "paused") => {
                self.containers.get_mut(&id).expect("it is there").status = "running";
                self.emit("container", &id, "unpause", json!({}));
            }
            (3, "running") => {
                self.containers.get_mut(&id).expect("it is there").connected ^= true;
                self.emit("network", &id, if real.connected { "disconnect" } else { "connect" }, json!({}));
            }
            (4, "running") => {
                let health = if real.health == "healthy" { "unhealthy" } else { "healthy" };
                self.containers.get_mut(&id).expect("it is there").health = health;
                self.emit("container", &id, &format!("health_status: {health}"), json!({}));
            }
            (5, "running") => self.emit("container", &id, "kill", json!({"signal": "15"})),
            (6, "exited" | "created") => self.start(&id),
            (7, "exited") => {
                self.containers.remove(&id);
                self.emit("container", &id, "destroy", json!({}));
            }
            _ => {}
        }
    }

    fn inspect(&self, id: &str) -> Option<Value> {
        let real = self.containers.get(id)?;
        let runs = ["running", "paused"].contains(&real.status);
        let address = if runs { format!("10.0.0.{}", real.address) } else { String::new() };
        let mut one = inspect(id, json!({"State": {"Status": real.status, "Health": {"Status": real.health}}}));
        one["State"]["StartedAt"] = json!(rfc3339(real.started_s));
        one["NetworkSettings"]["Networks"] =
            if real.connected { json!({"front": {"NetworkID": "n-front", "IPAddress": address}}) } else { json!({}) };
        Some(one)
    }

    fn list(&self) -> Vec<ListItem> {
        let entry = |(id, real): (&String, &Real)| {
            let mut entry = item(&self.inspect(id).expect("it is there"));
            let up_s = self.now_ms / 1000 - real.started_s;
            let health = if real.health.is_empty() { String::new() } else { format!(" ({})", real.health) };
            entry["Status"] = json!(format!("Up {up_s} seconds{health}"));
            from(entry)
        };
        self.containers.iter().map(entry).collect()
    }
}

/// Whole seconds after an hour of 2026.
fn rfc3339(seconds: u64) -> String {
    let of_day = seconds % 86_400;
    format!("2026-11-25T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// An answer under way: what the engine said when it was asked, or later.
struct Asked {
    arrives_ms: u64,
    ticket: InspectTicket,
    answer: Inspected,
}

fn run(seed: u64, loss: u8) -> (Model, Engine) {
    let midnight_ms = 1_795_564_800_000;
    let rng = fastrand::Rng::with_seed(seed);
    let mut engine =
        Engine { rng, now_ms: midnight_ms, containers: BTreeMap::new(), born: 0, events: VecDeque::new(), loss };
    let mut model = Model::new(settings());
    let mut asked: Vec<Asked> = Vec::new();
    let mut listed_ms = 0;
    for _ in 0..200 {
        engine.step();
        deliver(&mut model, &mut engine, &mut asked);
        if engine.now_ms - listed_ms > 30_000 {
            let kind = if listed_ms == 0 { ListKind::Gap } else { ListKind::Periodic };
            listed_ms = engine.now_ms;
            let ticket = model.begin_list(kind);
            let items = engine.list();
            model.apply_list(ticket, &items, engine.now_ms, engine.now_ms);
        }
        model.tick(engine.now_ms);
        ask(&mut model, &mut engine, &mut asked);
    }
    // The world stands still; the stream runs dry, and a last list comes.
    for round in 0..60 {
        engine.now_ms += 1000;
        deliver(&mut model, &mut engine, &mut asked);
        if round == 30 {
            let items = engine.list();
            model.apply_list(model.begin_list(ListKind::Periodic), &items, engine.now_ms, engine.now_ms);
        }
        model.tick(engine.now_ms);
        ask(&mut model, &mut engine, &mut asked);
    }
    (model, engine)
}

fn ask(model: &mut Model, engine: &mut Engine, asked: &mut Vec<Asked>) {
    for ticket in model.due_inspects(8, engine.now_ms) {
        let found = engine.inspect(&ticket.id);
        let answer = found.map_or(Inspected::Missing, |one| Inspected::Found(Box::new(from(one))));
        asked.push(Asked { arrives_ms: engine.now_ms + engine.rng.u64(0..800), ticket, answer });
    }
}

/// Events and answers that have arrived, in any order between the two.
fn deliver(model: &mut Model, engine: &mut Engine, asked: &mut Vec<Asked>) {
    let now_ms = engine.now_ms;
    let events_first = engine.rng.bool();
    for events in [events_first, !events_first] {
        if events {
            while engine.events.front().is_some_and(|(at, _)| *at <= now_ms) {
                let (_, event) = engine.events.pop_front().expect("there is one");
                match event.is_late(now_ms) {
                    true => model.apply_late_event(&event, now_ms),
                    false => model.apply_event(&event, now_ms),
                };
            }
        } else {
            let (arrived, later) = asked.drain(..).partition(|one| one.arrives_ms <= now_ms);
            *asked = later;
            for one in arrived as Vec<Asked> {
                model.apply_inspect(&one.ticket, one.answer, now_ms);
            }
        }
    }
}

fn assert_true_to(engine: &Engine, model: &Model, seed: u64) {
    let facts = model.facts(Freshness::Fresh);
    let alive: Vec<&Replica> = facts.replicas.iter().filter(|replica| replica.phase != Phase::Gone).collect();
    assert_eq!(alive.len(), engine.containers.len(), "seed {seed}");
    for replica in alive {
        let real = &engine.containers[&*replica.id];
        let expected = match real.status {
            "running" if real.connected => &[Phase::Running][..],
            // One that was never reached in this life has nothing to be cut off from.
            "running" => &[Phase::Disconnected, Phase::Running],
            "paused" => &[Phase::Paused],
            _ => &[Phase::Stopped],
        };
        assert!(expected.contains(&replica.phase), "seed {seed}: {replica:?} is not {real:?}");
        if replica.phase == Phase::Running {
            let address = real.connected.then(|| format!("10.0.0.{}", real.address));
            assert_eq!(replica.address.map(|address| address.to_string()), address, "seed {seed}: {replica:?}");
            assert_eq!(*replica.incarnation, *rfc3339(real.started_s), "seed {seed}: {replica:?}");
            let health = match real.health {
                "healthy" => RuntimeHealth::Healthy,
                "unhealthy" => RuntimeHealth::Unhealthy,
                _ => RuntimeHealth::None,
            };
            assert_eq!(replica.health, health, "seed {seed}: {replica:?}");
        }
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("PLIMSOLL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..200).collect(),
    }
}

#[test]
fn the_model_converges_to_the_engine_and_without_loss_lists_correct_nothing() {
    for seed in seeds() {
        let (model, engine) = run(seed, 0);
        assert_true_to(&engine, &model, seed);
        assert_eq!(model.corrections_total(), 0, "seed {seed}");
    }
}

#[test]
fn the_model_converges_to_the_engine_though_events_are_lost() {
    let mut corrections = 0;
    for seed in seeds() {
        let (model, engine) = run(seed, 30);
        assert_true_to(&engine, &model, seed);
        corrections += model.corrections_total();
    }
    assert!(corrections > 0);
}
