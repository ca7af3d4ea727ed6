//! Clients that misbehave meanwhile. Nobody counts what becomes of them; they must not disturb the others. Those that get
//! as far as a request ask for a service of their own, so that the other's books stay clean.

use fastrand::Rng;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The host of requests that do not count.
pub(crate) const HOST: &str = "noise.test";
/// The most of them at a time.
const OPEN_MAX: usize = 60;
/// 3 s: none of them stays longer.
const STAYS: Duration = Duration::from_secs(3);

/// Until told to stop, one after another.
pub(crate) async fn run(seed: u64, address: SocketAddr, mut stopped: watch::Receiver<bool>) {
    let mut random = Rng::with_seed(!seed);
    let mut clients = JoinSet::new();
    loop {
        let pause = Duration::from_millis(random.u64(20..400));
        tokio::select! {
            _ = stopped.changed() => break,
            () = sleep(pause) => {}
        }
        while clients.try_join_next().is_some() {}
        if clients.len() < OPEN_MAX {
            let random = random.fork();
            // However it ends is right.
            clients.spawn(async move { drop(timeout(STAYS, misbehave(random, address)).await) });
        }
    }
    while clients.join_next().await.is_some() {}
}

async fn misbehave(mut random: Rng, address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    match random.u8(..8) {
        // Bytes that are no request.
        0 => {
            let length = random.usize(1..4096);
            let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
            stream.write_all(&garbage).await?;
            read_slowly(stream, Duration::ZERO).await
        }
        // HTTP/2 that goes wrong.
        1 => {
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
            let length = random.usize(1..2048);
            let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
            stream.write_all(&garbage).await?;
            read_slowly(stream, Duration::ZERO).await
        }
        // Half a head, and silence.
        2 => {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: noi").await?;
            sleep(STAYS).await;
            Ok(())
        }
        // Half a body, then a reset.
        3 => {
            let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\nbegun");
            stream.write_all(head.as_bytes()).await?;
            sleep(Duration::from_millis(random.u64(..1000))).await;
            stream.set_zero_linger()
        }
        // Who reads a long answer in drops.
        4 => {
            let head = format!("GET /bytes?n=8000000&seed=1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            read_slowly(stream, Duration::from_millis(20)).await
        }
        // Who leaves before the answer.
        5 => {
            let head = format!("GET /?ms=300 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            sleep(Duration::from_millis(random.u64(..300))).await;
            stream.set_zero_linger()
        }
        // Many that connect and go.
        6 => {
            for _ in 0..random.u8(10..80) {
                drop(TcpStream::connect(address).await?);
            }
            Ok(())
        }
        // More requests at once than anybody answers at once, and none of the answers read.
        _ => {
            let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            stream.write_all(request.repeat(random.usize(2..200)).as_bytes()).await?;
            sleep(Duration::from_millis(random.u64(..1000))).await;
            Ok(())
        }
    }
}

async fn read_slowly(mut stream: TcpStream, pause: Duration) -> std::io::Result<()> {
    let mut space = [0; 1024];
    while stream.read(&mut space).await? > 0 {
        sleep(pause).await;
    }
    Ok(())
}
