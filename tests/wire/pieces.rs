//! How bytes are cut says nothing, and what passes through is not changed on the way.

use crate::client::{Client, Pace};
use crate::gateway;
use crate::recorder::Recorder;
use crate::strict::{self, Message, Read};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The gateway gets to read what was sent before.
const PAUSE: Duration = Duration::from_millis(2);

/// All but what names this one request.
fn said(request: &Message) -> (Vec<String>, &[u8]) {
    let lines = request.lines().filter(|line| !line.starts_with(b"X-Kong-Request-Id:"));
    (lines.map(|line| line.escape_ascii().to_string()).collect(), &request.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_cut_in_two_anywhere_is_the_same_request() {
    let target = Recorder::start().await;
    let gateway = gateway::start(target.address.port()).await;
    let request =
        b"POST /a HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 2\r\n\r\n";
    let whole = {
        let mut client = Client::connect(gateway.address).await;
        client.talk(request, Pace::Whole, false, &[false]).await.expect("it is answered");
        target.take().await.requests.remove(0)
    };
    for cut in 1..request.len() {
        let mut stream = TcpStream::connect(gateway.address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.write_all(&request[..cut]).await.expect("it is read");
        tokio::time::sleep(PAUSE).await;
        stream.write_all(&request[cut..]).await.expect("it is read");
        let mut answer = Vec::new();
        while !matches!(strict::response(&answer, false, false), Read::Whole(_)) {
            assert!(stream.read_buf(&mut answer).await.expect("it is answered") > 0, "{}", answer.escape_ascii());
        }
        let got = target.take().await;
        assert!(got.faults.is_empty() && got.requests.len() == 1, "cut at {cut}: {got:?}");
        assert_eq!(said(&got.requests[0]), said(&whole), "cut at {cut}");
    }
}

/// Status, reason, fields with their case and order, doubles and odd bytes, body: all is the target's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_passed_on_as_the_target_gave_it() {
    let fields = "X-b: 2\r\nx-A: 1\r\nSET-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nX-b:  3 \t\r\nServer: its own\r\n\
                  Date: Thu, 26 Nov 2026 10:00:00 GMT\r\nETag: W/\"x\"\r\nX-Empty:\r\nContent-Encoding: gzip\r\n";
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let framings = [
        (format!("Content-Length: {}\r\n", body.len()), body.clone()),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            [format!("{:x};x=y\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat(),
        ),
    ];
    for (framing, framed) in framings {
        let answer = [b"HTTP/1.1 299 Quite Fine\r\n", fields.as_bytes(), framing.as_bytes(), b"\r\n", &framed].concat();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let gateway = gateway::start(listener.local_addr().expect("it is bound").port()).await;
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("it is asked");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut asked).await.expect("it is asked") > 0);
            }
            stream.write_all(&answer).await.expect("it is read");
            stream
        });
        let mut client = Client::connect(gateway.address).await;
        let request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        let got = client.talk(request, Pace::Whole, false, &[false]).await.expect("it is answered").remove(0);
        drop(serving.await.expect("it was asked"));
        assert!(got.head.starts_with(b"HTTP/1.1 299 Quite Fine\r\n"), "{}", got.head.escape_ascii());
        let own = ["content-length", "transfer-encoding", "via", "connection", "x-kong-upstream-latency"];
        let of = |name: &str| !own.contains(&name) && !name.starts_with("x-plimsoll-") && !name.starts_with("x-kong-");
        let kept: Vec<_> = got.fields.iter().filter(|(name, _)| of(name)).cloned().collect();
        let sent: Vec<_> = fields
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()))
            .collect();
        assert_eq!(kept, sent, "{}", got.head.escape_ascii());
        for line in ["X-b: 2", "x-A: 1", "SET-Cookie: a=1; Path=/"] {
            assert!(got.lines().any(|have| have == line.as_bytes()), "{line}: {}", got.head.escape_ascii());
        }
        assert!(got.body == body, "{framing}");
    }
}
