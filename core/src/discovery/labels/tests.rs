use super::*;
use crate::config::{DockerProvider, LabelLimits};
use crate::model::{Phase, Replica, RuntimeHealth, UpstreamId};
use proptest::prelude::*;
use std::time::Duration;

fn replica(labels: &[(&str, &str)]) -> Replica {
    Replica {
        id: "c0ffee".into(),
        incarnation: "1".into(),
        name: "shop-web-1".into(),
        group: UpstreamId {
            provider: "docker".into(),
            kind: "compose".into(),
            project: "shop".into(),
            service: "web".into(),
        },
        address: None,
        networks: Default::default(),
        ports: vec![8080],
        published: Vec::new(),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        phase: Phase::Running,
        health: RuntimeHealth::None,
        created_ms: 0,
    }
}

fn read(labels: &[(&str, &str)], provider: &DockerProvider) -> Result<Option<Labelled>, String> {
    read_labels(&replica(labels), &LabelSettings::of(provider)).map_err(|problem| {
        assert_eq!(problem.subject, "shop-web-1");
        assert!(!problem.message.contains('\n'), "a problem is one line: {problem:?}");
        problem.message
    })
}

/// The labels, with `enable`, are accepted.
fn accepted(labels: &[(&str, &str)]) -> Labelled {
    let all: Vec<_> = labels.iter().copied().chain([("plimsoll.enable", "true")]).collect();
    read(&all, &DockerProvider::default()).expect("labels are good").expect("the container is exposed")
}

/// The labels, with `enable` and a host, are refused with a message that holds `expected`.
fn refused(labels: &[(&str, &str)], expected: &str) {
    let mut all = vec![("plimsoll.enable", "true"), ("plimsoll.route.hosts", "a.b")];
    all.extend(labels);
    match read(&all, &DockerProvider::default()) {
        Err(message) => assert!(message.contains(expected), "{labels:?}: {message:?} does not say {expected:?}"),
        Ok(said) => panic!("{labels:?} were accepted: {said:?}"),
    }
}

#[test]
fn only_what_is_enabled_is_exposed() {
    let check = |labels: &[(&str, &str)], provider: &DockerProvider, expected: bool| {
        let exposed = read(labels, provider).expect("labels are good").is_some();
        assert_eq!(exposed, expected, "{labels:?}");
    };
    let by_default = DockerProvider { exposed_by_default: true, ..DockerProvider::default() };
    let constrained = DockerProvider { constraints: vec![("tier".into(), "web".into())], ..DockerProvider::default() };
    check(&[], &DockerProvider::default(), false);
    check(&[("plimsoll.enable", "true")], &DockerProvider::default(), true);
    check(&[("plimsoll.enable", "false"), ("plimsoll.nonsense", "x")], &DockerProvider::default(), false);
    check(&[("plimsoll.target.port", "80")], &DockerProvider::default(), false);
    check(&[("plimsollish.enable", "true")], &DockerProvider::default(), false);
    check(&[], &by_default, true);
    check(&[("plimsoll.enable", "false")], &by_default, false);
    check(&[("plimsoll.enable", "true")], &constrained, false);
    check(&[("plimsoll.enable", "true"), ("tier", "db")], &constrained, false);
    check(&[("plimsoll.enable", "true"), ("tier", "web")], &constrained, true);
}

#[test]
fn a_prefix_of_ones_own_replaces_ours() {
    let provider = DockerProvider { label_prefix: "edge".into(), ..DockerProvider::default() };
    let labels = [("edge.enable", "true"), ("edge.target.port", "90"), ("plimsoll.nonsense", "x")];
    let said = read(&labels, &provider).expect("labels are good").expect("the container is exposed");
    assert_eq!(said.port, Some(90));
}

