//! What `explain` says.

use super::*;
use crate::router::Outcome;

#[track_caller]
fn check(rules: &[Rules], asked: &Ask<'_>, limit: usize, expected: &[(u32, &str)]) {
    let verdicts = Router::compile(rules).unwrap().explain(asked, limit);
    let told: Vec<(u32, String)> = verdicts
        .into_iter()
        .map(|verdict| match verdict.outcome {
            Outcome::Wins { matched } => (verdict.route.0, format!("wins with {matched}")),
            Outcome::Loses { why } => (verdict.route.0, why),
        })
        .collect();
    let expected: Vec<(u32, String)> = expected.iter().map(|(route, text)| (*route, (*text).to_owned())).collect();
    assert_eq!(told, expected);
}

#[test]
fn every_rule_that_does_not_hold_is_named() {
    let rules = [
        Rules { hosts: texts(&["b.test"]), paths: texts(&["/x"]), ..rules() },
        Rules { paths: texts(&[r"~/\d+"]), methods: texts(&["PUT"]), ..rules() },
        Rules { headers: vec![("x-a".into(), texts(&["1"]))], paths: texts(&["/b", "/c"]), ..rules() },
    ];
    let expected = [
        (0, "host a.test does not match, path /x is no prefix"),
        (2, "header x-a is not sent, none of the paths /b, /c is a prefix"),
        (1, r"method GET does not match, regex /\d+ does not match"),
    ];
    check(&rules, &ask("GET", "a.test", "/a"), 10, &expected);
}

#[test]
fn a_route_that_matches_and_loses_says_what_ranks_before_it() {
    let path = |text: &str| Rules { paths: texts(&[text]), ..rules() };
    let rules = [
        path("/a"),
        path("/a/b"),
        Rules { tier: 1, hosts: texts(&["a.test"]), ..path("/a/b") },
        path("/"),
        path("/a/b"),
        rules(),
    ];
    let expected = [
        (1, "wins with 4"),
        (4, "of equal rank, and the winner is older"),
        (0, "a longer prefix wins (4 bytes to 2)"),
        (3, "a longer prefix wins (4 bytes to 1)"),
        (5, "the winner has more kinds of rules (1 to 0)"),
        (2, "routes of the document go before those of labels"),
    ];
    check(&rules, &ask("GET", "a.test", "/a/b"), 10, &expected);
}

#[test]
fn of_many_routes_the_winner_and_the_nearest_are_told() {
    let mut rules: Vec<Rules> = (0..100)
        .map(|index| Rules { hosts: texts(&[format!("h{index}.test").as_str()]), paths: texts(&["/a/b/c"]), ..rules() })
        .collect();
    rules.push(Rules { paths: texts(&["/"]), ..super::rules() });
    rules.push(Rules { paths: texts(&["/q"]), ..super::rules() });
    check(
        &rules,
        &ask("GET", "h7.test", "/a"),
        3,
        &[(7, "path /a/b/c is no prefix"), (101, "path /q is no prefix"), (100, "wins with 1")],
    );
}
