//! What is sent when, with what body, and what is done to the replicas when: a pure function of the seed. Neither depends
//! on how long a run is, so that a longer run begins as a shorter one did.

use crate::named::{NAME, NAMED};
use crate::traffic::HOST;
use fastrand::Rng;

/// Where replicas run, which decides what can be done to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// Local processes that the gateway starts.
    Processes,
    /// Containers of an engine.
    Containers,
}

/// What kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A GET on a connection kept alive, at once or after some time.
    Get,
    /// The same on a connection of its own.
    FreshGet,
    /// A POST of up to 32 KiB.
    Post,
    /// The same on a connection of its own.
    FreshPost,
    /// A POST of some MiB.
    Upload,
    /// An answer of some MiB.
    Download,
    /// An answer that comes event by event.
    Events,
    /// A connection that stops speaking HTTP, and echoes.
    Upgrade,
    /// A WebSocket that stays for some seconds, or until it is told to go.
    Socket,
    /// A GET to the upstream that is found by its name.
    NamedGet,
    /// A POST to it, on a connection of its own.
    NamedPost,
    /// A GET as a stream of HTTP/2, without TLS.
    Http2Get,
    /// A POST so.
    Http2Post,
    /// Events so, which end with a trailer, as gRPC's answers do.
    Http2Events,
    /// A GET as a stream of HTTP/2, over TLS.
    TlsGet,
    /// A POST so.
    TlsPost,
    /// A call of gRPC that is answered by one message.
    Call,
    /// One that is answered by a stream of messages.
    CallStream,
}

/// Every kind, and how many of so many requests it is.
const MIX: [(u32, Kind); 18] = [
    (24, Kind::Get),
    (10, Kind::FreshGet),
    (18, Kind::Post),
    (8, Kind::FreshPost),
    (1, Kind::Upload),
    (3, Kind::Download),
    (4, Kind::Events),
    (4, Kind::Upgrade),
    (2, Kind::Socket),
    (6, Kind::NamedGet),
    (4, Kind::NamedPost),
    (8, Kind::Http2Get),
    (8, Kind::Http2Post),
    (3, Kind::Http2Events),
    (3, Kind::TlsGet),
    (3, Kind::TlsPost),
    (6, Kind::Call),
    (3, Kind::CallStream),
];

impl Kind {
    /// Whether it must not be carried out twice.
    pub(crate) const fn is_post(self) -> bool {
        let is_plain = matches!(self, Self::Post | Self::FreshPost | Self::Upload | Self::NamedPost);
        is_plain || self.is_call() || matches!(self, Self::Http2Post | Self::TlsPost)
    }

    /// Whether it is gRPC.
    pub(crate) const fn is_call(self) -> bool {
        matches!(self, Self::Call | Self::CallStream)
    }

    /// Whether its answer is cut by a reset of HTTP/2, which may overtake the answer's head.
    pub(crate) const fn may_be_reset(self) -> bool {
        self.is_call() || matches!(self, Self::Http2Events)
    }

    /// The service that it asks.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::NamedGet | Self::NamedPost => NAMED,
            _ if self.is_call() => "calls",
            _ => "web",
        }
    }

    /// The host that it asks for.
    pub(crate) const fn host(self) -> &'static str {
        if matches!(self, Self::NamedGet | Self::NamedPost) { NAME } else { HOST }
    }

    /// Whether it stops speaking HTTP.
    pub(crate) const fn is_tunnel(self) -> bool {
        matches!(self, Self::Upgrade | Self::Socket)
    }

    /// Whether its answer may be under way for long.
    pub(crate) const fn is_long(self) -> bool {
        self.is_tunnel() || matches!(self, Self::Download | Self::Events | Self::Http2Events | Self::CallStream)
    }

    /// Whether it goes over a connection that others do not use.
    pub(crate) const fn is_fresh(self) -> bool {
        self.is_tunnel() || matches!(self, Self::FreshGet | Self::FreshPost | Self::NamedPost)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its name, too.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// Bytes of its body, or of the answer's.
    pub(crate) size: usize,
    /// Whether its body is sent in chunks; a call, over TLS.
    pub(crate) chunked: bool,
    /// Events, or pieces that are echoed; a WebSocket stays for so many pauses.
    pub(crate) count: u32,
    /// Before the answer, or between its parts.
    pub(crate) pause_ms: u64,
    /// What its bytes are generated from.
    pub(crate) seed: u64,
}

