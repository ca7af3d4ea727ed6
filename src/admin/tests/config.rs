//! The document over the network: what it may say, and what becomes of a bad one.

use super::{ADMIN, Bench, two};
use http::Method;
use plimsoll_test_support::target::Target;
use serde_json::json;

fn answering(target: &Target, more: &str) -> String {
    format!(
        "_format_version: \"3.0\"\n{more}services:\n- {{name: other, url: \"http://{}\", routes: [{{name: r, paths: [/]}}]}}\n",
        target.address
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_taken_in_every_shape_of_kongs() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    let three = Target::answering("three").await;
    let yaml = answering(&three, "");
    let as_json = json!({"_format_version": "3.0", "services": [
        {"name": "other", "url": format!("http://{}", three.address), "routes": [{"name": "r", "paths": ["/"]}]}]});
    let (status, said) = bench.post("application/yaml", &yaml).await;
    assert_eq!(status, 201, "{said}");
    assert_eq!(said["services"].as_object().unwrap().values().next().unwrap()["name"], "other");
    assert_eq!(said["routes"].as_object().unwrap().values().next().unwrap()["name"], "r");
    assert_eq!(bench.served().await, "200 three");
    assert_eq!(bench.get("/config").await.1["config"], json!(yaml));
    assert_eq!(bench.post("application/json", &as_json.to_string()).await.0, 201);
    assert_eq!(bench.post("application/json", &json!({"config": yaml}).to_string()).await.0, 201);
    assert_eq!(bench.get("/config").await.1["config"], json!(yaml));
    let again = bench.ask(Method::POST, "/config?check_hash=1", &[("content-type", "text/yaml")], &yaml).await;
    assert_eq!(again.status().as_u16(), 304);
    assert_eq!(bench.post("text/yaml", " \n").await, (400, json!({"message": "expected a declarative configuration"})));
    // The listener and the admin API are what they were: it says nothing of `gateway`.
    assert_eq!(bench.served().await, "200 three");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_posts_beside_others_is_told_of_its_own_document() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    let three = Target::answering("three").await;
    let post = async |name: String| {
        let (status, said) = bench.post("text/yaml", &answering(&three, "").replace("other", &name)).await;
        assert_eq!(status, 201, "{said}");
        let told = said["services"].as_object().unwrap().values().next().unwrap()["name"].clone();
        assert_eq!(told, json!(name));
    };
    for round in 0..20 {
        futures_util::future::join_all((0..4).map(|one| post(format!("s{round}-{one}")))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_document_changes_nothing_and_is_told_of() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    let before = bench.get("/status").await.1;
    let (status, said) = bench.post("text/yaml", "_format_version: \"3.0\"\nservices:\n- {name: a, hots: b}\n").await;
    assert_eq!((status, &said["code"], &said["name"]), (400, &json!(14), &json!("invalid declarative configuration")));
    assert_eq!(said["fields"]["services[0].hots"], "in 'hots': unknown field");
    assert_eq!((&said["problems"][0]["line"], &said["problems"][0]["column"]), (&json!(3), &json!(13)));
    assert!(said["message"].as_str().unwrap().contains("did you mean 'host'?"), "{said}");
    assert!(bench.served().await.starts_with("200 "));
    let after = bench.get("/status").await.1;
    assert_eq!(
        (&after["generation"], &after["configuration_hash"]),
        (&before["generation"], &before["configuration_hash"])
    );
    // Without the document's line: that could hold a secret.
    let told = after["last_error"].as_str().unwrap();
    assert!(told.contains("POST /config:3:13: in 'hots': unknown field") && !told.contains('|'), "{told}");
    let metrics = bench.ask(Method::GET, "/metrics", &[], "").await;
    assert!(String::from_utf8_lossy(metrics.body()).contains("plimsoll_config_last_reload_successful 0\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_the_list_is_refused_by_name_with_the_way_out() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    let three = Target::answering("three").await;
    for (more, field, allow) in [
        ("gateway: {workers: 1}\n", "gateway", "gateway"),
        ("upstreams: [{name: p, discover: {docker: {service: web}}}]\n", "discover", "discover"),
        ("certificates: [{cert: /etc/passwd, key: /etc/shadow}]\n", "cert", "files"),
    ] {
        let (status, said) = bench.post("text/yaml", &answering(&three, more)).await;
        assert_eq!(status, 400, "{said}");
        let text = said["message"].as_str().unwrap();
        assert!(text.contains(&format!("'{field}' may not be said through POST /config")), "{text}");
        assert!(text.contains(&format!("put {allow} into gateway.admin.allow")), "{text}");
    }
    assert_ne!(bench.served().await, "200 three");
    let allowed = "admin: {address: \"127.0.0.1:0\", allow: [gateway]}";
    let (bench, targets) = Bench::with_two(allowed).await;
    let text = super::document("admin: {address: \"127.0.0.1:0\"}, headers: false", &two(&targets));
    assert_eq!(bench.post("text/yaml", &text).await.0, 201);
    assert!(!bench.handle().plan().gateway.headers.via);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_active_checks_send_is_shown_by_token_alone_and_references_to_nobody_else_than_as_references() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "s3cret-by-file").unwrap();
    let file = key.display();
    let rest = format!(
        "services: [{{name: web, host: pool, path: \"${{file:{file}}}\", tags: [\"${{file:{file}}}\"],\n  \
         routes: [{{name: r, paths: [/], headers: {{X-Api-Key: [\"${{file:{file}}}\"]}}}}]}}]\nupstreams:\n- name: pool\n  \
         healthchecks: {{active: {{headers: {{Authorization: [Basic s3cret-in-clear], X-Api-Key: [\"${{file:{file}}}\"]}}}}}}\n"
    )
    .replace("path: \"$", "path: \"/$");
    let closed = Bench::new(ADMIN, &rest).await;
    let gateway = format!("admin: {{address: \"127.0.0.1:0\", token_file: \"{}\"}}", token.display());
    let open = Bench::new(&gateway, &rest).await;
    let borne = ("authorization", "Bearer 0123456789abcdef");
    for path in
        ["/config", "/snapshot", "/upstreams", "/upstreams/pool", "/services", "/services/web", "/routes", "/routes/r"]
    {
        let of_upstream = !path.starts_with("/services") && !path.starts_with("/routes");
        let text = async |bench: &Bench, fields: &[(&str, &str)]| {
            let answer = bench.ask(Method::GET, path, fields, "").await;
            assert_eq!(answer.status().as_u16(), 200, "{path}");
            String::from_utf8_lossy(answer.body()).into_owned()
        };
        let hidden = text(&closed, &[]).await;
        assert!(!hidden.contains("s3cret") && hidden.contains("${file:"), "{path}: {hidden}");
        assert_eq!(hidden.contains("***"), of_upstream, "{path}: {hidden}");
        let shown = text(&open, &[borne]).await;
        assert_eq!(shown.contains("s3cret-in-clear"), of_upstream, "{path}: {shown}");
        assert!(!shown.contains("s3cret-by-file"), "{path}: {shown}");
    }
    let (_, said) = closed
        .post("text/yaml", &format!("_format_version: \"3.0\"\n{}", rest.replace(&format!("${{file:{file}}}"), "x")))
        .await;
    assert!(!said.to_string().contains("s3cret") && said.to_string().contains("***"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_told_without_the_documents_lines() {
    let (bench, _targets) = Bench::with_two(ADMIN).await;
    let document = json!({
        "_format_version": "3.0",
        "services": [{"name": "a", "url": "https://127.0.0.1:1"}],
        "upstreams": [{"name": "p", "healthchecks": {"active": {"headers": {"X-Key": ["s3cret"]}}}}],
    });
    let (status, said) = bench.post("application/json", &document.to_string()).await;
    assert_eq!((status, said["warnings"].as_array().unwrap().len()), (201, 1), "{said}");
    let told = bench.get("/status").await.1["warnings"].to_string();
    assert!(told.contains("service 'a': certificates of its targets are not verified (as in Kong; "), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_over_a_unix_socket_or_by_token_alone() {
    let authority = plimsoll_test_support::tls::Authority::new();
    let identity = authority.identity(&["web.test"]);
    let line = |pem: &str| pem.replace('\n', "\\n");
    let rest = format!(
        "certificates:\n- {{cert: \"{}\", key: \"{}\", snis: [{{name: web.test}}]}}\n",
        line(&identity.certificate),
        line(&identity.key)
    );
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let closed = Bench::new(ADMIN, &rest).await;
    for path in ["/config", "/snapshot", "/certificates"] {
        let answer = closed.ask(Method::GET, path, &[], "").await;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(!text.contains("PRIVATE KEY") && text.contains("***"), "{path}: {text}");
    }
    let gateway = format!("admin: {{address: \"127.0.0.1:0\", token_file: \"{}\"}}", token.display());
    let open = Bench::new(&gateway, &rest).await;
    let answer = open.ask(Method::GET, "/config", &[("authorization", "Bearer 0123456789abcdef")], "").await;
    assert!(String::from_utf8_lossy(answer.body()).contains("PRIVATE KEY"));
    let refused = open.ask(Method::GET, "/config", &[], "").await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["www-authenticate"]),
        (401, &http::HeaderValue::from_static("Bearer"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_process_would_not_know_of_is_refused_for_the_moment() {
    let (bench, targets) = Bench::with_two(ADMIN).await;
    let handle = bench.handle();
    let by_hand = format!("/upstreams/pool/targets/{}/unhealthy", targets[0].address);
    let put = async || bench.ask(Method::PUT, &by_hand, &[], "").await;
    let document = format!("_format_version: \"3.0\"\n{}", two(&targets));
    let post = async || bench.ask(Method::POST, "/config", &[("content-type", "text/yaml")], &document).await;
    let (_, frozen) = handle.hand_over().await.unwrap();
    let refused = |answer: &http::Response<bytes::Bytes>| {
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    };
    refused(&post().await);
    assert_eq!(put().await.status().as_u16(), 204, "what is known of targets was not told yet");
    let told = handle.targets(&frozen);
    assert_eq!(told.iter().filter(|one| one.unhealthy.is_some()).count(), 1);
    refused(&put().await);
    drop(frozen);
    assert_eq!(put().await.status().as_u16(), 204);
    assert_eq!(post().await.status().as_u16(), 201);
}
