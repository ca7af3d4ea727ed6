//! The one place that knows how these tests get their gateway: in this process for what only needs a document, as a child
//! process for what is about a process.

use plimsoll::control::{Gateway as Builder, Handle, Running};
use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::tls::Identity;
use plimsoll_test_support::wire::Wire;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// A gateway in this process, whose listeners are on port 0 of loopback.
pub(crate) struct Embedded {
    running: Running,
    /// Its plain listener.
    pub(crate) http: SocketAddr,
}

/// Starts a gateway in this process: `rest` is the document beside `gateway`. With an identity it has a TLS listener too.
pub(crate) async fn embedded(rest: &str, identity: Option<&Identity>) -> Embedded {
    let tls = identity.map(|identity| {
        let line = |pem: &str| pem.replace('\n', "\\n");
        let (certificate, key) = (line(&identity.certificate), line(&identity.key));
        (
            "  - {name: https, address: \"127.0.0.1:0\", tls: true}\n",
            format!("certificates:\n- {{cert: \"{certificate}\", key: \"{key}\", snis: [{{name: web.test}}]}}\n"),
        )
    });
    let (listener, certificates) = tls.unwrap_or_default();
    let text = format!(
        "_format_version: \"3.0\"\ngateway:\n  workers: 2\n  admin: false\n  access_log: false\n  listeners:\n  \
         - {{name: http, address: \"127.0.0.1:0\"}}\n{listener}{rest}\n{certificates}"
    );
    let running = match Builder::builder().document_text(text).start().await {
        Ok(running) => running,
        Err(error) => panic!("{error}"),
    };
    let http = running.address("http").expect("its listener is bound");
    Embedded { running, http }
}

impl Embedded {
    /// To ask it, and to tell it.
    pub(crate) fn handle(&self) -> Handle {
        self.running.handle()
    }

    /// Its TLS listener.
    pub(crate) fn https(&self) -> SocketAddr {
        self.listener("https")
    }

    /// A listener by name.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        self.running.address(name).expect("it is bound")
    }
}

/// Starts the binary: `gateway` is more of the `gateway` key, indented by two, `rest` everything beside it.
pub(crate) async fn process(gateway: &str, rest: &str) -> Gateway {
    let document = document(gateway, rest);
    Gateway::start(Start { binary: Path::new(env!("CARGO_BIN_EXE_plimsoll")), document, namespace: None }).await
}

/// An address on loopback at which nobody listens now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port")
}

/// Those who look what is wrong are answered, by the admin API and at the address for balancers and Prometheus.
pub(crate) async fn operators_are_answered(gateway: &Gateway, status: SocketAddr) {
    for path in ["/readyz", "/metrics", "/status"] {
        assert_eq!(gateway.admin("GET", path, "").await.map(|answer| answer.status), Some(200), "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut wire = Wire::connect(status).await.expect("a connection");
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            .await
            .expect("it is read");
        assert_eq!(wire.answer(false).await.map(|answer| answer.status).ok(), Some(200), "{path}");
    }
}
