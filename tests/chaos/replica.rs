//! A replica as a local process: this very test binary, started again by the gateway.

use plimsoll_sample::{Options, serve};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Set: be a replica. The folder for what was carried out.
pub(crate) const RECORD: &str = "PLIMSOLL_CHAOS_RECORD";

/// What the gateway starts, as an item of a document.
pub(crate) fn command() -> String {
    let binary = std::env::current_exe().expect("this binary");
    format!("[{:?}, \"--exact\", \"replica::of_the_chaos\", \"--nocapture\"]", binary.display().to_string())
}

/// Not a test by itself: one of the replicas that the others start.
#[tokio::test]
async fn of_the_chaos() {
    let Some(record) = std::env::var_os(RECORD).map(PathBuf::from) else { return };
    let mut term = signal(SignalKind::terminate()).expect("a handler");
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        term.recv().await;
        stop.send_replace(true);
    });
    let port = std::env::var("PORT").ok().and_then(|port| port.parse::<u16>().ok()).expect("the gateway gives a port");
    let replica = std::env::var("PLIMSOLL_REPLICA").expect("the gateway gives a name");
    let options =
        Options { service: "web".to_owned(), replica, linger: Duration::from_millis(500), record: Some(record) };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    serve(listener, options, stopped).await.expect("it serves");
}
