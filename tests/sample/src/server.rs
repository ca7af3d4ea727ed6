//! The server: a task a connection, and an end that serves everything that the kernel accepted.

use crate::grpc;
use crate::http::{Reader, Request, checksum};
use crate::open;
use crate::record::Record;
use crate::stream;
use std::io::Result;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// 100 ms: how long the sample goes through what may still lie in the kernel's queue when it ends.
const LAST_ACCEPT: Duration = Duration::from_millis(100);
/// 300 ms: how long a connection without a request is read on when the sample ends. Who closes it at once may close it upon
/// a request that the kernel has acknowledged already, and nobody can tell then whether it was carried out.
const LAST_READ: Duration = Duration::from_millis(300);

/// Who the sample is, and how it ends.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service that it claims to be a replica of.
    pub service: String,
    /// Its own name.
    pub replica: String,
    /// How long it goes on accepting after it was told to stop. Zero: the listener is closed at once, and what the kernel
    /// had accepted is reset.
    pub linger: Duration,
    /// A folder, for a file that takes the name (`X-Test-Request`) of every POST that was carried out, a line each.
    pub record: Option<PathBuf>,
}

pub(crate) struct Replica {
    pub(crate) options: Options,
    pub(crate) record: Option<Record>,
    well: AtomicBool,
    /// True once it finishes what it has and ends.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves until `stop` says true; then goes on for [`Options::linger`], finishes what has begun, and returns.
///
/// # Errors
/// Where the listener or the record fails.
pub async fn serve(listener: TcpListener, options: Options, mut stop: watch::Receiver<bool>) -> Result<()> {
    let (told, stopping) = watch::channel(false);
    let linger = options.linger;
    let record = options.record.as_deref().map(|folder| Record::new(folder, &options.replica)).transpose()?;
    let replica = Arc::new(Replica { options, record, well: AtomicBool::new(true), stopping });
    // Every connection holds a sender: the receiver ends when the last connection has.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let stopped = async {
        // A closed channel is an order to stop too.
        while stop.changed().await.is_ok() && !*stop.borrow() {}
        if !linger.is_zero() {
            tokio::time::sleep(linger).await;
        }
    };
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            accepted = listener.accept() => spawn(accepted?.0, &replica, &open),
            () = &mut stopped => break,
        }
    }
    if !linger.is_zero() {
        // A deadline for all of them: who goes on connecting must not keep the sample alive.
        let deadline = tokio::time::Instant::now() + LAST_ACCEPT;
        while let Ok(Ok((stream, _))) = tokio::time::timeout_at(deadline, listener.accept()).await {
            spawn(stream, &replica, &open);
        }
    }
    drop(listener);
    told.send_replace(true);
    drop(open);
    all_closed.recv().await;
    Ok(())
}

fn spawn(stream: TcpStream, replica: &Arc<Replica>, open: &mpsc::Sender<()>) {
    let (replica, open) = (Arc::clone(replica), open.clone());
    tokio::spawn(async move {
        // A connection that breaks is the other side's affair.
        drop(connection(stream, &replica).await);
        drop(open);
    });
}

async fn connection(mut stream: TcpStream, replica: &Arc<Replica>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (from, mut to) = stream.split();
    let mut reader = Reader::new(from);
    let mut stopping = replica.stopping.clone();
    loop {
        let begun = tokio::select! {
            biased;
            begun = reader.begin() => Some(begun?),
            _ = stopping.wait_for(|stopping| *stopping) => None,
        };
        let begun = match begun {
            Some(begun) => begun,
            None => begins_late(&mut reader, replica).await?,
        };
        if !begun {
            return Ok(());
        }
        if reader.speaks_http2().await? {
            let (first, from) = reader.into_parts();
            let stream = tokio::io::join(std::io::Cursor::new(first).chain(from), to);
            return Box::pin(grpc::serve(stream, replica)).await;
        }
        let request = reader.request().await?;
        if let (Some(record), "POST") = (&replica.record, request.method.as_str()) {
            record.carried_out(request.field("x-test-request"))?;
        }
        let name = &replica.options.replica;
        if request.path() == "/ws" {
            return open::websocket(&mut reader, &mut to, &request, name, &mut stopping).await;
        }
        if request.path() == "/stream" {
            open::stream(&mut to, &request, name).await?;
            continue;
        }
        if !request.field("upgrade").is_empty() {
            let protocol = request.field("upgrade");
            return stream::echo(&mut reader, &mut to, protocol, name).await;
        }
        let delay_ms = request.number("ms");
        if delay_ms > 0 && request.path() != "/events" {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        let last = *replica.stopping.borrow() || request.field("connection").eq_ignore_ascii_case("close");
        match request.path() {
            "/bytes" => stream::bytes(&request, &mut to, &replica.options.replica, last).await?,
            "/events" => stream::events(&request, &mut to, &replica.options.replica, last).await?,
            _ => to.write_all(answer(&request, replica, last).as_bytes()).await?,
        }
        if last {
            return to.shutdown().await;
        }
    }
}

/// Whether a request comes on a connection that was idle as the sample was told to stop.
async fn begins_late<R: AsyncRead + Unpin>(reader: &mut Reader<R>, replica: &Replica) -> Result<bool> {
    if replica.options.linger.is_zero() {
        return Ok(false);
    }
    tokio::time::timeout(LAST_READ, reader.begin()).await.unwrap_or(Ok(false))
}

fn answer(request: &Request, replica: &Replica, last: bool) -> String {
    let status = match request.path() {
        "/sick" => {
            replica.well.store(false, Ordering::Relaxed);
            "200 OK"
        }
        "/well" => {
            replica.well.store(true, Ordering::Relaxed);
            "200 OK"
        }
        "/health" if !replica.well.load(Ordering::Relaxed) => "503 Service Unavailable",
        _ => "200 OK",
    };
    let Options { service, replica: name, .. } = &replica.options;
    let body = format!(
        "{{\"service\":\"{service}\",\"replica\":\"{name}\",\"request\":\"{id}\",\"method\":\"{method}\",\
         \"bytes\":{bytes},\"sum\":\"{sum:016x}\"}}\n",
        id = request.field("x-test-request"),
        method = request.method,
        bytes = request.body.len(),
        sum = checksum(&request.body),
    );
    let connection = if last { "Connection: close\r\n" } else { "" };
    let length = body.len();
    let body = if request.method == "HEAD" { "" } else { &body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nX-Replica: {name}\r\n\
         {connection}\r\n{body}"
    )
}
