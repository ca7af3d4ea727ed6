//! Kong's upstream and target (Kong 3.10 kong/db/schema/entities/{upstreams,targets}.lua), with our keys.

use super::discover::DISCOVER;
use super::health::HEALTHCHECKS;
use super::{COMMENT, CREATED_AT, ID, IGNORE, TAGS, UPDATED_AT};
use crate::config::rule;
use crate::config::table::{Field, Given, Kind, Table, field, later};

/// What Kong hashes requests by, all of which want an algorithm that is not there yet.
const HASHES: Kind = Kind::Word(&["none"], &["consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"]);

/// A pool of targets.
pub(in crate::config) static UPSTREAM: Table = Table {
    name: "upstream",
    doc: "A pool of targets with a balancing algorithm and health checks. A service's `host` names it.",
    fields: &[
        COMMENT,
        IGNORE,
        ID,
        field("name", Kind::Text(&rule::UPSTREAM_NAME), "Unique name, in the form of a host name.")
            .required()
            .public()
            .example("web.shop"),
        field(
            "algorithm",
            Kind::Word(&["round-robin", "least-connections", "power-of-two"], &["consistent-hashing", "latency"]),
            "How a target is picked.",
        )
        .text("round-robin"),
        field(
            "host_header",
            Kind::Text(&rule::HOST_HEADER),
            "Sent to targets as Host, as written. Default: the target.",
        )
        .example("web.internal"),
        field("healthchecks", Kind::Record(&HEALTHCHECKS), "How it is found out which targets are well."),
        field("targets", Kind::List(&Kind::Record(&TARGET)), "Members of the pool."),
        field("discover", Kind::Record(&DISCOVER), "What fills the pool besides `targets`; one or more.")
            .allow("discover"),
        HOLD,
        field(
            "retry_budget",
            Kind::Record(&RETRY_BUDGET),
            "How much of the load may be repeats. Default: no limit but the services' `retries`.",
        ),
        field(
            "hedging",
            Kind::Record(&HEDGING),
            "Sends a request that is slow to be answered to a second target too. Default: off.",
        ),
        field("outlier", Kind::Record(&OUTLIER), "Ejects targets that do worse than they should. Default: off."),
        field("hash_on", HASHES, "What requests are hashed by.").text("none"),
        field("hash_fallback", HASHES, "What requests are hashed by, where `hash_on` finds nothing.").text("none"),
        later("hash_on_header", "The header to hash by."),
        later("hash_fallback_header", "The header to hash by."),
        later("hash_on_cookie", "The cookie to hash by."),
        field("hash_on_cookie_path", Kind::Text(&rule::PATH), "The cookie's path (Kong); not used yet.").text("/"),
        later("hash_on_query_arg", "The query argument to hash by."),
        later("hash_fallback_query_arg", "The query argument to hash by."),
        later("hash_on_uri_capture", "The capture to hash by."),
        later("hash_fallback_uri_capture", "The capture to hash by."),
        field("slots", Kind::Integer(10, 65536), "Kong's size of a ring; not used, pools are sized by their targets.")
            .integer(10_000),
        later("use_srv_name", "Sends the name of an SRV record as Host."),
        later("client_certificate", "The certificate that targets are shown."),
        field(
            "slow_start",
            Kind::Duration,
            "The share of a target that joins the pool, or comes back to it, grows to its weight over this time. Default: it \
             has all of it at once.",
        )
        .example("30s"),
        field(
            "max_concurrency",
            Kind::Either(&MAX_CONCURRENCY),
            "Requests that one target has in flight at the most, over all workers; what is over waits in the `queue`.",
        )
        .example("64"),
        QUEUE,
        later("scaling", "How many replicas there should be.").allow("scaling"),
        later("recycle", "Replaces replicas by age.").allow("scaling"),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
    ],
};

const HOLD: Field = field(
    "hold",
    Kind::Either(&HOLD_KINDS),
    "How requests wait while nothing can be picked; `false`: they do not. Default: on where a provider feeds the pool, for \
     its `grace` after something last could be picked.",
);

