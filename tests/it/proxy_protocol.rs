//! The PROXY protocol before everything else that a connection may begin with: curl, through a balancer that passes bytes on
//! and says who its client is.

use crate::clients::{all_to, run};
use crate::gateway::embedded;
use bytes::Bytes;
use http_body_util::Full;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::tls::Authority;
use std::net::SocketAddr;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// One header of each version, and the client that it announces.
const HEADERS: [(&[u8], &str); 2] = [
    (b"PROXY TCP4 203.0.113.9 198.51.100.1 54321 443\r\n", "203.0.113.9"),
    (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x0a\xc6\x33\x64\x01\xd4\x31\x01\xbb", "203.0.113.10"),
];

/// A balancer before the gateway, for as long as the test runs.
async fn balancer(gateway: SocketAddr, header: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(gateway).await?;
                onward.write_all(header).await?;
                copy_bidirectional(&mut client, &mut onward).await
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_announces_its_client_before_http_1_http_2_and_tls() {
    let target = Target::http1(|request| async move {
        let lines =
            request.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?")));
        http::Response::new(Full::new(Bytes::from(lines.collect::<String>())))
    })
    .await;
    let authority = Authority::new();
    let identity = authority.identity(&["web.test"]);
    let more = "  - {name: told, address: \"127.0.0.1:0\", proxy_protocol: true}\n  \
                - {name: told-tls, address: \"127.0.0.1:0\", proxy_protocol: true, tls: true}\n  \
                trusted_proxies: [127.0.0.0/8]\n";
    let gateway = embedded(&format!("{more}{}", all_to("http", target.address.port())), Some(&identity)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem").display().to_string();
    std::fs::write(&ca, authority.pem()).expect("ours");
    for (listener, scheme, versions) in [
        ("told", "http", [("--http1.1", "1.1 200"), ("--http2-prior-knowledge", "2 200")]),
        ("told-tls", "https", [("--http1.1", "1.1 200"), ("--http2", "2 200")]),
    ] {
        for (header, client) in HEADERS {
            let port = balancer(gateway.listener(listener), header).await;
            let (url, to) = (format!("{scheme}://web.test:{port}/"), format!("web.test:{port}:127.0.0.1"));
            for (version, answered) in versions {
                let arguments =
                    ["-sS", version, "--resolve", &to, "--cacert", &ca, "-w", "%{http_version} %{http_code}"];
                let Some(text) = run("curl", &[&arguments[..], &[url.as_str()]].concat()).await else { return };
                assert!(text.ends_with(answered), "{text}");
                for (name, told) in [("for", client), ("proto", scheme), ("port", "443")] {
                    let line = format!("x-forwarded-{name}: {told}\n");
                    assert!(text.contains(&line), "{line}, {version} {url}: {text}");
                }
            }
        }
    }
}
