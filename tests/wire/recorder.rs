//! A target that keeps every byte, reads it with the strict reader, and notes what no honest gateway sends: half a
//! request that stays, a second request before the first is answered, bytes that are no request.

use crate::strict::{self, Message, Read};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// 10 s: how long what is begun may take to come to an end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Whole requests, in order.
    pub(crate) requests: Vec<Message>,
    /// All bytes of whole requests.
    pub(crate) bytes: Vec<u8>,
    /// Requests that were begun and given up.
    pub(crate) cut: usize,
    /// What must not be.
    pub(crate) faults: Vec<String>,
    /// Connections in the middle of a request.
    begun: usize,
}

/// The target; it ends when it is dropped.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    record: Arc<Mutex<Record>>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    /// Answers each request 200 with `X-Target` as the body.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("it is bound");
        let record = Arc::new(Mutex::new(Record::default()));
        let shared = Arc::clone(&record);
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, record, task }
    }

    /// What came since the last call, once nothing is half-way.
    pub(crate) async fn take(&self) -> Record {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            {
                let mut record = self.record.lock();
                let late = tokio::time::Instant::now() > deadline;
                if late {
                    record.faults.push("a request that was begun neither went on nor ended".to_owned());
                }
                if record.begun == 0 || late {
                    let begun = record.begun;
                    return std::mem::replace(&mut *record, Record { begun, ..Record::default() });
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The answer to a request: its body is the request's target, so that a client knows whose it got.
pub(crate) fn answer(request: &Message) -> Vec<u8> {
    let body = if request.method == "HEAD" { "" } else { &request.target };
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", request.target.len()).into_bytes()
}

async fn serve(mut stream: TcpStream, record: Arc<Mutex<Record>>) {
    let mut bytes = Vec::new();
    loop {
        let mut continued = false;
        let request = loop {
            match strict::request(&bytes) {
                Read::Whole(request) => break request,
                Read::Bad(problem) => {
                    let mut record = record.lock();
                    record.faults.push(format!("{problem}: {}", bytes.escape_ascii()));
                    record.begun -= 1;
                    return;
                }
                Read::Part(head) => {
                    if head.is_some_and(|head| head.all("expect").next().is_some()) && !continued {
                        continued = true;
                        // Whoever is gone is seen by the next read.
                        drop(stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await);
                    }
                }
            }
            let before = bytes.len();
            let read = stream.read_buf(&mut bytes).await;
            let mut record = record.lock();
            match read {
                Ok(count) if count > 0 => record.begun += usize::from(before == 0),
                _ => {
                    record.cut += usize::from(before > 0);
                    record.begun -= usize::from(before > 0);
                    return;
                }
            }
        };
        // A gateway that sends two at once would have sent the second by now.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let surplus = stream.try_read_buf(&mut bytes).is_ok_and(|count| count > 0) || bytes.len() > request.length;
        {
            let mut record = record.lock();
            if surplus {
                record.faults.push(format!("more than one request at a time: {}", bytes.escape_ascii()));
            }
            record.bytes.extend_from_slice(&bytes[..request.length]);
            record.requests.push(request.clone());
            record.begun -= 1;
        }
        bytes.clear();
        if surplus || stream.write_all(&answer(&request)).await.is_err() {
            return;
        }
    }
}
