//! Many targets in one process, each with its own latency, each serving one request at a time: who sends a slow one more
//! than it can carry makes a queue, and sees it in the tail. `/counts` on any port says how many requests each had, and
//! begins anew; `/health` is answered at once.

use crate::Options;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// One that answers after its latency, one request at a time.
struct Target {
    listener: TcpListener,
    latency: Duration,
    waiting: VecDeque<u64>,
    busy: bool,
    served: u64,
}

struct Origin {
    epoll: OwnedFd,
    targets: Vec<Target>,
    clients: HashMap<u64, Client>,
    /// When which busy target is done.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
}

struct Client {
    socket: TcpStream,
    target: usize,
    head: Vec<u8>,
}

/// `--port` is the first of `--targets` ports; `--latencies` in ms are dealt out by turns.
pub(crate) fn run(options: &Options) {
    let mut origin = Origin::new(options);
    let mut events = Vec::with_capacity(256);
    loop {
        let wait = origin.due.peek().map(|Reverse((when, _))| when.saturating_duration_since(Instant::now()));
        let timeout = wait.map(|wait| Timespec::try_from(wait).expect("latencies are short"));
        epoll::wait(&origin.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()).ok();
        for event in events.drain(..) {
            let data = event.data;
            match usize::try_from(data.u64()) {
                Ok(target) if target < origin.targets.len() => origin.accept(target),
                _ => origin.read(data.u64()),
            }
        }
        origin.answer_due();
    }
}

impl Origin {
    fn new(options: &Options) -> Self {
        let (first, count) = (options.number("port", 9100_u16), options.number("targets", 100_u16));
        let latencies: Vec<u64> = options.text("latencies", "5,10,20,40").split(',').flat_map(str::parse).collect();
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll");
        let target = |number: u16| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first + number)).expect("a free port");
            listener.set_nonblocking(true).expect("an option");
            epoll::add(&epoll, &listener, EventData::new_u64(number.into()), EventFlags::IN).expect("epoll");
            let latency = Duration::from_millis(latencies[usize::from(number) % latencies.len()]);
            Target { listener, latency, waiting: VecDeque::new(), busy: false, served: 0 }
        };
        let targets = (0..count).map(target).collect();
        Self { epoll, targets, clients: HashMap::new(), due: BinaryHeap::new() }
    }

    fn accept(&mut self, target: usize) {
        let Ok((socket, _)) = self.targets[target].listener.accept() else { return };
        socket.set_nodelay(true).expect("an option");
        // Above all targets' keys. A descriptor comes again only after its client has left the map.
        let key = self.targets.len() as u64 + u64::from(socket.as_raw_fd().unsigned_abs());
        epoll::add(&self.epoll, &socket, EventData::new_u64(key), EventFlags::IN).expect("epoll");
        self.clients.insert(key, Client { socket, target, head: Vec::new() });
    }

    fn read(&mut self, key: u64) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let mut buffer = [0; 4096];
        let read = client.socket.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            self.clients.remove(&key);
            return;
        }
        client.head.extend_from_slice(&buffer[..read]);
        if !client.head.ends_with(b"\r\n\r\n") {
            return;
        }
        if client.head.starts_with(b"GET /health ") {
            client.answer("well");
        } else if client.head.starts_with(b"GET /counts ") {
            let counts: Vec<_> = self.targets.iter_mut().map(|target| std::mem::take(&mut target.served)).collect();
            client.answer(&serde_json::json!(counts).to_string());
        } else {
            let target = client.target;
            self.targets[target].waiting.push_back(key);
            start(&mut self.targets[target], target, &mut self.due);
        }
        client.head.clear();
    }

    fn answer_due(&mut self) {
        while self.due.peek().is_some_and(|Reverse((when, _))| *when <= Instant::now()) {
            let Some(Reverse((_, number))) = self.due.pop() else { break };
            let target = &mut self.targets[number];
            target.busy = false;
            target.served += 1;
            if let Some(client) = target.waiting.pop_front().and_then(|key| self.clients.get_mut(&key)) {
                client.answer("done");
            }
            start(target, number, &mut self.due);
        }
    }
}

impl Client {
    fn answer(&mut self, body: &str) {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        // One that has gone is found out by its next event.
        self.socket.write_all(text.as_bytes()).ok();
    }
}

fn start(target: &mut Target, number: usize, due: &mut BinaryHeap<Reverse<(Instant, usize)>>) {
    if !target.busy && !target.waiting.is_empty() {
        target.busy = true;
        due.push(Reverse((Instant::now() + target.latency, number)));
    }
}
