//! The project's own image and the Compose examples.

use crate::adapter::{FOLLOWS, lab};
use plimsoll_test_support::docker::{Engine, Lab, build_static};
use plimsoll_test_support::load::Load;
use plimsoll_test_support::wait::{eventually, until};
use plimsoll_test_support::wire::exchange;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Builds the Dockerfile's stage for a binary built outside, and gives the image's name.
pub(crate) async fn image(lab: &Lab) -> String {
    let binary = tokio::task::spawn_blocking(|| build_static("plimsoll")).await.expect("the build ran");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(&binary, folder.path().join("plimsoll")).expect("the binary");
    std::fs::copy("Dockerfile", folder.path().join("Dockerfile")).expect("the Dockerfile");
    let image = format!("plimsoll-test:{}", lab.id);
    lab.engine
        .docker(&["build", "-q", "--target", "prebuilt", "-t", &image, &folder.path().display().to_string()])
        .await;
    image
}

fn engine_group(lab: &Lab) -> u32 {
    std::fs::metadata(&lab.engine.socket).expect("the engine's socket").gid()
}

pub(crate) async fn published(lab: &Lab, container: &str, port: u16) -> SocketAddr {
    let ports = lab.engine.run(&format!("port {container} {port}/tcp")).await;
    ports.lines().next().and_then(|line| line.parse().ok()).expect("a published port")
}

#[tokio::test]
async fn the_image_serves_as_nobody_is_healthy_and_ends_in_good_order() {
    let Some(lab) = lab().await else { return };
    let network = lab.network("front").await;
    for name in ["one", "two", "three"] {
        lab.replica("web", name, &format!("--network {network}")).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    let constraint = format!("constraints: {{test.run: {}}}", lab.id);
    let document = format!(
        "_format_version: \"3.0\"\ngateway:\n  listeners: [{{name: http, address: \"0.0.0.0:8000\"}}]\n  providers:\n    \
         docker: {{endpoint: \"unix:/var/run/docker.sock\", {constraint}}}\n"
    );
    std::fs::write(folder.path().join("plimsoll.yaml"), document).expect("ours");
    let (image, name) = (image(&lab).await, lab.name("gateway"));
    let (socket, group) = (lab.engine.socket.display(), engine_group(&lab));
    let (lab_id, config) = (&lab.id, folder.path().display());
    lab.engine
        .run(&format!(
            "run -d --name {name} -l test.run={lab_id} --network {network} -p 127.0.0.1::8000 --group-add {group} \
             --read-only --cap-drop ALL --health-interval 1s -v {socket}:/var/run/docker.sock \
             -v {config}:/etc/plimsoll:ro {image}"
        ))
        .await;
    until(FOLLOWS, "the gateway's own health check", async || {
        lab.engine.run(&format!("inspect -f {{{{.State.Health.Status}}}} {name}")).await == "healthy"
    })
    .await;
    let address = published(&lab, &name, 8000).await;
    let load = Load::new(address, "web.test", "web").start();
    load.go_on(Duration::from_secs(2)).await;
    let report = load.stop().await;
    report.assert_none_lost();
    report.assert_even(3);
    assert_eq!(lab.engine.run(&format!("inspect -f {{{{.Config.User}}}} {name}")).await, "65532:65532");
    lab.engine.run(&format!("stop {name}")).await;
    assert_eq!(lab.engine.run(&format!("inspect -f {{{{.State.ExitCode}}}} {name}")).await, "0");
}

#[tokio::test]
async fn the_compose_example_serves() {
    let Some(lab) = lab().await else { return };
    let image = image(&lab).await;
    let group = engine_group(&lab).to_string();
    let compose = |arguments: &[&str]| {
        let output = Command::new("docker-compose")
            .args(["-p", &lab.id, "-f", "examples/compose/docker-compose.yml"])
            .args(arguments)
            .env("DOCKER_HOST", lab.engine.host())
            .env("PLIMSOLL_IMAGE", &image)
            .env("WEB_IMAGE", &lab.image)
            .env("DOCKER_GROUP", &group)
            .env("PORT", "0")
            .output()
            .expect("docker-compose runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "docker-compose {arguments:?}: {error}");
    };
    let project = lab.id.clone();
    let _down = Down { engine: lab.engine.clone(), project: &project };
    compose(&["up", "-d", "--no-build"]);
    let address = published(&lab, &format!("{project}_gateway_1"), 8000).await;
    let mut replicas = std::collections::BTreeSet::new();
    eventually(FOLLOWS, "answers of three replicas", async || {
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = exchange(address, request).await.unwrap_or_default();
        let replica = answer.split("\"replica\":\"").nth(1).and_then(|rest| rest.split('"').next());
        replicas.extend(replica.map(str::to_owned));
        (replicas.len() == 3).then_some(())
    })
    .await;
}

/// Takes the example's project down, also when the test fails.
struct Down<'a> {
    engine: Engine,
    project: &'a str,
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let down = Command::new("docker-compose")
            .args(["-p", self.project, "-f", "examples/compose/docker-compose.yml", "down", "-v", "-t", "10"])
            .env("DOCKER_HOST", self.engine.host())
            .output();
        drop(down);
    }
}

#[test]
fn every_compose_example_is_valid() {
    for entry in std::fs::read_dir("examples/compose").expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yml") && has_compose() {
            let output = Command::new("docker-compose").arg("-f").arg(&path).args(["config", "-q"]).output();
            let output = output.expect("docker-compose runs");
            assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(Path::new("examples/compose/docker-compose.yml").exists());
}

fn has_compose() -> bool {
    let found = Command::new("docker-compose").arg("version").output().is_ok();
    let required = std::env::var("PLIMSOLL_REQUIRE_DOCKER").as_deref() == Ok("1");
    assert!(found || !required, "docker-compose is missing");
    found
}
