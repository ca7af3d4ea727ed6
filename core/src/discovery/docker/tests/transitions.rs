//! What each event does, and what undoes it.

use super::*;

#[test]
fn a_replica_told_to_stop_drains_and_hup_is_not_told_to_stop() {
    let check = |config: Value, signal: &str, expected: Phase| {
        let mut model = model_of(settings(), &[inspect("a", json!({"Config": config}))]);
        let urgency = model.apply_event(&event("a", "kill", json!({"signal": signal}), 1), NOW_MS);
        assert_eq!(phase(&model, "a"), expected, "{config} {signal}");
        assert_eq!(urgency == Urgency::Now, expected == Phase::Stopping);
    };
    check(json!({}), "15", Phase::Stopping);
    check(json!({}), "9", Phase::Stopping);
    check(json!({}), "SIGTERM", Phase::Stopping);
    check(json!({}), "1", Phase::Running);
    check(json!({}), "10", Phase::Running);
    check(json!({"StopSignal": "SIGQUIT"}), "3", Phase::Stopping);
    check(json!({"StopSignal": "SIGQUIT"}), "15", Phase::Running);
    check(json!({"StopSignal": "SIGQUIT"}), "9", Phase::Stopping);
    check(json!({"StopSignal": "15"}), "15", Phase::Stopping);
    check(json!({"StopSignal": "nonsense"}), "15", Phase::Stopping);
}

#[test]
fn a_drain_that_is_not_obeyed_ends_five_seconds_after_the_stop_timeout() {
    let all = [inspect("a", json!({"Config": {"StopTimeout": 3}}))];
    let mut model = model_of(settings(), &all);
    model.apply_event(&event("a", "kill", json!({"signal": "15"}), 1), NOW_MS);
    answer(&mut model, &all, NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Stopping, "an inspect shortly after shows it still running");
    assert_eq!(model.next_deadline(), Some(NOW_MS + 8_000));
    model.tick(NOW_MS + 7_999);
    assert_eq!(model.due_inspects(8, NOW_MS + 7_999), []);
    model.tick(NOW_MS + 8_000);
    assert_eq!(phase(&model, "a"), Phase::Stopping, "only the engine's word ends it");
    answer(&mut model, &all, NOW_MS + 8_000);
    assert_eq!(phase(&model, "a"), Phase::Running);
    assert_eq!(model.next_deadline(), None);
    assert_eq!(model.corrections_total(), 0);
}

#[test]
fn a_kill_without_a_signal_asks_the_engine_after_a_moment() {
    let all = [inspect("a", json!({}))];
    let mut model = model_of(settings(), &all);
    model.apply_event(&event("a", "kill", json!({}), 1), NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Running);
    assert_eq!(model.next_deadline(), Some(NOW_MS + 50));
    answer(&mut model, &[inspect("a", json!({"State": {"Status": "exited"}}))], NOW_MS + 50);
    assert_eq!(phase(&model, "a"), Phase::Stopped);
}

#[test]
fn a_signal_before_the_first_inspect_is_judged_by_it() {
    let all = [inspect("a", json!({"Config": {"StopSignal": "WINCH"}}))];
    let mut model = Model::new(settings());
    let items: Vec<ListItem> = all.iter().map(|one| from(item(one))).collect();
    model.apply_list(model.begin_list(ListKind::Gap), &items, NOW_MS, NOW_MS);
    model.apply_event(&event("a", "kill", json!({"signal": "28"}), 1), NOW_MS);
    answer(&mut model, &all, NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Stopping);
}

#[test]
fn each_event_takes_out_at_once_and_lets_in_after_an_inspect() {
    let check = |before: Event, expected: Phase, urgency: Urgency| {
        let all = [inspect("a", json!({}))];
        let mut model = model_of(settings(), &all);
        assert_eq!(model.apply_event(&before, NOW_MS), urgency, "{before:?}");
        assert_eq!(phase(&model, "a"), expected, "{before:?}");
    };
    check(event("a", "die", json!({}), 1), Phase::Stopped, Urgency::Now);
    check(event("a", "died", json!({}), 1), Phase::Stopped, Urgency::Now);
    check(event("a", "stop", json!({}), 1), Phase::Stopped, Urgency::Now);
    check(event("a", "pause", json!({}), 1), Phase::Paused, Urgency::Now);
    check(event("a", "destroy", json!({}), 1), Phase::Gone, Urgency::Now);
    check(event("a", "remove", json!({}), 1), Phase::Gone, Urgency::Now);
    check(network_event("a", "disconnect", "front", 1), Phase::Disconnected, Urgency::Now);
    check(network_event("a", "disconnect", "back", 1), Phase::Running, Urgency::Unchanged);
    check(event("a", "rename", json!({}), 1), Phase::Running, Urgency::Unchanged);
    check(event("a", "oom", json!({}), 1), Phase::Running, Urgency::Unchanged);
    check(event("a", "exec_create: ls", json!({}), 1), Phase::Running, Urgency::Unchanged);
    check(event("stranger", "die", json!({}), 1), Phase::Running, Urgency::Unchanged);
    // Of a life before this one.
    let early: Event = from(json!({"Type": "container", "Action": "die", "Actor": {"ID": "a"}, "timeNano": 1}));
    check(early, Phase::Running, Urgency::Unchanged);
}

