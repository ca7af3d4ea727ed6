//! Where a pool's targets come from, besides `targets`.

use crate::config::rule;
use crate::config::table::{Kind, Table, field, later};

pub(super) static DISCOVER: Table = Table {
    name: "discover",
    doc: "Where a pool's targets come from, besides `targets`; one or more.",
    fields: &[
        field("docker", Kind::Record(&DOCKER), "Containers of a Docker engine."),
        field("process", Kind::Record(&PROCESS), "Processes that Plimsoll starts and watches.").allow("process"),
        later("swarm", "Tasks of a Swarm service."),
        later("dns", "What a name resolves to."),
        later("file", "Prometheus' file_sd format.").allow("files"),
    ],
};

static DOCKER: Table = Table {
    name: "discover.docker",
    doc: "Containers of a Docker engine. At least one of `project`, `service`, `labels`.",
    fields: &[
        field("project", Kind::Text(&rule::FILLED), "Compose project.").example("shop"),
        field("service", Kind::Text(&rule::FILLED), "Compose service.").example("web"),
        field(
            "labels",
            Kind::Map(&rule::LABEL, &Kind::Text(&rule::ANY)),
            "Labels that a container must have, with these values.",
        )
        .example("{tier: web}"),
        field("port", Kind::Integer(1, 65535), "The container's port. Default: its label's, or the only exposed one.")
            .example("8000"),
        field(
            "network",
            Kind::Text(&rule::FILLED),
            "The container's network to reach it by. Default: its label's, or the provider's choice.",
        )
        .example("front"),
    ],
};

static PROCESS: Table = Table {
    name: "discover.process",
    doc: "Processes that Plimsoll starts and watches.",
    fields: &[
        field(
            "command",
            Kind::List(&Kind::Text(&rule::ANY)),
            "Program and arguments; `{port}` is replaced by the port that it shall listen on.",
        )
        .required()
        .example("[./web, --port, \"{port}\"]"),
        field("replicas", Kind::Integer(0, 1000), "How many copies run.").integer(1),
        field("env", Kind::Map(&rule::VARIABLE, &Kind::Text(&rule::ANY)), "Added to the environment; PORT is set too.")
            .secret()
            .example("{LEVEL: debug}"),
        field("working_directory", Kind::Text(&rule::FILLED), "Where it runs. Default: the document's folder.")
            .example("."),
    ],
};
