//! The loop: requests when they are due, answers when they come.

use crate::connection::Connection;
use crate::http1::{Answers, Http1};
use crate::http2::Http2;
use crate::{Options, stop, tls};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use rustls::ClientConfig;
use serde_json::json;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after the last request was due answers are waited for.
const GRACE: Duration = Duration::from_secs(5);
/// Failures before a run is given up: what is still due then counts as failed, too.
const FAILURES_MAX: u64 = 1000;
/// Idle connections that are opened at a time.
const OPENING_MAX: usize = 64;
const TIMER: u64 = u64::MAX;

struct Load {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    http2: bool,
    fresh: bool,
    requests: Vec<Vec<u8>>,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    /// Connections that may take a request: HTTP/2's once for each stream.
    free: VecDeque<usize>,
    sent: usize,
    latencies: Vec<Duration>,
    resumed: u64,
    failed: u64,
}

/// `--rate` requests a second for `--seconds`; without a rate each connection's next when the last was answered.
pub(crate) fn run(options: &Options) -> serde_json::Value {
    let mut load = Load::new(options);
    for slot in 0..load.connections.len() {
        if !load.fresh {
            load.open(slot).unwrap_or_else(|error| stop(&format!("connection {slot}: {error}")));
        }
    }
    let (rate, length) = (options.number("rate", 0.0_f64), Duration::from_secs_f64(options.number("seconds", 3.0)));
    let gap = (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate));
    let timer = load.timer();
    let begin = Instant::now();
    let end = begin + length;
    let (mut numbers, mut armed) = (0_u32, begin);
    let mut events = Vec::with_capacity(256);
    while load.failed <= FAILURES_MAX {
        let now = Instant::now();
        let due = gap.map_or(now, |gap| begin + gap * numbers);
        if due < end && due <= now && !load.free.is_empty() {
            numbers += 1;
            load.send(due);
            continue;
        }
        if (due >= end && load.in_flight() == 0) || now > end + GRACE {
            break;
        }
        // Without a free connection an answer comes first.
        let wake = if due < end && due > now { due } else { end + GRACE };
        if armed != wake {
            arm(&timer, wake - now);
            armed = wake;
        }
        load.wait(&mut events);
    }
    let due_in_all = gap.map_or(0, |gap| (length.as_nanos() / gap.as_nanos()).try_into().unwrap_or(u64::MAX));
    load.report(begin.elapsed(), due_in_all)
}

/// Opens `--connections`, asks once on each, says so, and keeps them until stdin ends.
pub(crate) fn idle(options: &Options) {
    let mut load = Load::new(options);
    let mut events = Vec::with_capacity(256);
    for _ in 0..load.connections.len() {
        load.send(Instant::now());
        while load.in_flight() >= OPENING_MAX {
            load.wait(&mut events);
        }
    }
    while load.in_flight() > 0 {
        load.wait(&mut events);
    }
    println!("{}", load.report(Duration::ZERO, 0));
    let mut rest = Vec::new();
    io::stdin().read_to_end(&mut rest).expect("stdin can be read");
}

