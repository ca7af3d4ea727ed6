//! Kong's service (Kong 3.10 kong/db/schema/entities/services.lua).

use super::{COMMENT, CREATED_AT, ID, IGNORE, MAX_MS, PLUGINS, ROUTE, TAGS, UPDATED_AT};
use crate::config::rule;
use crate::config::table::{Kind, Table, field, later};

/// What a route leads to.
pub(in crate::config) static SERVICE: Table = Table {
    name: "service",
    doc: "What a route leads to: a protocol, an upstream or a host, a path, times and retries.",
    fields: &[
        COMMENT,
        IGNORE,
        ID,
        field("name", Kind::Text(&rule::NAME), "Unique name. Default: the id.").public().example("web"),
        field("url", Kind::Text(&rule::URL), "Short for `protocol`, `host`, `port` and `path`.")
            .example("http://web.internal:8080/api"),
        field(
            "protocol",
            Kind::Word(&["http", "https", "grpc", "grpcs"], &["tcp", "tls", "udp", "tls_passthrough", "ws", "wss"]),
            "How targets are spoken to.",
        )
        .text("http"),
        field(
            "host",
            Kind::Text(&rule::HOST),
            "An upstream's name, a host name or an address. Needed, unless `url` says it.",
        )
        .example("web.internal"),
        field("port", Kind::Integer(0, 65535), "The port, where `host` is no upstream.").integer(80),
        field("path", Kind::Text(&rule::PATH), "Put before the request's path.").example("/api"),
        field("retries", Kind::Integer(0, 32767), "Tries after the first one.").integer(5),
        field("connect_timeout", Kind::Integer(1, MAX_MS), "Milliseconds to establish a connection.").integer(60_000),
        field("write_timeout", Kind::Integer(1, MAX_MS), "Milliseconds between two writes to the target.")
            .integer(60_000),
        field("read_timeout", Kind::Integer(1, MAX_MS), "Milliseconds between two reads from the target.")
            .integer(60_000),
        field("enabled", Kind::Flag, "Whether its routes match at all.").flag(true),
        field(
            "tls_verify",
            Kind::Flag,
            "Whether certificates of targets are verified. Default: yes in a document with `gateway`, else no, as in Kong.",
        ),
        later("tls_verify_depth", "Length of a target's certificate chain."),
        later("tls_sans", "Names that a target's certificate may carry."),
        later("client_certificate", "The certificate that targets are shown."),
        later("ca_certificates", "CAs that targets' certificates are verified against."),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
        field("routes", Kind::List(&Kind::Record(&ROUTE)), "Routes that lead here."),
        PLUGINS,
        later("filter_chains", "Filters in WebAssembly."),
    ],
};
