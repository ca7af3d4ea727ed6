//! Kong's rules, one by one.

use super::*;

fn hosts(list: &[&str]) -> Rules {
    Rules { hosts: texts(list), ..rules() }
}

fn paths(list: &[&str]) -> Rules {
    Rules { paths: texts(list), ..rules() }
}

fn methods(list: &[&str]) -> Rules {
    Rules { methods: texts(list), ..rules() }
}

fn header(name: &str, values: &[&str]) -> Rules {
    Rules { headers: vec![(name.into(), texts(values))], ..rules() }
}

#[track_caller]
fn check_host(rule: &str, asked: &str, matches: bool) {
    assert_eq!(winner(&[hosts(&[rule])], &ask("GET", asked, "/")).is_some(), matches, "{rule} for {asked}");
}

#[test]
fn a_host_matches_exactly_by_suffix_or_by_prefix_and_without_regard_to_case() {
    check_host("a.test", "a.test", true);
    check_host("a.test", "A.Test", true);
    check_host("A.test", "a.test", true);
    check_host("a.test", "b.a.test", false);
    check_host("*.test", "a.test", true);
    check_host("*.test", "a.b.TEST", true);
    check_host("*.test", "test", false);
    check_host("a.*", "a.test", true);
    check_host("a.*", "a.b.test:99", true);
    check_host("a.*", "ba.test", false);
    check_host("a.test", "", false);
    check_host("*.test", &format!("{}.test", "a".repeat(300)), false);
    check_host("[::1]", "[::1]", true);
    check_host("[::1]", "[::1]:8000", true);
    check_host("[::1]:80", "[::1]:8000", false);
}

#[test]
fn a_host_without_port_matches_any_port_and_one_with_a_port_only_that_one() {
    check_host("a.test", "a.test:1234", true);
    check_host("a.test:1234", "a.test:1234", true);
    check_host("a.test:1234", "a.test:1235", false);
    check_host("a.test:1234", "a.test", false);
    check_host("a.test:8000", "a.test", true);
    check_host("*.test:81", "a.test:81", true);
    check_host("*.test:81", "a.test:82", false);
}

#[test]
fn prefixes_do_not_stop_at_segments_and_are_case_sensitive() {
    let rules = [paths(&["/a"])];
    assert_eq!(winner(&rules, &ask("GET", "", "/abc")), Some((0, 2)));
    assert_eq!(winner(&rules, &ask("GET", "", "/A")), None);
    assert_eq!(winner(&rules, &ask("GET", "", "/")), None);
}

#[test]
fn regexes_are_anchored_at_their_start_alone() {
    let rules = [paths(&[r"~/a/\d+"]), paths(&["~/x|/y"])];
    assert_eq!(winner(&rules, &ask("GET", "", "/a/12/more")), Some((0, 5)));
    assert_eq!(winner(&rules, &ask("GET", "", "/b/a/12")), None);
    assert_eq!(winner(&rules, &ask("GET", "", "/y")), Some((1, 2)));
    assert_eq!(winner(&rules, &ask("GET", "", "/z/y")), None);
}

#[test]
fn methods_match_exactly() {
    let rules = [methods(&["GET", "PURGE"])];
    assert_eq!(winner(&rules, &ask("PURGE", "", "/")), Some((0, 0)));
    assert_eq!(winner(&rules, &ask("get", "", "/")), None);
    assert_eq!(winner(&rules, &ask("POST", "", "/")), None);
}

#[test]
fn any_line_of_a_header_may_match_any_listed_value() {
    let rules = [header("X-Kind", &["One", "~*^t(wo|hree)$"])];
    let check = |lines: &[(&str, &str)], matches: bool| {
        let fields: Vec<(&str, &str)> = lines.to_vec();
        let ask = Ask { fields: &fields, ..ask("GET", "", "/") };
        assert_eq!(winner(&rules, &ask).is_some(), matches, "{lines:?}");
    };
    check(&[("x-kind", "oNE")], true);
    check(&[("x-kind", "zero"), ("X-KIND", "THREE")], true);
    check(&[("x-kind", "four")], false);
    check(&[("x-other", "one")], false);
    check(&[], false);
}

#[test]
fn snis_count_over_tls_alone() {
    let rules = [Rules { snis: texts(&["a.test.", "*.b.test"]), ..rules() }];
    let check = |tls: bool, sni: Option<&str>, matches: bool| {
        assert_eq!(winner(&rules, &Ask { tls, sni, ..ask("GET", "", "/") }).is_some(), matches, "{tls} {sni:?}");
    };
    check(false, None, true);
    check(true, None, false);
    check(true, Some("A.test"), true);
    check(true, Some("x.y.b.test"), true);
    check(true, Some("c.test"), false);
}

