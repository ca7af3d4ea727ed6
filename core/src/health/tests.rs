use super::Checker::{Active, Passive};
use super::Outcome::{Connected, NotHttp, Status, TcpFailure, Timeout};
use super::Verdict::{Healthy, Unhealthy};
use super::{CheckRules, Checker, Counters, HealthCell, Outcome, Verdict};
use proptest::prelude::*;

/// Kong's default statuses, with these limits: successes, HTTP failures, TCP failures, timeouts.
fn rules(successes: u8, http_failures: u8, tcp_failures: u8, timeouts: u8) -> CheckRules {
    CheckRules {
        healthy_statuses: (200..=208).chain([226]).chain(300..=308).collect(),
        successes,
        unhealthy_statuses: [429, 500, 503].into_iter().collect(),
        http_failures,
        tcp_failures,
        timeouts,
    }
}

/// Reports one after another; the verdict of each.
fn check(rules: &CheckRules, reports: &[(Checker, Outcome)], expected: &[Option<Verdict>]) {
    let cell = HealthCell::default();
    let verdicts: Vec<_> = reports.iter().map(|(checker, outcome)| cell.report(*checker, rules, *outcome)).collect();
    assert_eq!(verdicts, expected, "{reports:?}");
}

fn passive(outcomes: &[Outcome]) -> Vec<(Checker, Outcome)> {
    outcomes.iter().map(|outcome| (Passive, *outcome)).collect()
}

#[test]
fn the_limit_of_failures_makes_a_target_unhealthy_once() {
    let rules = rules(2, 3, 1, 2);
    let no = None;
    check(&rules, &passive(&[Status(500), Status(503), Status(429), Status(500)]), &[no, no, Some(Unhealthy), no]);
    check(&rules, &passive(&[TcpFailure, TcpFailure]), &[Some(Unhealthy), no]);
    check(&rules, &passive(&[Timeout, Timeout]), &[no, Some(Unhealthy)]);
    check(&rules, &passive(&[NotHttp, NotHttp, NotHttp]), &[no, no, Some(Unhealthy)]);
}

#[test]
fn a_success_wipes_failures_out_only_where_successes_count() {
    let failures = [Status(500), Status(200), Status(500)];
    check(&rules(1, 2, 0, 0), &passive(&failures), &[None, None, None]);
    check(&rules(0, 2, 0, 0), &passive(&failures), &[None, None, Some(Unhealthy)]);
}

#[test]
fn one_kind_of_failure_leaves_the_others_alone() {
    check(
        &rules(1, 2, 2, 2),
        &passive(&[Status(500), TcpFailure, Timeout, Status(500)]),
        &[None, None, None, Some(Unhealthy)],
    );
}

#[test]
fn a_limit_of_zero_switches_its_reports_off() {
    let reports = passive(&[Status(500), TcpFailure, Timeout, NotHttp, Status(200), Connected]);
    check(&rules(0, 0, 0, 0), &reports, &[None; 6]);
    let cell = HealthCell::default();
    for (checker, outcome) in reports {
        cell.report(checker, &rules(0, 0, 0, 0), outcome);
    }
    assert_eq!(cell.counters(), Counters::default());
}

#[test]
fn statuses_of_neither_list_are_not_reports() {
    check(&rules(1, 1, 1, 1), &passive(&[Status(404), Status(101), Status(599), Status(9999)]), &[None; 4]);
}

#[test]
fn a_status_of_both_lists_is_a_success() {
    let mut rules = rules(1, 1, 1, 1);
    rules.unhealthy_statuses = [200].into_iter().collect();
    check(&rules, &passive(&[Status(200)]), &[None]);
}

#[test]
fn successes_in_a_row_make_it_healthy_again_and_a_failure_starts_them_over() {
    check(
        &rules(2, 1, 1, 1),
        &passive(&[Status(500), Status(200), Status(500), Status(200), Status(200)]),
        &[Some(Unhealthy), None, None, None, Some(Healthy)],
    );
}

#[test]
fn probes_bring_back_what_requests_found_bad() {
    check(&rules(1, 1, 1, 1), &[(Passive, Status(500)), (Active, Status(200))], &[Some(Unhealthy), Some(Healthy)]);
}

#[test]
fn the_checker_that_tipped_it_over_is_remembered() {
    let cell = HealthCell::default();
    cell.report(Active, &rules(1, 1, 1, 1), Timeout);
    cell.report(Passive, &rules(1, 1, 1, 1), Timeout);
    assert_eq!(cell.counters().unhealthy, Some(Active));
}

#[test]
fn counters_stop_at_their_end() {
    let rules = rules(0, 255, 0, 255);
    let cell = HealthCell::default();
    for _ in 0..254 {
        assert_eq!(cell.report(Passive, &rules, Timeout), None);
    }
    assert_eq!(cell.report(Passive, &rules, Timeout), Some(Unhealthy));
}

/// `incr_counter` of lua-resty-healthcheck, line by line, with its four states and one word of four counters.
#[derive(Default)]
struct Kong {
    counters: [u8; 4],
    state: KongState,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum KongState {
    #[default]
    Healthy,
    MostlyHealthy,
    MostlyUnhealthy,
    Unhealthy,
}

impl Kong {
    fn report(&mut self, healthy: bool, counter: usize, limit: u8) {
        let full = if healthy { KongState::Healthy } else { KongState::Unhealthy };
        if limit == 0 || self.state == full {
            return;
        }
        self.counters[counter] += 1;
        if healthy {
            self.counters[1..].fill(0);
        } else {
            self.counters[0] = 0;
        }
        if self.counters[counter] >= limit {
            self.state = full;
        } else if self.state == KongState::Healthy && !healthy {
            self.state = KongState::MostlyHealthy;
        } else if self.state == KongState::Unhealthy && healthy {
            self.state = KongState::MostlyUnhealthy;
        }
    }

    fn unhealthy(&self) -> bool {
        matches!(self.state, KongState::Unhealthy | KongState::MostlyUnhealthy)
    }
}

proptest! {
    #[test]
    fn targets_change_state_exactly_when_kongs_do(
        limits in prop::array::uniform4(0u8..5),
        reports in prop::collection::vec(0usize..4, 0..60),
    ) {
        let rules = rules(limits[0], limits[1], limits[2], limits[3]);
        let cell = HealthCell::default();
        let mut kong = Kong::default();
        for kind in reports {
            let outcome = [Status(200), Status(500), TcpFailure, Timeout][kind];
            let before = cell.counters().unhealthy.is_some();
            let verdict = cell.report(Passive, &rules, outcome);
            kong.report(kind == 0, kind, limits[kind]);
            let after = cell.counters().unhealthy.is_some();
            prop_assert_eq!(after, kong.unhealthy());
            prop_assert_eq!(verdict.is_some(), before != after);
        }
    }

    #[test]
    fn counters_survive_packing(bytes in prop::array::uniform4(any::<u8>()), unhealthy in 0..3) {
        let [successes, http_failures, tcp_failures, timeouts] = bytes;
        let unhealthy = [None, Some(Active), Some(Passive)][usize::try_from(unhealthy).unwrap()];
        let counters = Counters { successes, http_failures, tcp_failures, timeouts, unhealthy };
        prop_assert_eq!(Counters::unpack(counters.pack()), counters);
    }
}
