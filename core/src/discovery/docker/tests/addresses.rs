//! Which address is chosen, and what is said where there is none.

use super::*;

/// A container with these networks (name, address, internal?), in a network mode.
fn on(id: &str, mode: &str, networks: &[(&str, &str)], change: Value) -> Value {
    let mut one = inspect(id, json!({"HostConfig": {"NetworkMode": mode}}));
    let attached = networks.iter().map(|(name, address)| {
        let gateway = if address.is_empty() { "" } else { "10.9.9.1" };
        let at = json!({"NetworkID": format!("n-{name}"), "IPAddress": address, "Gateway": gateway});
        ((*name).to_owned(), at)
    });
    one["NetworkSettings"]["Networks"] = Value::Object(attached.collect());
    merge(&mut one, change);
    one
}

/// The address of container `x`, or the message about it.
fn address(settings: Settings, inspects: &[Value]) -> Result<String, String> {
    let model = model_of(settings, inspects);
    let found = replica(&model, "x").address;
    let problem = model.facts(Freshness::Fresh).problems.into_iter().find(|problem| problem.subject == "x");
    match (found, problem) {
        (Some(address), None) => Ok(address.to_string()),
        (None, Some(problem)) => Err(problem.message),
        both => panic!("an address or a problem: {both:?}"),
    }
}