/// Both match; the one at the front is expected to win, in whichever order they stand.
#[track_caller]
fn check_order(first: Rules, second: Rules, asked: &Ask<'_>) {
    let forward = winner(&[first.clone(), second.clone()], asked).map(|found| found.0);
    let backward = winner(&[second, first], asked).map(|found| found.0);
    assert_eq!((forward, backward), (Some(0), Some(1)));
}

#[test]
fn routes_are_ordered_as_in_kong() {
    let asked = ask("GET", "a.test", "/a/b");
    check_order(Rules { methods: texts(&["GET"]), ..paths(&["/"]) }, paths(&["/a/b"]), &asked);
    check_order(hosts(&["a.test"]), paths(&["/a/b"]), &asked);
    check_order(
        Rules { paths: texts(&["/"]), ..hosts(&["a.test"]) },
        Rules { paths: texts(&["/a"]), ..hosts(&["a.*"]) },
        &asked,
    );
    check_order(hosts(&["a.test"]), hosts(&["a.test", "*.b"]), &asked);
    check_order(paths(&["~/a"]), paths(&["/a/b"]), &asked);
    check_order(Rules { regex_priority: 1, ..paths(&["~/a"]) }, paths(&["~/a/b"]), &asked);
    check_order(paths(&["/a/b"]), Rules { regex_priority: 9, ..paths(&["/a"]) }, &asked);
    check_order(paths(&["/a"]), Rules { tier: 1, hosts: texts(&["a.test"]), ..paths(&["/a/b"]) }, &asked);

    let fields = vec![("x-a", "1"), ("x-b", "2")];
    let asked = Ask { fields: &fields, ..asked };
    let two = Rules { headers: vec![("x-a".into(), texts(&["1"])), ("x-b".into(), texts(&["2"]))], ..rules() };
    check_order(two, header("x-a", &["1"]), &asked);
}

#[test]
fn each_prefix_length_of_a_route_ranks_alone() {
    let rules = [paths(&["/", "/a/b"]), paths(&["/a"])];
    assert_eq!(winner(&rules, &ask("GET", "", "/a/b")), Some((0, 4)));
    assert_eq!(winner(&rules, &ask("GET", "", "/a/c")), Some((1, 2)));
    assert_eq!(winner(&rules, &ask("GET", "", "/x")), Some((0, 1)));
}

#[test]
fn of_equal_rank_the_older_route_wins() {
    assert_eq!(winner(&[paths(&["/a"]), paths(&["/a"])], &ask("GET", "", "/a")), Some((0, 2)));
}

#[test]
fn a_disabled_route_never_matches_and_keeps_its_place() {
    let disabled = Rules { enabled: false, ..paths(&["/a"]) };
    assert_eq!(winner(&[disabled, paths(&["/"])], &ask("GET", "", "/a")), Some((1, 1)));
}

#[test]
fn what_cannot_be_compiled_is_named_with_its_route() {
    #[track_caller]
    fn check(rules: Rules, message: &str) {
        let problems = Router::compile(&[super::rules(), rules]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].route.0, 1);
        assert!(problems[0].message.contains(message), "{}", problems[0].message);
    }
    check(paths(&["~/a("]), "path ~/a(: the regex /a( does not parse: unclosed group");
    check(paths(&["~/a)(b"]), "does not parse");
    check(paths(&["~/(a{1000}){1000}"]), "when compiled");
    check(hosts(&["a.*.b"]), "a wildcard is the first or the last label");
    check(hosts(&["*"]), "a wildcard is the first or the last label");
    check(hosts(&["*a"]), "a wildcard is the first or the last label");
    check(hosts(&[""]), "1 to 255 bytes");
    check(header("x-a", &["~*("]), "header x-a: the regex ( does not parse");
    check(Rules { snis: texts(&["a.test:1"]), ..rules() }, "no port");
}

#[test]
fn many_prefixes_are_found_as_few_are() {
    let rules: Vec<Rules> = (0..1000).map(|index| paths(&[format!("/{}", "x".repeat(index)).as_str()])).collect();
    let path = format!("/{}", "x".repeat(500));
    assert_eq!(winner(&rules, &ask("GET", "", &path)), Some((500, 501)));
    assert_eq!(winner(&rules, &ask("GET", "", "/")), Some((0, 1)));
}
