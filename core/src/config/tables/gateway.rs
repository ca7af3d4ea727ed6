//! The `gateway` key: where clients connect, the admin API and the providers. Limits, times and logs: `gateway_parts`.

use super::gateway_parts::{ACCESS_LOG, HTTP2, LIMITS, LOG, METRICS, SHUTDOWN, TIMEOUTS};
use crate::config::rule;
use crate::config::table::{Given, Kind, Table, field};

/// The whole key.
pub(in crate::config) static GATEWAY: Table = Table {
    name: "gateway",
    doc: "What Kong has no word for. Every key may be left out.",
    fields: &[
        super::COMMENT,
        field(
            "workers",
            Kind::Either(&[Kind::Literal("auto"), Kind::Integer(1, 1024)]),
            "Worker threads. auto: the CPUs that \
            this process may use (affinity, cgroup quota).",
        )
        .text("auto"),
        field(
            "cpu_affinity",
            Kind::Either(&[Kind::Literal("auto"), Kind::Literal("off"), Kind::Off]),
            "auto: a worker a core.",
        )
        .flag(false),
        field(
            "listeners",
            Kind::List(&Kind::Record(&LISTENER)),
            "Where clients connect. Default: http on \"[::]:8000\", and https on \"[::]:8443\" as soon as there is a \
             certificate.",
        )
        .example("[{name: http, address: \"[::]:8000\"}]"),
        field("admin", Kind::Either(&[Kind::Off, Kind::Record(&ADMIN)]), "Kong's admin API and ours; false: none.")
            .default(Given::Fields),
        field(
            "status",
            Kind::Either(&[Kind::Off, Kind::Record(&STATUS)]),
            "Read-only `/metrics`, `/healthz`, `/readyz` on an address of their own.",
        )
        .flag(false),
        field(
            "trusted_proxies",
            Kind::List(&Kind::Text(&rule::NETWORK)),
            "Addresses and networks whose X-Forwarded-* and PROXY protocol are believed.",
        )
        .default(Given::Texts(&[]))
        .example("[10.0.0.0/8]"),
        field("limits", Kind::Record(&LIMITS), "Bounds of everything.").default(Given::Fields),
        field("timeouts", Kind::Record(&TIMEOUTS), "Times of connections, true to 100 ms.").default(Given::Fields),
        field("http2", Kind::Record(&HTTP2), "HTTP/2 towards clients.").default(Given::Fields),
        field(
            "headers",
            Kind::Either(&[Kind::Off, Kind::List(&Kind::Word(&["via", "server", "latency", "request_id"], &[]))]),
            "What the gateway adds to answers, as Kong's `headers`; false: nothing.",
        )
        .default(Given::Texts(&["via", "server", "latency", "request_id"])),
        field("access_log", Kind::Either(&[Kind::Off, Kind::Record(&ACCESS_LOG)]), "One line a request; false: none.")
            .default(Given::Fields),
        field("log", Kind::Record(&LOG), "The gateway's own log, on stderr.").default(Given::Fields),
        field("metrics", Kind::Record(&METRICS), "What is measured.").default(Given::Fields),
        field("shutdown", Kind::Record(&SHUTDOWN), "How it ends.").default(Given::Fields),
        field("providers", Kind::Record(&PROVIDERS), "Sources of truth about replicas.").default(Given::Fields),
    ],
};

static LISTENER: Table = Table {
    name: "gateway.listeners",
    doc: "An address that clients connect to.",
    fields: &[
        field("name", Kind::Text(&rule::NAME), "Unique; a label of metrics.").required().public().example("https"),
        field("address", Kind::Text(&rule::ADDRESS), "Where it is bound. \"[::]:PORT\" is both families.")
            .required()
            .example("\"[::]:8443\""),
        field(
            "tls",
            Kind::Either(&[Kind::Off, Kind::On, Kind::Record(&LISTENER_TLS)]),
            "Whether TLS is spoken; true: with its defaults.",
        )
        .flag(false),
        field("http2", Kind::Flag, "Whether HTTP/2 is offered.").flag(true),
        field(
            "proxy_protocol",
            Kind::Flag,
            "Whether every connection begins with a header of the PROXY protocol (version 1 or 2) that says who the client \
             is. Taken from `trusted_proxies` alone; what comes from elsewhere, or without it, is closed.",
        )
        .flag(false),
    ],
};

static LISTENER_TLS: Table = Table {
    name: "gateway.listeners.tls",
    doc: "TLS of a listener.",
    fields: &[
        field(
            "min_version",
            Kind::Either(&[Kind::Word(&["1.2", "1.3"], &[]), Kind::Number(1.2, 1.3)]),
            "The oldest version of TLS that is spoken.",
        )
        .text("1.2"),
        field(
            "client_ca",
            Kind::Either(&[Kind::Literal("none"), Kind::Pem(false)]),
            "PEM of the CAs whose client certificates are asked for and verified.",
        )
        .text("none")
        .example("tls/clients-ca.crt"),
        field(
            "default_certificate",
            Kind::Either(&[Kind::Literal("none"), Kind::Text(&rule::FILLED)]),
            "Id of the certificate, or one of its names, for clients that name no known host. none: the document's first.",
        )
        .text("none")
        .public()
        .example("example.com"),
    ],
};

