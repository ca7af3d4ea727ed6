use super::schedule::Schedule;
use super::*;
use crate::model::Cause;
use crate::upstream::fixtures::{ask, hold, members, now, options, pool};
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;

fn rng() -> WorkerRng {
    WorkerRng::with_seed(7)
}

fn picked(pool: &Pool, ask: &Ask<'_>, rng: &mut WorkerRng) -> Option<usize> {
    match pool.pick(ask, rng) {
        Pick::Target(index) => Some(index.0 as usize),
        Pick::Full | Pick::Empty => None,
    }
}

/// How often each target is picked in `picks`.
fn tally(pool: &Pool, picks: usize) -> Vec<usize> {
    let (ask, mut rng) = (ask(&[]), rng());
    let mut tally = vec![0; pool.targets().len()];
    for _ in 0..picks {
        tally[picked(pool, &ask, &mut rng).unwrap()] += 1;
    }
    tally
}

#[test]
fn every_algorithm_has_a_name_of_its_own_a_line_and_an_example_that_names_it() {
    let names: HashSet<_> = BALANCERS.iter().map(|algorithm| algorithm.name()).collect();
    assert_eq!(names.len(), BALANCERS.len());
    for algorithm in BALANCERS {
        assert!(algorithm.doc().ends_with('.') && !algorithm.doc().contains('\n'), "{}", algorithm.doc());
        assert!(algorithm.example().contains(&format!("algorithm: {}", algorithm.name())));
        assert_eq!(balancer(algorithm.name()).map(Algorithm::name), Some(algorithm.name()));
    }
    assert!(balancer("nonesuch").is_none());
}

#[test]
fn no_algorithm_picks_weight_zero_or_a_target_with_a_cause() {
    for algorithm in BALANCERS {
        let pool = pool(algorithm.name(), &[0, 1, 1, 1]);
        // Marked after the pool was built: it works at once.
        pool.targets()[1].target.set(Cause::Draining);
        let tally = tally(&pool, 1000);
        assert_eq!((tally[0], tally[1]), (0, 0), "{}", algorithm.name());
        assert!(tally[2] > 300 && tally[3] > 300, "{}: {tally:?}", algorithm.name());
        for member in pool.targets() {
            member.target.set(Cause::Draining);
        }
        assert_eq!(pool.pick(&ask(&[]), &mut rng()), Pick::Empty);
    }
}

#[test]
fn every_algorithm_finds_the_one_that_is_left_of_many() {
    for algorithm in BALANCERS {
        let pool = pool(algorithm.name(), &[3; 500]);
        for member in &pool.targets()[1..] {
            member.target.set(Cause::Refused);
        }
        assert_eq!(tally(&pool, 50)[0], 50, "{}", algorithm.name());
    }
}

#[test]
fn every_algorithm_avoids_what_was_tried() {
    for algorithm in BALANCERS {
        let pool = pool(algorithm.name(), &[5, 1, 1]);
        let tried = [Arc::clone(&pool.targets()[0].target), Arc::clone(&pool.targets()[2].target)];
        for _ in 0..50 {
            assert_eq!(picked(&pool, &ask(&tried), &mut rng()), Some(1), "{}", algorithm.name());
        }
    }
}

#[test]
fn every_algorithm_tells_full_from_empty() {
    for algorithm in BALANCERS {
        let mut options = options(algorithm.name(), members(&[1, 1]));
        options.max_concurrency = Some(2);
        let pool = Pool::build(options, None, now());
        let busy = hold(&pool.targets()[0].target, 2);
        assert_eq!(tally(&pool, 20), [0, 20], "{}", algorithm.name());
        pool.targets()[1].target.set(Cause::Draining);
        assert_eq!(pool.pick(&ask(&[]), &mut rng()), Pick::Full);
        drop(busy);
        assert_eq!(tally(&pool, 20), [20, 0], "{}", algorithm.name());
    }
}

#[test]
fn round_robin_is_exact_over_every_cycle_wherever_it_begins() {
    let pool = pool("round-robin", &[100, 50, 25]);
    for offset in 0..7 {
        assert_eq!(tally(&pool, 7), [4, 2, 1], "from {offset}");
        tally(&pool, 1);
    }
}