#[test]
fn labels_become_routes_services_and_settings() {
    let said = accepted(&[
        ("plimsoll.route.hosts", "Shop.example.com, *.shop.example.com"),
        ("plimsoll.route.paths", "[\"/a,b\", \"~/v\\\\d+\"]"),
        ("plimsoll.routes.api.hosts", "api.example.com:8000"),
        ("plimsoll.routes.api.headers.X-Tier", "beta,canary"),
        ("plimsoll.routes.api.protocols", "grpc"),
        ("plimsoll.service.read_timeout", "1500"),
        ("plimsoll.service.retries", "0"),
        ("plimsoll.upstream.algorithm", "least-connections"),
        ("plimsoll.upstream.healthchecks.active.healthy.interval", "0.5"),
        ("plimsoll.upstream.slow_start", "1m"),
        ("plimsoll.target.port", "8000"),
        ("plimsoll.target.weight", "0"),
        ("plimsoll.target.scheme", "https"),
        ("plimsoll.network", "front"),
    ]);
    let [(first, plain), (second, api)] = said.routes.as_slice() else { panic!("two routes: {:?}", said.routes) };
    assert_eq!((&**first, &*plain.name, plain.service.as_deref()), ("", "web.shop", Some("web.shop")));
    assert_eq!(plain.hosts, ["shop.example.com".into(), Arc::<str>::from("*.shop.example.com")]);
    assert_eq!(plain.paths, ["/a,b".into(), Arc::<str>::from("~/v\\d+")]);
    assert!(plain.strip_path);
    assert_eq!((&**second, &*api.name), ("api", "web.shop/api"));
    assert_eq!(api.headers, [("x-tier".into(), vec!["beta".into(), Arc::<str>::from("canary")])]);
    assert!(!api.strip_path, "gRPC's path names the method");
    assert_eq!((said.service.read_timeout, said.service.retries), (Some(Duration::from_millis(1500)), Some(0)));
    assert_eq!(&*said.upstream.algorithm, "least-connections");
    assert_eq!(said.upstream.healthchecks.active.healthy.interval, Duration::from_millis(500));
    assert_eq!(said.upstream.slow_start, Some(Duration::from_secs(60)));
    assert_eq!(said.upstream_set.len(), 3);
    assert_eq!((said.port, said.weight, said.scheme), (Some(8000), 0, Some(Protocol::Https)));
    assert_eq!(said.network.as_deref(), Some("front"));
}

#[test]
fn every_label_of_the_table_takes_its_example_and_has_a_line() {
    let provider = DockerProvider {
        allow: crate::config::LabelAllow {
            fields: ["default", "hold", "queue", "retry_budget", "hedging", "outlier"].map(Into::into).to_vec(),
            ..crate::config::LabelAllow::default()
        },
        ..DockerProvider::default()
    };
    let mut names = Vec::new();
    for label in documented_labels() {
        let key = format!("plimsoll.{}", label.name.replace('*', "X-Name"));
        let mut labels = vec![("plimsoll.enable", "true"), ("plimsoll.route.hosts", "a.b")];
        labels.retain(|(known, _)| *known != key);
        labels.push((&key, label.example));
        read(&labels, &provider).unwrap_or_else(|error| panic!("{key}={}: {error}", label.example));
        assert!(label.doc.ends_with('.') && !label.doc.contains('\n'), "{key}: {:?}", label.doc);
        assert!(!names.contains(&label.name), "{key} stands twice");
        names.push(label.name);
    }
}

#[test]
fn an_unknown_label_is_refused_by_name_with_what_was_meant() {
    refused(&[("plimsoll.route.host", "a")], "`plimsoll.route.host`");
    refused(&[("plimsoll.route.host", "a")], "did you mean `plimsoll.route.hosts`?");
    refused(&[("plimsoll.routes.api.path", "/a")], "did you mean `plimsoll.routes.api.paths`?");
    refused(&[("plimsoll.rout.paths", "/a")], "did you mean `plimsoll.route.paths`?");
    refused(&[("plimsoll.target.prot", "1")], "did you mean `plimsoll.target.port`?");
    refused(&[("plimsoll.networks", "a")], "did you mean `plimsoll.network`?");
    refused(&[("plimsoll.upstream.healthchecks.active.http_pth", "/")], "healthchecks.active.http_path`?");
    for forbidden in [
        "service.host",
        "service.url",
        "service.port",
        "upstream.targets",
        "upstream.discover.docker.project",
        "upstream.name",
        "route.snis",
        "route.service",
        "route.name",
        "routes.api",
        "routes",
        "route",
        "certificates",
        "gateway.listeners",
        "consumers.x",
        "",
        ".",
        "enable.x",
        "network.x",
        "target.host",
    ] {
        let key = format!("plimsoll.{forbidden}");
        refused(&[(&key, "x")], "is not one that");
    }
}

#[test]
fn a_misspelt_enable_is_named_although_nothing_is_exposed() {
    let message = read(&[("plimsoll.enabled", "true")], &DockerProvider::default()).expect_err("a near miss");
    assert!(message.contains("did you mean `plimsoll.enable`?"), "{message}");
}