#[test]
fn pausing_keeps_the_address_and_unpausing_lets_in() {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    model.apply_event(&event("a", "pause", json!({}), 1), NOW_MS);
    assert!(replica(&model, "a").address.is_some());
    model.apply_event(&event("a", "kill", json!({"signal": "15"}), 2), NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Paused);
    model.apply_event(&event("a", "unpause", json!({}), 3), NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Stopping);
}

#[test]
fn a_restart_is_another_incarnation() {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    let before = replica(&model, "a").incarnation;
    model.apply_event(&event("a", "kill", json!({"signal": "15"}), 1), NOW_MS);
    model.apply_event(&event("a", "die", json!({}), 2), NOW_MS);
    assert_eq!((phase(&model, "a"), replica(&model, "a").address), (Phase::Stopped, None));
    model.apply_event(&event("a", "start", json!({}), 3), NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Stopped, "not before its address is known");
    let again = inspect("a", json!({"State": {"StartedAt": "2026-11-25T19:29:30Z"}}));
    answer(&mut model, &[again], NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Running);
    assert_ne!(replica(&model, "a").incarnation, before);
}

#[test]
fn health_follows_events_and_starting_after_a_daemon_restart_keeps_its_place() {
    let checked = |status: &str| inspect("a", json!({"State": {"Health": {"Status": status}}}));
    let mut model = model_of(settings(), &[checked("starting")]);
    let health = |model: &Model| replica(model, "a").health;
    assert_eq!(health(&model), RuntimeHealth::Starting);
    model.apply_event(&event("a", "health_status: healthy", json!({}), 1), NOW_MS);
    assert_eq!(health(&model), RuntimeHealth::Healthy);
    answer(&mut model, &[checked("healthy")], NOW_MS);
    let items: Vec<ListItem> = vec![from(item(&checked("starting")))];
    model.apply_list(model.begin_list(ListKind::Gap), &items, NOW_MS, NOW_MS);
    answer(&mut model, &[checked("starting")], NOW_MS);
    assert_eq!(health(&model), RuntimeHealth::Healthy);
    model.apply_event(&event("a", "health_status: unhealthy", json!({}), 2), NOW_MS);
    assert_eq!(health(&model), RuntimeHealth::Unhealthy);
    let anew = inspect("a", json!({"State": {"Health": {"Status": "starting"}, "StartedAt": "2026-11-25T19:30:00Z"}}));
    answer(&mut model, &[anew], NOW_MS);
    assert_eq!(health(&model), RuntimeHealth::Starting);
    let mut model = model_of(Settings { health: DockerHealth::Ignore, ..settings() }, &[checked("unhealthy")]);
    assert_eq!(health(&model), RuntimeHealth::None);
    model.apply_event(&event("a", "health_status: unhealthy", json!({}), 1), NOW_MS);
    assert_eq!(health(&model), RuntimeHealth::None);
}

#[test]
fn an_answer_older_than_an_event_counts_for_nothing() {
    let all = [inspect("a", json!({}))];
    let mut model = model_of(settings(), &all);
    model.apply_event(&event("a", "update", json!({}), 1), NOW_MS);
    let tickets = model.due_inspects(8, NOW_MS);
    let list = model.begin_list(ListKind::Periodic);
    model.apply_event(&event("a", "die", json!({}), 2), NOW_MS);
    for ticket in tickets {
        model.apply_inspect(&ticket, Inspected::Found(Box::new(from(all[0].clone()))), NOW_MS);
    }
    model.apply_list(list, &[from(item(&all[0]))], NOW_MS, NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Stopped);
    answer(&mut model, &[inspect("a", json!({"State": {"Status": "exited"}}))], NOW_MS);
    assert_eq!((phase(&model, "a"), model.corrections_total()), (Phase::Stopped, 0));
}

