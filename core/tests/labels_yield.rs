//! Labels are other people's input: whatever they say, a labelled route takes no request from a document's route, and no
//! host from its owner. From a document and containers, through the plan, to what the router answers.

use plimsoll_core::config::{Document, PathHandling, Place, Protocol, Route};
use plimsoll_core::model::{Facts, Freshness, Phase, Replica, RuntimeHealth, UpstreamId};
use plimsoll_core::plan::{Input, Names, Plan, PlannedRoute, plan};
use plimsoll_core::router::{Ask, Router, Rules};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const HOSTS: &[&str] = &[
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "x.y",
    "*.test",
    "*.a.test",
    "*.y",
    "a.*",
    "b.a.*",
    "x.*",
    "A.test:80",
    "a.test:81",
];
const PATHS: &[&str] = &["/", "/a", "/a/b", "/a/b/c", "~/a/.*", "~/[ab]"];
const ASKED_HOSTS: &[&str] =
    &["a.test", "A.TEST:81", "b.a.test", "c.b.a.test", "x.y", "x.z", "a.y", "b.a.other", "q.y", "none"];

/// The rules of a route: hosts, paths, methods, a header's value, `regex_priority`.
type Said = (Vec<&'static str>, Vec<&'static str>, Vec<&'static str>, Option<&'static str>, i8);

fn said(hosts_min: usize) -> impl Strategy<Value = Said> {
    let some = |of: &'static [&'static str], min, max| prop::collection::vec(prop::sample::select(of), min..max);
    let header = prop::option::of(prop::sample::select(&["1", "~*2"][..]));
    (some(HOSTS, hosts_min, 3), some(PATHS, 0, 3), some(&["GET", "POST"], 0, 2), header, -1_i8..5)
}

fn document_route(index: usize, said: &Said) -> Route {
    let texts = |list: &[&str]| list.iter().map(|text| Arc::from(*text)).collect::<Vec<Arc<str>>>();
    let name: Arc<str> = format!("document-{index}").into();
    Route {
        id: name.clone(),
        name,
        service: None,
        protocols: vec![Protocol::Http, Protocol::Https],
        hosts: texts(&said.0),
        paths: texts(&said.1),
        methods: texts(&said.2),
        headers: said.3.map(|value| ("x-a".into(), vec![value.into()])).into_iter().collect(),
        snis: Vec::new(),
        strip_path: true,
        preserve_host: false,
        path_handling: PathHandling::V0,
        regex_priority: said.4.into(),
        https_redirect_status_code: 426,
        tags: Vec::new(),
        place: Place::default(),
    }
}

fn container(index: usize, (project, service): (&str, &str), said: &Said) -> Replica {
    let kind = if project.is_empty() { "container" } else { "compose" };
    let mut labels = vec![("enable", "true".to_owned())];
    labels.push(("route.hosts", said.0.join(",")));
    let optional = [("route.paths", said.1.join(",")), ("route.methods", said.2.join(","))];
    labels.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    labels.extend(said.3.map(|value| ("route.headers.x-a", value.to_owned())));
    labels.push(("route.regex_priority", said.4.to_string()));
    Replica {
        id: format!("id-{index}").into(),
        incarnation: "1".into(),
        name: format!("container-{index}"),
        group: UpstreamId {
            provider: "docker".into(),
            kind: kind.into(),
            project: project.into(),
            service: service.into(),
        },
        address: Some([10, 0, 0, 1].into()),
        networks: Default::default(),
        ports: vec![80],
        published: Vec::new(),
        labels: labels.into_iter().map(|(key, value)| (format!("plimsoll.{key}"), value)).collect(),
        phase: Phase::Running,
        health: RuntimeHealth::None,
        created_ms: u64::try_from(index).unwrap_or(0),
    }
}

fn plan_of(document: &Document, replicas: Vec<Replica>) -> Plan {
    let facts = [Facts { provider: "docker".into(), replicas, problems: Vec::new(), freshness: Freshness::Fresh }];
    plan(Input { document, facts: &facts, names: &Names::default(), own_ips: &[], doors: None })
}

fn rules(planned: &PlannedRoute) -> Rules {
    let route = planned.route.clone();
    Rules {
        hosts: route.hosts,
        paths: route.paths,
        methods: route.methods,
        headers: route.headers,
        snis: route.snis,
        regex_priority: route.regex_priority,
        tier: planned.labelled.into(),
        enabled: true,
    }
}

fn host_matches(rule: &str, asked: &str) -> bool {
    let bare = |host: &str| host.split(':').next().unwrap_or_default().to_lowercase();
    let (rule, asked) = (bare(rule), bare(asked));
    match (rule.strip_prefix('*'), rule.strip_suffix('*')) {
        (Some(end), _) => asked.ends_with(end),
        (_, Some(start)) => asked.starts_with(start),
        _ => rule == asked,
    }
}

fn owner(route: &PlannedRoute) -> &str {
    let name = &*route.route.name;
    name.split_once('.').map_or(name, |(_, project)| project)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_labelled_route_takes_nothing_from_the_document_nor_a_host_from_its_owner(
        written in prop::collection::vec(said(0), 0..4),
        groups in prop::collection::vec((prop::sample::select(
            &[("one", "web"), ("one", "api"), ("two", "web"), ("", "plain"), ("", "other")][..]), said(1)), 0..8),
        method in prop::sample::select(&["GET", "POST"][..]),
        path in prop::sample::select(&["/", "/a", "/a/b/c", "/b"][..]),
        field in prop::option::of(prop::sample::select(&["1", "2"][..])),
    ) {
        let document = Document {
            routes: written.iter().enumerate().map(|(index, said)| document_route(index, said)).collect(),
            ..Document::default()
        };
        let mut replicas: Vec<Replica> =
            groups.iter().enumerate().map(|(index, (group, said))| container(index, *group, said)).collect();
        let planned = plan_of(&document, replicas.clone());
        replicas.reverse();
        prop_assert_eq!(&planned.routes, &plan_of(&document, replicas).routes, "the order of facts does not matter");

        let rules: Vec<Rules> = planned.routes.iter().map(rules).collect();
        let all = Router::compile(&rules).unwrap();
        let own = Router::compile(&rules[..document.routes.len()]).unwrap();
        let fields: Vec<(&str, &str)> = field.map(|value| ("x-a", value)).into_iter().collect();
        for host in ASKED_HOSTS {
            let ask = Ask {
                method: method.as_bytes(), host: host.as_bytes(), port: 80, path: path.as_bytes(), tls: false, sni: None,
                fields: &fields,
            };
            let (found, of_document) = (all.route(&ask), own.route(&ask));
            if of_document.is_some() {
                prop_assert_eq!(found, of_document);
            }
            let of_host = |route: &&PlannedRoute| route.route.hosts.iter().any(|rule| host_matches(rule, host));
            let labelled: Vec<&PlannedRoute> = planned.routes.iter().filter(|route| route.labelled).filter(of_host).collect();
            if planned.routes.iter().filter(|route| !route.labelled).any(|route| of_host(&route)) {
                prop_assert!(labelled.is_empty(), "{} is the document's: {:?}", host, labelled);
            }
            let owners: BTreeSet<&str> = labelled.iter().map(|route| owner(route)).collect();
            prop_assert!(owners.len() <= 1, "{} has one owner: {:?}", host, owners);
        }
    }
}
