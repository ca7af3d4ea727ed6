//! What runs in the containers of these tests: one static binary without a dependency, built by `rustc` alone.
//!
//! `sample serve [PORT]` answers every connection with 200; after a GET of `/sick` its health check fails, after `/well`
//! it succeeds again. TERM ends it at once, as PID 1 too. `sample health [PORT]` is the check.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

/// What `signal` takes for "ignore it".
const IGNORE: usize = 1;

// SAFETY: as libc declares them, where `sighandler_t` is a pointer.
unsafe extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
    safe fn _exit(code: i32) -> !;
}

extern "C" fn end(_: i32) {
    _exit(0)
}

static SICK: AtomicBool = AtomicBool::new(false);

fn main() {
    // Before anything else: PID 1 ignores a TERM that comes before its handler.
    let handler: extern "C" fn(i32) = end;
    // SAFETY: the handler is a function of the type that is called, lives for ever, and calls nothing but `_exit`, which a
    // handler may call at any time.
    unsafe { signal(15, handler as usize) };
    let arguments: Vec<String> = std::env::args().collect();
    let port = arguments.get(2).map_or("8080", String::as_str);
    match arguments.get(1).map(String::as_str) {
        Some("health") => {
            let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server listens");
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).expect("it answers");
            std::process::exit(i32::from(!answer.ends_with(b"200")));
        }
        Some("deaf") => {
            // SAFETY: no function is called by it.
            unsafe { signal(15, IGNORE) };
            serve(port);
        }
        _ => serve(port),
    }
}

fn serve(port: &str) {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free");
    for stream in listener.incoming().flatten() {
        answer(stream);
    }
}

fn answer(mut stream: TcpStream) {
    let mut head = [0; 4096];
    let Ok(length) = stream.read(&mut head) else { return };
    let head = &head[..length];
    if head.starts_with(b"GET /sick ") {
        SICK.store(true, Ordering::SeqCst);
    } else if head.starts_with(b"GET /well ") {
        SICK.store(false, Ordering::SeqCst);
    }
    let sick = SICK.load(Ordering::SeqCst) && head.starts_with(b"GET /health ");
    let status = if sick { "503 Sick" } else { "200 OK" };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