#[test]
fn what_events_did_not_tell_lists_mend_and_count() {
    let all = [inspect("a", json!({})), inspect("b", json!({}))];
    let mut model = model_of(settings(), &all);
    // `a` was removed, `b` was paused, `c` was started; no event told.
    let now = [inspect("b", json!({"State": {"Status": "paused"}})), inspect("c", json!({}))];
    let items: Vec<ListItem> = now.iter().map(|one| from(item(one))).collect();
    model.apply_list(model.begin_list(ListKind::Periodic), &items, NOW_MS, NOW_MS);
    answer(&mut model, &now, NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Running, "an event may still be on the way");
    answer(&mut model, &now, NOW_MS + 300);
    assert_eq!(phase(&model, "b"), Phase::Paused);
    assert_eq!(phase(&model, "c"), Phase::Running);
    answer(&mut model, &now, NOW_MS + 400);
    assert_eq!(phase(&model, "a"), Phase::Gone);
    assert_eq!(model.corrections_total(), 3);
}

#[test]
fn an_event_that_comes_after_all_is_no_correction() {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    model.apply_list(model.begin_list(ListKind::Periodic), &[], NOW_MS, NOW_MS);
    model.apply_event(&event("a", "destroy", json!({}), 1), NOW_MS + 200);
    answer(&mut model, &[], NOW_MS + 400);
    assert_eq!((phase(&model, "a"), model.corrections_total()), (Phase::Gone, 0));
}

#[test]
fn a_restart_that_no_event_told_shows_in_a_lists_uptime() {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    let again = inspect("a", json!({"State": {"StartedAt": "2026-11-25T19:30:00Z"}}));
    let mut listed = item(&again);
    listed["Status"] = json!("Up 2 seconds");
    model.apply_list(model.begin_list(ListKind::Periodic), &[from(listed)], NOW_MS, NOW_MS);
    answer(&mut model, &[again], NOW_MS + 300);
    assert_eq!(&*replica(&model, "a").incarnation, "2026-11-25T19:30:00Z");
    assert_eq!(model.corrections_total(), 1);
}

#[test]
fn a_gateway_whose_clock_is_an_hour_off_sees_restarts_and_nothing_else() {
    const HOUR_MS: u64 = 3_600_000;
    for now_ms in [NOW_MS - HOUR_MS, NOW_MS, NOW_MS + HOUR_MS] {
        let mut model = model_of(settings(), &[inspect("a", json!({}))]);
        let again = inspect("a", json!({"State": {"StartedAt": "2026-11-25T19:29:26Z"}}));
        let mut check = |status: &str, asked: usize| {
            let mut listed = item(&again);
            listed["Status"] = json!(status);
            model.apply_list(model.begin_list(ListKind::Periodic), &[from(listed)], now_ms, NOW_MS);
            // An hour later, so that nothing is put off.
            let due = model.due_inspects(usize::MAX, now_ms + HOUR_MS);
            assert_eq!(due.len(), asked, "{status}, {now_ms}");
        };
        // It started ten seconds ago, and again two seconds ago.
        check("Up 10 seconds", 0);
        check("Up 2 seconds", 1);
    }
}