static MAX_CONCURRENCY: [Kind; 2] = [Kind::Literal("none"), Kind::Integer(1, 1_000_000)];

const QUEUE: Field = field(
    "queue",
    Kind::Either(&QUEUE_KINDS),
    "How requests wait while all targets are at their `max_concurrency`; `false`: they do not, and are answered 503. \
     Default: on where `max_concurrency` is written.",
);

/// Bounds of requests that wait.
const fn waiting(timeout: &'static str) -> [Field; 3] {
    [
        field("max_requests", Kind::Integer(1, 1_000_000), "Requests that wait at the most.").integer(1000),
        field("max_bytes", Kind::Size, "Bytes of their heads and buffered bodies at the most.").text("64MiB"),
        field("timeout", Kind::Duration, "How long one waits.").text(timeout),
    ]
}

static QUEUE_KINDS: [Kind; 2] = [Kind::Off, Kind::Record(&QUEUE_FIELDS)];

static QUEUE_FIELDS: Table =
    Table { name: "queue", doc: "Bounds of the requests that wait for a target's slot.", fields: &waiting("5s") };

static HOLD_KINDS: [Kind; 2] = [Kind::Off, Kind::Record(&HOLD_FIELDS)];

static HOLD_FIELDS: Table = Table { name: "hold", doc: "Bounds of the requests that wait.", fields: &waiting("60s") };

static RETRY_BUDGET: Table = Table {
    name: "retry_budget",
    doc: "Bounds of repeats, over about ten seconds and all workers. What a target refused or never acknowledged is repeated \
          all the same.",
    fields: &[
        field("ratio", Kind::Number(0.0, 1.0), "Repeats for each request.").default(Given::Number(0.2)),
        field("min_per_second", Kind::Integer(0, 100_000), "Repeats a second that are allowed besides.").integer(10),
    ],
};

static HEDGING: Table = Table {
    name: "hedging",
    doc: "When a request of a safe method, without a body, is sent to a second target too: the first answer counts.",
    fields: &[
        field("after", Kind::Duration, "How long the first target may take to begin its answer.").text("200ms"),
        field("max_ratio", Kind::Number(0.0, 1.0), "The part of the requests, over about ten seconds and all workers.")
            .default(Given::Number(0.05)),
    ],
};

static OUTLIER: Table = Table {
    name: "outlier",
    doc: "When targets are ejected for what requests saw of them, and for how long.",
    fields: &[
        field("consecutive_errors", Kind::Integer(0, 100_000), "Errors in a row that eject; 0: off.").integer(5),
        field(
            "success_rate_deviations",
            Kind::Number(0.0, 100.0),
            "Standard deviations below the pool's mean success rate that eject; 0: off.",
        )
        .default(Given::Number(3.0)),
        field("ejection", Kind::Duration, "How long the first ejection lasts; the second twice as long, and so on.")
            .text("30s"),
        field(
            "max_ejected",
            Kind::Number(0.0, 1.0),
            "The part of the pool that is ejected at the most; one of two or more may be.",
        )
        .default(Given::Number(0.3)),
        field(
            "panic_below",
            Kind::Number(0.0, 1.0),
            "Where less than this part of the pool may be used, ejections and health are ignored; 0: never.",
        )
        .default(Given::Number(0.5)),
    ],
};

/// One member of a pool.
pub(in crate::config) static TARGET: Table = Table {
    name: "target",
    doc: "One member of an upstream.",
    fields: &[
        COMMENT,
        IGNORE,
        ID,
        field("target", Kind::Text(&rule::TARGET), "Host and port. Default port: 8000.")
            .required()
            .example("10.0.0.5:8080"),
        field("upstream", Kind::Reference("upstreams"), "Whose member it is, in a target that stands by itself.")
            .public()
            .example("web.shop"),
        field("weight", Kind::Integer(0, 65535), "Its share; 0: never picked.").integer(100),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
    ],
};