static ADMIN: Table = Table {
    name: "gateway.admin",
    doc: "The admin API.",
    fields: &[
        field(
            "address",
            Kind::Text(&rule::ADMIN_ADDRESS),
            "Where it listens. Anything but loopback or a Unix socket wants `token_file`.",
        )
        .text("127.0.0.1:8001"),
        field(
            "token_file",
            Kind::Either(&[Kind::Literal("none"), Kind::Path]),
            "File with the token that requests must bear.",
        )
        .text("none")
        .example("/run/secrets/admin-token"),
        field("references", Kind::Flag, "Whether `POST /config` may refer to the environment and to files.")
            .flag(false),
        field(
            "allow",
            Kind::List(&Kind::Word(&["process", "discover", "scaling", "files", "gateway"], &[])),
            "What `POST /config` may say beyond Kong's entities.",
        )
        .default(Given::Texts(&[]))
        .example("[discover]"),
    ],
};

static STATUS: Table = Table {
    name: "gateway.status",
    doc: "Read-only endpoints.",
    fields: &[field("address", Kind::Text(&rule::ADDRESS), "Where they listen.")
        .required()
        .example("\"0.0.0.0:8100\"")],
};

static PROVIDERS: Table = Table {
    name: "gateway.providers",
    doc: "Sources of truth about replicas. Default: Docker, if its socket is there.",
    fields: &[
        field("sync_timeout", Kind::Duration, "How long readyz waits at start for first facts.").text("10s"),
        field("docker", Kind::Either(&[Kind::Off, Kind::Record(&DOCKER)]), "A Docker engine; false: off.").flag(false),
    ],
};

const PATTERNS: Kind = Kind::List(&Kind::Text(&rule::FILLED));

static DOCKER: Table = Table {
    name: "gateway.providers.docker",
    doc: "A Docker engine whose containers' labels say what is exposed.",
    fields: &[
        field("endpoint", Kind::Text(&rule::DOCKER_ENDPOINT), "auto: DOCKER_HOST, the context, the usual sockets; or \
            unix:PATH, tcp:HOST:PORT.")
            .text("auto"),
        field("cert_path", Kind::Either(&[Kind::Literal("none"), Kind::Path]), "Folder with ca.pem, cert.pem and key.pem, \
            for tcp with TLS.")
            .text("none"),
        field("network", Kind::Either(&[Kind::Literal("none"), Kind::Text(&rule::FILLED)]), "Preferred network, by name.")
            .text("none"),
        field("exposed_by_default", Kind::Flag, "Whether containers are exposed without a label that says so.").flag(false),
        field("label_prefix", Kind::Text(&rule::FILLED), "What labels begin with.").text("plimsoll"),
        field(
            "constraints",
            Kind::Map(&rule::LABEL, &Kind::Text(&rule::ANY)),
            "Labels that a container must have, with these values.",
        )
        .default(Given::Fields),
        field("allow", Kind::Record(&LABEL_ALLOW), "What labels may say.").default(Given::Fields),
        field("limits", Kind::Record(&LABEL_LIMITS), "Bounds of one container's labels.").default(Given::Fields),
        field(
            "health",
            Kind::Word(&["gate", "ignore", "only"], &[]),
            "What a container's HEALTHCHECK decides. gate: entry, besides our own checks; ignore: nothing; only: everything.",
        )
        .text("gate"),
        field("grace", Kind::Duration, "How long a service that lost its last replica keeps its route.").text("60s"),
    ],
};

static LABEL_ALLOW: Table = Table {
    name: "gateway.providers.docker.allow",
    doc: "What labels may say.",
    fields: &[
        field(
            "projects",
            PATTERNS,
            "Compose projects, as patterns with `*`; the first one owns a host that two claim.",
        )
        .default(Given::Texts(&["*"])),
        field("hosts", PATTERNS, "Hosts that labels may claim, as patterns with `*`.").default(Given::Texts(&["*"])),
        field("plugins", PATTERNS, "Plugins that labels may use; default: those that can do no harm.")
            .default(Given::Texts(&["default"])),
        field("fields", PATTERNS, "Fields of an upstream that labels may say beyond the default ones.")
            .default(Given::Texts(&["default"])),
    ],
};

static LABEL_LIMITS: Table = Table {
    name: "gateway.providers.docker.limits",
    doc: "Bounds of one container's labels.",
    fields: &[
        field("labels", Kind::Size, "Bytes of labels with our prefix.").text("16KiB"),
        field("routes", Kind::Integer(0, 10_000), "Routes.").integer(64),
        field("regex", Kind::Size, "Bytes of regexes.").text("64KiB"),
    ],
};
