//! A gateway in this process with one worker, so that every request may meet every idle connection, and one target.

use plimsoll::control::{Gateway, Running};
use plimsoll_test_support::tls::Identity;
use std::net::SocketAddr;

/// A gateway that runs until it is dropped.
pub(crate) struct Embedded {
    _running: Running,
    pub(crate) address: SocketAddr,
    /// Its TLS listener, if it has one.
    pub(crate) https: Option<SocketAddr>,
}

/// Starts it in front of the target on this port. Nothing is repeated: a request is one request.
pub(crate) async fn start(target: u16) -> Embedded {
    start_with(target, "access_log: false").await
}

/// The same, with lines of `gateway`.
pub(crate) async fn start_with(target: u16, lines: &str) -> Embedded {
    begin(target, lines, "", "").await
}

/// The same, with a TLS listener that shows this certificate.
pub(crate) async fn start_with_tls(target: u16, identity: &Identity) -> Embedded {
    let line = |pem: &str| pem.replace('\n', "\\n");
    let (certificate, key) = (line(&identity.certificate), line(&identity.key));
    let listener = "  - {name: https, address: \"127.0.0.1:0\", tls: true}\n";
    let certificates = format!("certificates: [{{cert: \"{certificate}\", key: \"{key}\"}}]\n");
    begin(target, "access_log: false", listener, &certificates).await
}

async fn begin(target: u16, lines: &str, listener: &str, rest: &str) -> Embedded {
    let text = format!(
        "_format_version: \"3.0\"\ngateway:\n  workers: 1\n  admin: false\n  {lines}\n  listeners:\n  - {{name: \
         http, address: \"127.0.0.1:0\"}}\n{listener}services:\n- {{name: all, host: 127.0.0.1, port: {target}, protocol: \
         http, retries: 0, routes: [{{name: all, paths: [/], protocols: [http, https]}}]}}\n{rest}"
    );
    let running = match Gateway::builder().document_text(text).start().await {
        Ok(running) => running,
        Err(error) => panic!("{error}"),
    };
    let address = running.address("http").expect("its listener is bound");
    let https = running.address("https");
    Embedded { _running: running, address, https }
}
