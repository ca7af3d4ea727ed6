//! Kong's `healthchecks` (Kong 3.10 kong/db/schema/entities/upstreams.lua).

use crate::config::rule;
use crate::config::table::{Field, Given, Kind, Table, field};

const fn kind() -> Field {
    field("type", Kind::Word(&["http", "https", "tcp", "grpc", "grpcs"], &[]), "What is spoken.").text("http")
}

/// Counters of Kong's health checker hold eight bits.
const fn threshold(name: &'static str, doc: &'static str) -> Field {
    field(name, Kind::Integer(0, 255), doc).integer(0)
}

const fn statuses(doc: &'static str, default: &'static [i64]) -> Field {
    field("http_statuses", Kind::List(&Kind::Integer(100, 999)), doc).default(Given::Integers(default))
}

const fn interval(doc: &'static str) -> Field {
    field("interval", Kind::Number(0.0, 65535.0), doc).default(Given::Number(0.0))
}

const GOOD: &str = "Statuses that count as success.";
const BAD: &str = "Statuses that count as failure.";
const SUCCESSES: Field = threshold("successes", "Successes that make an unhealthy target healthy; 0: never.");
const TCP_FAILURES: Field =
    threshold("tcp_failures", "Failures to connect, or connections broken, that make it unhealthy; 0: never.");
const TIMEOUTS: Field = threshold("timeouts", "Timeouts that make it unhealthy; 0: never.");
const HTTP_FAILURES: Field =
    threshold("http_failures", "Answers with one of `http_statuses` that make it unhealthy; 0: never.");

pub(super) static HEALTHCHECKS: Table = Table {
    name: "healthchecks",
    doc: "How it is found out which targets are well.",
    fields: &[
        field("active", Kind::Record(&ACTIVE), "Probes."),
        field("passive", Kind::Record(&PASSIVE), "What real requests saw."),
        field(
            "threshold",
            Kind::Number(0.0, 100.0),
            "Percent of the pool's weight that must be healthy, else the whole upstream answers 503.",
        )
        .default(Given::Number(0.0)),
    ],
};

static ACTIVE: Table = Table {
    name: "healthchecks.active",
    doc: "Probes. Off while both intervals are 0.",
    fields: &[
        kind(),
        field("timeout", Kind::Number(0.0, 65535.0), "Seconds that a probe may take.").default(Given::Number(1.0)),
        field("concurrency", Kind::Integer(1, 1 << 31), "Probes of one upstream at a time.").integer(10),
        field("http_path", Kind::Text(&rule::PATH), "What an HTTP probe asks for.").text("/"),
        field(
            "headers",
            Kind::Map(&rule::HEADER_NAME, &Kind::List(&Kind::Text(&rule::ANY))),
            "Headers of an HTTP probe, each with its values.",
        )
        .secret()
        .example("{x-probe: [\"1\"]}"),
        field("https_verify_certificate", Kind::Flag, "Whether an HTTPS probe verifies the target's certificate.")
            .flag(true),
        field("https_sni", Kind::Text(&rule::SNI), "The name that an HTTPS probe asks for.").example("web.internal"),
        field(
            "healthy",
            Kind::Record(&ACTIVE_HEALTHY),
            "Probing of healthy targets, and what makes one healthy again.",
        ),
        field(
            "unhealthy",
            Kind::Record(&ACTIVE_UNHEALTHY),
            "Probing of unhealthy targets, and what makes one unhealthy.",
        ),
    ],
};

static ACTIVE_HEALTHY: Table = Table {
    name: "healthchecks.active.healthy",
    doc: "Probing of healthy targets, and what makes one healthy again.",
    fields: &[interval("Seconds between probes of a healthy target; 0: none."), statuses(GOOD, &[200, 302]), SUCCESSES],
};

static ACTIVE_UNHEALTHY: Table = Table {
    name: "healthchecks.active.unhealthy",
    doc: "Probing of unhealthy targets, and what makes one unhealthy.",
    fields: &[
        interval("Seconds between probes of an unhealthy target; 0: none."),
        statuses(BAD, &[429, 404, 500, 501, 502, 503, 504, 505]),
        TCP_FAILURES,
        TIMEOUTS,
        HTTP_FAILURES,
    ],
};

static PASSIVE: Table = Table {
    name: "healthchecks.passive",
    doc: "What real requests saw.",
    fields: &[
        kind(),
        field("healthy", Kind::Record(&PASSIVE_HEALTHY), "What makes an unhealthy target healthy."),
        field("unhealthy", Kind::Record(&PASSIVE_UNHEALTHY), "What makes a healthy target unhealthy."),
    ],
};

static PASSIVE_HEALTHY: Table = Table {
    name: "healthchecks.passive.healthy",
    doc: "What makes an unhealthy target healthy.",
    fields: &[
        statuses(
            GOOD,
            &[200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308],
        ),
        SUCCESSES,
    ],
};

static PASSIVE_UNHEALTHY: Table = Table {
    name: "healthchecks.passive.unhealthy",
    doc: "What makes a healthy target unhealthy.",
    fields: &[statuses(BAD, &[429, 500, 503]), TCP_FAILURES, TIMEOUTS, HTTP_FAILURES],
};
