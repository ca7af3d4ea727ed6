//! Clients of other people's making against servers of theirs, with the gateway between: curl, h2load, and Python's
//! `websockets` and `grpcio`. A client that is not installed is named in one line, and its test passes; where
//! `PLIMSOLL_CLIENTS` names a Python, as in `.ci/run`, everything must be there.

use crate::gateway::{Embedded, embedded};
use bytes::Bytes;
use http_body_util::Full;
use plimsoll_test_support::metrics;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::tls::Authority;
use plimsoll_test_support::wait::until;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// 60 s: the longest conversation takes a few on a busy machine.
const TALK_MAX: Duration = Duration::from_secs(60);

/// What a client prints; `None` where it is not installed. Panics where it fails.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(TALK_MAX, child).await.expect("the client ends") {
        Ok(output) => output,
        Err(error) => return missing(&format!("{program}: {error}")),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    Some(text(&output.stdout))
}

fn missing<T>(what: &str) -> Option<T> {
    assert!(std::env::var_os("PLIMSOLL_CLIENTS").is_none_or(|path| path.is_empty()), "{what}");
    eprintln!("skipped: {what}; `.ci/run setup` installs the clients");
    None
}

fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PLIMSOLL_CLIENTS").filter(|path| !path.is_empty());
    let python = named.map_or_else(|| PathBuf::from("target/clients/bin/python"), PathBuf::from);
    if python.exists() { Some(python) } else { missing(&format!("{} is not there", python.display())) }
}

