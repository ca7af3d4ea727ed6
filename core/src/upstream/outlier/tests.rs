use super::*;
use crate::model::Moment;
use crate::upstream::fixtures::{acquire_any, members, now, options, rebuild, upstream};
use crate::upstream::{Acquired, Pool};
use proptest::prelude::*;

const BAD: Outcome = Outcome::Status(503);
const GOOD: Outcome = Outcome::Status(200);

fn rules() -> OutlierRules {
    OutlierRules {
        consecutive_errors: 5,
        success_rate_deviations: 3.0,
        ejection: Duration::from_secs(30),
        max_ejected: 0.3,
        panic_below: 0.5,
    }
}

fn count(member: &Member, outcome: Outcome, times: u32) {
    for _ in 0..times {
        member.target.tally().count(outcome);
    }
}

fn ejected(members: &[Member]) -> Vec<usize> {
    (0..members.len()).filter(|place| is_ejected(&members[*place].target)).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn errors_in_a_row_eject_and_an_answer_between_them_does_not() {
    let (members, now, mut outliers) = (members(&[1, 1, 1]), now(), Outliers::default());
    count(&members[0], BAD, 4);
    count(&members[0], GOOD, 1);
    count(&members[0], BAD, 4);
    assert!(outliers.judge(&rules(), &members, now).is_empty());
    count(&members[0], Outcome::Timeout, 1);
    let by = EjectedBy::ConsecutiveErrors;
    let changes = outliers.judge(&rules(), &members, now);
    let changes: Vec<_> = changes.iter().map(|(target, change)| (&target.name, change)).collect();
    assert_eq!(changes, [(&members[0].target.name, &OutlierChange::Ejected { by, time: seconds(30) })]);
    assert_eq!(ejected(&members), [0]);
}

#[test]
fn a_status_below_500_is_no_error() {
    let (members, mut outliers) = (members(&[1, 1]), Outliers::default());
    count(&members[0], Outcome::Status(499), 100);
    assert!(outliers.judge(&rules(), &members, now()).is_empty());
}

#[test]
fn each_ejection_is_longer_up_to_a_limit_and_being_well_shortens_the_next() {
    let (members, mut now, mut outliers) = (members(&[1, 1]), now(), Outliers::default());
    let eject = |outliers: &mut Outliers, now: Moment| {
        count(&members[0], BAD, 5);
        match outliers.judge(&rules(), &members, now).last() {
            Some((_, OutlierChange::Ejected { time, .. })) => *time,
            other => panic!("{other:?}"),
        }
    };
    for times in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10] {
        let time = eject(&mut outliers, now);
        assert_eq!(time, seconds(30 * times));
        assert!(outliers.judge(&rules(), &members, now + time - seconds(1)).is_empty());
        now += time;
        // It returns in the judgement in which it is ejected again, unless that is the end of an interval.
        outliers.interval_ends = Some(now + seconds(3600));
        assert_eq!(outliers.judge(&rules(), &members, now).len(), 1);
    }
    for _ in 0..11 {
        outliers.interval_ends = Some(now);
        outliers.judge(&rules(), &members, now);
    }
    assert_eq!(eject(&mut outliers, now), seconds(60));
}

#[test]
fn no_more_than_a_part_of_the_pool_is_ejected_but_one_of_two() {
    let check = |count_of: usize, part: f64, expected: usize| {
        let members = members(&vec![1; count_of]);
        members.iter().for_each(|member| count(member, BAD, 5));
        let rules = OutlierRules { max_ejected: part, ..rules() };
        Outliers::default().judge(&rules, &members, now());
        assert_eq!(ejected(&members).len(), expected, "{part} of {count_of}");
    };
    check(1, 0.3, 0);
    check(2, 0.3, 1);
    check(2, 0.1, 1);
    check(4, 0.0, 0);
    check(9, 0.3, 2);
    check(10, 0.3, 3);
    check(1, 1.0, 1);
    check(4, 1.0, 4);
}

#[test]
fn where_the_pool_shrinks_those_that_would_return_first_return() {
    let (members, now, mut outliers) = (members(&[1; 10]), now(), Outliers::default());
    for (place, member) in members.iter().enumerate().take(3) {
        count(member, BAD, 5);
        outliers.judge(&rules(), &members, now + seconds(place as u64));
    }
    members[5..].iter().for_each(|member| assert!(member.target.set(Cause::Draining)));
    outliers.judge(&rules(), &members, now + seconds(3));
    assert_eq!(ejected(&members), [2]);
}

#[test]
fn a_rate_far_below_the_mean_ejects_at_the_end_of_an_interval() {
    let check = |others: usize, deviations: f64, attempts: u32, expected: &[usize]| {
        let (members, now, mut outliers) = (members(&vec![1; others + 1]), now(), Outliers::default());
        let rules = OutlierRules { consecutive_errors: 0, success_rate_deviations: deviations, ..rules() };
        outliers.judge(&rules, &members, now);
        count(&members[0], BAD, attempts / 2);
        count(&members[0], GOOD, attempts - attempts / 2);
        members[1..].iter().for_each(|member| count(member, GOOD, attempts));
        assert!(outliers.judge(&rules, &members, now + seconds(9)).is_empty());
        outliers.judge(&rules, &members, now + seconds(10));
        assert_eq!(ejected(&members), expected, "{others} others, {deviations}, {attempts} attempts");
    };
    check(11, 3.0, 100, &[0]);
    check(11, 3.0, 99, &[]);
    check(11, 0.0, 100, &[]);
    // No one of ten can be more than three deviations off.
    check(9, 3.0, 100, &[]);
    check(4, 1.9, 100, &[0]);
    check(3, 1.0, 100, &[]);
}

