use super::*;
use crate::config::*;
use crate::model::*;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A world to plan: what tests change of it is public.
struct World {
    document: Document,
    replicas: Vec<Replica>,
    names: Names,
    own_ips: Vec<IpAddr>,
    doors: Option<Vec<SocketAddr>>,
}

impl World {
    fn new() -> Self {
        let gateway = Gateway {
            providers: Providers { docker: Some(DockerProvider::default()), written: true, ..Providers::default() },
            ..Gateway::default()
        };
        let document = Document { gateway: Some(gateway), ..Document::default() };
        Self { document, replicas: Vec::new(), names: Names::default(), own_ips: Vec::new(), doors: None }
    }

    fn docker(&mut self) -> &mut DockerProvider {
        self.document.gateway.as_mut().unwrap().providers.docker.as_mut().unwrap()
    }

    /// A running, enabled container `PROJECT-SERVICE-N` at 10.0.0.N, port 8080; without a project a plain container.
    fn container(&mut self, project: &str, service: &str, number: u8, labels: &[(&str, &str)]) -> &mut Replica {
        let kind = if project.is_empty() { "container" } else { "compose" };
        let group = UpstreamId {
            provider: "docker".into(),
            kind: kind.into(),
            project: project.into(),
            service: service.into(),
        };
        let enable = [("enable", "true")];
        let labels = enable.iter().chain(labels).map(|(key, value)| (format!("plimsoll.{key}"), (*value).to_owned()));
        self.replicas.push(Replica {
            id: format!("id-{project}-{service}-{number}").into(),
            incarnation: "1".into(),
            name: format!("{project}-{service}-{number}"),
            group,
            address: Some(IpAddr::from([10, 0, 0, number])),
            networks: Default::default(),
            ports: vec![8080],
            published: Vec::new(),
            labels: labels.collect(),
            phase: Phase::Running,
            health: RuntimeHealth::None,
            created_ms: u64::from(number),
        });
        self.replicas.last_mut().unwrap()
    }

    fn service(&mut self, name: &str, host: &str) {
        self.document.services.push(Service {
            id: name.into(),
            name: name.into(),
            protocol: Protocol::Http,
            host: host.into(),
            port: 80,
            path: None,
            retries: 5,
            connect_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            enabled: true,
            tls_verify: None,
            tags: Vec::new(),
            place: Place::default(),
        });
    }

    fn route(&mut self, name: &str, service: &str, hosts: &[&str]) {
        self.document.routes.push(Route {
            id: name.into(),
            name: name.into(),
            service: Some(service.into()),
            protocols: vec![Protocol::Http, Protocol::Https],
            hosts: hosts.iter().map(|host| (*host).into()).collect(),
            paths: Vec::new(),
            methods: Vec::new(),
            headers: Vec::new(),
            snis: Vec::new(),
            strip_path: true,
            preserve_host: false,
            path_handling: PathHandling::V0,
            regex_priority: 0,
            https_redirect_status_code: 426,
            tags: Vec::new(),
            place: Place::default(),
        });
    }

    fn upstream(&mut self, name: &str, targets: &[(&str, u16)], discover: Vec<Discover>) {
        let targets = targets.iter().map(|(host, port)| Target {
            id: (*host).into(),
            target: format!("{host}:{port}").into(),
            host: (*host).into(),
            port: *port,
            weight: 100,
            tags: Vec::new(),
            place: Place::default(),
        });
        self.document.upstreams.push(Upstream {
            id: name.into(),
            name: name.into(),
            settings: UpstreamSettings::default(),
            targets: targets.collect(),
            discover,
            tags: Vec::new(),
            place: Place::default(),
        });
    }

    fn plan(&self) -> Plan {
        let facts = [Facts {
            provider: "docker".into(),
            replicas: self.replicas.clone(),
            problems: Vec::new(),
            freshness: Freshness::Fresh,
        }];
        let Self { document, names, own_ips, doors, .. } = self;
        plan(Input { document, facts: &facts, names, own_ips, doors: doors.as_deref() })
    }
}

fn docker(project: &str, service: &str) -> Discover {
    Discover::Docker {
        project: Some(project.into()),
        service: Some(service.into()),
        labels: Vec::new(),
        port: None,
        network: None,
    }
}

/// As [`docker`], by a network.
fn docker_by(project: &str, service: &str, by: &str) -> Discover {
    let mut discover = docker(project, service);
    if let Discover::Docker { network, .. } = &mut discover {
        *network = Some(by.into());
    }
    discover
}