impl Request {
    pub(crate) fn of(seed: u64, number: u32) -> Self {
        let mut random = Rng::with_seed(seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let all: u32 = MIX.iter().map(|(weight, _)| weight).sum();
        let mut at = random.u32(..all);
        let picked = MIX.into_iter().find(|(weight, _)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let kind = picked.map_or(Kind::Get, |(_, kind)| kind);
        let size = match kind {
            Kind::Upload => random.usize(1 << 20..4 << 20),
            Kind::Download => random.usize(64 << 10..3 << 20),
            Kind::Upgrade => random.usize(1..4 << 10),
            _ if kind.is_post() => random.usize(1..32 << 10),
            _ => 0,
        };
        let pause_ms = match kind {
            Kind::Events | Kind::Http2Events | Kind::CallStream | Kind::Upgrade => random.u64(20..200),
            Kind::Socket => random.u64(200..600),
            Kind::Upload | Kind::Download => 0,
            // Most are answered at once; what is in flight when something happens are mostly the others.
            _ if random.u8(..3) == 0 => random.u64(50..600),
            _ => 0,
        };
        let (chunked, count, seed) = (random.bool(), random.u32(3..10), random.u64(..));
        Self { number, kind, size, chunked, count, pause_ms, seed }
    }
}

/// Something that is done. A replica is named by a number, of those that live at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// KILL to one.
    Kill { who: u8 },
    /// KILL to all: nobody is home until they were started again.
    KillAll,
    /// TERM to one, by somebody else than the gateway.
    Term { who: u8 },
    /// STOP to one, and CONT after a while.
    Pause { who: u8, pause_ms: u64 },
    /// So many replicas from now on.
    Scale { replicas: u8 },
    /// None for a while.
    Nobody { pause_ms: u64 },
    /// Every replica is replaced by another.
    Recreate,
    /// The document changes: another algorithm, other guards and timeouts, listeners and routes that come and go.
    Reload { algorithm: u8, timeout_s: u8, listener: bool, routes: u8 },
    /// A document with a mistake, of several kinds: it changes nothing.
    Broken { kind: u8 },
    /// The same document again, by HUP.
    Hup,
    /// A document by the admin API.
    Post { algorithm: u8 },
    /// One is taken out by hand, and put back.
    Unhealthy { who: u8, pause_ms: u64 },
    /// The gateway gives its place to another process, which has so many workers; the file may have a mistake then.
    HandOver { workers: u8, broken: bool },
    /// It is to, and cannot, for one of several reasons.
    HandOverFails { why: u8 },
    /// The name server fails or lies, in one of several ways, for a while.
    Names { how: u8, pause_ms: u64 },
    /// The disk of the access log is full for a while, of one of two kinds.
    DiskFull { which: u8, pause_ms: u64 },
    /// Nobody reads the access log for a while.
    LogStuck { pause_ms: u64 },
    /// The gateway may open no more files, for a while.
    Descriptors { pause_ms: u64 },
    /// The gateway is killed, and started again after a while.
    Die { pause_ms: u64 },
    /// The gateway's wall clock leaps there, to the other side, and comes back; something happens meanwhile.
    Clock { how: u8, who: u8, pause_ms: u64 },
    /// The memory limit of the gateway's cgroup is lowered to little more than what is used, for a while.
    Memory { pause_ms: u64 },
    /// One is stopped and started again, in good order (containers).
    Restart { who: u8 },
    /// All are, at once (containers).
    RestartAll,
    /// One is removed while it runs, and another is made (containers).
    Remove { who: u8 },
    /// One loses its network for a while (containers).
    Disconnect { who: u8, pause_ms: u64 },
    /// The engine's socket is gone or hangs for a while, in which something happens to containers.
    Engine { how: u8, who: u8, pause_ms: u64 },
}

/// An act, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its place in the schedule.
    pub(crate) number: u32,
    /// Since the start, at the earliest: acts are done one after another.
    pub(crate) due_ms: u64,
    pub(crate) act: Act,
    /// Whether the next one waits until every replica is well again.
    pub(crate) settle: bool,
}

/// 2 s: nothing happens before.
const QUIET_MS: u64 = 2000;
/// The most replicas that there are.
pub(crate) const REPLICAS_MAX: u8 = 5;
/// The most workers.
pub(crate) const WORKERS_MAX: u8 = 4;

/// The steps of a run that has no end.
pub(crate) fn steps(seed: u64, runtime: Runtime) -> impl Iterator<Item = Step> {
    let mut random = Rng::with_seed(seed);
    let mut due_ms = QUIET_MS;
    (0..).map(move |number| {
        due_ms += random.u64(200..2500);
        Step { number, due_ms, act: act(&mut random, runtime), settle: random.u8(..3) > 0 }
    })
}

/// Of so many acts, those that only containers know come last.
const ANYWHERE: u8 = 34;
const OF_CONTAINERS: u8 = 8;

