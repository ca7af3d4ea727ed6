//! What is explained is what happens: over generated documents and requests, the explanation of a request and what becomes
//! of that request are compared.

use crate::gateway::{Embedded, embedded};
use bytes::Bytes;
use http_body_util::Full;
use plimsoll::control::Source;
use plimsoll::snapshot::explain::{Question, explain};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wire::Wire;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const HOSTS: &[&str] = &["a.test", "b.a.test", "*.test", "*.a.test", "a.*", "a.test:81"];
const PATHS: &[&str] = &["/", "/a", "/a/b", "/a/", "/A", "/a%2Fb", "~/a/(?<x>[a-z]+)", "~/[ab]$", "/ä", "/%c3%a4"];
const ASKED_HOSTS: &[&str] = &["a.test", "A.TEST", "a.test:81", "b.a.test", "x.b.a.test", "a.other", "q.y"];
const ASKED_PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/b",
    "/a/b/",
    "/a/b?x=1&y",
    "/a?",
    "/ab",
    "/a//b",
    "/a/./b/../c",
    "/%61/b",
    "/a%2fb",
    "/A",
    "/b",
    "/../a",
    "/%c3%a4",
    "/%C3%A4/b",
    "/a/%3f",
    "//",
];
const SERVICE_PATHS: &[&str] = &["/", "/s", "/s/", "/s/t"];
/// How many services, each with a target of its own.
const SERVICES: usize = 3;

fn some(of: &'static [&'static str], max: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(of), 0..=max)
}

/// A route's rules and what it does, as the document has them.
fn route() -> impl Strategy<Value = Value> {
    let rules = (some(HOSTS, 2), some(PATHS, 3), some(&["GET", "POST"], 1), prop::option::of("[12]"));
    let protocols = prop::sample::select(vec![vec!["http", "https"], vec!["http"], vec!["https"]]);
    let doing = (any::<bool>(), any::<bool>(), prop::sample::select(&["v0", "v1"][..]), 0..3_u8, protocols);
    (rules, doing).prop_map(|((hosts, paths, methods, header), (strip, preserve, handling, priority, protocols))| {
        let mut route = json!({
            "hosts": hosts, "paths": paths, "methods": methods, "strip_path": strip, "preserve_host": preserve,
            "path_handling": handling, "regex_priority": priority, "protocols": protocols,
        });
        if let Some(value) = header {
            route["headers"] = json!({"x-a": [value]});
        }
        // A route needs one rule at least.
        if hosts.is_empty() && paths.is_empty() && methods.is_empty() && route.get("headers").is_none() {
            route["paths"] = json!(["/"]);
        }
        route
    })
}

