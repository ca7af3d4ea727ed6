//! An open-loop load: requests are sent when they are due, however long the ones before take, as a crowd of clients would.

use super::tally::{Seen, Tally};
use crate::cli::http::whole;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Between two requests: 200 a second.
pub(super) const EVERY: Duration = Duration::from_millis(5);
/// A request without an answer for so long is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// One request in this many takes a while, so that a killed replica always has some in hand.
const SLOW_ONE_IN: u64 = 4;
/// How long that is.
const SLOW_PATH: &str = "/slow?ms=60";
/// The sample's answers are one line.
const ANSWER_MAX: usize = 64 << 10;

type Client = SendRequest<Empty<Bytes>>;

/// Sends until it is dropped.
pub(super) async fn run(address: SocketAddr, tally: Arc<Mutex<Tally>>) {
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_u64.. {
        let due_at = due.tick().await;
        tally.lock().sent += 1;
        let (tally, idle) = (Arc::clone(&tally), Arc::clone(&idle));
        let path = if number % SLOW_ONE_IN == 0 { SLOW_PATH } else { "/" };
        tokio::spawn(async move {
            let result = timeout(PATIENCE, ask(address, path, &idle)).await;
            let now = Instant::now();
            let mut tally = tally.lock();
            match result {
                Ok(Ok((replica, pid))) => {
                    tally.answer(now.into_std(), Seen { replica, pid, latency: now - due_at });
                }
                Ok(Err(error)) => tally.lose(format!("{error:#}")),
                Err(_) => tally.lose("no answer within 10 s".to_owned()),
            }
        });
    }
}

/// One request; the name and process id of the replica that answered.
pub(super) async fn ask(address: SocketAddr, path: &str, idle: &Mutex<Vec<Client>>) -> anyhow::Result<(String, i32)> {
    let mut client = match take(idle) {
        Some(client) => client,
        None => connect(address).await?,
    };
    client.ready().await?;
    let request = Request::get(path).header(header::HOST, address.to_string()).body(Empty::new())?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let body = whole(response.into_body(), ANSWER_MAX).await?;
    anyhow::ensure!(status.is_success(), "answered {status}");
    idle.lock().push(client);
    let identity: serde_json::Value = serde_json::from_slice(&body)?;
    let pid = identity.get("pid").and_then(serde_json::Value::as_i64).and_then(|pid| pid.try_into().ok());
    let replica = identity.get("replica").and_then(serde_json::Value::as_str);
    replica.zip(pid).map(|(replica, pid)| (replica.to_owned(), pid)).ok_or_else(|| anyhow::anyhow!("not the sample"))
}

/// A connection that waits for work and is still open.
fn take(idle: &Mutex<Vec<Client>>) -> Option<Client> {
    let mut idle = idle.lock();
    while let Some(client) = idle.pop() {
        if !client.is_closed() {
            return Some(client);
        }
    }
    None
}

async fn connect(address: SocketAddr) -> anyhow::Result<Client> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the connection; an error is seen by the request that it hits.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}