fn addresses(plan: &Plan, upstream: &str) -> Vec<String> {
    let upstream = plan.upstreams.iter().find(|one| &*one.name == upstream);
    let members = upstream.map(|one| one.members.as_slice()).unwrap_or_default();
    members.iter().map(|member| member.address.to_string()).collect()
}

fn route_names(plan: &Plan) -> Vec<&str> {
    plan.routes.iter().map(|route| &*route.route.name).collect()
}

/// The one thing that was left out.
#[track_caller]
fn check_problem(plan: &Plan, subject: &str, message: &str) {
    let [problem] = plan.problems.as_slice() else { panic!("one problem: {:?}", plan.problems) };
    assert_eq!(problem.subject, subject);
    assert!(problem.message.contains(message), "{:?} does not say {message:?}", problem.message);
}

#[test]
fn labelled_replicas_become_an_upstream_a_service_and_routes() {
    let mut world = World::new();
    let labels = [("route.hosts", "a.test"), ("routes.api.hosts", "a.test"), ("routes.api.paths", "/api")];
    world.container("shop", "web", 1, &labels);
    world.container("shop", "web", 2, &labels);
    let plan = world.plan();
    assert_eq!(plan.problems, []);
    assert_eq!(route_names(&plan), ["web.shop", "web.shop.api"]);
    assert!(plan.routes.iter().all(|route| route.labelled && route.service == Some(0)));
    assert_eq!(&*plan.services[0].service.name, "web.shop");
    let upstream = &plan.upstreams[plan.services[0].upstream];
    assert_eq!((&*upstream.name, upstream.fed, upstream.grace), ("web.shop", true, Duration::from_secs(60)));
    assert_eq!(upstream.id.to_string(), "docker/compose/web.shop");
    let member = &upstream.members[1];
    assert_eq!(member.id.to_string(), "docker/id-shop-web-2@1:8080");
    assert_eq!((&*member.name, &*member.replica), ("10.0.0.2:8080", "shop-web-2"));
}

#[test]
fn a_service_leads_to_the_upstream_of_its_hosts_name_else_to_the_host() {
    let mut world = World::new();
    world.upstream("pool", &[("10.1.0.1", 80)], vec![]);
    world.container("shop", "web", 1, &[]);
    for (name, host) in
        [("a", "pool"), ("b", "web.shop"), ("c", "x.test"), ("d", "x.test"), ("e", "::1"), ("f", "y.test")]
    {
        world.service(name, host);
    }
    let x: SocketAddr = "10.2.0.1:80".parse().unwrap();
    world.names.insert("x.test".into(), 80, Ok(vec![x]));
    world.names.insert("y.test".into(), 80, Err("no such name".to_owned()));
    let plan = world.plan();
    let names: Vec<&str> = plan.services.iter().map(|one| &*plan.upstreams[one.upstream].name).collect();
    assert_eq!(names, ["pool", "web.shop", "x.test:80", "x.test:80", "::1:80", "y.test:80"]);
    assert_eq!(addresses(&plan, "x.test:80"), ["10.2.0.1:80"]);
    assert_eq!(addresses(&plan, "::1:80"), ["[::1]:80"]);
    let unresolved = &plan.upstreams.last().unwrap().unresolved[0];
    assert_eq!((&*unresolved.subject, &*unresolved.message), ("y.test:80", "no such name"));
    assert_eq!(plan.upstreams[2].host.as_deref(), Some("x.test"));
    let wanted: Vec<String> = names_wanted(&world.document).iter().map(|(host, _)| host.to_string()).collect();
    assert_eq!(wanted, ["web.shop", "x.test", "y.test"]);
}

#[test]
fn an_upstream_of_the_document_takes_the_replicas_that_it_discovers() {
    let mut world = World::new();
    world.upstream("pool", &[("10.1.0.1", 80)], vec![docker("shop", "web")]);
    world.container("shop", "web", 1, &[("route.hosts", "a.test"), ("target.weight", "7")]);
    world.container("shop", "web", 2, &[]).labels.clear();
    world.container("shop", "other", 3, &[]);
    let plan = world.plan();
    assert_eq!(addresses(&plan, "pool"), ["10.1.0.1:80", "10.0.0.1:8080", "10.0.0.2:8080"]);
    let pool = &plan.upstreams[0];
    assert_eq!(pool.members.iter().map(|member| member.weight).collect::<Vec<_>>(), [100, 7, 100]);
    assert_eq!(pool.id.to_string(), "docker/compose/web.shop");
    assert_eq!(
        (plan.upstreams.len(), plan.services[0].upstream),
        (2, 0),
        "labels' routes lead to the document's upstream"
    );
    assert_eq!(plan.problems, []);
}

