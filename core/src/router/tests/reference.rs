//! The router against the slowest matcher that could be right: every candidate in Kong's order, tested one by one, with
//! nothing of the router's own code.

use super::*;
use crate::router::Outcome;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::sync::Arc;

/// A route with one group of its paths.
struct Candidate<'a> {
    route: usize,
    rules: &'a Rules,
    regex: bool,
    paths: Vec<&'a str>,
}

fn candidates(all: &[Rules]) -> Vec<Candidate<'_>> {
    let mut candidates = Vec::new();
    for (route, rules) in all.iter().enumerate().filter(|(_, rules)| rules.enabled) {
        let mut groups: Vec<(bool, usize, Vec<&str>)> = Vec::new();
        for path in &rules.paths {
            let regex = path.starts_with('~');
            let length = if regex { 0 } else { path.len() };
            match groups.iter_mut().find(|(r, l, _)| (*r, *l) == (regex, length)) {
                Some((_, _, paths)) => paths.push(path),
                None => groups.push((regex, length, vec![path])),
            }
        }
        if groups.is_empty() {
            groups.push((false, 0, Vec::new()));
        }
        candidates.extend(groups.into_iter().map(|(regex, _, paths)| Candidate { route, rules, regex, paths }));
    }
    candidates.sort_by_key(|candidate| {
        let rules = candidate.rules;
        let kinds = usize::from(!rules.methods.is_empty())
            + usize::from(!rules.hosts.is_empty())
            + usize::from(!rules.headers.is_empty())
            + usize::from(!rules.paths.is_empty())
            + usize::from(!rules.snis.is_empty());
        let wild = rules.hosts.is_empty() || rules.hosts.iter().any(|host| host.contains('*'));
        let priority = if candidate.regex { rules.regex_priority } else { 0 };
        let length = if candidate.regex { 0 } else { candidate.paths.first().map_or(0, |path| path.len()) };
        let kong = Reverse((kinds, !wild, rules.headers.len(), candidate.regex, priority, length));
        (rules.tier, kong, candidate.route)
    });
    candidates
}

fn name_matches(rule: &str, name: &str) -> bool {
    let (rule, name) = (rule.to_lowercase(), name.to_lowercase());
    match (rule.strip_prefix('*'), rule.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name.starts_with(start),
        _ => rule == name,
    }
}

fn host_matches(rule: &str, ask: &Ask<'_>) -> bool {
    let asked = std::str::from_utf8(ask.host).unwrap();
    let (name, port) = match asked.split_once(':') {
        Some((name, port)) => (name, port.parse().unwrap()),
        None => (asked, ask.port),
    };
    match rule.split_once(':') {
        Some((rule, wanted)) => name_matches(rule, name) && wanted.parse::<u16>().unwrap() == port,
        None => name_matches(rule, name),
    }
}

fn header_matches(value: &str, sent: &[u8]) -> bool {
    let sent = std::str::from_utf8(sent).unwrap().to_lowercase();
    match value.strip_prefix("~*") {
        Some(pattern) => regex::Regex::new(pattern).unwrap().is_match(&sent),
        None => value.to_lowercase() == sent,
    }
}

fn path_matches(candidate: &Candidate<'_>, path: &str) -> Option<usize> {
    if candidate.paths.is_empty() {
        return Some(0);
    }
    candidate.paths.iter().find_map(|rule| match rule.strip_prefix('~') {
        Some(pattern) => {
            let found = regex::Regex::new(pattern).unwrap().find_at(path, 0).filter(|found| found.start() == 0)?;
            Some(found.end())
        }
        None => path.starts_with(rule).then_some(rule.len()),
    })
}

fn matches(candidate: &Candidate<'_>, ask: &Ask<'_>) -> Option<usize> {
    let rules = candidate.rules;
    let method = std::str::from_utf8(ask.method).unwrap();
    let holds = (rules.methods.is_empty() || rules.methods.iter().any(|rule| &**rule == method))
        && (rules.hosts.is_empty() || rules.hosts.iter().any(|rule| host_matches(rule, ask)))
        && (rules.snis.is_empty()
            || !ask.tls
            || ask.sni.is_some_and(|sni| rules.snis.iter().any(|rule| name_matches(rule, sni))))
        && rules.headers.iter().all(|(name, values)| {
            ask.fields.any(name, &mut |sent| values.iter().any(|value| header_matches(value, sent)))
        });
    path_matches(candidate, std::str::from_utf8(ask.path).unwrap()).filter(|_| holds)
}

fn reference(rules: &[Rules], ask: &Ask<'_>) -> Option<(u32, usize)> {
    candidates(rules)
        .iter()
        .find_map(|candidate| Some((u32::try_from(candidate.route).unwrap(), matches(candidate, ask)?)))
}

