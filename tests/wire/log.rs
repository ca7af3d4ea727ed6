//! Whoever is refused, or refuses itself, has a line in the access log like everybody else.

use crate::client::{Client, Pace};
use crate::gateway;
use crate::recorder::Recorder;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// What each is answered.
fn refused() -> Vec<(u16, String)> {
    let get = |fields: &str| format!("GET /{{}} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let cases = [
        (400, get("X : 1\r\n")),
        (400, "GET /{} HTTP/1.1\r\n\r\n".to_owned()),
        (400, "POST /{} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n".to_owned()),
        (405, "TRACE /{} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (408, "GET /{} HTTP/1.1\r\nHost:".to_owned()),
        (413, "POST /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n".to_owned()),
        (
            413,
            format!(
                "POST /{{}} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{}\r\n",
                "x".repeat(1025)
            ),
        ),
        (414, format!("GET /{{}}{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000))),
        (417, get("Expect: more\r\n")),
        (431, get(&format!("X: {}\r\n", "a".repeat(40_000)))),
        (501, get("Transfer-Encoding: gzip, chunked\r\n")),
        (505, "GET /{} HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
    ];
    cases
        .into_iter()
        .enumerate()
        .map(|(number, (status, text))| (status, text.replace("{}", &number.to_string())))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_a_line() {
    let target = Recorder::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let lines = format!(
        "access_log: {{path: \"{}\"}}\n  limits: {{request_body: 1KiB}}\n  timeouts: {{client_header: 1s}}",
        path.display()
    );
    let gateway = gateway::start_with(target.address.port(), &lines).await;
    let mut expected = Vec::new();
    for (status, text) in refused() {
        let mut client = Client::connect(gateway.address).await;
        let answers = client.talk(text.as_bytes(), Pace::Whole, false, &[false]).await.expect("it is answered");
        let short: String = text.chars().take(60).collect();
        assert_eq!(answers[0].status, status, "{short:?}");
        expected.push(status);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let logged = loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.lines().count() >= expected.len() || Instant::now() > deadline {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let values: Vec<serde_json::Value> =
        logged.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect();
    let statuses: Vec<_> = values.iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, expected.iter().map(|status| u64::from(*status)).collect::<Vec<_>>(), "{logged}");
    let errors: BTreeSet<_> = values.iter().filter_map(|line| line["error"].as_str()).collect();
    assert!(values.iter().all(|line| line["error"].is_string()), "each says why: {logged}");
    assert!(errors.len() >= 4, "{errors:?}");
}