#[test]
fn two_upstreams_that_discover_one_service_have_identities_of_their_own() {
    let mut world = World::new();
    world.upstream("one", &[], vec![docker("shop", "web")]);
    world.upstream("two", &[], vec![docker("shop", "web")]);
    world.container("shop", "web", 1, &[]);
    let plan = world.plan();
    assert_eq!(addresses(&plan, "one"), addresses(&plan, "two"));
    assert_ne!(plan.upstreams[0].id, plan.upstreams[1].id);
}

#[test]
fn a_name_that_is_taken_is_named_and_left_out() {
    let mut world = World::new();
    world.upstream("web.shop", &[], vec![]);
    world.container("shop", "web", 1, &[("route.hosts", "a.test")]);
    check_problem(&world.plan(), "web.shop", "add `discover`");

    let mut world = World::new();
    world.container("", "web.shop", 1, &[("route.hosts", "b.test")]);
    world.container("shop", "web", 2, &[("route.hosts", "a.test")]);
    let plan = world.plan();
    check_problem(&plan, "web.shop", "docker/compose/web.shop has this name already");
    assert_eq!(addresses(&plan, "web.shop"), ["10.0.0.2:8080"]);

    let mut world = World::new();
    world.service("web.shop", "x.test");
    world.container("shop", "web", 1, &[("route.hosts", "a.test")]);
    check_problem(&world.plan(), "web.shop", "the document has a service of this name");

    let mut world = World::new();
    world.route("web.shop", "none", &[]);
    world.container("shop", "web", 1, &[("route.hosts", "a.test"), ("routes.b.hosts", "b.test")]);
    let plan = world.plan();
    check_problem(&plan, "web.shop", "another route has this name");
    assert_eq!(route_names(&plan), ["web.shop", "web.shop.b"]);
}

#[test]
fn a_host_is_the_documents_else_of_one_project() {
    let mut world = World::new();
    world.route("own", "none", &["doc.test", "*.wild.test"]);
    world.container("a", "web", 1, &[("route.hosts", "doc.test"), ("routes.w.hosts", "x.wild.test")]);
    world.container("b", "web", 2, &[("route.hosts", "b.test,doc.test:8000"), ("routes.ok.hosts", "b.test")]);
    let plan = world.plan();
    assert_eq!(route_names(&plan), ["own", "web.b.ok"]);
    let subjects: Vec<&str> = plan.problems.iter().map(|problem| &*problem.subject).collect();
    assert_eq!(subjects, ["web.a", "web.a.w", "web.b"]);
    assert!(plan.problems[0].message.contains("doc.test belongs to the document"), "{:?}", plan.problems);
}

#[test]
fn projects_claim_in_the_order_of_the_allow_list_then_by_name_and_never_by_age() {
    let mut world = World::new();
    world.container("b", "web", 1, &[("route.hosts", "x.test")]);
    world.container("a", "web", 2, &[("route.hosts", "x.test"), ("route.paths", "/deeper")]);
    let plan = world.plan();
    assert_eq!(route_names(&plan), ["web.a"]);
    check_problem(&plan, "web.b", "the host x.test belongs to the project a");

    world.docker().allow.projects = vec!["b".into(), "*".into()];
    assert_eq!(route_names(&world.plan()), ["web.b"]);

    let mut world = World::new();
    world.container("", "two", 1, &[("route.hosts", "x.test")]);
    world.container("", "one", 2, &[("route.hosts", "x.test")]);
    check_problem(&world.plan(), "two", "belongs to the container one");
}

#[test]
fn services_of_one_project_share_its_hosts() {
    let mut world = World::new();
    world.container("a", "web", 1, &[("route.hosts", "x.test")]);
    world.container("a", "api", 2, &[("route.hosts", "x.test"), ("route.paths", "/api")]);
    let plan = world.plan();
    assert_eq!(route_names(&plan), ["api.a", "web.a"]);
    assert_eq!(plan.problems, []);
}

