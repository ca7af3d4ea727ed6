//! Names that clients choose, and that targets are asked by.

use crate::gateway::embedded;
use bytes::Bytes;
use http_body_util::Full;
use plimsoll_test_support::client::Client;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::tls::Authority;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_a_client_made_up_says_nothing_of_the_target() {
    let tls = Authority::new().server(&["web.test"], &["h2"]);
    let answer = |_| async { http::Response::new(Full::new(Bytes::from_static(b"fine"))) };
    let target = Target::http2(Some(tls), answer).await;
    let document = format!(
        "services:\n- {{name: all, host: pool, protocol: grpcs, tls_verify: false, routes: [{{name: all, paths: [/], \
         preserve_host: true, protocols: [grpc, grpcs]}}]}}\nupstreams:\n- {{name: pool, targets: [{{target: \"{}\"}}], \
         healthchecks: {{passive: {{unhealthy: {{tcp_failures: 1}}}}}}}}\n",
        target.address
    );
    let gateway = embedded(&document, None).await;
    let status =
        async |host: &str| Client::http1(gateway.http).get(host, "/").await.expect("an answer").status().as_u16();
    assert_eq!(status("a!b").await, 421, "it is no name that TLS could ask for");
    assert_eq!(status("web.test").await, 200, "the target is as healthy as before");
}