/// Routes with the service that each leads to (past the last: none), and paths and `enabled` of the services.
type Said = (Vec<(Value, usize)>, Vec<(&'static str, bool)>);

fn said() -> impl Strategy<Value = Said> {
    let services = prop::collection::vec((prop::sample::select(SERVICE_PATHS), prop::bool::weighted(0.9)), SERVICES);
    (prop::collection::vec((route(), 0..=SERVICES), 1..6), services)
}

/// Method, host, path, value of `x-a`.
type Asked = (&'static str, &'static str, &'static str, Option<String>);

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop::sample::select(&["GET", "POST", "DELETE", "TRACE"][..]);
    (method, prop::sample::select(ASKED_HOSTS), prop::sample::select(ASKED_PATHS), prop::option::of("[123]"))
}

fn document((routes, services): &Said, targets: &[SocketAddr]) -> String {
    let routes = routes.iter().enumerate().map(|(number, (route, service))| {
        let mut route = route.clone();
        route["name"] = json!(format!("r{number}"));
        if *service < SERVICES {
            route["service"] = json!(format!("s{service}"));
        }
        route
    });
    let routes: Vec<Value> = routes.collect();
    let services = services.iter().zip(targets).enumerate().map(|(number, ((path, enabled), target))| {
        json!({"name": format!("s{number}"), "host": "127.0.0.1", "port": target.port(), "path": path, "enabled": enabled})
    });
    let listener = json!({"name": "http", "address": "127.0.0.1:0"});
    let gateway = json!({"workers": 2, "admin": false, "access_log": false, "listeners": [listener]});
    let services: Vec<Value> = services.collect();
    json!({"_format_version": "3.0", "gateway": gateway, "services": services, "routes": routes}).to_string()
}

/// What came of a request: the gateway's own status, or service, path and Host that a target was sent.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Status(u16),
    Sent(String, String, String),
}

impl Outcome {
    /// The status; 200 where a target was sent the request.
    const fn kind(&self) -> u16 {
        match self {
            Self::Status(status) => *status,
            Self::Sent(..) => 200,
        }
    }
}

fn explained(gateway: &Embedded, asked: &Asked, targets: &[SocketAddr]) -> Outcome {
    let (method, host, path, header) = asked;
    let headers: Vec<String> = header.iter().map(|value| format!("X-A: {value}")).collect();
    let question = Question::parse(method, &format!("http://{host}{path}"), &headers).expect("a question");
    let explanation = explain(&gateway.handle().snapshot(), &question);
    match (explanation.status, explanation.service, explanation.forward) {
        (Some(status), ..) => Outcome::Status(status),
        (None, Some(service), Some(forward)) => {
            let number: usize = service.trim_start_matches('s').parse().expect("a service of ours");
            Outcome::Sent(service, forward.path, forward.host.unwrap_or_else(|| targets[number].to_string()))
        }
        other => panic!("neither an answer nor a way: {other:?}"),
    }
}

async fn real(gateway: &Embedded, asked: &Asked) -> Outcome {
    let (method, host, path, header) = asked;
    let mut wire = Wire::connect(gateway.http).await.expect("it accepts");
    let header = header.iter().map(|value| format!("X-A: {value}\r\n")).collect::<String>();
    wire.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n")).await.expect("it reads");
    let answer = wire.answer(false).await.expect("an answer");
    match answer.field("x-sent") {
        None => Outcome::Status(answer.status),
        Some(sent) => {
            let mut parts = sent.split(' ').map(str::to_owned);
            let mut part = || parts.next().unwrap_or_default();
            Outcome::Sent(part(), part(), part())
        }
    }
}

/// Echoes which service it is, and the path and the Host that it was sent.
async fn echo(number: usize) -> Target {
    Target::http1(move |request| async move {
        let host = request.headers()["host"].to_str().unwrap_or_default().to_owned();
        let sent = format!("s{number} {} {host}", request.uri());
        http::Response::builder().header("x-sent", sent).body(Full::new(Bytes::new())).expect("an answer")
    })
    .await
}

#[test]
fn an_explanation_and_the_request_itself_agree() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let targets: Vec<Target> = (0..SERVICES).map(|number| runtime.block_on(echo(number))).collect();
    let addresses: Vec<SocketAddr> = targets.iter().map(|target| target.address).collect();
    let gateway = runtime.block_on(embedded("", None));
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, ..ProptestConfig::default() });
    let met = RefCell::new(BTreeMap::new());
    let cases = (said(), prop::collection::vec(asked(), 8));
    let agree = runner.run(&cases, |(said, all_asked)| {
        runtime.block_on(async {
            let text = document(&said, &addresses);
            let applied = gateway.handle().apply(&text, Source::File).await;
            prop_assert!(
                applied.is_ok(),
                "{}\n{text}",
                applied.err().map(|error| error.to_string()).unwrap_or_default()
            );
            for asked in &all_asked {
                let (told, seen) = (explained(&gateway, asked, &addresses), real(&gateway, asked).await);
                prop_assert_eq!(&told, &seen, "{:?}\n{}", asked, text);
                *met.borrow_mut().entry(seen.kind()).or_insert(0) += 1;
            }
            Ok(())
        })
    });
    if let Err(error) = agree {
        panic!("{error}");
    }
    // Requests of every fate were compared.
    let met = met.into_inner();
    assert!([200, 404, 405, 426, 503].iter().all(|kind| met.get(kind).is_some_and(|count| *count > 10)), "{met:?}");
}
