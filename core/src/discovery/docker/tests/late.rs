//! Words that come when they are no longer news.

use super::*;

/// What has begun since: another life of `a`, at the same address.
fn next_life() -> Value {
    inspect("a", json!({"State": {"StartedAt": "2026-11-25T19:29:30Z"}}))
}

/// The word and the model after it, which a view of is due.
fn told_late(word: &Event) -> Model {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    assert_eq!(model.apply_late_event(word, NOW_MS), Urgency::Now, "{word:?}");
    assert_eq!(phase(&model, "a"), Phase::Stopping, "{word:?}");
    assert_eq!(model.next_deadline(), Some(NOW_MS + 100), "{word:?}");
    model
}

#[test]
fn an_event_is_late_when_it_is_heard_300_ms_after_it_happened_and_one_from_the_future_is_not() {
    let check = |event: Event, wall_ms: u64, expected: bool| {
        assert_eq!(event.is_late(wall_ms), expected, "{event:?} at {wall_ms}");
    };
    let word = || event("a", "die", json!({}), 0);
    check(word(), STARTED_MS, false);
    check(word(), STARTED_MS + 300, false);
    check(word(), STARTED_MS + 301, true);
    check(word(), STARTED_MS - 3_600_000, false);
    check(word(), 0, false);
    check(from(json!({"Type": "container", "Action": "die", "time": STARTED_MS / 1000})), STARTED_MS + 2000, true);
    check(from(json!({"Type": "container", "Action": "die"})), STARTED_MS, false);
}

#[test]
fn a_late_word_that_takes_out_lets_what_is_in_flight_be_until_an_inspect_tells_what_is_so() {
    let check = |word: &Event, is: &[Value], expected: Phase| {
        let mut model = told_late(word);
        model.tick(NOW_MS);
        answer(&mut model, is, NOW_MS + 99);
        assert_eq!(phase(&model, "a"), Phase::Stopping, "{word:?}: not yet, what came since is heard first");
        answer(&mut model, is, NOW_MS + 100);
        assert_eq!(phase(&model, "a"), expected, "{word:?}, and then {is:?}");
        assert_eq!(model.corrections_total(), 0, "{word:?}");
    };
    let state = |status: &str| [inspect("a", json!({"State": {"Status": status}}))];
    let apart = [inspect("a", json!({"NetworkSettings": {"Networks": null}}))];
    for action in ["die", "died", "stop", "destroy", "remove", "pause"] {
        let word = event("a", action, json!({}), 1);
        check(&word, &state("running"), Phase::Running);
        check(&word, &state("exited"), Phase::Stopped);
        check(&word, &state("paused"), Phase::Paused);
        check(&word, &[], Phase::Gone);
    }
    let word = network_event("a", "disconnect", "front", 1);
    check(&word, &state("running"), Phase::Running);
    check(&word, &apart, Phase::Disconnected);
}

#[test]
fn where_the_next_life_has_begun_the_death_before_it_is_never_told() {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    let first = replica(&model, "a").incarnation;
    let words = [
        event("a", "kill", json!({"signal": "9"}), 1),
        network_event("a", "disconnect", "front", 2),
        event("a", "die", json!({"exitCode": "137"}), 3),
        network_event("a", "connect", "front", 4),
        event("a", "start", json!({}), 5),
    ];
    for word in &words {
        model.apply_late_event(word, NOW_MS);
        assert_eq!((phase(&model, "a"), replica(&model, "a").incarnation), (Phase::Stopping, first.clone()));
    }
    answer(&mut model, &[next_life()], NOW_MS);
    let next = replica(&model, "a");
    assert_eq!(next.phase, Phase::Running);
    assert_ne!(next.incarnation, first);
    assert_eq!(model.next_deadline(), None);
}

#[test]
fn a_late_word_of_a_life_before_this_one_changes_nothing() {
    let mut model = model_of(settings(), &[next_life()]);
    let word = event("a", "die", json!({}), 1);
    assert_eq!(model.apply_late_event(&word, NOW_MS), Urgency::Unchanged);
    assert_eq!(phase(&model, "a"), Phase::Running);
}

#[test]
fn a_late_word_that_a_network_was_left_by_which_it_is_not_reached_changes_nothing() {
    let mut model = model_of(settings(), &[inspect("a", json!({}))]);
    let word = network_event("a", "disconnect", "back", 1);
    assert_eq!(model.apply_late_event(&word, NOW_MS), Urgency::Unchanged);
    assert_eq!((phase(&model, "a"), model.next_deadline()), (Phase::Running, Some(NOW_MS + 100)));
}

#[test]
fn of_what_changed_unheard_those_that_run_are_looked_at_before_those_that_do_not() {
    let all = [inspect("a", json!({})), inspect("b", json!({"State": {"Status": "exited"}}))];
    let mut model = model_of(settings(), &all);
    let ended = inspect("a", json!({"State": {"Status": "exited"}}));
    let items: Vec<ListItem> = [ended, inspect("b", json!({}))].iter().map(|one| from(item(one))).collect();
    model.apply_list(model.begin_list(ListKind::Gap), &items, NOW_MS, NOW_MS);
    let due = |model: &mut Model, now_ms: u64| -> Vec<String> {
        model.due_inspects(8, now_ms).iter().map(|ticket| ticket.id.to_string()).collect()
    };
    assert_eq!(due(&mut model, NOW_MS), ["b"]);
    assert_eq!(due(&mut model, NOW_MS + 99), [""; 0]);
    assert_eq!(due(&mut model, NOW_MS + 100), ["a"]);
}
