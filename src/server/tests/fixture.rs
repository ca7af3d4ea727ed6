//! A server with one service, and targets that do as they are told.

use crate::proxy::worker::Shared;
use crate::server::{Server, ServerOptions};
use crate::snapshot::{ConnectProfile, HostRule, Listener, Route, Service, Settings, Snapshot};
use crate::telemetry::clock;
use crate::telemetry::{Telemetry, TelemetryOptions, place_json};
use ipnet::IpNet;
use plimsoll_core::config::{AddedHeaders, Document, Http2, Limits, Protocol, Timeouts};
use plimsoll_core::health::CheckRules;
use plimsoll_core::limits::Rate;
use plimsoll_core::model::{Causes, TargetId, UpstreamId};
use plimsoll_core::plan::{Input, Names, plan};
use plimsoll_core::protocol::HeadLimits;
use plimsoll_core::router::{Router, Rules};
use plimsoll_core::upstream::{
    HedgeLimits, Member, Pool, PoolOptions, RetryLimits, Signal, Target, Upstream, WaitLimits, balancer,
};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Quiet;

impl Signal for Quiet {
    fn upstream_changed(&self, _id: &UpstreamId) {}
}

/// What may be varied.
pub(super) struct Options {
    pub(super) targets: Vec<SocketAddr>,
    pub(super) fed: bool,
    pub(super) hold: Option<WaitLimits>,
    pub(super) max_concurrency: Option<u32>,
    pub(super) queue: Option<WaitLimits>,
    pub(super) retry_budget: Option<RetryLimits>,
    pub(super) hedging: Option<HedgeLimits>,
    pub(super) passive: Option<CheckRules>,
    pub(super) timeouts: Timeouts,
    pub(super) limits: Limits,
    pub(super) connect_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) protocol: Protocol,
    pub(super) proxy_protocol: bool,
    pub(super) trusted: Vec<IpNet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            fed: false,
            hold: None,
            max_concurrency: None,
            queue: None,
            retry_budget: None,
            hedging: None,
            passive: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            protocol: Protocol::Http,
            proxy_protocol: false,
            trusted: Vec::new(),
        }
    }
}

/// A server under test.
pub(super) struct Fixture {
    pub(super) server: Server,
    pub(super) address: SocketAddr,
    pub(super) upstream: Arc<Upstream>,
    options: Options,
}

pub(super) fn target(address: SocketAddr, fed: bool) -> Arc<Target> {
    let name: Arc<str> = address.to_string().into();
    let id = TargetId { provider: "test".into(), id: name.clone(), incarnation: "".into(), port: address.port() };
    Target::new(id, address, name.clone(), name, fed, Causes::NONE)
}

impl Fixture {
    /// A server before these targets.
    pub(super) fn new(options: Options) -> Self {
        let telemetry = Telemetry::new(TelemetryOptions::default());
        let upstream = Upstream::new(UpstreamId::document("web"), "web".into(), Arc::new(Quiet));
        let snapshot = snapshot(&telemetry, &upstream, &options);
        let shared = Arc::new(Shared::new(Arc::new(snapshot), telemetry, "plimsoll-test".into()));
        let server_options = ServerOptions { workers: 2, cpu_affinity: false, seed: 7 };
        let server = Server::start(server_options, shared).unwrap();
        let address = server.listen(&"http".into(), "127.0.0.1:0".parse().unwrap(), &[], 0).unwrap().address;
        let fixture = Self { server, address, upstream, options };
        fixture.publish(&fixture.options.targets.iter().map(|a| target(*a, fixture.options.fed)).collect::<Vec<_>>());
        fixture
    }

    /// Makes these the pool.
    pub(super) fn publish(&self, targets: &[Arc<Target>]) {
        let members = targets.iter().map(|t| Member { target: Arc::clone(t), weight: 100 }).collect();
        let options = PoolOptions {
            generation: 1,
            algorithm: balancer("round-robin").unwrap(),
            members,
            fed: self.options.fed,
            hold: self.options.hold,
            grace: Duration::from_secs(60),
            threshold: 0.0,
            passive: self.options.passive.clone(),
            max_concurrency: self.options.max_concurrency,
            queue: self.options.queue,
            retry_budget: self.options.retry_budget,
            hedging: self.options.hedging,
            outlier: None,
            slow_start: None,
        };
        let old = self.upstream.pool();
        let pool = Pool::build(options, Some(&old), clock::moment());
        drop(old);
        drop(self.upstream.publish(Arc::new(pool)));
    }

    /// Makes targets at these addresses the pool.
    pub(super) fn publish_addresses(&self, addresses: &[SocketAddr]) {
        self.publish(&addresses.iter().map(|a| target(*a, self.options.fed)).collect::<Vec<_>>());
    }

