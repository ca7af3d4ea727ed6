//! Not in the file itself: `tests/loom.rs` compiles that with other atomics.

use super::fixtures::now;
use super::retry_budget::{RetryBudget, RetryLimits};
use crate::model::Moment;
use proptest::prelude::*;
use std::time::Duration;

fn budget(ratio: f64, min_per_second: u32) -> RetryBudget {
    let budget = RetryBudget::new();
    budget.set(Some(RetryLimits { ratio, min_per_second }));
    budget
}

fn drawn(budget: &RetryBudget, tries: usize, at: Moment) -> usize {
    (0..tries).filter(|_| budget.draw(at)).count()
}

#[test]
fn without_limits_nothing_is_refused_or_counted() {
    let (budget, now) = (RetryBudget::new(), now());
    budget.request(now);
    assert_eq!(drawn(&budget, 1000, now), 1000);
    budget.set(Some(RetryLimits { ratio: 1.0, min_per_second: 0 }));
    assert_eq!(drawn(&budget, 1000, now), 0);
}

#[test]
fn a_quiet_upstream_may_repeat_as_often_as_the_minimum_says() {
    assert_eq!(drawn(&budget(0.2, 10), 1000, now()), 100);
    assert_eq!(drawn(&budget(0.2, 0), 1000, now()), 0);
}

#[test]
fn a_busy_one_by_its_ratio() {
    let (budget, now) = (budget(0.2, 1), now());
    (0..1000).for_each(|_| budget.request(now));
    assert_eq!(drawn(&budget, 1000, now), 200 + 10);
}

#[test]
fn what_was_drawn_comes_back_when_its_second_leaves_the_window() {
    let (budget, now) = (budget(0.0, 1), now());
    assert_eq!(drawn(&budget, 50, now), 10);
    assert_eq!(drawn(&budget, 50, now + Duration::from_secs(9)), 0);
    assert_eq!(drawn(&budget, 50, now + Duration::from_secs(10)), 10);
}

#[test]
fn new_limits_hold_at_once_for_what_was_counted() {
    let (budget, now) = (budget(0.0, 10), now());
    assert_eq!(drawn(&budget, 60, now), 60);
    budget.set(Some(RetryLimits { ratio: 0.0, min_per_second: 5 }));
    assert!(!budget.draw(now));
    budget.set(None);
    assert!(budget.draw(now));
}

#[test]
fn workers_that_draw_at_the_same_time_do_not_draw_more_than_there_is() {
    let (budget, now) = (budget(0.5, 0), now());
    (0..2000).for_each(|_| budget.request(now));
    let all: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| drawn(&budget, 1000, now))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!((1..=1000).contains(&all), "{all}");
    // Draws that were refused have left nothing behind.
    assert_eq!(all + drawn(&budget, 1000, now), 1000);
}

proptest! {
    #[test]
    fn repeats_never_exceed_the_bound_in_any_window(
        ratio in 0.0f64..1.0,
        min in 0u32..5,
        steps in prop::collection::vec((0u64..3000, 0u32..30, 0u32..30), 1..60),
    ) {
        let (budget, start) = (budget(ratio, min), now());
        let (mut at, mut requests, mut repeats) = (start, Vec::new(), Vec::new());
        for (pause, asks, draws) in steps {
            at += Duration::from_millis(pause);
            let second = at.micros() / 1_000_000;
            for _ in 0..asks {
                budget.request(at);
                requests.push(second);
            }
            let recent = |all: &[u64]| all.iter().filter(|then| *then + 10 > second).count();
            for _ in 0..draws {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a ratio from 0 to 1")]
                let millionths = (ratio * 1e6).round() as usize;
                let allowed = recent(&requests) * millionths / 1_000_000 + min as usize * 10;
                let fits = recent(&repeats) < allowed;
                prop_assert_eq!(budget.draw(at), fits);
                if fits {
                    repeats.push(second);
                }
            }
        }
    }
}
