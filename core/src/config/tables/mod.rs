//! The field tables: one row a key, one file a group of entities. [`DOCUMENT`] is the root; everything else hangs on it.
//!
//! A key that a later version will know is here too (`later`), so that a document which has it is told so, and not that the
//! key is unknown.

mod certificate;
mod discover;
mod gateway;
mod gateway_parts;
mod health;
mod route;
mod service;
mod upstream;

pub(super) use certificate::{CERTIFICATE, SNI};
pub(super) use gateway::GATEWAY;
pub(super) use route::ROUTE;
pub(super) use service::SERVICE;
pub(super) use upstream::{TARGET, UPSTREAM};

use super::rule;
use super::table::{Field, Kind, Table, field, later};

const COMMENT: Field = field("_comment", Kind::Text(&rule::ANY), "For people; not looked at.").secret();
const IGNORE: Field = field("_ignore", Kind::List(&Kind::Any), "Not looked at.");
const ID: Field = field(
    "id",
    Kind::Text(&rule::ID),
    "Unique id. Default: derived from the name, as Kong does, so that it is stable over reloads.",
)
.public()
.example("5f1d7e4a-3a51-4c0e-9d4b-0c7f6f1f2a10");
const CREATED_AT: Field = field("created_at", Kind::Number(0.0, 1e18), "Kong's; not looked at.");
const UPDATED_AT: Field = field("updated_at", Kind::Number(0.0, 1e18), "Kong's; not looked at.");
const TAGS: Field =
    field("tags", Kind::List(&Kind::Text(&rule::TAG)), "Words to find the entity by.").example("[team-a, public]");
const PLUGINS: Field = field("plugins", Kind::Plugins, "Not available in this version.");

/// Kong's largest time: 2^31 - 2 ms.
const MAX_MS: i64 = (1 << 31) - 2;

/// The whole document.
pub(super) static DOCUMENT: Table = Table {
    name: "document",
    doc: "Kong's declarative format, and `gateway`.",
    fields: &[
        field(
            "_format_version",
            Kind::Word(&["1.1", "2.1", "3.0"], &[]),
            "The format's version. Before 3.0, a path with \
            characters of a regex is one.",
        )
        .required()
        .example("\"3.0\""),
        field("_transform", Kind::Flag, "Whether secrets are written plainly (Kong).").flag(true),
        COMMENT,
        IGNORE,
        field("services", Kind::List(&Kind::Record(&SERVICE)), "What routes lead to."),
        field(
            "routes",
            Kind::List(&Kind::Record(&ROUTE)),
            "Rules that match requests; may stand in their service, too.",
        ),
        field("upstreams", Kind::List(&Kind::Record(&UPSTREAM)), "Pools of targets."),
        field("targets", Kind::List(&Kind::Record(&TARGET)), "Members of pools; may stand in their upstream, too."),
        field("certificates", Kind::List(&Kind::Record(&CERTIFICATE)), "What listeners with TLS show."),
        field("snis", Kind::List(&Kind::Record(&SNI)), "Names of certificates; may stand in their certificate, too."),
        field("gateway", Kind::Record(&GATEWAY), "What Kong has no word for: listeners, limits, logs, providers.")
            .allow("gateway"),
        PLUGINS,
        later("consumers", "Known clients."),
        later("consumer_groups", "Groups of known clients."),
        later("acls", "Groups of known clients."),
        later("keyauth_credentials", "Credentials."),
        later("basicauth_credentials", "Credentials."),
        later("jwt_secrets", "Credentials."),
        later("hmacauth_credentials", "Credentials."),
        later("oauth2_credentials", "Credentials."),
        later("ca_certificates", "CAs that targets' certificates are verified against."),
        later("vaults", "Where secrets are kept."),
        later("keys", "Keys of tokens."),
        later("key_sets", "Sets of keys of tokens."),
        later("filter_chains", "Filters in WebAssembly."),
    ],
};