impl Load {
    fn new(options: &Options) -> Self {
        let streams = options.number("h2", 0_usize);
        let (http2, fresh) = (streams > 0, options.is("fresh"));
        let slots = options.number("connections", 64_usize);
        let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        let bytes = options.number("upload", 0);
        let of = |host: &str, path: &str| {
            if http2 { Http2::block(host, path) } else { Http1::request(host, path, bytes, fresh) }
        };
        let file = options.text("requests", "");
        let requests = if file.is_empty() {
            vec![of(&options.text("host", "bench.test"), &options.text("path", "/"))]
        } else {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| stop(&format!("{file}: {error}")));
            text.lines().filter_map(|line| line.split_once(' ')).map(|(host, path)| of(host, path)).collect()
        };
        Self {
            address: (Ipv4Addr::LOCALHOST, options.number("port", 0)).into(),
            tls: (http2 || options.is("tls")).then(|| tls::config(protocol, options.is("resume"))),
            http2,
            fresh,
            requests,
            epoll: epoll::create(CreateFlags::CLOEXEC).expect("an epoll"),
            connections: (0..slots).map(|_| None).collect(),
            free: (0..streams.max(1)).flat_map(|_| 0..slots).collect(),
            sent: 0,
            latencies: Vec::with_capacity(1 << 20),
            resumed: 0,
            failed: 0,
        }
    }

    /// Wakes the loop so that requests go out on time: an epoll's own timeout is in milliseconds. Edge-triggered, so
    /// nobody has to read it.
    fn timer(&self) -> OwnedFd {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK).expect("a timer");
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET).expect("epoll");
        timer
    }

    fn open(&mut self, slot: usize) -> io::Result<()> {
        let connection = Connection::open(self.address, self.tls.as_ref(), self.http2)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &connection.socket, EventData::new_u64(slot as u64), flags).expect("epoll");
        self.connections[slot] = Some(connection);
        Ok(())
    }

    fn send(&mut self, due: Instant) {
        let Some(slot) = self.free.pop_front() else { return };
        if self.connections[slot].is_none()
            && let Err(error) = self.open(slot)
        {
            self.sent += 1;
            self.fail(&error.to_string());
            self.free.push_back(slot);
            return;
        }
        // Spread over all requests without an order that a cache could follow; the same in every run.
        let request = &self.requests[self.sent.wrapping_mul(2_654_435_761) % self.requests.len()];
        self.sent += 1;
        let Some(connection) = &mut self.connections[slot] else { return };
        if let Err(error) = connection.send(request, due) {
            self.end(slot, &error.to_string());
        }
    }

    fn wait(&mut self, events: &mut Vec<Event>) {
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), None).ok();
        let mut buffer = [0; 64 << 10];
        let mut answers = Answers::new();
        for event in events.drain(..) {
            let data = event.data;
            let Ok(slot) = usize::try_from(data.u64()) else { continue };
            let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_mut) else { continue };
            let result = connection.ready(&mut buffer, &mut answers);
            let now = Instant::now();
            for (stream, right) in answers.drain(..) {
                let Some(due) = connection.in_flight.remove(&stream) else { continue };
                if right {
                    self.latencies.push(now - due);
                } else {
                    self.failed += 1;
                }
                self.free.push_back(slot);
            }
            match result {
                Err(error) => self.end(slot, &error.to_string()),
                Ok(()) if self.fresh && connection.in_flight.is_empty() => self.end(slot, "it is done"),
                Ok(()) => {}
            }
        }
    }

    /// A connection has ended: with requests in flight it has failed them, else it was closed while idle.
    fn end(&mut self, slot: usize, why: &str) {
        let Some(connection) = self.connections[slot].take() else { return };
        self.resumed += u64::from(connection.is_resumed());
        for _ in connection.in_flight {
            self.fail(why);
            self.free.push_back(slot);
        }
    }

    fn fail(&mut self, why: &str) {
        if self.failed == 0 {
            eprintln!("the first request that failed: {why}");
        }
        self.failed += 1;
    }

    fn in_flight(&self) -> usize {
        self.sent - self.latencies.len() - usize::try_from(self.failed).unwrap_or(usize::MAX)
    }

    /// Requests that were due and never answered count as failed, not as absent; and what failed is slower than all that
    /// was answered: a percentile that lies among failures is `null`, which stands for infinity.
    fn report(&mut self, wall: Duration, due: u64) -> serde_json::Value {
        self.failed += self.in_flight() as u64;
        self.latencies.sort_unstable();
        let answered = self.latencies.len() as u64;
        let failed = self.failed.max(due.saturating_sub(answered));
        let micros = |share| percentile(&self.latencies, failed, share).map(|latency| latency.as_secs_f64() * 1e6);
        json!({
            "answered": answered, "failed": failed, "resumed": self.resumed, "seconds": wall.as_secs_f64(),
            "p50_us": micros(0.5), "p99_us": micros(0.99), "p999_us": micros(0.999), "max_us": micros(1.0),
        })
    }
}

/// Of those answered, sorted, and so many that failed after them. `None`: it is one of these, or there are none at all.
fn percentile(answered: &[Duration], failed: u64, share: f64) -> Option<Duration> {
    let all = answered.len() as u64 + failed;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into what is there")]
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    let at = (all as f64 * share).ceil() as usize;
    answered.get(at.saturating_sub(1)).copied()
}

fn arm(timer: &OwnedFd, wait: Duration) {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let it_value = Timespec::try_from(wait.max(Duration::from_nanos(1))).expect("runs are short");
    let spec = Itimerspec { it_interval: zero, it_value };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &spec).expect("a timer can be set");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_failed_are_slower_than_all_that_were_answered() {
        let answered: Vec<_> = (1..=98).map(Duration::from_millis).collect();
        let check = |failed, share, expected: Option<u64>| {
            let found = percentile(&answered, failed, share);
            assert_eq!(found, expected.map(Duration::from_millis), "{share} with {failed} failed");
        };
        check(0, 0.5, Some(49));
        check(0, 0.99, Some(98));
        check(1, 0.99, None);
        check(2, 0.98, Some(98));
        check(2, 0.99, None);
        check(2, 0.5, Some(50));
        assert_eq!(percentile(&[], 0, 0.5), None);
    }
}
