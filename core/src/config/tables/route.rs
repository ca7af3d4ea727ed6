//! Kong's route (Kong 3.10 kong/db/schema/entities/routes.lua).

use super::{COMMENT, CREATED_AT, ID, IGNORE, PLUGINS, TAGS, UPDATED_AT};
use crate::config::rule;
use crate::config::table::{Given, Kind, Table, field, later};

/// Rules that match a request.
pub(in crate::config) static ROUTE: Table = Table {
    name: "route",
    doc: "Rules that match a request, and lead to a service. At least one of `hosts`, `paths`, `methods`, `headers`, `snis`.",
    fields: &[
        COMMENT,
        IGNORE,
        ID,
        field("name", Kind::Text(&rule::NAME), "Unique name. Default: the id.").public().example("web-public"),
        field(
            "service",
            Kind::Reference("services"),
            "Where it leads, in a route that stands by itself. Without one: 503.",
        )
        .public()
        .example("web"),
        field(
            "protocols",
            Kind::List(&Kind::Word(
                &["http", "https", "grpc", "grpcs"],
                &["tcp", "tls", "udp", "tls_passthrough", "ws", "wss"],
            )),
            "Schemes that it answers. Asked over http where only https is named: `https_redirect_status_code`.",
        )
        .default(Given::Texts(&["http", "https"])),
        field(
            "hosts",
            Kind::List(&Kind::Text(&rule::ROUTE_HOST)),
            "Hosts: exact, with or without a port, `*.example.com` or `example.*`.",
        )
        .example("[example.com, \"*.example.org\"]"),
        field(
            "paths",
            Kind::List(&Kind::Text(&rule::ROUTE_PATH)),
            "Paths: a prefix, or a regex after `~`, anchored at its start.",
        )
        .example("[/api, \"~/users/\\\\d+$\"]"),
        field("methods", Kind::List(&Kind::Text(&rule::METHOD)), "Methods, in upper case.").example("[GET, POST]"),
        field(
            "headers",
            Kind::Map(&rule::ROUTE_HEADER_NAME, &Kind::List(&Kind::Text(&rule::ANY))),
            "Headers by name, each with the values that match. A single value `~*…` is a regex.",
        )
        .example("{x-version: [v2]}"),
        field(
            "snis",
            Kind::List(&Kind::Text(&rule::SNI)),
            "Names that the client asks for in TLS. Only with https or grpcs.",
        )
        .example("[example.com]"),
        field("strip_path", Kind::Flag, "Takes the matched prefix off the path. Default with grpc: false.").flag(true),
        field("preserve_host", Kind::Flag, "Sends the client's Host on.").flag(false),
        field(
            "path_handling",
            Kind::Word(&["v0", "v1"], &[]),
            "How paths of service and request are joined: v0 with exactly one slash, v1 by concatenation.",
        )
        .text("v0"),
        field("regex_priority", Kind::Integer(i64::MIN, i64::MAX), "Among regex paths, the higher one wins.")
            .integer(0),
        field(
            "https_redirect_status_code",
            Kind::Code(&[426, 301, 302, 307, 308]),
            "What an http request to a route for https alone is answered.",
        )
        .integer(426),
        field("request_buffering", Kind::Flag, "Kong's. Bodies are always streamed.").flag(true),
        field("response_buffering", Kind::Flag, "Kong's. Bodies are always streamed.").flag(true),
        later("sources", "Addresses of clients, for streams."),
        later("destinations", "Addresses of listeners, for streams."),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
        PLUGINS,
        later("filter_chains", "Filters in WebAssembly."),
    ],
};
