//! Requests start when they are due, whatever has become of those before them.

use crate::account::{Account, Outcome};
use crate::http1::Http1;
use crate::http2::Http2;
use crate::noise;
use crate::schedule::{Kind, Request};
use plimsoll_sample::{COUNT, ECHO, checksum, generated};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

/// The host of every request that counts.
pub(crate) const HOST: &str = "web.test";
/// 20 s: an answer that takes longer is lost. Nothing that happens takes a tenth of it on a machine that is quiet.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Requests a second.
pub(crate) const RATE: u32 = 200;
/// The most requests under way: as many as start within [`PATIENCE`], and some.
const OPEN_MAX: usize = 6000;

/// Where to send it.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) trust: Arc<ClientConfig>,
}

/// Traffic that is under way.
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Traffic {
    /// Starts it on a thread of its own, so that what else the test does does not delay it.
    pub(crate) fn start(seed: u64, doors: Doors, account: Arc<Account>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async {
                let noise = tokio::task::spawn_local(noise::run(seed, doors.http, stopped.clone()));
                send_all(seed, &doors, &account, stopped).await;
                noise.await.expect("it does not panic");
            });
        };
        Self { stop, thread: std::thread::Builder::new().name("traffic".to_owned()).spawn(run).expect("a thread") }
    }

    /// Starts nothing more, and waits for what is under way.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join().expect("it does not panic")).await.expect("it ran");
    }
}

async fn send_all(seed: u64, doors: &Doors, account: &Arc<Account>, mut stopped: watch::Receiver<bool>) {
    let begin = Instant::now();
    let clients = Rc::new(Clients {
        http1: Http1::new(doors.http),
        http2: Http2::new(doors.http, None),
        tls: Http2::new(doors.https, Some(Arc::clone(&doors.trust))),
    });
    let mut requests = JoinSet::new();
    for number in 0_u32.. {
        let due = begin + Duration::from_secs(1) / RATE * number;
        tokio::select! {
            biased;
            _ = stopped.changed() => break,
            () = sleep_until(due) => {}
        }
        while let Some(ended) = requests.try_join_next() {
            ended.expect("it does not panic");
        }
        assert!(requests.len() < OPEN_MAX, "{OPEN_MAX} requests wait for answers");
        let (clients, account) = (Rc::clone(&clients), Arc::clone(account));
        account.sent();
        requests.spawn_local(async move {
            let (request, started) = (Request::of(seed, number), Instant::now());
            let outcome = Box::pin(clients.send(&request)).await;
            account.ended(&request, started, outcome);
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended.expect("it does not panic");
    }
}

struct Clients {
    http1: Http1,
    http2: Http2,
    tls: Http2,
}

impl Clients {
    async fn send(&self, request: &Request) -> Outcome {
        match request.kind {
            Kind::Http2Get | Kind::Http2Post | Kind::Http2Events => self.http2.send(request).await,
            Kind::TlsGet | Kind::TlsPost => self.tls.send(request).await,
            Kind::Call | Kind::CallStream if request.chunked => self.tls.send(request).await,
            Kind::Call | Kind::CallStream => self.http2.send(request).await,
            _ => self.http1.send(request).await,
        }
    }
}

pub(crate) fn body_of(request: &Request) -> Vec<u8> {
    if request.kind.is_post() || request.kind == Kind::Upgrade {
        generated(request.seed).take(request.size).collect()
    } else {
        Vec::new()
    }
}

pub(crate) fn path_of(request: &Request) -> String {
    let Request { number, size, count, pause_ms, seed, .. } = request;
    match request.kind {
        Kind::Download => format!("/bytes?n={size}&seed={seed}"),
        Kind::Events | Kind::Http2Events => format!("/events?n={count}&ms={pause_ms}"),
        Kind::Upgrade => "/echo".to_owned(),
        Kind::Socket => "/ws".to_owned(),
        Kind::Call => ECHO.to_owned(),
        Kind::CallStream => COUNT.to_owned(),
        _ => format!("/{number}?ms={pause_ms}"),
    }
}

/// As much of a body as is printed where a request is lost.
pub(crate) fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()
}

/// Whether this is the answer to that request, with every byte in place, and every byte of its body had arrived.
pub(crate) fn judge(request: &Request, sent: &[u8], body: &[u8], events: Option<&str>) -> Outcome {
    let right = match request.kind {
        Kind::Download => {
            body.len() == request.size && body.iter().copied().eq(generated(request.seed).take(request.size))
        }
        Kind::Events | Kind::Http2Events => {
            let expected = (0..request.count).map(|number| format!("id: {number}\ndata: of {}\n\n", request.number));
            body == expected.collect::<String>().as_bytes() && events == Some(request.count.to_string().as_str())
        }
        _ => {
            let (body, number) = (String::from_utf8_lossy(body), request.number);
            let has = |what: String| body.contains(&what);
            has(format!("\"service\":\"{}\"", request.kind.service()))
                && has(format!("\"request\":\"{number}\""))
                && has(format!("\"bytes\":{},", sent.len()))
                && has(format!("\"sum\":\"{:016x}\"", checksum(sent)))
        }
    };
    if right {
        Outcome::Right(200)
    } else {
        Outcome::Wrong(format!("{} bytes, events {events:?}: {}", body.len(), beginning(body)))
    }
}