/// Few words, so that rules and requests meet.
fn hosts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a.test",
        "b.a.test",
        "c.b.a.test",
        "A.Test",
        "*.test",
        "*.a.test",
        "*.b.a.test",
        "a.*",
        "b.*",
        "b.a.*",
        "a.test:80",
        "a.test:81",
        "*.test:80",
        "a.*:81",
        "b.a.test:81",
    ])
}

fn paths() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/bc",
        "/a/b/c",
        "/b",
        "/b/",
        "/bb",
        "/a/b/c/d",
        "/a/c",
        "/c",
        "/d",
        "/e",
        "/f",
        "~/",
        "~/a",
        r"~/a/\w",
        "~/[ab]",
        "~/a/b$",
        "~/(?<x>b+)",
        "~/.*c",
    ])
}

fn header_values() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["1", "2", "One", "~*^o", "~*2$"])
}

fn list(of: impl Strategy<Value = &'static str>, max: usize) -> impl Strategy<Value = Vec<Arc<str>>> {
    let some = prop::collection::vec(of.prop_map(Into::into), 1..=max);
    prop_oneof![2 => Just(Vec::new()), 3 => some]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let headers = prop::collection::btree_map(
        prop::sample::select(vec!["x-a", "x-b"]),
        prop::collection::vec(header_values().prop_map(Into::into), 1..3),
        0..3,
    );
    let headers = prop_oneof![3 => Just(Vec::new()), 2 => headers.prop_map(|map| {
        map.into_iter().map(|(name, values)| (name.into(), values)).collect()
    })];
    let methods = list(prop::sample::select(vec!["GET", "POST"]), 2);
    let snis = prop_oneof![3 => Just(Vec::new()), 1 => list(prop::sample::select(vec!["a.test", "*.test", "b.*"]), 2)];
    (list(hosts(), 3), list(paths(), 4), methods, headers, snis, -1_i64..3, 0_u8..2, prop::bool::weighted(0.9))
        .prop_map(|(hosts, paths, methods, headers, snis, regex_priority, tier, enabled)| Rules {
            hosts,
            paths,
            methods,
            headers,
            snis,
            regex_priority,
            tier,
            enabled,
        })
}

#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    host: &'static str,
    port: u16,
    path: &'static str,
    tls: bool,
    sni: Option<&'static str>,
    fields: Vec<(&'static str, &'static str)>,
}

fn any_ask() -> impl Strategy<Value = Asked> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]);
    let host = prop::sample::select(vec![
        "a.test",
        "b.a.test",
        "c.b.a.test",
        "A.TEST:81",
        "b.test",
        "a.b.other",
        "b.a.x",
        "a.test:80",
        "none",
        "",
    ]);
    let path = prop::sample::select(vec![
        "/",
        "/a",
        "/a/b",
        "/a/b/c",
        "/a/b/c/d/e",
        "/ab",
        "/b",
        "/bbb/c",
        "/c/c",
        "/d",
        "/x",
    ]);
    let sni = prop::option::of(prop::sample::select(vec!["a.test", "b.x", "none"]));
    let names = prop::sample::select(vec!["x-a", "X-B"]);
    let fields = prop::collection::vec((names, prop::sample::select(vec!["1", "2", "ONE", "12", "x"])), 0..4);
    (method, host, prop::sample::select(vec![80_u16, 81, 8000]), path, any::<bool>(), sni, fields)
        .prop_map(|(method, host, port, path, tls, sni, fields)| Asked { method, host, port, path, tls, sni, fields })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_router_finds_what_the_reference_finds_and_explains_it_so(
        rules in prop::collection::vec(any_rules(), 0..24),
        asked in prop::collection::vec(any_ask(), 1..12),
        limit in 1_usize..30,
    ) {
        let router = Router::compile(&rules).unwrap();
        for asked in &asked {
            let ask = Ask {
                method: asked.method.as_bytes(),
                host: asked.host.as_bytes(),
                port: asked.port,
                path: asked.path.as_bytes(),
                tls: asked.tls,
                sni: asked.sni,
                fields: &asked.fields,
            };
            let found = router.route(&ask).map(|found| (found.route.0, found.matched));
            prop_assert_eq!(found, reference(&rules, &ask), "{:?}", asked);

            let told = router.explain(&ask, limit);
            prop_assert!(told.len() <= limit);
            let winners: Vec<(u32, usize)> = told.iter().filter_map(|verdict| match verdict.outcome {
                Outcome::Wins { matched } => Some((verdict.route.0, matched)),
                Outcome::Loses { .. } => None,
            }).collect();
            prop_assert_eq!(winners, Vec::from_iter(found), "{:?}", asked);
        }
    }
}
