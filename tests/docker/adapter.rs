//! The one place that knows how these tests get their gateway.

use plimsoll_test_support::docker::{Lab, available};
use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::load::Load;
use std::path::Path;
use std::time::Duration;

/// 15 s: for the gateway to follow what the engine has done, on a busy machine. How soon it really does is measured
/// where it is the subject.
pub(crate) const FOLLOWS: Duration = Duration::from_secs(15);

/// A corner of the machine's engine, or `None` where there is none.
pub(crate) async fn lab() -> Option<Lab> {
    Some(Lab::new(available().await?).await)
}

/// A gateway on the host that follows the lab's containers.
pub(crate) async fn gateway(lab: &Lab) -> Gateway {
    start(&lab.provider(), None).await
}

/// A gateway with this provider, in a network namespace where one is named.
pub(crate) async fn start(provider: &str, namespace: Option<String>) -> Gateway {
    let document = document(provider, "");
    Gateway::start(Start { binary: Path::new(env!("CARGO_BIN_EXE_plimsoll")), document, namespace }).await
}

/// Load on a service of the lab: every kind of request.
pub(crate) fn load(gateway: &Gateway, service: &str) -> Load {
    Load::new(gateway.http, &format!("{service}.test"), service)
}