#[test]
fn where_replicas_disagree_the_newest_that_serves_counts_and_is_named() {
    let mut world = World::new();
    world.container("shop", "web", 1, &[("route.hosts", "old.test")]);
    world.container("shop", "web", 2, &[("route.hosts", "new.test")]);
    world.container("shop", "web", 3, &[("route.hosts", "created.test")]).phase = Phase::Stopped;
    let plan = world.plan();
    assert_eq!(&*plan.routes[0].route.hosts[0], "new.test");
    check_problem(&plan, "web.shop", "those of shop-web-2 count, the newest, not those of shop-web-1");
    assert_eq!(addresses(&plan, "web.shop").len(), 2);
}

#[test]
fn a_bad_container_is_left_out_and_the_others_go_on() {
    let mut world = World::new();
    world.container("shop", "web", 1, &[("route.hosts", "a.test")]);
    world.container("shop", "web", 2, &[("route.hosts", "a.test"), ("route.nonsense", "x")]);
    let plan = world.plan();
    check_problem(&plan, "shop-web-2", "plimsoll.route.nonsense");
    assert_eq!(addresses(&plan, "web.shop"), ["10.0.0.1:8080"]);
    assert_eq!(route_names(&plan), ["web.shop"]);
}

#[test]
fn a_service_that_lost_its_last_replica_keeps_its_route() {
    for phase in [Phase::Stopped, Phase::Gone] {
        let mut world = World::new();
        world.container("shop", "web", 1, &[("route.hosts", "a.test")]).phase = phase;
        let plan = world.plan();
        assert_eq!(route_names(&plan), ["web.shop"]);
        assert_eq!(addresses(&plan, "web.shop"), Vec::<String>::new());
    }
}

#[test]
fn what_runs_is_a_member_whatever_its_state() {
    for phase in [Phase::Running, Phase::Stopping, Phase::Paused, Phase::Disconnected] {
        let mut world = World::new();
        world.container("shop", "web", 1, &[]).phase = phase;
        assert_eq!(world.plan().upstreams[0].members[0].phase, phase);
    }
}

/// The member's address and its port on the replica, or what is wrong.
fn check_port(ports: &[u16], published: &[(u16, u16)], label: Option<&str>, expected: Result<(&str, u16), &str>) {
    let mut world = World::new();
    let labels: Vec<(&str, &str)> = label.map(|port| ("target.port", port)).into_iter().collect();
    let replica = world.container("shop", "web", 1, &labels);
    replica.ports = ports.to_vec();
    replica.published = published.to_vec();
    let plan = world.plan();
    match expected {
        Ok((address, port)) => {
            let member = &plan.upstreams[0].members[0];
            assert_eq!(
                (member.address.to_string().as_str(), member.id.port),
                (address, port),
                "{ports:?} {published:?}"
            );
        }
        Err(message) => check_problem(&plan, "shop-web-1", message),
    }
}

#[test]
fn a_port_is_the_labels_else_the_only_exposed_one_else_the_lowest() {
    check_port(&[], &[], Some("90"), Ok(("10.0.0.1:90", 90)));
    check_port(&[80], &[], None, Ok(("10.0.0.1:80", 80)));
    check_port(&[80, 443], &[], None, Ok(("10.0.0.1:80", 80)));
    check_port(&[], &[], None, Err("exposes no port"));
    check_port(&[80], &[(80, 32768)], None, Ok(("10.0.0.1:32768", 80)));
    check_port(&[80, 443], &[(443, 32769)], None, Ok(("10.0.0.1:32769", 443)));
    check_port(&[80], &[(80, 32768)], Some("90"), Err("90 is not published"));
}

#[test]
fn a_choice_among_ports_is_said_and_so_is_an_upstream_that_no_route_leads_to() {
    let mut world = World::new();
    world.container("shop", "web", 1, &[]).ports = vec![80, 443];
    let plan = world.plan();
    assert_eq!(plan.problems, []);
    let notes: Vec<String> = plan.notes.iter().map(|note| format!("{}: {}", note.subject, note.message)).collect();
    assert_eq!(
        notes,
        [
            "shop-web-1: exposes the ports 80, 443: 80 is taken; the label target.port names another",
            "web.shop: no route leads to it: no label names one, nor does the document",
        ]
    );
    world.service("web", "web.shop");
    assert_eq!(world.plan().notes.len(), 1);
}

