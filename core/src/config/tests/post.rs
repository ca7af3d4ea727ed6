//! `POST /config` is input from the network: what it may say is a closed list.

use super::{Spot, each_field, messages, options, sample};
use crate::config::table::Kind;
use crate::config::{Source, read};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

const POST: Source<'_> = Source::Post { allow: &[], references: false };

/// Kong's entities, and what an upstream has besides Kong's fields.
const ALLOWED: [&str; 12] = [
    "document",
    "service",
    "route",
    "upstream",
    "target",
    "certificate",
    "sni",
    "hold",
    "queue",
    "retry_budget",
    "hedging",
    "outlier",
];

fn is_allowed(spot: &Spot<'_>) -> bool {
    let table = spot.table.name;
    (ALLOWED.contains(&table) || table.starts_with("healthchecks"))
        && !["gateway", "discover"].contains(&spot.field.name)
        && !matches!(spot.field.kind, Kind::Later)
}

#[test]
fn every_key_outside_the_list_is_refused_by_name() {
    let mut refused = BTreeSet::new();
    each_field(&mut |spot| {
        let value =
            if matches!(spot.field.kind, Kind::Later) { json!({"some": "thing"}) } else { sample(&spot.field.kind) };
        let found = messages(&spot.document(value), POST);
        if is_allowed(spot) {
            return;
        }
        // The outermost key that is not allowed is the one to name; what stands inside of it is not looked at.
        let named = |key: &str| {
            let no = [
                format!("'{key}' may not be said through POST /config"),
                format!("'{key}' is not available in this version"),
            ];
            found.iter().any(|message| no.contains(message))
        };
        assert!(
            spot.way.iter().any(|key| named(key)) || named(spot.field.name),
            "{:?} {}: {found:?}",
            spot.way,
            spot.field.name
        );
        refused.insert(format!("{}.{}", spot.table.name, spot.field.name));
    });
    for key in ["document.gateway", "upstream.discover", "upstream.scaling", "gateway.workers", "gateway.admin.allow"] {
        assert!(refused.contains(key), "{key} is not refused: {refused:?}");
    }
}

#[test]
fn every_key_of_the_list_may_be_said_but_for_paths_of_files() {
    each_field(&mut |spot| {
        // A certificate of these documents is a path.
        let path =
            ["certificate", "sni"].contains(&spot.table.name) || ["certificates", "snis"].contains(&spot.field.name);
        if is_allowed(spot) && !path {
            let found = messages(&spot.document(sample(&spot.field.kind)), POST);
            let bad = found.iter().find(|message| message.contains("may not be said"));
            assert_eq!(bad, None, "{:?} {}", spot.way, spot.field.name);
        }
    });
}

#[test]
fn paths_of_files_are_refused_wherever_they_stand() {
    each_field(&mut |spot| {
        if matches!(spot.field.kind, Kind::Pem(_) | Kind::Path) && is_allowed(spot) {
            let found = messages(&spot.document(json!("/etc/passwd")), POST);
            let expected = format!("'{}' may not be said through POST /config", spot.field.name);
            assert!(found.contains(&expected), "{:?} {}: {found:?}", spot.way, spot.field.name);
        }
    });
}

#[test]
fn it_says_how_to_allow_what_it_refuses() {
    let document = json!({"_format_version": "3.0", "gateway": {"admin": {"token_file": "x"}},
        "upstreams": [{"name": "u", "discover": {"process": {"command": ["x"]}}}]});
    let check = |allow: &[&str], expected: &[&str]| {
        let allow: Vec<Arc<str>> = allow.iter().map(|word| Arc::from(*word)).collect();
        let source = Source::Post { allow: &allow, references: false };
        let helps: Vec<String> = match read(&document.to_string(), &options(source)) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.list().iter().filter_map(|problem| problem.help.clone()).collect(),
        };
        let words: Vec<&str> =
            helps.iter().filter_map(|help| help.strip_prefix("to allow it, put ")?.split(' ').next()).collect();
        assert_eq!(words, expected, "{allow:?}");
    };
    check(&[], &["gateway", "discover"]);
    check(&["gateway"], &["files", "discover"]);
    check(&["gateway", "files", "discover"], &["process"]);
    check(&["gateway", "files", "discover", "process"], &[]);
}