#[test]
fn a_removed_replica_stays_for_its_grace_one_a_service() {
    let labels =
        json!({"Config": {"Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}}});
    let mut model = model_of(settings(), &[inspect("a", labels.clone()), inspect("b", labels)]);
    model.apply_event(&event("a", "destroy", json!({}), 1), NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Gone);
    model.apply_event(&event("b", "destroy", json!({}), 2), NOW_MS + 10);
    let replicas = model.facts(Freshness::Fresh).replicas;
    assert_eq!(replicas.len(), 1);
    assert_eq!(replicas[0].group.display_name(), "web.shop");
    assert_eq!(model.next_deadline(), Some(NOW_MS + 60_010));
    assert_eq!(model.tick(NOW_MS + 60_009), Urgency::Unchanged);
    assert_eq!(model.tick(NOW_MS + 60_010), Urgency::Soon);
    assert!(model.facts(Freshness::Fresh).replicas.is_empty());
}

#[test]
fn one_offs_and_hooks_are_no_replicas() {
    let check = |labels: Value, expected: usize| {
        let model = model_of(settings(), &[inspect("a", json!({"Config": {"Labels": labels}}))]);
        assert_eq!(model.facts(Freshness::Fresh).replicas.len(), expected);
    };
    check(json!({"com.docker.compose.oneoff": "True"}), 0);
    check(json!({"com.docker.compose.oneoff": "False"}), 1);
    check(json!({"com.docker.compose.hook": "post_start"}), 0);
}

#[test]
fn a_health_check_that_runs_later_than_requests_are_held_is_named() {
    let check = |healthcheck: Value, expected: bool| {
        let all = inspect("a", json!({"Config": {"Healthcheck": healthcheck}}));
        let model = model_of(Settings { hold_ms: 20_000, ..settings() }, &[all]);
        let problems = model.facts(Freshness::Fresh).problems;
        assert_eq!(problems.iter().any(|problem| problem.message.contains("HEALTHCHECK")), expected, "{problems:?}");
    };
    let s = 1_000_000_000_u64;
    check(json!({"Test": ["CMD", "/x"]}), true);
    check(json!({"Test": ["CMD", "/x"], "Interval": 20 * s}), false);
    check(json!({"Test": ["CMD", "/x"], "Interval": 21 * s}), true);
    check(json!({"Test": ["CMD", "/x"], "Interval": 60 * s, "StartPeriod": 9 * s, "StartInterval": s}), false);
    check(json!({"Test": ["CMD", "/x"], "Interval": 60 * s, "StartInterval": s}), true);
    check(json!({"Test": ["NONE"]}), false);
    check(json!({"Test": null}), false);
}

#[test]
fn an_inspect_that_fails_is_tried_again_and_named() {
    let all = [inspect("a", json!({}))];
    let mut model = Model::new(settings());
    model.apply_list(model.begin_list(ListKind::Gap), &[from(item(&all[0]))], NOW_MS, NOW_MS);
    for ticket in model.due_inspects(8, NOW_MS) {
        model.apply_inspect(&ticket, Inspected::Failed("500".into()), NOW_MS);
    }
    assert!(model.is_synced(), "one container does not hold up the others");
    assert_eq!((phase(&model, "a"), model.next_deadline()), (Phase::Stopped, Some(NOW_MS + 1000)));
    assert!(model.facts(Freshness::Fresh).problems[0].message.contains("could not be inspected: 500"));
    answer(&mut model, &all, NOW_MS + 1000);
    assert_eq!(phase(&model, "a"), Phase::Running);
}

#[test]
fn replayed_events_of_containers_that_only_the_list_will_show_lose_nothing() {
    let all = [inspect("up", json!({})), inspect("down", json!({"State": {"Status": "exited"}}))];
    let mut model = Model::new(settings());
    let list = model.begin_list(ListKind::Gap);
    model.apply_event(&event("up", "start", json!({}), 1), NOW_MS);
    model.apply_event(&event("down", "die", json!({}), 2), NOW_MS);
    model.apply_event(&event("passing", "die", json!({}), 3), NOW_MS);
    model.apply_event(&event("passing", "destroy", json!({}), 4), NOW_MS);
    let items: Vec<ListItem> = all.iter().map(|one| from(item(one))).collect();
    model.apply_list(list, &items, NOW_MS, NOW_MS);
    assert!(!model.is_synced(), "not before they are inspected");
    answer(&mut model, &all, NOW_MS);
    assert!(model.is_synced());
    assert_eq!((phase(&model, "up"), phase(&model, "down")), (Phase::Running, Phase::Stopped));
    assert_eq!((model.facts(Freshness::Fresh).replicas.len(), model.corrections_total()), (2, 0));
}

#[test]
fn an_inspect_whose_connection_went_is_asked_for_again() {
    let all = [inspect("a", json!({}))];
    let mut model = model_of(settings(), &all);
    model.apply_event(&event("a", "update", json!({}), 1), NOW_MS);
    let lost = model.due_inspects(8, NOW_MS);
    model.abandon_inspects();
    let missing = model.apply_inspect(&lost[0], Inspected::Missing, NOW_MS);
    assert_eq!((missing, phase(&model, "a")), (Urgency::Unchanged, Phase::Running), "late answers count for nothing");
    assert_eq!(model.due_inspects(8, NOW_MS).len(), 1);
}

#[test]
fn inspects_at_a_time_are_bounded() {
    let all: Vec<Value> = (0..20).map(|index| inspect(&format!("c{index}"), json!({}))).collect();
    let mut model = Model::new(settings());
    let items: Vec<ListItem> = all.iter().map(|one| from(item(one))).collect();
    model.apply_list(model.begin_list(ListKind::Gap), &items, NOW_MS, NOW_MS);
    assert_eq!(model.due_inspects(8, NOW_MS).len(), 8);
    assert_eq!(model.due_inspects(8, NOW_MS), []);
}

#[test]
fn leaving_a_network_that_was_not_chosen_is_told_at_once_too() {
    let back = json!({"NetworkSettings": {"Networks": {"back": {"NetworkID": "n-back", "IPAddress": "10.8.0.2"}}}});
    let mut model = model_of(settings(), &[inspect("a", back)]);
    let way = |model: &Model, name: &str| replica(model, "a").by(Some(name));
    assert_eq!(way(&model, "back").phase, Phase::Running);
    assert_eq!(model.apply_event(&network_event("a", "disconnect", "front", 1), NOW_MS), Urgency::Now);
    let front = way(&model, "front");
    assert_eq!((front.address, front.phase), (None, Phase::Disconnected));
    assert_eq!((replica(&model, "a").phase, way(&model, "back").phase), (Phase::Running, Phase::Running));
}
