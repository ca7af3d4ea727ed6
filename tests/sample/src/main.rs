//! The sample in a container. `sample` serves; `sample health` is its HEALTHCHECK; `sample sick` and `sample well` turn that
//! off and on; `sample hold` reads numbers, one a line, and holds so many MiB of memory until its input ends. Settings come from the environment:
//! `PORT` (8000), `SERVICE` (web), `REPLICA` (the host name), `LINGER_MS` (500), `START_MS` (0: listen at once),
//! `RECORD` (no folder: POSTs are not recorded).

use plimsoll_sample::{Options, serve};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<ExitCode> {
    // Before anything else: PID 1 ignores a TERM that it has no handler for.
    let mut term = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        term.recv().await;
        stop.send_replace(true);
    });
    let port = number("PORT", 8000);
    let command = std::env::args().nth(1);
    if command.as_deref() == Some("hold") {
        return hold();
    }
    if let Some(path) = command {
        return ask(port, &path).await;
    }
    tokio::time::sleep(Duration::from_millis(number("START_MS", 0))).await;
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let options = Options {
        service: text("SERVICE", "web"),
        replica: text("REPLICA", host.trim()),
        linger: Duration::from_millis(number("LINGER_MS", 500)),
        record: std::env::var_os("RECORD").map(Into::into),
    };
    serve(TcpListener::bind(format!("0.0.0.0:{port}")).await?, options, stopped).await?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(port: u64, path: &str) -> std::io::Result<ExitCode> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: sample\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(if answer.starts_with(b"HTTP/1.1 200") { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn hold() -> std::io::Result<ExitCode> {
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        let wanted = line?.trim().parse().map_err(std::io::Error::other)?;
        // Written to, or the kernel gives none.
        held.resize_with(wanted, || std::hint::black_box(vec![1_u8; 1 << 20]));
        writeln!(std::io::stdout(), "{wanted}")?;
    }
    drop(held);
    Ok(ExitCode::SUCCESS)
}

fn text(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}
