//! Upgraded connections when the gateway drains.

use super::fixture::{Fixture, Options, read_to_end, read_until, serve};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const GOING_AWAY: [u8; 4] = [0x88, 2, 3, 0xE9];

/// A client in a tunnel that speaks `protocol`.
fn upgraded(fixture: &Fixture, protocol: &str) -> TcpStream {
    let mut client = fixture.connect();
    write!(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n").unwrap();
    assert!(read_until(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 101 "));
    client
}

/// A target that switches, then does `handle`.
fn switching(protocol: &'static str, handle: impl Fn(TcpStream) + Clone + Send + 'static) -> Fixture {
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        write!(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
            .unwrap();
        handle(stream);
    });
    Fixture::new(Options { targets: vec![target], ..Options::default() })
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_websocket_is_told_between_two_frames_that_the_gateway_goes() {
    let (told, wait) = mpsc::channel::<()>();
    let wait = Arc::new(parking_lot::Mutex::new(wait));
    let (say_closed, closed) = mpsc::channel();
    let fixture = switching("websocket", move |mut stream| {
        stream.write_all(b"\x82\x05fir").unwrap();
        wait.lock().recv().unwrap();
        // The frame's end, another frame, and the beginning of one that never ends.
        stream.write_all(b"st\x82\x02ab\x82\x7dcut").unwrap();
        say_closed.send(read(&mut stream, 8)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let mut client = upgraded(&fixture, "WebSocket");
    assert_eq!(read(&mut client, 5), b"\x82\x05fir");
    let began = Instant::now();
    let talk = tokio::task::spawn_blocking(move || {
        // The drain has begun by now, but the frame has not ended.
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(client.read(&mut [0]).is_err());
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        told.send(()).unwrap();
        assert_eq!(read(&mut client, 6), b"st\x82\x02ab");
        assert_eq!(read(&mut client, 4), GOING_AWAY);
        // A client's Close is masked.
        client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xE9]).unwrap();
        assert_eq!(read_to_end(&mut client), "", "nothing of the target follows");
    });
    fixture.server.drain(Duration::from_secs(20)).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it ended as soon as both had closed");
    talk.await.unwrap();
    assert_eq!(closed.recv().unwrap(), [0x88, 0x82, 0, 0, 0, 0, 3, 0xE9], "the target hears it from the client");
}

#[tokio::test]
async fn a_tunnel_of_another_protocol_is_told_nothing_and_cut_at_the_end() {
    let fixture = switching("chat", |mut stream| drop(stream.read(&mut [0])));
    let mut client = upgraded(&fixture, "chat");
    let began = Instant::now();
    fixture.server.drain(Duration::from_millis(700)).await;
    assert!(began.elapsed() >= Duration::from_millis(700));
    assert_eq!(read_to_end(&mut client), "");
}