#[test]
fn values_are_strict() {
    refused(&[("plimsoll.enable", "yes")], "wants true or false");
    refused(&[("plimsoll.target.port", "0")], "from 1 to 65535");
    refused(&[("plimsoll.target.port", "+80")], "from 1 to 65535");
    refused(&[("plimsoll.target.port", "80 ")], "from 1 to 65535");
    refused(&[("plimsoll.target.port", "")], "from 1 to 65535");
    refused(&[("plimsoll.target.weight", "65536")], "from 0 to 65535");
    refused(&[("plimsoll.target.scheme", "h2c")], "wants http, https, grpc or grpcs");
    refused(&[("plimsoll.service.connect_timeout", "10s")], "milliseconds");
    refused(&[("plimsoll.service.connect_timeout", "0")], "milliseconds");
    refused(&[("plimsoll.service.path", "app")], "begins with /");
    refused(&[("plimsoll.service.path", "/a b")], "begins with /");
    refused(&[("plimsoll.service.retries", "-1")], "from 0 to 32767");
    refused(&[("plimsoll.route.strip_path", "1")], "wants true or false");
    refused(&[("plimsoll.route.methods", "get")], "upper case");
    refused(&[("plimsoll.route.paths", "a")], "begin with /");
    refused(&[("plimsoll.route.paths", "~/(")], "not a regex");
    refused(&[("plimsoll.route.paths", "/a,,/b")], "empty item");
    refused(&[("plimsoll.route.paths", "[\"/a\"")], "JSON list");
    refused(&[("plimsoll.route.paths", "[[\"/a\"]]")], "JSON list of texts");
    refused(&[("plimsoll.route.paths", "[]")], "at least one");
    refused(&[("plimsoll.route.headers.host", "a")], "names no header");
    refused(&[("plimsoll.route.headers.x y", "a")], "names no header");
    refused(&[("plimsoll.route.https_redirect_status_code", "303")], "wants 426");
    refused(&[("plimsoll.route.protocols", "tcp")], "wants http, https, grpc or grpcs");
    refused(&[("plimsoll.route.protocols", "grpc"), ("plimsoll.route.strip_path", "true")], "strip_path");
    refused(&[("plimsoll.route.regex_priority", "1.5")], "whole number");
    refused(&[("plimsoll.upstream.algorithm", "random")], "wants one of round-robin");
    refused(&[("plimsoll.upstream.host_header", "a\r\nb: c")], "wants a host name");
    refused(&[("plimsoll.upstream.healthchecks.active.healthy.interval", "0.001")], "at least 0.1");
    refused(&[("plimsoll.upstream.healthchecks.active.healthy.interval", "1e3")], "wants seconds");
    refused(&[("plimsoll.upstream.healthchecks.threshold", "101")], "from 0 to 100");
    refused(&[("plimsoll.upstream.healthchecks.active.healthy.http_statuses", "200,99")], "from 100 to 999");
    refused(&[("plimsoll.network", "a\nb")], "control character");
    refused(&[("plimsoll.routes.a b.hosts", "c.d")], "letters, digits");
    refused(&[("plimsoll.routes.api.paths", "/a")], "`hosts` is needed");
}

#[test]
fn hosts_are_names_with_one_wildcard_at_an_end() {
    for host in ["a", "a.b", "A.b:80", "*.b", "a.*", "10.0.0.1", "a_b.c"] {
        assert_eq!(accepted(&[("plimsoll.route.hosts", host)]).routes.len(), 1, "{host}");
    }
    for host in ["*", "*.*", "a.*.b", "a*.b", "*b", "-a.b", "a..b", "a:0", "a:x", "a b", "a/b", "*.a.*", ":80", "ä.b"]
    {
        refused(&[("plimsoll.route.hosts", host)], "route.hosts`");
    }
}

#[test]
fn what_is_not_available_says_so() {
    refused(&[("plimsoll.plugins.rate-limiting.minute", "60")], "no plugins are available in this version");
    refused(&[("plimsoll.upstream.queue.timeout", "5s")], "needs \"queue\" in `providers.docker.allow.fields`");
    refused(&[("plimsoll.upstream.hash_on", "ip")], "not available in this version");
    refused(&[("plimsoll.upstream.algorithm", "consistent-hashing")], "not available in this version");
    refused(&[("plimsoll.upstream.hold.timeout", "5s")], "needs \"hold\" in `providers.docker.allow.fields`");
    refused(&[("plimsoll.upstream.scaling.max", "5")], "needs \"scaling\"");
}