#[test]
fn round_robin_spreads_heavy_targets_out() {
    let schedule = Schedule::new(&[5, 1, 1]);
    let order: Vec<usize> = (0..7).map(|position| schedule.at(position)).collect();
    assert_eq!(order, [0, 0, 1, 0, 0, 2, 0]);
}

#[test]
fn round_robin_is_exact_from_the_first_request_after_one_of_many_left() {
    let first = pool("round-robin", &[1; 10]);
    tally(&first, 137);
    let mut options = first.options().clone();
    options.members.remove(3);
    let second = Pool::build(options, Some(&first), now());
    assert_eq!(tally(&second, 9), [1; 9]);
    assert_eq!(tally(&second, 90), [10; 9]);
}

#[test]
fn round_robin_goes_on_where_it_was_when_a_reload_changes_nothing() {
    let first = pool("round-robin", &[1; 5]);
    assert_eq!(tally(&first, 3), [1, 1, 1, 0, 0]);
    let second = Pool::build(first.options().clone(), Some(&first), now());
    assert_eq!(tally(&second, 2), [0, 0, 0, 1, 1]);
}

#[test]
fn round_robin_does_not_begin_with_the_same_target_after_each_rebuild() {
    let mut begun = vec![0; 4];
    let mut last = pool("round-robin", &[1; 4]);
    for rebuild in 0..400 {
        let mut options = last.options().clone();
        options.members[0].weight = 1 + rebuild % 2;
        last = Pool::build(options, Some(&last), now());
        begun[picked(&last, &ask(&[]), &mut rng()).unwrap()] += 1;
    }
    assert!(begun.iter().all(|count| *count > 50), "{begun:?}");
}

