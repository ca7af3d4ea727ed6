//! Accepts, speaks HTTP/1 and HTTP/2 without TLS, and ends well.

use super::answer::{Replica, answer};
use super::{SampleArgs, default_name, default_port};
use anyhow::Context;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Still accepting after TERM: by then everyone who balances over us knows that we go.
const LINGER: Duration = Duration::from_millis(500);
/// What is in flight then has so long.
const FINISH: Duration = Duration::from_secs(60);
/// How HTTP/2 begins. No method of HTTP/1 begins so.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// Serves until TERM or INT.
pub(super) async fn serve(args: SampleArgs) -> anyhow::Result<()> {
    // Before anything else: process 1 of a container ignores signals without a handler.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    sleep(Duration::from_millis(args.start_delay_ms)).await;

    let address = SocketAddr::from((args.address, args.port.unwrap_or_else(default_port)));
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let replica = Arc::new(Replica::new(args.name.unwrap_or_else(default_name)));
    say(&replica, listener.local_addr()?);

    let (connections, finish) = (TaskTracker::new(), CancellationToken::new());
    let take = |stream: TcpStream| {
        connections.spawn(speak(stream, Arc::clone(&replica), finish.clone()));
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted { take(stream) },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    if args.abrupt {
        return Ok(());
    }
    replica.stop();
    let linger = sleep(LINGER);
    tokio::pin!(linger);
    loop {
        tokio::select! {
            // What is queued is taken even when the time is over.
            biased;
            accepted = listener.accept() => if let Ok((stream, _)) = accepted { take(stream) },
            () = &mut linger => break,
        }
    }
    drop(listener);
    finish.cancel();
    connections.close();
    timeout(FINISH, connections.wait()).await.ok();
    Ok(())
}

async fn speak(stream: TcpStream, replica: Arc<Replica>, finish: CancellationToken) {
    stream.set_nodelay(true).ok();
    let http2 = is_http2(&stream).await;
    let service = service_fn(move |request| {
        let replica = Arc::clone(&replica);
        async move { Ok::<_, Infallible>(answer(&replica, request).await) }
    });
    let io = TokioIo::new(stream);
    // How a client leaves is its business: errors of connections are not ours to tell.
    if http2 {
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
        tokio::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = finish.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.ok();
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        let connection = builder.timer(TokioTimer::new()).serve_connection(io, service);
        tokio::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = finish.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.ok();
    }
}

async fn is_http2(stream: &TcpStream) -> bool {
    let mut start = [0; 4];
    loop {
        match stream.peek(&mut start).await {
            Ok(count @ 1..4) if start.get(..count) == HTTP2_PREFACE.get(..count) => {
                // The rest of the word has not come yet, and peeking again would return at once.
                sleep(Duration::from_millis(2)).await;
            }
            Ok(4) => return start == HTTP2_PREFACE,
            _ => return false,
        }
    }
}

#[expect(clippy::print_stderr, reason = "this command's log")]
fn say(replica: &Replica, address: SocketAddr) {
    eprintln!("{} listens on {address}", replica.name);
}