#[test]
fn a_target_that_is_the_gateway_itself_is_refused() {
    let mut world = World::new();
    world.own_ips = vec![IpAddr::from([192, 0, 2, 1])];
    world.upstream(
        "pool",
        &[("127.0.0.1", 8000), ("192.0.2.1", 8000), ("192.0.2.2", 8000), ("127.0.0.1", 8001)],
        vec![],
    );
    world.service("a", "loop.test");
    world.names.insert("loop.test".into(), 80, Ok(vec!["[::ffff:127.0.0.1]:8000".parse().unwrap()]));
    let replica = world.container("shop", "web", 1, &[("target.port", "8001")]);
    replica.address = Some(IpAddr::from([127, 0, 0, 1]));
    let plan = world.plan();
    assert_eq!(addresses(&plan, "pool"), ["192.0.2.2:8000", "127.0.0.1:8001"], "a document may lead to the admin API");
    assert_eq!(addresses(&plan, "web.shop"), Vec::<String>::new());
    assert_eq!(addresses(&plan, "loop.test:80"), Vec::<String>::new());
    assert_eq!(plan.problems.len(), 4, "{:?}", plan.problems);
}

#[test]
fn the_admin_api_is_where_it_is_bound_not_where_a_reload_would_have_it() {
    let mut world = World::new();
    for (number, port) in [(1, "8001"), (2, "9001")] {
        let replica = world.container("shop", "web", number, &[("target.port", port)]);
        replica.address = Some(IpAddr::from([127, 0, 0, 1]));
    }
    assert_eq!(addresses(&world.plan(), "web.shop"), ["127.0.0.1:9001"], "as the document says");
    world.doors = Some(vec!["127.0.0.1:9001".parse().unwrap()]);
    assert_eq!(addresses(&world.plan(), "web.shop"), ["127.0.0.1:8001"]);
}

#[test]
fn a_change_of_members_alone_does_not_change_a_plans_shape() {
    let mut world = World::new();
    world.container("shop", "web", 1, &[("route.hosts", "a.test")]);
    let before = world.plan();
    world.container("shop", "web", 2, &[("route.hosts", "a.test")]);
    assert!(before.same_shape(&world.plan()) && before != world.plan());
    world.container("shop", "web", 3, &[("route.hosts", "b.test")]);
    assert!(!before.same_shape(&world.plan()));
}

#[test]
fn a_pool_reaches_its_members_by_the_network_that_it_names() {
    let mut world = World::new();
    world.upstream("front", &[], vec![docker_by("shop", "web", "front")]);
    world.upstream("back", &[], vec![docker_by("shop", "web", "back")]);
    world.upstream("any", &[], vec![docker("shop", "web")]);
    let way = |last: u8, phase: Phase| Way { address: Some([10, 9, 0, last].into()), phase };
    world.container("shop", "web", 1, &[]).networks =
        [("front".into(), way(1, Phase::Running)), ("back".into(), way(2, Phase::Stopping))].into();
    let plan = world.plan();
    assert_eq!(plan.problems, []);
    assert_eq!(addresses(&plan, "front"), ["10.9.0.1:8080"]);
    assert_eq!(addresses(&plan, "back"), ["10.9.0.2:8080"]);
    assert_eq!(addresses(&plan, "any"), ["10.0.0.1:8080"]);
    let back = plan.upstreams.iter().find(|one| &*one.name == "back").unwrap();
    assert_eq!(back.members[0].phase, Phase::Stopping);
}

#[test]
fn a_network_that_a_container_is_not_on_leaves_it_out_by_name_and_is_not_guessed() {
    let mut world = World::new();
    world.upstream("front", &[], vec![docker_by("shop", "web", "front")]);
    let container = world.container("shop", "web", 1, &[]);
    let at = |phase| Way { address: None, phase };
    container.networks = [("back".into(), at(Phase::Disconnected)), ("mesh".into(), at(Phase::Disconnected))].into();
    let plan = world.plan();
    assert_eq!(addresses(&plan, "front"), [] as [&str; 0]);
    check_problem(&plan, "shop-web-1", "`discover` names the network `front`, on which it is not; it is on back, mesh");
    world.replicas[0].networks.insert("front".into(), at(Phase::Disconnected));
    check_problem(&world.plan(), "shop-web-1", "on which the gateway cannot reach it: put the gateway on it");
    // What does not run, or leaves its networks as it stops, is no mistake.
    for phase in [Phase::Stopped, Phase::Stopping, Phase::Disconnected] {
        world.replicas[0].phase = phase;
        assert_eq!(world.plan().problems, [], "{phase:?}");
    }
}