fn act(random: &mut Rng, runtime: Runtime) -> Act {
    let (who, pause_ms) = (random.u8(..), random.u64(100..2000));
    let containers = if runtime == Runtime::Containers { OF_CONTAINERS } else { 0 };
    match random.u8(..ANYWHERE + containers) {
        0..3 => Act::Kill { who },
        3 => Act::KillAll,
        4..6 => Act::Pause { who, pause_ms },
        6..9 => Act::Scale { replicas: random.u8(1..=REPLICAS_MAX) },
        9 => Act::Nobody { pause_ms },
        10 => Act::Recreate,
        11..13 => Act::Reload {
            algorithm: random.u8(..),
            timeout_s: random.u8(30..90),
            listener: random.bool(),
            routes: random.u8(..20),
        },
        13 => Act::Broken { kind: random.u8(..) },
        14 => Act::Hup,
        15 => Act::Post { algorithm: random.u8(..) },
        16..18 => Act::Unhealthy { who, pause_ms },
        18..20 => Act::Term { who },
        20..22 => Act::HandOver { workers: random.u8(1..=WORKERS_MAX), broken: random.u8(..4) == 0 },
        22..24 => Act::HandOverFails { why: random.u8(..) },
        24..27 => Act::Names { how: random.u8(..), pause_ms },
        27 => Act::DiskFull { which: random.u8(..), pause_ms },
        28 => Act::LogStuck { pause_ms },
        29 => Act::Descriptors { pause_ms },
        30 => Act::Die { pause_ms },
        31..33 => Act::Clock { how: random.u8(..), who, pause_ms },
        33 => Act::Memory { pause_ms },
        _ => act_of_containers(random, who, pause_ms),
    }
}

fn act_of_containers(random: &mut Rng, who: u8, pause_ms: u64) -> Act {
    match random.u8(..OF_CONTAINERS) {
        0..2 => Act::Restart { who },
        2 => Act::RestartAll,
        3..5 => Act::Remove { who },
        5 => Act::Disconnect { who, pause_ms },
        _ => Act::Engine { how: random.u8(..), who, pause_ms },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::SEED;
    use std::collections::HashSet;
    use std::mem::discriminant;

    #[test]
    fn one_seed_gives_one_schedule_and_another_gives_another() {
        for runtime in [Runtime::Processes, Runtime::Containers] {
            let first = |seed| steps(seed, runtime).take(500).collect::<Vec<_>>();
            assert_eq!(first(7), first(7));
            assert_ne!(first(7), first(8));
        }
        let first = |seed| (0..500).map(|number| Request::of(seed, number)).collect::<Vec<_>>();
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn steps_are_numbered_and_come_one_after_another() {
        let steps: Vec<_> = steps(3, Runtime::Containers).take(1000).collect();
        assert!(steps[0].due_ms > QUIET_MS);
        assert!(steps.windows(2).all(|pair| pair[0].due_ms < pair[1].due_ms));
        assert!(steps.iter().zip(0..).all(|(step, number)| step.number == number));
    }

    #[test]
    fn everything_happens_sooner_or_later_and_processes_are_not_treated_as_containers() {
        let acts = |runtime| {
            let acts = steps(5, runtime).take(1000).map(|step| discriminant(&step.act));
            acts.collect::<HashSet<_>>()
        };
        let (processes, containers) = (acts(Runtime::Processes), acts(Runtime::Containers));
        assert_eq!((processes.len(), containers.len()), (21, 26));
        assert!(processes.is_subset(&containers));
        let kinds: HashSet<_> = (0..5000).map(|number| Request::of(5, number).kind).collect();
        assert_eq!(kinds.len(), MIX.len());
    }

    #[test]
    fn the_seed_of_every_day_does_everything_to_the_gateway_within_its_first_steps() {
        for (runtime, kinds) in [(Runtime::Processes, 9), (Runtime::Containers, 10)] {
            let to_the_gateway = steps(SEED, runtime).take(16).filter(|step| {
                let is_change = matches!(step.act, Act::HandOver { .. } | Act::HandOverFails { .. } | Act::Die { .. });
                let is_fault = matches!(step.act, Act::Names { .. } | Act::DiskFull { .. } | Act::LogStuck { .. });
                let is_want = matches!(step.act, Act::Descriptors { .. } | Act::Memory { .. });
                is_change || is_fault || is_want || matches!(step.act, Act::Clock { .. } | Act::Engine { .. })
            });
            let done: HashSet<_> = to_the_gateway.map(|step| discriminant(&step.act)).collect();
            assert_eq!(done.len(), kinds, "{runtime:?}: find another seed");
        }
    }

    #[test]
    fn posts_alone_and_uploads_have_bodies_and_no_two_are_alike() {
        let all: Vec<_> = (0..5000).map(|number| Request::of(9, number)).collect();
        for request in &all {
            let sized = request.kind.is_post() || matches!(request.kind, Kind::Download | Kind::Upgrade);
            assert_eq!(request.size > 0, sized, "{request:?}");
        }
        assert_eq!(all.iter().map(|request| request.seed).collect::<HashSet<_>>().len(), all.len());
    }
}