fn check(settings: Settings, inspects: &[Value], expected: Result<&str, &str>) {
    match (address(settings, inspects), expected) {
        (Ok(address), Ok(expected)) => assert_eq!(address, expected),
        (Err(message), Err(expected)) => assert!(message.contains(expected), "{message:?} says {expected:?}"),
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}

fn labelled(network: &str) -> Value {
    json!({"Config": {"Labels": {"plimsoll.network": network}}})
}

#[test]
fn from_the_host_a_network_with_a_way_out_comes_first_then_the_name() {
    let all = [("c", "10.3.0.2"), ("b", "10.2.0.2"), ("a-inner", "10.1.0.2"), ("mesh", "10.4.0.2")];
    let host = settings();
    check(host.clone(), &[on("x", "b", &all, json!({}))], Ok("10.2.0.2"));
    check(host.clone(), &[on("x", "a-inner", &all[2..], json!({}))], Ok("10.1.0.2"));
    check(host.clone(), &[on("x", "mesh", &all[3..], json!({}))], Err("none of its networks (mesh)"));
    check(host.clone(), &[on("x", "b", &all, labelled("c"))], Ok("10.3.0.2"));
    check(host.clone(), &[on("x", "b", &all, labelled("mesh"))], Err("none of its networks"));
    check(
        host.clone(),
        &[on("x", "b", &all, labelled("front"))],
        Err("`plimsoll.network` names the network `front`, on which it is not; it is on a-inner, b, c, mesh"),
    );
    let preferring = Settings { network: Some("c".into()), ..host.clone() };
    check(preferring.clone(), &[on("x", "b", &all, json!({}))], Ok("10.3.0.2"));
    check(preferring.clone(), &[on("x", "b", &all, labelled("b"))], Ok("10.2.0.2"));
    check(preferring, &[on("x", "b", &all[1..], json!({}))], Err("`providers.docker.network` names"));
    check(host, &[on("x", "none", &[("none", "")], json!({}))], Err("`none`"));
}

/// The ways of container `x`: `NETWORK ADDRESS PHASE`, `-` for no address.
fn ways(model: &Model) -> Vec<String> {
    let ways = replica(model, "x").networks;
    let address = |way: &Way| way.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    ways.iter().map(|(name, way)| format!("{name} {} {:?}", address(way), way.phase)).collect()
}

#[test]
fn every_network_says_how_it_is_reached_there() {
    let all = [("b", "10.2.0.2"), ("c", "10.3.0.2"), ("mesh", "10.4.0.2")];
    let model = model_of(settings(), &[on("x", "b", &all, json!({}))]);
    assert_eq!(ways(&model), ["b 10.2.0.2 Running", "c 10.3.0.2 Running", "mesh - Disconnected"]);
    let inside = Settings { outlook: looking_from(Vantage::Container("gateway".into())), ..settings() };
    let gateway = on("gateway", "c", &[("c", "10.3.0.9"), ("mesh", "10.4.0.9")], json!({}));
    let model = model_of(inside, &[on("x", "b", &all, json!({})), gateway]);
    assert_eq!(ways(&model), ["b - Disconnected", "c 10.3.0.2 Running", "mesh 10.4.0.2 Running"]);
    let remote = Settings { outlook: looking_from(Vantage::Remote(Some([192, 0, 2, 1].into()))), ..settings() };
    let model = model_of(remote, &[on("x", "b", &all[..1], json!({}))]);
    assert_eq!(ways(&model), ["b - Disconnected"], "only published ports can be reached");
}

#[test]
fn a_network_without_an_address_yet_is_no_network() {
    let ready = [("b", ""), ("c", "10.3.0.2")];
    check(settings(), &[on("x", "b", &ready, json!({}))], Ok("10.3.0.2"));
    let model = model_of(settings(), &[on("x", "b", &[("b", "")], json!({}))]);
    assert_eq!(replica(&model, "x").address, None);
}

#[test]
fn with_ipv6_alone_that_is_the_address() {
    let six = json!({"NetworkSettings": {"Networks": {"b": {"GlobalIPv6Address": "fd00::2"}}}});
    check(settings(), &[on("x", "b", &[("b", "")], six.clone())], Ok("fd00::2"));
    check(settings(), &[on("x", "b", &[("b", "10.2.0.2")], six)], Ok("10.2.0.2"));
}

#[test]
fn from_a_container_only_shared_networks_count() {
    let inside = Settings { outlook: looking_from(Vantage::Container("gw".into())), ..settings() };
    let gateway = on("gw", "c", &[("c", "10.3.0.9"), ("mesh", "10.4.0.9")], json!({}));
    let all = [("b", "10.2.0.2"), ("c", "10.3.0.2"), ("mesh", "10.4.0.2")];
    check(inside.clone(), &[gateway.clone(), on("x", "b", &all, json!({}))], Ok("10.3.0.2"));
    check(inside.clone(), &[gateway.clone(), on("x", "b", &all, labelled("mesh"))], Ok("10.4.0.2"));
    check(
        inside.clone(),
        &[gateway.clone(), on("x", "b", &all[..1], json!({}))],
        Err("it shares no network with the gateway: it is on b, the gateway on c, mesh"),
    );
    check(inside.clone(), &[gateway.clone(), on("x", "b", &all, labelled("b"))], Err("shares no network"));
    check(inside.clone(), &[gateway.clone(), on("x", "host", &[("host", "")], json!({}))], Ok("10.9.9.1"));
    check(inside.clone(), &[gateway.clone(), on("x", "container:gw", &[], json!({}))], Ok("127.0.0.1"));
    let with_name = Outlook { host_address: "10.0.0.7".parse().ok(), ..inside.outlook.clone() };
    let named = Settings { outlook: with_name, ..inside.clone() };
    check(named, &[gateway, on("x", "host", &[("host", "")], json!({}))], Ok("10.0.0.7"));
    check(inside, &[on("x", "b", &all, json!({}))], Err("own container is not known"));
}

#[test]
fn addresses_follow_from_where_the_gateway_looks() {
    let gateway = on("gw", "c", &[("c", "10.3.0.9")], json!({}));
    let both = [("a", "10.1.0.2"), ("c", "10.3.0.2")];
    let mut model = model_of(settings(), &[gateway, on("x", "a", &both, json!({}))]);
    let address = |model: &Model| replica(model, "x").address.map(|address| address.to_string());
    assert_eq!(address(&model).as_deref(), Some("10.1.0.2"));
    model.look_from(looking_from(Vantage::Container("gw".into())));
    assert_eq!(address(&model).as_deref(), Some("10.3.0.2"));
    model.apply_event(&network_event("x", "disconnect", "c", 1), NOW_MS);
    assert_eq!((phase(&model, "x"), address(&model).as_deref()), (Phase::Disconnected, Some("10.3.0.2")));
}

#[test]
fn a_gateway_that_leaves_a_network_loses_those_on_it() {
    let inside = Settings { outlook: looking_from(Vantage::Container("gw".into())), ..settings() };
    let gateway = on("gw", "c", &[("c", "10.3.0.9")], json!({}));
    let mut model = model_of(inside, &[on("a", "c", &[("c", "10.3.0.2")], json!({})), gateway]);
    assert_eq!(phase(&model, "a"), Phase::Running);
    model.apply_event(&network_event("gw", "disconnect", "c", 1), NOW_MS);
    assert_eq!(phase(&model, "a"), Phase::Disconnected);
    assert!(replica(&model, "a").address.is_some());
}

#[test]
fn one_in_anothers_network_shares_its_address_and_its_fate() {
    let owner = on("owner", "b", &[("b", "10.2.0.2")], json!({}));
    let joined = on("x", "container:owner", &[], json!({}));
    check(settings(), &[owner.clone(), joined.clone()], Ok("10.2.0.2"));
    check(settings(), std::slice::from_ref(&joined), Err("a container that is not there"));
    check(settings(), &[on("x", "container:x", &[], json!({}))], Err("a container that is not there"));
    let mut model = model_of(settings(), &[owner, joined]);
    model.apply_event(&event("owner", "kill", json!({"signal": "15"}), 1), NOW_MS);
    assert_eq!(phase(&model, "x"), Phase::Stopping);
    model.apply_event(&event("owner", "die", json!({}), 2), NOW_MS);
    assert_eq!(phase(&model, "x"), Phase::Disconnected);
}

#[test]
fn of_a_remote_engine_published_ports_are_reached() {
    let host = "192.0.2.7".parse().ok();
    let remote = Settings { outlook: looking_from(Vantage::Remote(host)), ..settings() };
    let published = |bindings: Value| json!({"NetworkSettings": {"Ports": {"8080/tcp": bindings, "53/udp": null}}});
    let one = |bindings: Value| on("x", "b", &[("b", "10.2.0.2")], published(bindings));
    let all = one(json!([{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32769"}]));
    check(remote.clone(), std::slice::from_ref(&all), Ok("192.0.2.7"));
    assert_eq!(replica(&model_of(remote.clone(), &[all]), "x").published, [(8080, 32768)]);
    check(remote.clone(), &[one(json!([{"HostIp": "127.0.0.1", "HostPort": "1"}]))], Err("publishes no port"));
    check(remote.clone(), &[one(Value::Null)], Err("publishes no port"));
    check(remote, &[on("x", "host", &[("host", "")], json!({}))], Ok("192.0.2.7"));
    let nowhere = Settings { outlook: looking_from(Vantage::Remote(None)), ..settings() };
    check(nowhere, &[one(Value::Null)], Err("does not resolve"));
}

#[test]
fn troubles_of_containers_that_are_not_exposed_are_nobodys() {
    let quiet = json!({"Config": {"Labels": {"plimsoll.enable": "false"}}});
    let model = model_of(settings(), &[on("x", "none", &[], quiet)]);
    assert_eq!(model.facts(Freshness::Fresh).problems, []);
}
