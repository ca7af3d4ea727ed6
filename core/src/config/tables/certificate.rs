//! Kong's certificate and SNI (Kong 3.10 kong/db/schema/entities/{certificates,snis}.lua).

use super::{COMMENT, CREATED_AT, ID, IGNORE, TAGS, UPDATED_AT};
use crate::config::rule;
use crate::config::table::{Kind, Table, field, later};

/// What a listener with TLS shows.
pub(in crate::config) static CERTIFICATE: Table = Table {
    name: "certificate",
    doc: "A certificate with its key, and the names that it is served for.",
    fields: &[
        COMMENT,
        IGNORE,
        ID,
        field("cert", Kind::Pem(false), "The chain: PEM text, or a path to a file with it.")
            .required()
            .example("tls/web.crt"),
        field("key", Kind::Pem(true), "The private key: PEM text, or a path to a file with it.")
            .required()
            .secret()
            .example("tls/web.key"),
        later("cert_alt", "A second chain, of another kind of key."),
        later("key_alt", "The second chain's key."),
        later("passphrase", "What the key is encrypted with."),
        field(
            "snis",
            Kind::List(&Kind::Either(&[Kind::Text(&rule::SNI), Kind::Record(&SNI)])),
            "Names that it is served for.",
        )
        .example("[{name: example.com}]"),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
    ],
};

/// A name of a certificate.
pub(in crate::config) static SNI: Table = Table {
    name: "sni",
    doc: "A name that a certificate is served for.",
    fields: &[
        COMMENT,
        IGNORE,
        ID,
        field("name", Kind::Text(&rule::SNI), "The name; may be `*.example.com` or `example.*`.")
            .required()
            .public()
            .example("example.com"),
        field("certificate", Kind::Reference("certificates"), "Whose name it is, in an SNI that stands by itself.")
            .public()
            .example("{id: 5f1d7e4a-3a51-4c0e-9d4b-0c7f6f1f2a10}"),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
    ],
};
