//! The one place that knows how a test gets its gateway.

use plimsoll_test_support::gateway::{Gateway, Start, document};
use std::path::Path;

/// Starts the gateway with a document: `gateway` is more of the `gateway` key, indented by two, `rest` everything beside
/// it. Listens on port 0 of loopback.
pub(crate) async fn gateway(gateway: &str, rest: &str) -> Gateway {
    let document = document(gateway, rest);
    Gateway::start(Start { binary: Path::new(env!("CARGO_BIN_EXE_plimsoll")), document, namespace: None }).await
}