/// A Python script's server, and the port that it prints.
async fn serve(python: &PathBuf, script: &str) -> (Child, u16) {
    let mut command = Command::new(python);
    command.args([script, "serve"]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("Python runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = tokio::time::timeout(TALK_MAX, lines.next_line()).await.expect("it starts").expect("it prints");
    (child, line.and_then(|line| line.parse().ok()).expect("a port"))
}

/// Everything to one target, over this protocol.
pub(crate) fn all_to(protocol: &str, port: u16) -> String {
    format!(
        "services:\n- {{name: all, host: 127.0.0.1, port: {port}, protocol: {protocol}, routes: [{{name: all, paths: [/], \
         protocols: [{protocol}, {protocol}s]}}]}}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_served_in_every_protocol_it_speaks() {
    let target = Target::sample("web", "one").await;
    let authority = Authority::new();
    let identity = authority.identity(&["web.test"]);
    let gateway = embedded(&all_to("http", target.address.port()), Some(&identity)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("ca.pem"), authority.pem()).expect("ours");
    std::fs::write(path("body"), vec![b'x'; 3_000_000]).expect("ours");
    let (http, https) = (gateway.http.port(), gateway.https().port());
    let (plain, tls) = (format!("http://web.test:{http}/"), format!("https://web.test:{https}/"));
    let to = [format!("web.test:{http}:127.0.0.1"), format!("web.test:{https}:127.0.0.1")];
    let upload = format!("@{}", path("body"));
    let check = async |more: &[&str], url: &str, expected: &[&str]| {
        let (ca, format) = (path("ca.pem"), "%{http_version} %{response_code}");
        let common = ["-sS", "--resolve", &to[0], "--resolve", &to[1], "--cacert", &ca, "-w", format, url];
        if let Some(text) = run("curl", &[&common, more].concat()).await {
            // Fields are in either case, by the version of HTTP.
            let told = text.to_lowercase();
            assert!(expected.iter().all(|part| told.contains(&part.to_lowercase())), "{more:?} {url}: {text}");
        }
    };
    check(&["--http1.0"], &plain, &["\"GET\"", "1.1 200"]).await;
    check(&["--http1.1"], &plain, &["\"GET\"", "1.1 200"]).await;
    check(&["--http2-prior-knowledge"], &plain, &["\"GET\"", "2 200"]).await;
    check(&["--http1.1"], &tls, &["\"GET\"", "1.1 200"]).await;
    check(&["--http2"], &tls, &["\"GET\"", "2 200"]).await;
    for protocol in ["--http1.1", "--http2"] {
        // curl asks with Expect: 100-continue before it sends so much over HTTP/1.1.
        check(&[protocol, "--data-binary", &upload], &tls, &["\"POST\"", "\"bytes\":3000000", " 200"]).await;
        check(&[protocol, "-I"], &tls, &["x-replica: one", " 200"]).await;
    }
    check(&["-H", "Transfer-Encoding: chunked", "--data-binary", &upload], &plain, &["\"bytes\":3000000"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_loses_nothing_in_either_protocol() {
    let target = Target::answering("fine").await;
    let identity = Authority::new().identity(&["web.test", "127.0.0.1"]);
    let gateway = embedded(&all_to("http", target.address.port()), Some(&identity)).await;
    let (plain, tls) = (format!("http://{}/", gateway.http), format!("https://{}/", gateway.https()));
    for (more, url) in [(&["--h1"][..], &plain), (&[][..], &plain), (&["--h1"][..], &tls), (&[][..], &tls)] {
        let common = ["-n", "4000", "-c", "20", "-m", "10", url.as_str()];
        if let Some(text) = run("h2load", &[&common, more].concat()).await {
            assert!(text.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{more:?} {url}\n{text}");
            assert!(text.contains("status codes: 4000 2xx"), "{more:?} {url}\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_gets_large_answers_whole() {
    let target = Target::http1(|_| async { http::Response::new(Full::new(Bytes::from(vec![b'x'; 1 << 20]))) }).await;
    let gateway = embedded(&all_to("http", target.address.port()), None).await;
    let url = format!("http://{}/", gateway.http);
    for more in [&["--h1"][..], &[][..]] {
        let common = ["-n", "100", "-c", "4", "-m", "4", url.as_str()];
        if let Some(text) = run("h2load", &[&common, more].concat()).await {
            assert!(text.contains("100 succeeded, 0 failed"), "{more:?}\n{text}");
            assert!(text.contains(&format!("({}) data", 100 << 20)), "{more:?}: every byte came\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_talk_through_the_gateway() {
    let Some(python) = python() else { return };
    let script = "tests/clients/websocket.py";
    let (_server, port) = serve(&python, script).await;
    let gateway = embedded(&all_to("http", port), None).await;
    let program = python.display().to_string();
    let said = run(&program, &[script, "talk", &gateway.http.port().to_string(), "web.test"]).await;
    assert_eq!(said.as_deref(), Some("ok\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_calls_of_every_kind_pass() {
    let Some(python) = python() else { return };
    let script = "tests/clients/grpc_calls.py";
    let (_server, port) = serve(&python, script).await;
    let gateway = embedded(&all_to("grpc", port), None).await;
    let program = python.display().to_string();
    let said = run(&program, &[script, "talk", &gateway.http.port().to_string(), "web.test"]).await;
    assert_eq!(said.as_deref(), Some("ok\n"));
}

/// How a client of gRPC that calls again upon UNAVAILABLE understood that its call failed.
async fn failed(python: &Path, gateway: &Embedded, host: &str, bytes: usize) -> Value {
    let (port, bytes) = (gateway.http.port().to_string(), bytes.to_string());
    let program = python.display().to_string();
    let said = run(&program, &["tests/clients/grpc_calls.py", "fail", &port, host, &bytes]).await;
    serde_json::from_str(&said.expect("it is there")).expect("JSON")
}

/// How often the gateway says that it has answered with this status.
fn answered(gateway: &Embedded, status: &str) -> f64 {
    let text = gateway.handle().telemetry().render(plimsoll::telemetry::clock::moment());
    metrics::value(&text, "plimsoll_http_requests_total", &[("code", status)]).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_clients_understand_the_gateways_own_answers_and_call_again_where_that_may_help() {
    let Some(python) = python() else { return };
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = |listener: &std::net::TcpListener| listener.local_addr().expect("it is bound").port();
    // The kernel takes connections to the one, and says nothing; nobody is there at the other.
    let silent = listen();
    let (slow, gone) = (port(&silent), port(&listen()));
    let service = |name: &str, more: &str, protocols: &str| {
        format!(
            "- {{name: {name}, protocol: grpc, read_timeout: 300, {more}, routes: [{{name: {name}, hosts: [{name}.test], \
             protocols: [{protocols}]}}]}}\n"
        )
    };
    let services = [
        service("gone", &format!("host: 127.0.0.1, port: {gone}"), "grpc, grpcs"),
        service("slow", &format!("host: 127.0.0.1, port: {slow}"), "grpc, grpcs"),
        service("empty", "host: empty", "grpc, grpcs"),
        service("secret", "host: empty", "grpcs"),
    ];
    let document =
        format!("  limits: {{request_body: 1KiB}}\nservices:\n{}upstreams:\n- {{name: empty}}", services.concat());
    let gateway = embedded(&document, None).await;
    let check = async |host: &str, bytes, code: &str, message: &str, (status, times): (&str, f64)| {
        let failed = failed(&python, &gateway, host, bytes).await;
        assert_eq!(failed["code"], code, "{host}: {failed}");
        let id = failed["metadata"]["x-kong-request-id"].as_str().unwrap_or_default();
        assert_eq!(failed["details"], format!("{message}, request_id: {id}"), "{host}");
        // What operators see is what happened, however often.
        until(TALK_MAX, &format!("{times} answers with {status}"), async || answered(&gateway, status) == times).await;
    };
    let invalid = "An invalid response was received from the upstream server";
    check("gone.test", 1, "UNAVAILABLE", invalid, ("502", 3.0)).await;
    check("slow.test", 1, "UNAVAILABLE", "The upstream server is timing out", ("504", 3.0)).await;
    check("empty.test", 1, "UNAVAILABLE", "failure to get a peer from the ring-balancer", ("503", 3.0)).await;
    check("slow.test", 2000, "RESOURCE_EXHAUSTED", "Payload too large", ("413", 1.0)).await;
    check("none.test", 1, "UNIMPLEMENTED", "no Route matched with those values", ("404", 1.0)).await;
    check("secret.test", 1, "UNKNOWN", "Please use HTTPS protocol", ("426", 1.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_clients_that_call_too_often_are_told_when_to_come_again_and_do_not_insist() {
    let Some(python) = python() else { return };
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let limits = "  limits: {requests_per_client: {rate: 1, per: 60s}}\n";
    let gateway = embedded(&format!("{limits}{}", all_to("grpc", gone.port())), None).await;
    // The first try takes what the client may have; the second is the last.
    let failed = failed(&python, &gateway, "web.test", 1).await;
    assert_eq!(failed["code"], "RESOURCE_EXHAUSTED", "{failed}");
    let after: u32 = failed["metadata"]["retry-after"].as_str().unwrap_or_default().parse().expect("seconds");
    assert!((50..=60).contains(&after), "{after}");
    until(TALK_MAX, "one refusal", async || answered(&gateway, "429") == 1.0).await;
}