#[test]
fn round_robin_retries_leave_the_order_of_first_attempts_alone() {
    let pool = pool("round-robin", &[1; 4]);
    let tried = [Arc::clone(&pool.targets()[0].target)];
    let mut order = Vec::new();
    for _ in 0..8 {
        order.extend(picked(&pool, &ask(&[]), &mut rng()));
        picked(&pool, &ask(&tried), &mut rng());
    }
    assert_eq!(order, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn weights_too_large_for_a_table_are_exact_too() {
    let weights = [65_535u32, 65_534, 3];
    let schedule = Schedule::new(&weights);
    let mut turns = [0u64; 3];
    for position in 0..schedule.cycle() {
        turns[schedule.at(position)] += 1;
    }
    assert_eq!(turns, weights.map(u64::from));
}

#[test]
fn least_connections_takes_the_fewest_for_the_weight() {
    let pool = pool("least-connections", &[2, 1, 1]);
    let _busy =
        [hold(&pool.targets()[0].target, 2), hold(&pool.targets()[1].target, 1), hold(&pool.targets()[2].target, 2)];
    // (2 + 1) / 2 < (1 + 1) / 1 < (2 + 1) / 1
    assert_eq!(tally(&pool, 20), [20, 0, 0]);
}

#[test]
fn least_connections_does_not_herd_on_ties() {
    let tally = tally(&pool("least-connections", &[1; 4]), 4000);
    assert!(tally.iter().all(|count| (800..1200).contains(count)), "{tally:?}");
}

#[test]
fn a_target_that_fails_fast_is_no_magnet_for_a_second() {
    for algorithm in ["least-connections", "power-of-two"] {
        let pool = pool(algorithm, &[1; 4]);
        let _busy: Vec<_> = pool.targets()[1..].iter().map(|member| hold(&member.target, 5)).collect();
        let failed = now();
        pool.targets()[0].target.record_failure(failed);
        let count = |at| {
            let mut rng = rng();
            let ask = Ask { now: at, ..ask(&[]) };
            (0..2000).filter(|_| picked(&pool, &ask, &mut rng) == Some(0)).count()
        };
        let during = count(failed + Duration::from_millis(900));
        assert!((350..650).contains(&during), "{algorithm}: {during} of 2000 to one of four");
        let after = count(failed + Duration::from_millis(1100));
        assert!(after > 900, "{algorithm}: {after}");
    }
}

#[test]
fn power_of_two_prefers_the_quick_and_forgets_that_one_was_slow() {
    let pool = pool("power-of-two", &[1, 1]);
    let start = now();
    pool.targets()[0].target.record_latency(100_000, start);
    pool.targets()[1].target.record_latency(10_000, start);
    let first = |at| picked(&pool, &Ask { now: at, ..ask(&[]) }, &mut rng());
    assert_eq!(first(start), Some(1));
    let later = start + Duration::from_secs(60);
    pool.targets()[1].target.record_latency(10_000, later);
    assert_eq!(first(later), Some(0));
}

#[test]
fn power_of_two_neither_floods_nor_shuns_a_target_without_a_sample() {
    let pool = pool("power-of-two", &[1, 1]);
    pool.targets()[0].target.record_latency(50, now());
    let tally = tally(&pool, 1000);
    assert!(tally.iter().all(|count| (400..600).contains(count)), "{tally:?}");
    let _busy = hold(&pool.targets()[1].target, 1);
    assert_eq!(self::tally(&pool, 100), [100, 0]);
}

#[test]
fn latency_rises_at_once_and_falls_slowly() {
    let target = crate::upstream::fixtures::target(1);
    let start = now();
    assert_eq!(target.latency(start), None);
    target.record_latency(10_000, start);
    target.record_latency(100_000, start + Duration::from_millis(1));
    let latency = |at| target.latency(at).unwrap().as_millis();
    assert_eq!(latency(start + Duration::from_millis(1)), 100);
    target.record_latency(10_000, start + Duration::from_millis(101));
    assert!((98..=100).contains(&latency(start + Duration::from_millis(101))));
    assert!((35..=38).contains(&latency(start + Duration::from_secs(10))));
}

proptest! {
    #[test]
    fn shares_are_exact_and_never_a_turn_off(weights in prop::collection::vec(1u32..60, 1..12)) {
        let schedule = Schedule::new(&weights);
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let divisor = sum / schedule.cycle();
        let mut turns = vec![0u64; weights.len()];
        for position in 0..schedule.cycle() {
            turns[schedule.at(position)] += 1;
            for (turns, weight) in turns.iter().zip(&weights) {
                prop_assert!((turns * sum).abs_diff((position + 1) * u64::from(*weight)) < sum);
            }
        }
        for (turns, weight) in turns.iter().zip(&weights) {
            prop_assert_eq!(turns * divisor, u64::from(*weight));
        }
    }

    #[test]
    fn large_weights_are_exact_and_at_most_three_turns_off(weights in prop::collection::vec(1_000u32..20_000, 2..10)) {
        let schedule = Schedule::new(&weights);
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let divisor = sum / schedule.cycle();
        let mut turns = vec![0u64; weights.len()];
        for position in 0..schedule.cycle() {
            turns[schedule.at(position)] += 1;
            let place = schedule.at(position);
            let off = (turns[place] * sum).abs_diff((position + 1) * u64::from(weights[place]));
            prop_assert!(off < 3 * sum);
        }
        for (turns, weight) in turns.iter().zip(&weights) {
            prop_assert_eq!(turns * divisor, u64::from(*weight));
        }
    }

    #[test]
    fn workers_that_share_a_pool_share_it_exactly(
        weights in prop::collection::vec(1u16..20, 1..6),
        workers in 2usize..5,
        cycles in 1usize..20,
    ) {
        let pool = pool("round-robin", &weights);
        let cycle = usize::try_from(Schedule::new(&weights.iter().copied().map(u32::from).collect::<Vec<_>>()).cycle()).unwrap();
        let mut total = vec![0; weights.len()];
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| tally(&pool, cycle * cycles))).collect();
            for worker in workers {
                for (total, count) in total.iter_mut().zip(worker.join().unwrap()) {
                    *total += count;
                }
            }
        });
        let sum: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
        for (total, weight) in total.iter().zip(&weights) {
            prop_assert_eq!(total * sum, cycle * cycles * workers * usize::from(*weight));
        }
    }
}
