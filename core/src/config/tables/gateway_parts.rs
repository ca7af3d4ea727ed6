//! The `gateway` key's bounds, times, logs and measurements.

use crate::config::table::{Given, Kind, Table, field, later};

const NONE: Kind = Kind::Literal("none");
/// More connections than file descriptors can be had.
const MAX_CONNECTIONS: i64 = 10_000_000;
/// One in a microsecond: more than a gateway serves.
const MAX_RATE: i64 = 1_000_000;

pub(super) static LIMITS: Table = Table {
    name: "gateway.limits",
    doc: "Bounds. `none` is no bound.",
    fields: &[
        field(
            "connections",
            Kind::Either(&[Kind::Literal("auto"), Kind::Integer(1, MAX_CONNECTIONS)]),
            "Client connections. auto: min(20000, what the file descriptor limit leaves): an idle client counts one, one that is being served two.",
        )
        .text("auto"),
        field(
            "connections_per_client",
            Kind::Either(&[NONE, Kind::Integer(1, MAX_CONNECTIONS)]),
            "Connections of one client (an address of IPv4, a /64 of IPv6) that is no trusted proxy.",
        )
        .text("none")
        .example("200"),
        field(
            "requests_per_client",
            Kind::Either(&[NONE, Kind::Record(&REQUESTS_PER_CLIENT)]),
            "Requests of one client (an address of IPv4, a /64 of IPv6) in a time. What is over is answered 429.",
        )
        .text("none")
        .example("{rate: 100, per: 1s, burst: 200}"),
        field("request_line", Kind::Size, "Bytes of a request line.").text("8KiB"),
        field("request_headers", Kind::Size, "Bytes of a request's head; 60 KiB at the most.").text("32KiB"),
        field("request_header_count", Kind::Integer(1, 1000), "Fields of a request's head.").integer(100),
        field("request_body", Kind::Either(&[NONE, Kind::Size]), "Bytes of a request's body.")
            .text("none")
            .example("10MiB"),
        field("buffered_bytes", Kind::Size, "Bytes that heads and bodies under way take in buffers, a worker's part being its share: the more of it is taken, the \
             less is read ahead; past it, new requests are shed.")
            .text("256MiB"),
        field("replay_body", Kind::Size, "Bytes of a request's body that are kept for another attempt.").text("64KiB"),
        field(
            "upstream_idle_connections",
            Kind::Integer(0, 1_000_000),
            "Idle connections kept to one target, over all workers.",
        )
        .integer(512),
    ],
};

static REQUESTS_PER_CLIENT: Table = Table {
    name: "gateway.limits.requests_per_client",
    doc: "An allowance that fills up evenly.",
    fields: &[
        field("rate", Kind::Integer(1, MAX_RATE), "Requests that come back in `per`.").required().example("100"),
        field("per", Kind::Duration, "1 ms to 1 h.").text("1s"),
        field("burst", Kind::Integer(1, MAX_RATE), "Requests at once, after a rest. Default: as `rate`.")
            .example("200"),
    ],
};

pub(super) static TIMEOUTS: Table = Table {
    name: "gateway.timeouts",
    doc: "Times of connections, true to 100 ms.",
    fields: &[
        field("tls_handshake", Kind::Duration, "Of a client's handshake.").text("10s"),
        field("client_header", Kind::Duration, "From a request's first byte to the end of its head.").text("10s"),
        field(
            "client_body",
            Kind::Duration,
            "Between two reads of a request's body, and two writes of an answer to its client.",
        )
        .text("60s"),
        field("client_idle", Kind::Duration, "Of a client's connection without a request.").text("75s"),
        field("upstream_idle", Kind::Duration, "Of a connection to a target without a request.").text("60s"),
        field("request", Kind::Either(&[NONE, Kind::Duration]), "Of a whole request.").text("none").example("30s"),
    ],
};

pub(super) static HTTP2: Table = Table {
    name: "gateway.http2",
    doc: "HTTP/2 towards clients.",
    fields: &[
        field("max_concurrent_streams", Kind::Integer(1, 10_000), "Streams of one connection at a time.").integer(128),
        field(
            "max_requests_per_connection",
            Kind::Integer(1, (1 << 31) - 1),
            "Requests of one connection, then GOAWAY.",
        )
        .integer(100_000),
        field("max_connection_age", Kind::Either(&[NONE, Kind::Duration]), "Age of a connection, then GOAWAY.")
            .text("none")
            .example("1h"),
    ],
};

pub(super) static ACCESS_LOG: Table = Table {
    name: "gateway.access_log",
    doc: "One line a request.",
    fields: &[
        field(
            "path",
            Kind::Either(&[Kind::Literal("stdout"), Kind::Literal("stderr"), Kind::Path]),
            "stdout, stderr, or a file.",
        )
        .text("stdout")
        .example("/var/log/plimsoll/access.log"),
        field(
            "format",
            Kind::Word(&["json", "combined"], &[]),
            "json: an object a line; combined: Apache's. Templates are not available in this version.",
        )
        .text("json"),
    ],
};

pub(super) static LOG: Table = Table {
    name: "gateway.log",
    doc: "The gateway's own log, on stderr.",
    fields: &[
        field("level", Kind::Word(&["error", "warn", "info", "debug", "trace"], &[]), "The least that is logged.")
            .text("info"),
        field("format", Kind::Word(&["text", "json"], &[]), "How lines look.").text("text"),
        field(
            "queue",
            Kind::Size,
            "Bytes of lines that wait for who reads stderr; what is over is dropped and counted.",
        )
        .text("1MiB"),
    ],
};

pub(super) static METRICS: Table = Table {
    name: "gateway.metrics",
    doc: "What is measured.",
    fields: &[
        field("per_route", Kind::Flag, "Whether durations are kept by route, too.").flag(false),
        field("per_target", Kind::Flag, "Whether there are series of single targets.").flag(true),
        later("kong_names", "Whether Kong's names of metrics are there, too."),
        field(
            "buckets",
            Kind::List(&Kind::Number(1e-6, 1e6)),
            "Upper bounds of histograms' buckets, seconds, ascending.",
        )
        .default(Given::Numbers(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])),
    ],
};

pub(super) static SHUTDOWN: Table = Table {
    name: "gateway.shutdown",
    doc: "How it ends.",
    fields: &[
        field(
            "delay",
            Kind::Duration,
            "readyz fails for so long, while connections are still accepted, so that a balancer in front can go.",
        )
        .text("0s"),
        field("drain_timeout", Kind::Duration, "The drain's length at the most. Docker's stop timeout is 10 s.")
            .text("8s"),
    ],
};