#[test]
fn a_field_by_allowance_is_read_where_it_is_allowed() {
    let mut provider = DockerProvider::default();
    provider.allow.fields.push("hold".into());
    provider.allow.fields.push("scaling".into());
    let labels = [("plimsoll.enable", "true"), ("plimsoll.upstream.hold.timeout", "5s")];
    let said = read(&labels, &provider).expect("labels are good").expect("the container is exposed");
    let hold = said.upstream.hold.flatten().expect("hold is set");
    assert_eq!((hold.timeout, hold.max_requests), (Duration::from_secs(5), 1000));
    let labels = [("plimsoll.enable", "true"), ("plimsoll.upstream.scaling.max", "5")];
    assert!(read(&labels, &provider).expect_err("not built").contains("not available in this version"));
}

#[test]
fn a_retry_budget_by_label_needs_its_allowance_and_has_defaults_for_the_rest() {
    let labels = [("plimsoll.enable", "true"), ("plimsoll.upstream.retry_budget.ratio", "0.5")];
    refused(&labels[1..], "needs \"retry_budget\"");
    let mut provider = DockerProvider::default();
    provider.allow.fields.push("retry_budget".into());
    let said = read(&labels, &provider).expect("labels are good").expect("the container is exposed");
    let budget = said.upstream.retry_budget.expect("it is set");
    assert_eq!((budget.ratio, budget.min_per_second), (0.5, 10));
    let labels = [("plimsoll.enable", "true"), ("plimsoll.upstream.retry_budget.ratio", "1.5")];
    assert!(read(&labels, &provider).expect_err("too much").contains("wants a number from 0 to 1"));
}

#[test]
fn an_outlier_by_label_needs_its_allowance_and_has_defaults_for_the_rest() {
    let labels = [("plimsoll.enable", "true"), ("plimsoll.upstream.outlier.ejection", "10s")];
    refused(&labels[1..], "needs \"outlier\"");
    let mut provider = DockerProvider::default();
    provider.allow.fields.push("outlier".into());
    let said = read(&labels, &provider).expect("labels are good").expect("the container is exposed");
    let outlier = said.upstream.outlier.expect("it is set");
    assert_eq!((outlier.ejection, outlier.consecutive_errors), (Duration::from_secs(10), 5));
}

#[test]
fn hosts_and_projects_stay_within_what_is_allowed() {
    let mut provider = DockerProvider::default();
    let check = |provider: &DockerProvider, host: &str, expected: bool| {
        let labels = [("plimsoll.enable", "true"), ("plimsoll.route.hosts", host)];
        assert_eq!(read(&labels, provider).is_ok(), expected, "{host}");
    };
    provider.allow.hosts = vec!["*.example.com".into(), "one.*".into(), "a*b*c".into()];
    check(&provider, "x.example.com", true);
    check(&provider, "x.example.com:8000", true);
    check(&provider, "*.example.com", true);
    check(&provider, "example.com", false);
    check(&provider, "example.*", false);
    check(&provider, "one.net", true);
    check(&provider, "one.*", true);
    check(&provider, "aabbcc", true);
    check(&provider, "abcd", false);
    check(&provider, "x.example.com.evil", false);
    provider.allow.hosts = vec!["*".into()];
    provider.allow.projects = vec!["other".into(), "sho*".into()];
    check(&provider, "a.b", true);
    provider.allow.projects = vec!["other".into()];
    check(&provider, "a.b", false);
}

#[test]
fn a_containers_labels_are_bounded() {
    let limits = LabelLimits { labels: 100, routes: 2, regex: 4 << 10 };
    let provider = DockerProvider { limits, ..DockerProvider::default() };
    let check = |labels: &[(&str, &str)], expected: &str| {
        let all: Vec<_> = labels.iter().copied().chain([("plimsoll.enable", "true")]).collect();
        let message = read(&all, &provider).expect_err("past a bound");
        assert!(message.contains(expected), "{message}");
    };
    check(&[("plimsoll.network", &"x".repeat(100))], "`limits.labels` allows 100");
    let names = [("plimsoll.routes.a.hosts", "a"), ("plimsoll.routes.b.hosts", "b"), ("plimsoll.routes.c.hosts", "c")];
    check(&names, "`limits.routes` allows");
    check(&[("plimsoll.route.hosts", "a"), ("plimsoll.route.paths", "~/(a{99}){99}")], "`limits.regex` allows");
}

