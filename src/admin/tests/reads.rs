//! What can be read, and health by hand.

use super::{ADMIN, Bench};
use http::Method;
use plimsoll_test_support::wait::until;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_answers_and_says_not_to_keep_it() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    for endpoint in super::super::ENDPOINTS.iter().filter(|endpoint| endpoint.method == "GET") {
        let path = endpoint.path.replace("{service}", "web").replace("{route}", "all").replace("{upstream}", "pool");
        let answer = bench.ask(Method::GET, &path, &[], "").await;
        // There is no certificate, and no question.
        let expected = match endpoint.path {
            "/explain" => 400,
            "/certificates/{certificate}" | "/snis/{sni}" => 404,
            _ => 200,
        };
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        let head = bench.ask(Method::HEAD, &path, &[], "").await;
        assert_eq!((head.status(), head.body().len()), (answer.status(), 0), "{path}");
    }
    assert_eq!(bench.get("/nothing").await, (404, json!({"message": "Not found"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_are_found_by_name_and_by_id() {
    let (bench, targets) = Bench::with_two(ADMIN).await;
    let (_, services) = bench.get("/services").await;
    assert_eq!(services["next"], json!(null));
    let id = services["data"][0]["id"].as_str().unwrap().to_owned();
    for name in ["web", &id] {
        assert_eq!(bench.get(&format!("/services/{name}")).await.1, services["data"][0]);
        assert_eq!(bench.get(&format!("/services/{name}/routes")).await.1["data"][0]["name"], "all");
    }
    assert_eq!(bench.get("/routes/all/service").await.1["id"], id.as_str());
    assert_eq!(bench.get("/routes").await.1["data"][0]["service"]["id"], id.as_str());
    let (_, targets_told) = bench.get("/upstreams/pool/targets").await;
    let told: Vec<_> = targets_told["data"].as_array().unwrap().iter().map(|one| one["target"].clone()).collect();
    assert_eq!(told, targets.each_ref().map(|target| json!(target.address.to_string())));
    assert_eq!(bench.get("/services/nobody").await.0, 404);
    assert_eq!(bench.get("/upstreams/nobody/health").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_documents_write_entities() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    for (method, path, verb) in [
        (Method::POST, "/routes", "create 'routes'"),
        (Method::PUT, "/services/web", "create or update 'services'"),
        (Method::PATCH, "/services/web", "update 'services'"),
        (Method::DELETE, "/upstreams/pool/targets", "remove 'targets'"),
    ] {
        let answer = bench.ask(method, path, &[], "").await;
        assert_eq!(answer.status().as_u16(), 405, "{path}");
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(text.contains(&format!("cannot {verb} entities when not using a database")), "{text}");
    }
    assert_eq!(bench.ask(Method::POST, "/status", &[], "").await.status().as_u16(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_set_unhealthy_by_hand_gets_nothing_until_it_is_set_healthy() {
    let (bench, targets) = Bench::with_two(ADMIN).await;
    let target = targets[0].address.to_string();
    let set = async |path: String| bench.ask(Method::PUT, &path, &[], "").await.status().as_u16();
    let health = async || {
        let (_, told) = bench.get("/upstreams/pool/health").await;
        let of = |one: &serde_json::Value| (one["health"].clone(), one["causes"].clone());
        told["data"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(health().await[0], (json!("HEALTHCHECKS_OFF"), json!([])));
    assert_eq!(set(format!("/upstreams/pool/targets/{target}/unhealthy")).await, 204);
    assert_eq!(health().await[0], (json!("UNHEALTHY"), json!(["set by hand"])));
    for _ in 0..4 {
        assert_eq!(bench.served().await, "200 two");
    }
    assert_eq!(bench.get("/upstreams/pool/health?balancer_health=1").await.1["data"]["health"], "HEALTHY");
    assert_eq!(set(format!("/upstreams/pool/targets/{target}/{target}/healthy")).await, 204);
    assert_eq!(health().await[0], (json!("HEALTHCHECKS_OFF"), json!([])));
    // By the id that either list has for it.
    let id = bench.get("/upstreams/pool/targets").await.1["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.get("/upstreams/pool/health").await.1["data"][0]["id"], id.as_str());
    assert_eq!(set(format!("/upstreams/pool/targets/{id}/unhealthy")).await, 204);
    assert_eq!(health().await[0].0, "UNHEALTHY");
    assert_eq!(set("/upstreams/pool/targets/10.9.9.9:1/unhealthy".to_owned()).await, 404);
    assert_eq!(set(format!("/upstreams/pool/targets/{target}/10.9.9.9:1/unhealthy")).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_is_json_or_text_as_one_asks() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    let path = "/explain?method=get&url=http%3A%2F%2Fweb.test%2Fa%3Fb&header=X-A%3A%201&header=X-B%3A%202";
    let (status, told) = bench.get(path).await;
    assert_eq!((status, &told["route"], &told["forward"]["path"]), (200, &json!("all"), &json!("/a?b")));
    let text = bench.ask(Method::GET, path, &[("accept", "text/plain")], "").await;
    assert!(text.body().starts_with(b"GET http://web.test/a?b\n"), "{:?}", text.body());
    assert_eq!(bench.get("/explain?url=ftp://a/").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_in_metrics_and_status() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    for _ in 0..3 {
        bench.served().await;
    }
    let metrics = bench.ask(Method::GET, "/metrics", &[], "").await;
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    // A client may have its answer before that is counted.
    let counted = "plimsoll_http_requests_total{service=\"web\",route=\"all\",code=\"200\"} 3\n";
    until(Duration::from_secs(10), counted, async || {
        let metrics = bench.ask(Method::GET, "/metrics", &[], "").await;
        String::from_utf8_lossy(metrics.body()).contains(counted)
    })
    .await;
    let (_, status) = bench.get("/status").await;
    assert_eq!((&status["server"]["total_requests"], &status["ready"]), (&json!(3), &json!(true)));
    assert_eq!(status["configuration_hash"].as_str().unwrap().len(), 32);
}