    /// A connection to the server.
    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends bytes on a new connection and reads to the end.
    pub(super) fn talk(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        read_to_end(&mut stream)
    }
}

impl Fixture {
    /// As [`Self::talk`], where the connection may be refused.
    pub(super) fn talk_or_nothing(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        let mut all = Vec::new();
        let result = stream.write_all(bytes.as_bytes()).and_then(|()| stream.read_to_end(&mut all));
        result.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&all).into_owned())
    }
}

impl Fixture {
    /// A value of its metrics, summed over what else they are labelled by.
    pub(super) fn metric(&self, begins: &str) -> f64 {
        let text = self.server.shared.telemetry.render(clock::moment());
        let values = text.lines().filter(|line| line.starts_with(begins)).filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// Waits until that value is `expected`: a client may know of an answer before it is counted.
    pub(super) fn until_metric(&self, begins: &str, expected: f64) {
        let began = Instant::now();
        while self.metric(begins) != expected {
            assert!(began.elapsed() < Duration::from_secs(5), "{begins}: {}, not {expected}", self.metric(begins));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Everything until the end of the stream.
pub(super) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

/// Everything until `end` has come.
pub(super) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    let mut byte = [0];
    while !all.ends_with(end.as_bytes()) {
        match stream.read(&mut byte) {
            Ok(1) => all.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// A target that handles each connection with `handle`, in a thread of its own.
pub(super) fn serve(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, handle) = (stream.unwrap(), handle.clone());
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            std::thread::spawn(move || handle(stream));
        }
    });
    address
}

/// A target that answers every head with these bytes, on connections that it keeps.
pub(super) fn answering(answer: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => seen.extend_from_slice(&buffer[..count]),
            }
            while let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                seen.drain(..end + 4);
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    })
}

/// An address at which nobody listens.
pub(super) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An address where connections are never refused and never come about: the queue of who listens there is full.
pub(super) fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let mut held = vec![socket()];
    held[0].bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    held[0].listen(0).unwrap();
    let address = held[0].local_addr().unwrap();
    // One is queued; what comes after it, and the first word of it, is dropped.
    for _ in 0..2 {
        let client = socket();
        let _refused = client.connect_timeout(&address, Duration::from_millis(100));
        held.push(client);
    }
    (address.as_socket().unwrap(), held)
}

fn snapshot(telemetry: &Arc<Telemetry>, upstream: &Arc<Upstream>, options: &Options) -> Snapshot {
    let service = Arc::new(Service {
        name: "web".into(),
        series: telemetry.service("web"),
        protocol: options.protocol,
        path: None,
        retries: 5,
        connect_timeout: options.connect_timeout,
        write_timeout: options.write_timeout,
        read_timeout: options.read_timeout,
        upstream: Arc::clone(upstream),
        upstream_series: telemetry.upstream("web"),
        host: HostRule::Target,
        connect: ConnectProfile { hash: 1, tls: None, http2: options.protocol.is_grpc() },
        unresolved: false,
    });
    let rules = Rules {
        hosts: Vec::new(),
        paths: vec!["/".into()],
        methods: Vec::new(),
        headers: Vec::new(),
        snis: Vec::new(),
        regex_priority: 0,
        tier: 0,
        enabled: true,
    };
    let route = Route {
        name: "all".into(),
        series: telemetry.route("web", "all"),
        logged: place_json("all", "web", "web"),
        service: Some(Arc::clone(&service)),
        https_redirect: None,
        strip_path: true,
        preserve_host: false,
        path_v1: false,
    };
    let listener = Listener {
        name: "http".into(),
        series: telemetry.listener("http"),
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        http2: true,
        proxy_protocol: options.proxy_protocol,
    };
    let limits = &options.limits;
    let settings = Settings {
        head_limits: HeadLimits {
            request_line: limits.request_line as usize,
            headers: limits.request_headers as usize,
            count: usize::from(limits.request_header_count),
        },
        limits: limits.clone(),
        timeouts: options.timeouts.clone(),
        http2: Http2::default(),
        headers: AddedHeaders { via: false, server: true, latency: false, request_id: false },
        request_rate: limits.requests_per_client.map(|limit| Rate::new(limit.rate, limit.per, limit.burst)),
        trusted_proxies: options.trusted.clone(),
    };
    let document = Document::default();
    let plan = plan(Input { document: &document, facts: &[], names: &Names::default(), own_ips: &[], doors: None });
    Snapshot {
        generation: 1,
        router: Arc::new(Router::compile(&[rules]).unwrap()),
        routes: vec![Arc::new(route)],
        services: [(Arc::clone(&service.name), service)].into_iter().collect(),
        settings: Arc::new(settings),
        listeners: [("http".into(), Arc::new(listener))].into_iter().collect(),
        plan: Arc::new(plan),
    }
}