#[test]
fn many_mistakes_are_told_in_one_line_of_bounded_length() {
    let keys: Vec<String> = (0..50).map(|index| format!("plimsoll.x{index}.{}", "y".repeat(200))).collect();
    let mut labels: Vec<_> = keys.iter().map(|key| (key.as_str(), "z")).collect();
    labels.push(("plimsoll.enable", "true"));
    let message = read(&labels, &DockerProvider::default()).expect_err("unknown labels");
    assert!(message.ends_with("and 45 more") && message.len() < 1000, "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_label_makes_the_reader_panic(labels in proptest::collection::vec((label(), value()), 0..8)) {
        let mut all: Vec<_> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        all.push(("plimsoll.enable", "true"));
        let mut provider = DockerProvider::default();
        provider.allow.fields.push("hold".into());
        if let Ok(Some(said)) = read(&all, &provider) {
            for (_, route) in said.routes {
                prop_assert!(!route.hosts.is_empty());
                prop_assert_eq!(route.service.as_deref(), Some("web.shop"));
            }
        }
    }

    #[test]
    fn a_pattern_covers_every_text_made_from_it(pattern in "[ab*]{0,6}", fill in "[abc.]{0,3}") {
        let text = pattern.replace('*', &fill);
        prop_assert!(glob(&pattern, &text));
    }
}

fn label() -> impl Strategy<Value = String> {
    let known: Vec<String> = documented_labels().into_iter().map(|label| label.name).collect();
    prop_oneof![
        proptest::sample::select(known).prop_map(|name| format!("plimsoll.{}", name.replace('*', "k"))),
        "plimsoll\\.routes\\.[a-z.]{0,4}\\.(hosts|paths)",
        "plimsoll\\.\\PC{0,30}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,20}", "[0-9.]{0,12}", "\\[[\"a,/~(*]{0,10}\\]", "[a-z*.:,]{0,12}", Just("true".to_owned())]
}

/// Every path of keys through the document, as a label would name it: `services.routes.hosts`, `gateway.admin.address`.
fn ways(schema: &serde_json::Value, at: &serde_json::Value, way: &str, found: &mut Vec<String>) {
    let properties = at.get("properties").and_then(serde_json::Value::as_object);
    for (key, value) in properties.into_iter().flatten() {
        let way = if way.is_empty() { key.clone() } else { format!("{way}.{key}") };
        let mut inner = vec![value];
        while let Some(value) = inner.pop() {
            inner.extend(value.get("anyOf").and_then(serde_json::Value::as_array).into_iter().flatten());
            inner.extend(value.get("items"));
            let name = value.get("$ref").and_then(serde_json::Value::as_str);
            // A way that meets a table twice says nothing new.
            if let Some(name) = name.and_then(|name| name.strip_prefix("#/$defs/"))
                && !found.iter().any(|before| before.starts_with(&format!("{way}.")))
            {
                ways(schema, &schema["$defs"][name], &way, found);
            }
        }
        found.push(way);
    }
}

#[test]
fn every_key_of_the_document_that_is_not_on_the_list_is_refused_by_name() {
    let (schema, mut ways_there) = (crate::config::schema(), Vec::new());
    ways(&schema, &schema, "", &mut ways_there);
    let listed: Vec<String> = documented_labels().into_iter().map(|label| label.name).collect();
    let is_listed = |label: &str| {
        listed.iter().any(|name| match name.strip_suffix('*') {
            Some(stem) => label.starts_with(stem) && label.len() > stem.len(),
            None => name == label,
        })
    };
    let mut refusals = 0;
    for way in &ways_there {
        // As the document has it, and as one might think a label has it: an entity in the singular, without what it is in.
        let mut spellings = vec![way.clone()];
        for (plural, singular) in
            [("services", "service"), ("routes", "route"), ("upstreams", "upstream"), ("targets", "target")]
        {
            if let Some((_, rest)) = way.rsplit_once(&format!("{plural}.")) {
                spellings.push(format!("{singular}.{rest}"));
            }
        }
        for label in spellings {
            // `routes.NAME.FIELD` is a label of `route.FIELD`.
            let named = label.strip_prefix("routes.").and_then(|rest| rest.split_once('.'));
            if is_listed(&label) || named.is_some_and(|(_, field)| is_listed(&format!("route.{field}"))) {
                continue;
            }
            let name = format!("plimsoll.{label}");
            refused(&[(&name, "1")], &format!("`{name}`"));
            refusals += 1;
        }
    }
    assert!(refusals > 200, "the walk met {refusals} keys");
}