#[test]
fn all_alike_are_no_outliers() {
    let (members, now, mut outliers) = (members(&[1; 6]), now(), Outliers::default());
    outliers.judge(&rules(), &members, now);
    for member in &members {
        count(member, GOOD, 70);
        count(member, BAD, 4);
        count(member, GOOD, 66);
    }
    assert!(outliers.judge(&rules(), &members, now + seconds(10)).is_empty());
}

#[test]
fn one_that_left_while_ejected_is_not_stuck_when_it_comes_back() {
    let (members, now, mut outliers) = (members(&[1, 1, 1]), now(), Outliers::default());
    count(&members[0], BAD, 5);
    outliers.judge(&rules(), &members, now);
    outliers.judge(&rules(), &members[1..], now);
    assert_eq!(ejected(&members), [0]);
    outliers.judge(&rules(), &members, now);
    assert_eq!(ejected(&members), [0; 0]);
}

#[test]
fn without_detection_whoever_is_ejected_comes_back() {
    let (members, now, mut outliers) = (members(&[1, 1]), now(), Outliers::default());
    count(&members[0], BAD, 5);
    outliers.judge(&rules(), &members, now);
    assert_eq!(outliers.end(members.iter().map(|member| &member.target)).len(), 1);
    assert_eq!(ejected(&members), [0; 0]);
}

/// The targets that may be picked of four with these causes.
fn usable(panic_below: f64, causes: [Option<Cause>; 4]) -> Vec<u32> {
    let mut options = options("round-robin", members(&[1; 4]));
    for (member, cause) in options.members.iter().zip(causes) {
        if let Some(cause) = cause {
            member.target.set(cause);
        }
    }
    options.outlier = Some(OutlierRules { panic_below, ..rules() });
    Pool::build(options, None, now()).usable().iter().map(|usable| usable.index.0).collect()
}

#[test]
fn where_too_few_may_be_used_verdicts_count_for_nothing_and_facts_still_do() {
    use Cause::{Active, Draining, Ejected, Manual, Passive, Refused, Starting};
    assert_eq!(usable(0.5, [Some(Ejected), Some(Active), None, None]), [2, 3]);
    assert_eq!(usable(0.5, [Some(Ejected), Some(Active), Some(Passive), None]), [0, 1, 2, 3]);
    assert_eq!(usable(0.0, [Some(Ejected), Some(Active), Some(Passive), None]), [3]);
    assert_eq!(usable(0.5, [Some(Ejected), Some(Refused), Some(Manual), None]), [0, 3]);
    // Those that start or go are no part of the pool: one of two may be used.
    assert_eq!(usable(0.5, [Some(Ejected), Some(Draining), Some(Starting), None]), [3]);
}

#[test]
fn in_a_panic_an_ejected_target_gives_a_slot() {
    let mut options = options("least-connections", members(&[1]));
    options.members[0].target.set(Cause::Ejected);
    let (without, _) = upstream(options.clone());
    assert!(!matches!(acquire_any(&without), Acquired::Got(_)));
    options.outlier = Some(rules());
    let (with, _) = upstream(options.clone());
    assert!(matches!(acquire_any(&with), Acquired::Got(_)));
    options.members[0].target.set(Cause::Draining);
    assert!(!matches!(acquire_any(&with), Acquired::Got(_)), "a drain mark works at once all the same");
}

#[test]
fn who_comes_between_the_last_verdict_and_the_panic_waits_for_that() {
    let mut options = options("round-robin", members(&[1]));
    options.outlier = Some(rules());
    let (upstream, _) = upstream(options);
    upstream.pool().targets()[0].target.set(Cause::Passive);
    upstream.changed();
    assert!(matches!(acquire_any(&upstream), Acquired::Tried { .. }), "the pool is about to be built anew");
    assert!(upstream.take_changed());
    assert!(matches!(acquire_any(&upstream), Acquired::Tried { .. }), "it is being built");
    rebuild(&upstream, |_| {});
    assert!(matches!(acquire_any(&upstream), Acquired::Got(_)));
}

proptest! {
    #[test]
    fn never_more_than_the_cap_is_ejected_and_everyone_returns(
        size in 1usize..14,
        part in 0.0f64..1.0,
        steps in prop::collection::vec(
            (0u64..40, prop::collection::vec((0usize..14, 0u32..12, any::<bool>()), 0..8), any::<u16>()),
            1..40,
        ),
    ) {
        let rules = OutlierRules { max_ejected: part, success_rate_deviations: 1.0, ..rules() };
        let (members, mut now, mut outliers) = (members(&vec![1; size]), now(), Outliers::default());
        for (pause, outcomes, leaving) in steps {
            now += seconds(pause);
            for (place, times, good) in outcomes {
                count(&members[place % size], if good { GOOD } else { BAD }, times * 20);
            }
            for (place, member) in members.iter().enumerate() {
                // A quarter of them is told to go, or comes back.
                if leaving >> place & 1 == 1 && leaving & 0x8000 != 0 {
                    member.target.set(Cause::Draining);
                } else {
                    member.target.clear(Cause::Draining);
                }
            }
            outliers.judge(&rules, &members, now);
            let present: Vec<Member> =
                members.iter().filter(|member| !member.target.causes().has(Cause::Draining)).cloned().collect();
            prop_assert!(ejected(&present).len() <= cap(&rules, present.len()));
        }
        members.iter().for_each(|member| { member.target.clear(Cause::Draining); });
        // Nothing fails any more.
        members.iter().for_each(|member| count(member, GOOD, 1));
        for _ in 0..2 {
            now += EJECTION_MAX;
            outliers.judge(&rules, &members, now);
        }
        prop_assert_eq!(ejected(&members), Vec::<usize>::new());
    }
}
